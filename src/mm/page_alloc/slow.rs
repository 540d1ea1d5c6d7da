//! What the lists of a core could not serve: from the zones, and with reclaim where the request permits it.
//!
//! | request | first | then | then |
//! |---|---|---|---|
//! | `NOWAIT` | down to `low` | down to `min` | fails |
//! | `ATOMIC` | down to `low` | down to half of `min` | fails |
//! | `KERNEL` | down to `low` | shrinkers, then down to `min` | all cores' lists, shrinkers again while they give; fails |
//! | with `NORETRY` | | | one round, then fails |
//! | with `NOFAIL` | | | down to the last page, again and again |
//!
//! Nobody reclaims in the background: a request that may sleep does it itself as soon as memory is below `low`. That costs the requester time, and
//! keeps the reserve whole without a thread.

use super::{BATCH, CLOSED, ENTRY, LISTS, NR_LISTED_ORDERS, PageList, ZONES, clear, report};
use crate::arch;
use crate::cpu::irq_guard::with_irqs_masked;
use crate::debug::fault_attr::FaultAttr;
use crate::mm::AllocError;
use crate::mm::addr::{Order, Pfn};
use crate::mm::gfp::GfpFlags;
use crate::mm::page::{self, PageKind, PageState};
use crate::mm::page_owner;
use crate::mm::shrinker::{self, Entry, Reclaiming};
use crate::mm::zone::{Mark, Zone, ZoneType};
use crate::per_cpu;
use crate::sync::CounterCell;
use crate::upcalls;
use core::panic::Location;
use core::sync::atomic::Ordering::Relaxed;

/// Which requests are made to fail: `fail_page_alloc`.
pub static FAIL_PAGE_ALLOC: FaultAttr = FaultAttr::new();

/// Rounds of reclaim that gave nothing before a request gives up.
const IDLE_ROUNDS: u32 = 2;
/// Rounds of reclaim at most: shrinkers that always give a little must not keep a request for ever.
const MAX_ROUNDS: u32 = 16;
/// Rounds after which a request that must not fail says that it still waits.
const PATIENCE: u32 = 1000;

per_cpu! {
    /// Requests that the lists could not serve.
    pub near static SLOW: CounterCell = CounterCell::new();
    /// Requests that had to reclaim.
    pub near static RECLAIMS: CounterCell = CounterCell::new();
    /// Requests that failed.
    pub near static FAILURES: CounterCell = CounterCell::new();
}

/// A block from the zones; the contract is that of `alloc_pages`.
#[cold]
#[inline(never)]
#[cfg_attr(feature = "debug", track_caller)]
pub(super) fn alloc(gfp: GfpFlags, order: Order) -> Result<Pfn, AllocError> {
    SLOW.inc();
    // Who asked wrongly was told so by `check_context`. Nothing sleeps here, and so nothing waits until memory comes.
    let gfp = if crate::cpu::is_atomic() { gfp - GfpFlags::KERNEL - GfpFlags::NOFAIL } else { gfp };
    reopen_if_disarmed();
    let is_injected = FAIL_PAGE_ALLOC.is_armed() && is_injected(gfp, order);
    let found = if is_injected { None } else { from_zones(gfp, order.value(), Mark::Low).or_else(|| under_pressure(gfp, order)) };
    let Some(block) = found else {
        FAILURES.inc();
        if !gfp.contains(GfpFlags::NOWARN) {
            report::failure(gfp, order, is_injected);
        }
        return Err(AllocError);
    };
    let pfn = Pfn::new(block as usize);
    page_owner::note(pfn, order, Location::caller());
    if gfp.contains(GfpFlags::ZERO) {
        clear(pfn, order);
    }
    Ok(pfn)
}

fn is_injected(gfp: GfpFlags, order: Order) -> bool {
    !gfp.contains(GfpFlags::NOFAIL) && FAIL_PAGE_ALLOC.should_fail(order.nr_pages() as u64, report::callers)
}

/// Memory is short: reclaims where that is permitted.
#[cfg_attr(feature = "debug", track_caller)]
fn under_pressure(gfp: GfpFlags, order: Order) -> Option<u32> {
    let mark = if gfp.contains(GfpFlags::HIGH) { Mark::Half } else { Mark::Min };
    if !gfp.may_sleep() {
        if gfp.contains(GfpFlags::NOFAIL) {
            upcalls::bug_report(format_args!("NOFAIL without RECLAIM: the request cannot wait, so it may fail"), Location::caller());
        }
        drain_local();
        return from_zones(gfp, order.value(), mark);
    }
    let _reclaiming = match Reclaiming::enter() {
        Entry::Entered(reclaiming) => reclaiming,
        // A shrinker's own request: it may use the reserve, since it is about to give more back.
        Entry::Nested => return without_shrinkers(gfp, order, Mark::Half),
        Entry::Crowded => return without_shrinkers(gfp, order, mark),
    };
    RECLAIMS.inc();
    shrinker::shrink(gfp, BATCH[0].max(order.nr_pages()));
    from_zones(gfp, order.value(), mark).or_else(|| reclaim_until(gfp, order, mark))
}

/// What there is without asking shrinkers. A request that must not fail waits for what others give back.
fn without_shrinkers(gfp: GfpFlags, order: Order, mark: Mark) -> Option<u32> {
    drain_local();
    let mut found = from_zones(gfp, order.value(), mark);
    while found.is_none() && gfp.contains(GfpFlags::NOFAIL) {
        super::drain_all();
        found = from_zones(gfp, order.value(), Mark::None);
        if found.is_none() {
            upcalls::wait_a_tick();
        }
    }
    found
}

