//! All allocators at once: a million operations on four cores, each block handed to whoever comes by, its content known to nobody but its holder.
#![no_std]
#![no_main]

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use tetra::cpu;
use tetra::mm::addr::{Order, PAGE_SIZE};
use tetra::mm::kmem_cache::{self, CacheHandle, nr_reports};
use tetra::mm::kvmalloc::kvfree;
use tetra::mm::slab_layout::SlabFlags;
use tetra::mm::{AllocError, GfpFlags, KArc, kmalloc, page_alloc, shrinker, vmalloc};
use tetra::sched::kthread::Builder;
use tetra::{pr_fmt, pr_info};
use tetra_tests::memory::{balanced, random, read, write};
use tetra_tests::objects::cache;
use tetra_tests::{case, check, check_eq, suite};

suite!();

const OPERATIONS: usize = 1_000_000;
const CORES: usize = 4;
const GFP: GfpFlags = GfpFlags::KERNEL.union(GfpFlags::NOWARN);
/// Where a block waits for the next that comes by, whatever core that is on.
static PLACES: [AtomicPtr<u8>; 512] = [const { AtomicPtr::new(null_mut()) }; 512];
static DONE: AtomicUsize = AtomicUsize::new(0);
/// Blocks of each kind that were given away.
static GIVEN: [AtomicUsize; KINDS.len()] = [const { AtomicUsize::new(0) }; KINDS.len()];

/// Where a block is from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kmalloc,
    Cache,
    Pages,
    Vmalloc,
}

const KINDS: [Kind; 4] = [Kind::Kmalloc, Kind::Cache, Kind::Pages, Kind::Vmalloc];
const OBJECT: usize = 200;

impl Kind {
    /// One that `number` picks: areas seldom, as each costs what hundreds of the others do.
    fn pick(number: usize) -> Kind {
        match number % 1024 {
            0 => Kind::Vmalloc,
            1..128 => Kind::Pages,
            128..512 => Kind::Cache,
            _ => Kind::Kmalloc,
        }
    }

    /// A size that this kind gives, at least three words.
    fn size(self, number: usize) -> usize {
        match self {
            Kind::Kmalloc if number.is_multiple_of(64) => 24 + number % 40_000,
            Kind::Kmalloc => 24 + number % 2000,
            Kind::Cache => OBJECT,
            Kind::Pages => PAGE_SIZE << (number % 4),
            Kind::Vmalloc => PAGE_SIZE * (1 + number % 20),
        }
    }

    fn alloc(self, size: usize, objects: &CacheHandle) -> Result<NonNull<u8>, AllocError> {
        match self {
            Kind::Kmalloc => kmalloc::kmalloc(size, GFP),
            Kind::Cache => objects.alloc(GFP),
            Kind::Pages => page_alloc::get_free_pages(GFP, order_of(size)).map(|pages| NonNull::new(pages).expect("not NULL")),
            Kind::Vmalloc => vmalloc::vmalloc(size, GFP).map(|area| NonNull::new(area).expect("not NULL")),
        }
    }
}

fn order_of(size: usize) -> Order {
    Order::new((size / PAGE_SIZE).trailing_zeros() as usize).expect("at most 3")
}

/// Fills a block: what it is, and a word at each end that follows from it and from where it lies.
fn fill(block: NonNull<u8>, kind: Kind, size: usize) {
    let label = size << 2 | kind as usize;
    write(block.as_ptr(), label as u64);
    write(block.as_ptr().wrapping_byte_add(8), canary(block, label));
    write(last_word(block, size), !canary(block, label));
}

fn canary(block: NonNull<u8>, label: usize) -> u64 {
    (block.as_ptr() as u64).rotate_left(17) ^ (label as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn last_word(block: NonNull<u8>, size: usize) -> *mut u8 {
    block.as_ptr().wrapping_byte_add((size & !7) - 8)
}

/// Checks a block that this core holds alone, and gives it away.
fn give_away(block: NonNull<u8>) {
    let label = read(block.as_ptr()) as usize;
    let (kind, size) = (KINDS[label & 3], label >> 2);
    check_eq!(read(block.as_ptr().wrapping_byte_add(8)), canary(block, label));
    check_eq!(read(last_word(block, size)), !canary(block, label));
    GIVEN[kind as usize].fetch_add(1, Ordering::Relaxed);
    match kind {
        // SAFETY: the swap in `work` gave it to this core alone; the label, whose canaries are whole, says where it is from.
        Kind::Pages => unsafe { page_alloc::free_pages_at(block.as_ptr(), order_of(size)) },
        // SAFETY: as above.
        _ => unsafe { kvfree(block.as_ptr()) },
    }
}

fn work(objects: &CacheHandle) {
    let mut seed = 0x7465_7472_6121_0000 + cpu::id() as u64;
    const ROUNDS: usize = OPERATIONS / CORES / 2;
    for round in 0..ROUNDS {
        if round % (ROUNDS / 10) == 0 {
            pr_info!("cpu{}: {} of {} rounds", cpu::id(), round, ROUNDS);
        }
        let kind = Kind::pick(random(&mut seed));
        let size = kind.size(random(&mut seed));
        let block = kind.alloc(size, objects).ok().inspect(|block| fill(*block, kind, size));
        let place = &PLACES[random(&mut seed) % PLACES.len()];
        // AcqRel: the next holder sees what this one wrote.
        let other = place.swap(block.map_or(null_mut(), NonNull::as_ptr), Ordering::AcqRel);
        NonNull::new(other).into_iter().for_each(give_away);
        DONE.fetch_add(2, Ordering::Relaxed);
    }
}

/// Empty slabs count as taken; this gives back those that can be.
fn give_slabs_back() {
    kmem_cache::drain_all();
    while shrinker::shrink(GFP, OPERATIONS) > 0 {}
}

case!(a_million_mixed_operations_on_four_cores);
fn a_million_mixed_operations_on_four_cores() {
    let reports = nr_reports();
    give_slabs_back();
    balanced(|| {
        let objects = KArc::new(cache("mixed", OBJECT, SlabFlags::empty()), GFP).expect("there is memory");
        let threads = [0, 1, 2, 3].map(|cpu| {
            let objects = objects.clone();
            Builder::new("mixed").bind(cpu).run(move || work(&objects)).expect("there is memory for a thread")
        });
        threads.into_iter().for_each(|thread| thread.join().expect("no oops"));
        for place in &PLACES {
            NonNull::new(place.swap(null_mut(), Ordering::AcqRel)).into_iter().for_each(give_away);
        }
        check_eq!(objects.validate(), 0);
        // The last to hold the cache: an object that is still out would be a report.
        drop(objects);
        give_slabs_back();
    });
    check_eq!((nr_reports(), DONE.load(Ordering::Relaxed)), (reports, OPERATIONS));
    for given in &GIVEN {
        check!(given.load(Ordering::Relaxed) > OPERATIONS / 10_000);
    }
}
