//! Every place that allocates, made to fail once: Linux's `fail-nth`.
//!
//! A scenario is a piece of work of which each allocation may fail. It is run with the first allocation failing, then with the second, and so on, until
//! a run in which nothing was left to fail; for objects, pages and vmalloc areas in turn. Each run must end in an error or make do without; afterwards as
//! many objects and pages are in use as before, and nobody has reported a bug. Only this thread's allocations count, so the numbers are exact.
#![no_std]
#![no_main]

extern crate alloc;

use core::fmt::Write;
use core::pin::Pin;
use tetra::arch::mmu::Attributes;
use tetra::debug::fault_attr::FaultAttr;
use tetra::debug::taint::get_taint;
use tetra::mm::addr::{Order, PAGE_SIZE, PhysAddr};
use tetra::mm::dma::{Coherent, DmaMask};
use tetra::mm::failslab::FAILSLAB;
use tetra::mm::kmalloc::{self, kfree, kmalloc};
use tetra::mm::kvmalloc::{kvfree, kvmalloc};
use tetra::mm::page::{self, PageKind};
use tetra::mm::page_alloc::{self, slow};
use tetra::mm::slab_layout::SlabFlags;
use tetra::mm::{AllocError, GfpFlags, KArc, KBox, KVec, KmemCache, Pages, RcuBox, kmem_cache, vmalloc};
use tetra::sched;
use tetra::sched::kthread;
use tetra::sync::rcu::{Rcu, kfree_rcu, rcu_barrier};
use tetra::time::Timer;
use tetra::util::errno::Errno;
use tetra_tests::memory::free_pages;
use tetra_tests::{case, check, check_eq, suite};

suite!();

const GFP: GfpFlags = GfpFlags::KERNEL.union(GfpFlags::NOWARN);
/// More sites than any scenario has: a run that fails for ever must not.
const MAX_SITES: u64 = 200;

/// A kind of allocation that can be made to fail.
struct Kind {
    attr: &'static FaultAttr,
    set: fn(&str) -> Result<(), Errno>,
}

static KINDS: [Kind; 3] = [
    Kind { attr: &FAILSLAB, set: kmalloc::set_failslab },
    Kind { attr: &slow::FAIL_PAGE_ALLOC, set: slow::set_failures },
    Kind { attr: &vmalloc::FAIL_VMALLOC, set: |text| vmalloc::FAIL_VMALLOC.set(text) },
];

/// Objects that are out, of all caches; and free pages, those of slabs counted in, which stay with their caches, and tables, which stay for ever.
fn in_use() -> (usize, usize) {
    rcu_barrier();
    kmem_cache::drain_all();
    let mut objects = 0;
    kmem_cache::for_each(|_, usage| objects += usage.active_objects);
    let kept = |kind: PageKind| matches!(kind, PageKind::Slab | PageKind::Table);
    let pages = page::all().iter().map(|page| page.state()).filter(|state| kept(state.kind())).map(|state| 1 << state.order());
    (objects, free_pages() + pages.sum::<usize>())
}

/// Runs `scenario` once for each allocation of each kind that it makes, that one failing; how many there were of each kind.
fn fail_each(scenario: fn() -> Result<(), Errno>) -> [u64; 3] {
    // What is made once and kept, such as tables.
    check_eq!(scenario(), Ok(()));
    let (before, taint) = (in_use(), get_taint());
    let sites = core::array::from_fn(|kind| sites_of(&KINDS[kind], scenario));
    check_eq!(scenario(), Ok(()));
    check_eq!(in_use(), before);
    check_eq!(get_taint(), taint);
    sites
}

/// Calls `f` while the `nth` allocation of this thread from now is to fail.
fn with_rule<R>(kind: &Kind, nth: u64, f: impl FnOnce() -> R) -> R {
    let mut rule = arrayvec::ArrayString::<48>::new();
    write!(rule, "task={} nth={nth}", sched::current().pid()).expect("there is room");
    (kind.set)(&rule).expect("is understood");
    let result = f();
    (kind.set)("off").expect("is understood");
    result
}

/// How many allocations of this kind `scenario` makes; it has been run with each of them failing.
fn sites_of(kind: &Kind, scenario: fn() -> Result<(), Errno>) -> u64 {
    for nth in 1..=MAX_SITES {
        let before = kind.attr.nr_failed();
        let result = with_rule(kind, nth, scenario);
        let has_failed = kind.attr.nr_failed() != before;
        if !has_failed {
            check_eq!(result, Ok(()));
            return nth - 1;
        }
    }
    tetra_tests::fail(format_args!("more than {MAX_SITES} allocations"), core::panic::Location::caller());
    MAX_SITES
}

