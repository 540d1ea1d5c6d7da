//! Rows of the heaps, beside those of the kernel's own `kmalloc`: a pair, and a thousand in a row.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use buddy_system_allocator::Heap as Buddy;
use embedded_alloc::{LlffHeap, TlsfHeap};
use linked_list_allocator::Heap as LinkedList;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use tetra::bench::bench;

use crate::arena;
use crate::heaps::{Contender, Locked};

const MEMORY: usize = 256 << 10;
const BATCH: usize = 1000;
const ALIGN: usize = 8;

/// A heap that is begun when its row is measured.
struct Row<H> {
    heap: H,
    has_memory: AtomicBool,
    batch: UnsafeCell<[*mut u8; BATCH]>,
}

// SAFETY: the one core that measures touches the batch, in one row at a time.
unsafe impl<H: Sync> Sync for Row<H> {}

impl<H: Contender> Row<H> {
    const fn new() -> Self {
        Self { heap: H::EMPTY, has_memory: AtomicBool::new(false), batch: UnsafeCell::new([null_mut(); BATCH]) }
    }

    fn begin(&self) {
        if !self.has_memory.swap(true, Ordering::Relaxed) {
            // SAFETY: the arena keeps this piece for this heap, and the flag lets this happen once.
            unsafe { self.heap.start(arena::keep(MEMORY), MEMORY) };
        }
    }

    #[inline(always)]
    fn pair<const SIZE: usize>(&self) {
        let layout = const { layout(SIZE) };
        // SAFETY: the size is not 0.
        let object = unsafe { self.heap.alloc(layout) };
        // SAFETY: from this heap, with this layout; the heap is large enough for one, so it is not null.
        unsafe { self.heap.dealloc(object, layout) };
    }

    #[inline(always)]
    fn fill(&self) {
        // SAFETY: one core, one row at a time.
        let batch = unsafe { &mut *self.batch.get() };
        for object in batch {
            // SAFETY: the size is not 0.
            *object = unsafe { self.heap.alloc(const { layout(64) }) };
        }
    }

    #[inline(always)]
    fn empty(&self) {
        // SAFETY: as in `fill`.
        let batch = unsafe { &mut *self.batch.get() };
        for object in batch {
            // SAFETY: `fill` took it from this heap with this layout.
            unsafe { self.heap.dealloc(*object, const { layout(64) }) };
        }
    }
}

const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a layout that cannot be"),
    }
}

macro_rules! rows {
    ($($peer:literal: $heap:ty;)+) => {
        bench! {$(
            "mem.kmalloc_8" by $peer, row: Row<$heap> = Row::new() => row.pair::<8>(); before row.begin();
            "mem.kmalloc_64" by $peer, row: Row<$heap> = Row::new() => row.pair::<64>(); before row.begin();
            "mem.kmalloc_1024" by $peer, row: Row<$heap> = Row::new() => row.pair::<1024>(); before row.begin();
            "mem.kmalloc_8192" by $peer, row: Row<$heap> = Row::new() => row.pair::<8192>(); before row.begin();
            "mem.kmalloc_64_batch_alloc" by $peer / 1000, row: Row<$heap> = Row::new() => row.fill(); before row.begin(); after row.empty();
            "mem.kfree_64_batch" by $peer / 1000, row: Row<$heap> = Row::new() => row.empty(); before { row.begin(); row.fill() };
        )+}
    };
}

rows! {
    "embedded-alloc LLFF": LlffHeap;
    "embedded-alloc TLSF": TlsfHeap;
    "linked_list_allocator": Locked<LinkedList>;
    "buddy_system_allocator": Locked<Buddy<32>>;
    "talc": Locked<Talc<Manual, DefaultBinning>>;
}
