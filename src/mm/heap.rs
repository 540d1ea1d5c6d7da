//! The global allocator: what `alloc` gets its memory from, with the boot heap before the page allocator stands.
//!
//! `embedded-alloc` serves the first requests out of 64 KiB of bss. From `hand_over` on `kmalloc` serves; what was allocated before stays where it is
//! and goes back to the boot heap, told by its address, and the boot heap's free room remains the last resort when `kmalloc` has nothing. So
//! neither an object nor a byte is lost. Rejected: giving the emptied boot heap to the page allocator: it would have to be empty, which boot's
//! long-lived objects prevent.
//!
//! `GlobalAlloc` knows no GFP flags: a request is `KERNEL` where the caller may sleep, else `ATOMIC`. Code of the kernel uses `KBox`, `KVec` and `KArc`,
//! which take flags; `alloc` with its fallible forms is for crates from outside.
//!
//! Neighbours: `kmalloc`; `sync::critical_section`, which is how `embedded-alloc` locks.

use super::gfp::GfpFlags;
use super::kmalloc::{kfree, kmalloc, krealloc, kzalloc};
use super::kmem_cache;
use super::size_class::size_for_align;
use crate::cpu;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_alloc::LlffHeap;

/// Bytes of the boot heap.
const BOOT_HEAP_SIZE: usize = 64 << 10;

#[repr(align(4096))]
struct BootMemory(UnsafeCell<[u8; BOOT_HEAP_SIZE]>);

// SAFETY: nothing here touches the bytes but through the heap that `start` gives them to.
unsafe impl Sync for BootMemory {}

static BOOT_MEMORY: BootMemory = BootMemory(UnsafeCell::new([0; BOOT_HEAP_SIZE]));
static BOOT_HEAP: LlffHeap = LlffHeap::empty();
/// `kmalloc` stands. Release when it is set, after the caches were made, acquire by the first requests.
static HAS_KMALLOC: AtomicBool = AtomicBool::new(false);

/// What `alloc` allocates from.
struct KernelHeap;

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;

/// Gives the boot heap its memory. Once, on core 0, before anything allocates.
pub(crate) fn start() {
    // SAFETY: the memory is the heap's alone, and this is called once; the heap itself panics at a second call.
    unsafe { BOOT_HEAP.init(BOOT_MEMORY.0.get() as usize, BOOT_HEAP_SIZE) };
    kmem_cache::init_early();
}

/// Lets `kmalloc` serve from now on. Once, on core 0, after `kmalloc::init`.
pub(crate) fn hand_over() {
    HAS_KMALLOC.store(true, Ordering::Release);
}

/// Bytes of the boot heap in use, and its size. Context: any.
pub fn boot_usage() -> (usize, usize) {
    (BOOT_HEAP.used(), BOOT_HEAP_SIZE)
}

fn is_of_boot(object: *mut u8) -> bool {
    (object as usize).wrapping_sub(BOOT_MEMORY.0.get() as usize) < BOOT_HEAP_SIZE
}

fn flags_here() -> GfpFlags {
    if cpu::is_atomic() { GfpFlags::ATOMIC } else { GfpFlags::KERNEL }
}

// SAFETY: `kmalloc` and the boot heap give memory of the size and alignment that `size_for_align` and the layout ask for, to one caller at a time,
// and keep it until it is freed; neither unwinds.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if HAS_KMALLOC.load(Ordering::Acquire)
            && let Ok(object) = kmalloc(size_for_align(layout.size(), layout.align()), flags_here())
        {
            return object.as_ptr();
        }
        // SAFETY: the caller's contract is the same.
        unsafe { BOOT_HEAP.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if HAS_KMALLOC.load(Ordering::Acquire)
            && let Ok(object) = kzalloc(size_for_align(layout.size(), layout.align()), flags_here())
        {
            return object.as_ptr();
        }
        // SAFETY: the caller's contract is the same.
        unsafe { BOOT_HEAP.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        if is_of_boot(object) {
            // SAFETY: the boot heap gave it, with this layout.
            unsafe { BOOT_HEAP.dealloc(object, layout) }
        } else {
            // SAFETY: `kmalloc` gave it, and the caller gives it away.
            unsafe { kfree(object) }
        }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if let Some(kept) = NonNull::new(object).filter(|_| !is_of_boot(object)) {
            // SAFETY: `kmalloc` gave it; the caller uses the result only.
            let grown = unsafe { krealloc(kept, size_for_align(new_size, layout.align()), flags_here()) };
            return grown.map_or(ptr::null_mut(), NonNull::as_ptr);
        }
        // SAFETY: the caller promises that the new size is a valid one for this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the new size is not 0, by the contract of `realloc`.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both are as long as the smaller size, and not the same.
            unsafe { new.copy_from_nonoverlapping(object, layout.size().min(new_size)) };
            // SAFETY: allocated with this layout, and no longer used.
            unsafe { self.dealloc(object, layout) };
        }
        new
    }
}