case!(objects);
fn objects() {
    fn scenario() -> Result<(), Errno> {
        let cache = KmemCache::<u64>::new("sites", SlabFlags::empty())?;
        let first = cache.alloc(1, GFP)?;
        let mut vec = KVec::with_capacity(3, GFP)?;
        vec.push(KArc::new(*first, GFP)?, GFP)?;
        (0..20).try_for_each(|_| vec.push(vec[0].clone(), GFP))?;
        let copy = KBox::new([2_u8; 300], GFP)?;
        let large = kmalloc(20_000, GFP)?;
        // SAFETY: allocated just now.
        unsafe { kfree(large.as_ptr()) };
        check_eq!((vec.len(), copy[299]), (21, 2));
        Ok(())
    }
    let [slab, pages, _] = fail_each(scenario);
    // The object, the array four times (3, 6, 12, 24), the counted one, the box, the large one; a slab for the cache, the large one's pages.
    check!(slab >= 8 && pages >= 2);
}

case!(global_allocator);
fn global_allocator() {
    fn scenario() -> Result<(), Errno> {
        let mut vec = alloc::vec::Vec::new();
        for size in [10_usize, 100, 3000] {
            vec.try_reserve(size).map_err(|_| AllocError)?;
            vec.resize(size, 7_u8);
        }
        check!(vec.iter().all(|byte| *byte == 7));
        Ok(())
    }
    let [slab, ..] = fail_each(scenario);
    check_eq!(slab, 3);
}

case!(pages_and_areas);
fn pages_and_areas() {
    fn scenario() -> Result<(), Errno> {
        let block = Pages::new(GFP, Order::new(4).expect("at most 10"))?;
        // SAFETY: allocated below, given back once.
        let freed = |area: *mut u8| unsafe { vmalloc::vfree(area) };
        freed(vmalloc::vmalloc(70 * PAGE_SIZE, GFP)?);
        freed(vmalloc::vzalloc(PAGE_SIZE, GFP)?);
        let window = vmalloc::vmap(&[block.pfn()], Attributes::Data)?;
        // SAFETY: mapped just now.
        unsafe { vmalloc::vunmap(window) };
        let registers = vmalloc::ioremap(PhysAddr::new(0xfe20_1000), PAGE_SIZE)?;
        // SAFETY: mapped just now.
        unsafe { vmalloc::iounmap(registers) };
        let either = kvmalloc(9 * PAGE_SIZE, GFP)?;
        // SAFETY: allocated just now.
        unsafe { kvfree(either.as_ptr()) };
        let exact = page_alloc::alloc_pages_exact(GFP, 5 * PAGE_SIZE)?;
        // SAFETY: allocated just now, with this size.
        unsafe { page_alloc::free_pages_exact(exact, 5 * PAGE_SIZE) };
        drop(Coherent::<u32>::new(100, DmaMask::BITS_30, GFP)?);
        Ok(())
    }
    let [slab, pages, areas] = fail_each(scenario);
    check!(slab >= 1 && pages >= 7);
    check_eq!(areas, 2);
}

case!(rcu_and_timers);
fn rcu_and_timers() {
    static CURRENT: Rcu<[u64; 20]> = Rcu::empty();
    fn scenario() -> Result<(), Errno> {
        let timer: Pin<KBox<Timer<()>>> = KBox::pin(Timer::new((), |_| ()), GFP)?;
        timer.as_ref().start_pinned(core::time::Duration::from_millis(1));
        for round in 0..3 {
            CURRENT.replace(RcuBox::new([round; 20], GFP)?).into_iter().for_each(kfree_rcu);
        }
        CURRENT.take().into_iter().for_each(kfree_rcu);
        Ok(())
    }
    fn whole() -> Result<(), Errno> {
        let result = scenario();
        CURRENT.take().into_iter().for_each(kfree_rcu);
        result
    }
    let [slab, ..] = fail_each(whole);
    check_eq!(slab, 4);
}

case!(threads);
fn threads() {
    fn scenario() -> Result<(), Errno> {
        let made = KBox::new([1_u8; 100], GFP)?;
        let thread = kthread::run("fails-not", move || made.len())?;
        check_eq!(thread.join(), Ok(100));
        Ok(())
    }
    let [slab, ..] = fail_each(scenario);
    check!(slab >= 1);
}
