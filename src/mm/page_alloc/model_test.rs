//! The whole page allocator on the host: four threads as four cores, descriptors without memory behind them.
//!
//! One test, since the zones are statics.

use super::*;
use crate::arch;
use crate::cpu::NR_CPUS;
use crate::mm::addr::PhysAddr;
use crate::mm::phys_range::PhysRange;
use crate::mm::zone::Borders;
use std::prelude::v1::*;
use std::thread;

const MIB: u64 = 1 << 20;
const OPERATIONS: usize = 250_000;

fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

/// Marks each page of a block in its descriptor: whoever is given the same page finds the mark.
fn mark(pfn: Pfn, order: Order, from: u64, to: u64) {
    for page in &page::all()[pfn.value()..pfn.value() + order.nr_pages()] {
        assert_eq!(page.owner.swap(to, Relaxed), from, "a page is held twice");
    }
}

fn churn(cpu: usize) {
    arch::set_cpu(cpu);
    let mut seed = 0x1234_5678_9abc + cpu as u64;
    let mut held = Vec::new();
    let me = cpu as u64 + 1;
    for _ in 0..OPERATIONS {
        if random(&mut seed) % 100 < 52 {
            let order = Order::new((random(&mut seed) as u32 | 1 << 8).trailing_zeros() as usize).unwrap();
            let gfp = [GfpFlags::NOWAIT, GfpFlags::ATOMIC, GfpFlags::DMA, GfpFlags::DMA32][random(&mut seed) % 4] | GfpFlags::NOWARN;
            if let Ok(pfn) = alloc_pages(gfp, order) {
                assert!(pfn.is_aligned(order));
                let zone = ZoneType::ALL[usize::from(page::all()[pfn.value()].state().zone())];
                assert!(zone <= ZoneType::highest_of(gfp));
                mark(pfn, order, 0, me);
                held.push((pfn, order));
            }
        } else if !held.is_empty() {
            let at = random(&mut seed) % held.len();
            let (pfn, order) = held.swap_remove(at);
            mark(pfn, order, me, 0);
            // SAFETY: allocated above with this order, and nobody uses it: there is no memory behind it.
            unsafe { free_pages(pfn, order) };
        }
    }
    for (pfn, order) in held {
        mark(pfn, order, me, 0);
        // SAFETY: as above.
        unsafe { free_pages(pfn, order) };
    }
    slow::drain_local();
}

#[test]
fn four_cores_lose_no_page_and_share_none() {
    let nr_pages = 64 << 8;
    let pages: Vec<PageDesc> = std::iter::repeat_with(PageDesc::new).take(nr_pages).collect();
    // SAFETY: the only test that installs descriptors; they are leaked.
    unsafe { page::install(Box::leak(pages.into_boxed_slice()).as_mut_ptr(), nr_pages) };
    let range = PhysRange::new(PhysAddr::new(MIB), PhysAddr::new(64 * MIB));
    boot::fill([range].into_iter(), Borders::new(16 * MIB, 32 * MIB).unwrap());
    let before = ZONES.each_ref().map(|zone| (zone.nr_free(), zone.block_counts()));

    thread::scope(|scope| (0..NR_CPUS).for_each(|cpu| drop(scope.spawn(move || churn(cpu)))));
    assert_eq!(ZONES.each_ref().map(|zone| (zone.nr_free(), zone.block_counts())), before, "pages were lost or not joined");

    requests_leave_what_they_must();
    misuse_is_refused();
    chosen_requests_fail();
}

/// Takes single pages until none is given; how many.
fn exhaust(gfp: GfpFlags) -> Vec<Pfn> {
    std::iter::from_fn(|| alloc_page(gfp | GfpFlags::NOWARN).ok()).collect()
}

fn free_all(pages: Vec<Pfn>) {
    // SAFETY: allocated by `exhaust`, and there is no memory behind them.
    pages.into_iter().for_each(|pfn| unsafe { free_pages(pfn, Order::ZERO) });
    slow::drain_local();
}

fn requests_leave_what_they_must() {
    let dma = &ZONES[ZoneType::Dma as usize];
    let ordinary = exhaust(GfpFlags::NOWAIT);
    let kept = dma.limits().floor(ZoneType::Normal, crate::mm::zone::Mark::Min);
    assert!(kept > dma.limits().min && dma.nr_free() == kept, "{} pages of DMA left, {kept} wanted", dma.nr_free());
    let urgent = exhaust(GfpFlags::ATOMIC);
    assert!(!urgent.is_empty(), "ATOMIC may use the reserve");
    let for_devices = exhaust(GfpFlags::DMA);
    assert!(!for_devices.is_empty(), "what is protected is there for those who have no choice");
    [ordinary, urgent, for_devices].into_iter().for_each(free_all);
}

fn misuse_is_refused() {
    let refuses = |free: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(free)).is_err();
    let (order, other) = (Order::new(2).unwrap(), Order::ZERO);
    let pfn = alloc_pages(GfpFlags::NOWAIT, order).unwrap();
    // SAFETY: none of these is freed: that is what is tested, and there is no memory behind them.
    let free = |pfn: usize, order| move || unsafe { free_pages(Pfn::new(pfn), order) };
    let at = pfn.value();
    assert!(refuses(&free(at, other)), "wrong order");
    assert!(refuses(&free(at + 1, other)), "not the head");
    assert!(refuses(&free(0, other)), "reserved");
    assert!(refuses(&free(1 << 40, other)), "no RAM");
    free(at, order)();
    assert!(refuses(&free(at, order)), "double free");
    let large = Order::new(5).unwrap();
    let pfn = alloc_pages(GfpFlags::NOWAIT, large).unwrap().value();
    free(pfn, large)();
    assert!(refuses(&free(pfn, large)), "double free of a large block");
    slow::drain_local();
}

fn chosen_requests_fail() {
    slow::set_failures("nth=3").unwrap();
    let results: Vec<bool> =
        (0..5).map(|_| alloc_page(GfpFlags::NOWAIT | GfpFlags::NOWARN)).map(|page| page.map(|pfn| free_all(vec![pfn])).is_ok()).collect();
    assert_eq!(results, [true, true, false, true, true]);
    slow::set_failures("off").unwrap();
    assert_ne!(ENTRY[0].load(Relaxed), CLOSED);
}