/// Reclaims round by round, until there is a block or no hope.
#[cfg_attr(feature = "debug", track_caller)]
fn reclaim_until(gfp: GfpFlags, order: Order, mark: Mark) -> Option<u32> {
    let (mut idle, mut rounds) = (0, 0);
    loop {
        super::drain_all();
        let found = from_zones(gfp, order.value(), mark);
        if found.is_some() {
            return found;
        }
        if gfp.contains(GfpFlags::NOFAIL) {
            let found = from_zones(gfp, order.value(), Mark::None);
            if found.is_some() {
                return found;
            }
        } else if gfp.contains(GfpFlags::NORETRY) || idle >= IDLE_ROUNDS || rounds >= MAX_ROUNDS {
            return None;
        }
        idle = if shrinker::shrink(gfp, BATCH[0].max(order.nr_pages())) > 0 { 0 } else { idle + 1 };
        rounds += 1;
        if rounds == PATIENCE {
            report::failure(gfp, order, false);
        }
        if gfp.contains(GfpFlags::NOFAIL) && idle > 0 {
            // Who is to free memory may want this core.
            upcalls::wait_a_tick();
        } else {
            arch::relax();
        }
    }
}

/// A block from the highest zone that can spare one.
fn from_zones(gfp: GfpFlags, order: usize, mark: Mark) -> Option<u32> {
    let class = ZoneType::highest_of(gfp);
    ZONES[..=class as usize].iter().rev().filter(|zone| zone.managed() > 0).find_map(|zone| {
        let limits = zone.limits();
        let floor = limits.floor(class, mark);
        let batch = match BATCH.get(order) {
            Some(&batch) if zone.nr_free() > limits.floor(class, Mark::High) + (batch << order) => batch,
            _ => 1,
        };
        from_list(zone, order).or_else(|| refill(zone, order, floor, batch))
    })
}

/// A block from this core's list of a zone: the fast path has only looked at one.
fn from_list(zone: &Zone, order: usize) -> Option<u32> {
    if order >= NR_LISTED_ORDERS {
        return None;
    }
    let pages = page::all();
    let block = with_irqs_masked(|| LISTS.this()[zone.kind as usize * NR_LISTED_ORDERS + order].pop(pages))?;
    pages[block as usize].set_state(PageState::new(PageKind::Allocated, order, zone.kind as u8));
    Some(block)
}

/// Takes `batch` blocks off a zone: gives the first and puts the others on this core's list.
fn refill(zone: &Zone, order: usize, floor: usize, batch: usize) -> Option<u32> {
    let pages = page::all();
    let mut first = None;
    zone.take(pages, order, floor, batch, PageKind::Cached, |block| {
        let page = &pages[block as usize];
        if first.is_none() {
            page.set_state(PageState::new(PageKind::Allocated, order, zone.kind as u8));
            first = Some(block);
        } else {
            // irqs are off under the zone's lock.
            LISTS.this()[zone.kind as usize * NR_LISTED_ORDERS + order].push(page, block);
        }
    });
    first
}

/// Gives up to `wanted` blocks of a list back to its zone. Context: this core, irqs masked.
#[cold]
#[inline(never)]
pub(super) fn drain(list: &PageList, zone: &Zone, order: usize, wanted: usize) {
    let pages = page::all();
    let mut left = wanted;
    zone.give_back(pages, order, || {
        left = left.checked_sub(1)?;
        list.pop(pages)
    });
}

/// Gives all blocks on this core's lists back to their zones.
///
/// Context: any.
pub(super) fn drain_local() {
    for at in 0..usize::from(CLOSED) {
        let (zone, order) = (&ZONES[at / NR_LISTED_ORDERS], at % NR_LISTED_ORDERS);
        with_irqs_masked(|| {
            let list = &LISTS.this()[at];
            if list.count.load(Relaxed) > 0 {
                drain(list, zone, order, usize::MAX);
            }
        });
    }
}

/// Sets which requests fail, as [`FaultAttr::set`] reads it. Context: any.
///
/// # Errors
/// `EINVAL`, as `FaultAttr::set`.
pub fn set_failures(text: &str) -> Result<(), crate::util::errno::Errno> {
    let result = FAIL_PAGE_ALLOC.set(text);
    // While it is armed each request comes here.
    if FAIL_PAGE_ALLOC.is_armed() {
        close()
    } else {
        open()
    }
    result
}

/// Lets requests be served from the lists again when the last failure is done. Context: any.
fn reopen_if_disarmed() {
    let is_closed = ENTRY[0].load(Relaxed) == CLOSED;
    if is_closed && !FAIL_PAGE_ALLOC.is_armed() && !page_owner::is_on() {
        open();
        // Somebody may have armed it again and closed between the look and the stores.
        if FAIL_PAGE_ALLOC.is_armed() {
            close();
        }
    }
}

/// Sends each request to the slow path.
fn close() {
    ENTRY.iter().for_each(|entry| entry.store(CLOSED, Relaxed));
}

/// Lets requests be served from the lists again: each from those of the highest zone with memory that it permits. Not while each request is noted.
pub(super) fn open() {
    if page_owner::is_on() {
        return close();
    }
    for (bits, entry) in ENTRY.iter().enumerate() {
        let class = ZoneType::highest_of(GfpFlags::from_bits_retain(bits as u32));
        let zone = ZONES[..=class as usize].iter().rposition(|zone| zone.managed() > 0);
        entry.store(zone.map_or(CLOSED, |zone| (zone * NR_LISTED_ORDERS) as u8), Relaxed);
    }
}
