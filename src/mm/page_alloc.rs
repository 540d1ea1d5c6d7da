//! The page allocator: `alloc_pages` and `free_pages`, over per-core lists of small blocks, over the zones' buddies.
//!
//! A core keeps lists of blocks of the orders 0 to 3, filled and emptied in batches under a zone's lock. On the fast path a block is popped off or
//! pushed on a list of this very core with irqs masked by scope: no lock, no other core's cache line. Rejected: a lock for each core's lists,
//! so that others could empty them: it would cost each call an exclusive pair. Whoever needs the others' pages asks them by an IPI.
//!
//! `ENTRY` says which lists serve which request. Where somebody must see each request (fault injection) it names lists that are always empty, so the
//! fast path needs no test for that.
//!
//! # Invariants
//! 1. A core's lists are touched by that core alone, with irqs masked.
//! 2. A block on a list is `Cached`, one that is given out `Allocated`, with its order; `free_pages` refuses all else, in every build.
//!
//! Neighbours: `slow` (zones, reclaim), `boot` (where the pages come from), `report` (what a failure prints), `pages` (blocks that free themselves).

pub mod boot;
#[cfg(all(test, not(loom)))]
mod model_test;
mod report;
pub mod slow;

use super::AllocError;
use super::addr::{LINEAR_BASE, Order, PAGE_SHIFT, PAGE_SIZE, Pfn, VirtAddr};
use super::atomic_request;
use super::gfp::{GfpFlags, ZONE_MASK};
use super::page::{self, NIL, PageDesc, PageKind, PageState};
use super::zone::{NR_ZONES, Zone, ZoneType};
use crate::arch;
use crate::cpu::irq_guard::with_irqs_masked;
use crate::debug::tracepoint::{self, Event};
use crate::per_cpu;
use crate::upcalls;
use core::panic::Location;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// Orders below this one have lists on each core.
pub const NR_LISTED_ORDERS: usize = 4;
/// Blocks that are moved at once between a zone and a core's list, for each listed order.
const BATCH: [usize; NR_LISTED_ORDERS] = [32, 16, 8, 4];
/// A list of single pages that is longer than this gives a batch back; one of order `n` has 2^n times fewer blocks.
const LIST_MAX: u32 = 96;
/// Lists for the zones, and one set that is always empty.
const NR_LISTS: usize = (NR_ZONES + 1) * NR_LISTED_ORDERS;
/// In `ENTRY`: the lists that are always empty.
const CLOSED: u8 = (NR_ZONES * NR_LISTED_ORDERS) as u8;

static ZONES: [Zone; NR_ZONES] = [Zone::new(ZoneType::Dma), Zone::new(ZoneType::Dma32), Zone::new(ZoneType::Normal)];

/// First list for each value of a request's zone bits.
static ENTRY: [AtomicU8; 4] = [const { AtomicU8::new(CLOSED) }; 4];

/// A core's blocks of one order and zone.
struct PageList {
    head: AtomicU32,
    count: AtomicU32,
}

per_cpu! {
    near static LISTS: [PageList; NR_LISTS] = [const { PageList { head: AtomicU32::new(NIL), count: AtomicU32::new(0) } }; NR_LISTS];
}

impl PageList {
    /// Takes the first block. Context: this core, irqs masked.
    #[inline(always)]
    fn pop(&self, pages: &[PageDesc]) -> Option<u32> {
        let head = self.head.load(Relaxed);
        // NIL is beyond the slice, so this is the test for an empty list too.
        let page = pages.get(head as usize)?;
        self.head.store(page.next(), Relaxed);
        self.count.store(self.count.load(Relaxed) - 1, Relaxed);
        Some(head)
    }

    /// Puts a block in front; the list's length. Context: this core, irqs masked.
    #[inline(always)]
    fn push(&self, page: &PageDesc, block: u32) -> u32 {
        page.set_next(self.head.load(Relaxed));
        self.head.store(block, Relaxed);
        let count = self.count.load(Relaxed) + 1;
        self.count.store(count, Relaxed);
        count
    }
}

/// The zones, lowest first.
pub fn zones() -> &'static [Zone; NR_ZONES] {
    &ZONES
}

/// Allocates 2^order contiguous pages from the zones that `gfp` permits. Their content is whatever was there, unless `ZERO` is asked.
///
/// Context: any if `gfp` has no `RECLAIM`; else a thread that may sleep, which is checked with feature `debug`.
/// Locks: the zone's, irqs off; and what shrinkers take.
///
/// # Errors
/// `AllocError` if no permitted zone has such a block to spare, after reclaim where `gfp` permits it.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let pfn = page_alloc::alloc_pages(GfpFlags::KERNEL, Order::ZERO)?;
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
#[inline(never)]
pub fn alloc_pages(gfp: GfpFlags, order: Order) -> Result<Pfn, AllocError> {
    check_context(gfp);
    let pages = page::all();
    let entry = usize::from(ENTRY[(gfp.bits() & ZONE_MASK) as usize].load(Relaxed));
    if order.value() < NR_LISTED_ORDERS {
        let popped = with_irqs_masked(|| {
            let block = list_at(entry + order.value()).pop(pages)?;
            pages[block as usize].take_from_cache();
            Some(block)
        });
        if let Some(block) = popped {
            let pfn = Pfn::new(block as usize);
            if gfp.contains(GfpFlags::ZERO) {
                clear(pfn, order);
            }
            tracepoint::hit(Event::MmPageAlloc, pfn.value() as u64, order.value() as u64);
            return Ok(pfn);
        }
    }
    let result = slow::alloc(gfp, order);
    tracepoint::hit(Event::MmPageAlloc, result.map_or(0, |pfn| pfn.value() as u64), order.value() as u64);
    result
}

/// Gives a block back.
///
/// A block that nobody holds, a page that is not its first, or another order than it was allocated with is reported and left alone, in every build.
///
/// Context: any. Locks: the zone's, irqs off.
///
/// # Safety
/// The caller holds the block, its kind is `Allocated` (as `alloc_pages` left it), and nobody uses its memory from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let pfn = page_alloc::alloc_pages(GfpFlags::KERNEL, Order::MAX)?;
/// // SAFETY: allocated by the line above, with this order, and used by nobody.
/// unsafe { page_alloc::free_pages(pfn, Order::MAX) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
#[inline(never)]
pub unsafe fn free_pages(pfn: Pfn, order: Order) {
    let pages = page::all();
    let Some(page) = pages.get(pfn.value()) else { return bad_free(pfn, order) };
    let state = page.state();
    if !state.is(PageKind::Allocated, order.value()) {
        return bad_free(pfn, order);
    }
    tracepoint::hit(Event::MmPageFree, pfn.value() as u64, order.value() as u64);
    if order.value() >= NR_LISTED_ORDERS {
        return free_to_zone(pfn, order, state.zone());
    }
    let block = pfn.value() as u32;
    page.put_into_cache();
    with_irqs_masked(|| {
        let list = list_at(usize::from(state.zone()) * NR_LISTED_ORDERS + order.value());
        if list.push(page, block) > LIST_MAX >> order.value() {
            slow::drain(list, &ZONES[usize::from(state.zone())], order.value(), BATCH[order.value()]);
        }
    });
}

/// This core's list number `at`.
#[inline(always)]
fn list_at(at: usize) -> &'static PageList {
    // Never more than there are: the remainder is one AND, where a check would be a compare and a branch.
    &LISTS.this()[at % NR_LISTS]
}

/// Gives a block that no list takes back to its zone.
#[inline(never)]
fn free_to_zone(pfn: Pfn, order: Order, zone: u8) {
    let mut once = Some(pfn.value() as u32);
    ZONES[usize::from(zone)].give_back(page::all(), order.value(), || once.take());
}

/// Blocks that all cores keep on their lists for a zone, in pages. Context: any; a hint.
pub fn nr_listed(zone: ZoneType) -> usize {
    let first = zone as usize * NR_LISTED_ORDERS;
    let pages_of =
        |lists: &[PageList]| lists.iter().enumerate().map(|(order, list)| (list.count.load(Relaxed) as usize) << order).sum::<usize>();
    LISTS.iter().map(|lists| pages_of(&lists[first..first + NR_LISTED_ORDERS])).sum()
}

/// Blocks on the lists of core `cpu`, by order, and how many a list may have. Context: any; a hint.
pub fn list_lengths(cpu: usize, zone: ZoneType) -> [(u32, u32); NR_LISTED_ORDERS] {
    let first = zone as usize * NR_LISTED_ORDERS;
    core::array::from_fn(|order| (LISTS.on(cpu)[first + order].count.load(Relaxed), LIST_MAX >> order))
}

/// Gives all blocks on all cores' lists back to their zones, as far as the others can be asked: not where irqs are off.
///
/// Context: any; a thread that may sleep for the other cores' lists.
pub fn drain_all() {
    if crate::cpu::is_atomic() {
        slow::drain_local();
    } else {
        upcalls::on_all_cores(&slow::drain_local);
    }
}

/// Says what is wrong with a free.
#[cold]
#[inline(never)]
#[track_caller]
fn bad_free(pfn: Pfn, order: Order) {
    let (asked, place) = (order.value(), Location::caller());
    let Some(page) = page::desc(pfn) else {
        return upcalls::bug_report(format_args!("free_pages: page {pfn} is no RAM; nothing was freed"), place);
    };
    let state = page.state();
    let (kind, held) = (state.kind(), state.order());
    match kind {
        PageKind::Free | PageKind::Cached => {
            upcalls::bug_report(format_args!("free_pages: double free of page {pfn}, order {asked}: it is free already"), place)
        }
        PageKind::Tail => upcalls::bug_report(
            format_args!("free_pages: page {pfn} is inside a block, or freed and joined with its buddy: a double free or a wrong address"),
            place,
        ),
        PageKind::Allocated => upcalls::bug_report(
            format_args!("free_pages: page {pfn} was allocated with order {held}, not {asked}: it stays allocated"),
            place,
        ),
        _ => upcalls::bug_report(format_args!("free_pages: page {pfn} is in use as {kind:?}; nothing was freed"), place),
    }
}

/// Reports a request that may sleep where nobody may.
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
fn check_context(gfp: GfpFlags) {
    if cfg!(feature = "debug") && gfp.may_sleep() && crate::cpu::is_atomic() {
        atomic_request::report(gfp, Location::caller());
    }
}

/// Fills a block with zeros.
fn clear(pfn: Pfn, order: Order) {
    for at in 0..order.nr_pages() {
        let page = page_address(pfn).wrapping_byte_add(at << PAGE_SHIFT);
        // SAFETY: the caller has just been given the block; RAM is mapped cacheable in the linear map.
        unsafe { arch::page::clear_page(page) };
    }
}

/// Where the linear map shows a page.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let pfn = page_alloc::alloc_page(GfpFlags::KERNEL | GfpFlags::ZERO)?;
/// // SAFETY: a page of ours.
/// assert_eq!(unsafe { page_alloc::page_address(pfn).read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[must_use]
#[inline(always)]
pub fn page_address(pfn: Pfn) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(LINEAR_BASE + (pfn.value() << PAGE_SHIFT))
}

/// Allocates one page. As [`alloc_pages`] with order 0.
///
/// # Errors
/// As `alloc_pages`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let pfn = page_alloc::alloc_page(GfpFlags::ATOMIC)?; // in a handler as well
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn alloc_page(gfp: GfpFlags) -> Result<Pfn, AllocError> {
    alloc_pages(gfp, Order::ZERO)
}

/// Allocates a block and gives its address in the linear map. As [`alloc_pages`].
///
/// # Errors
/// As `alloc_pages`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let pages = page_alloc::get_free_pages(GfpFlags::KERNEL, Order::ZERO)?;
/// // SAFETY: a page of ours.
/// unsafe { pages.write(7) };
/// // SAFETY: allocated above, and not used any more.
/// unsafe { page_alloc::free_pages_at(pages, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn get_free_pages(gfp: GfpFlags, order: Order) -> Result<*mut u8, AllocError> {
    alloc_pages(gfp, order).map(page_address)
}

/// Allocates one page of zeros and gives its address in the linear map.
///
/// # Errors
/// As `alloc_pages`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let page = page_alloc::get_zeroed_page(GfpFlags::KERNEL)?;
/// // SAFETY: a page of ours.
/// assert_eq!(unsafe { page.add(4095).read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { page_alloc::free_pages_at(page, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn get_zeroed_page(gfp: GfpFlags) -> Result<*mut u8, AllocError> {
    get_free_pages(gfp | GfpFlags::ZERO, Order::ZERO)
}

/// Gives back what `get_free_pages` or `get_zeroed_page` gave.
///
/// Context: any.
///
/// # Safety
/// As for [`free_pages`].
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, addr::Order, page_alloc};
/// let page = page_alloc::get_zeroed_page(GfpFlags::KERNEL)?;
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { page_alloc::free_pages_at(page, Order::ZERO) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn free_pages_at(address: *mut u8, order: Order) {
    let phys = VirtAddr::from_ptr(address).linear_to_phys().filter(|phys| phys.is_aligned(PAGE_SIZE as u64));
    match phys {
        // SAFETY: by the contract of this function.
        Some(phys) => unsafe { free_pages(phys.pfn(), order) },
        None => upcalls::bug_report(format_args!("free_pages: {address:p} is not the address of a page"), Location::caller()),
    }
}

/// Allocates `size` bytes rounded up to whole pages, and not to a power of two: what is beyond goes back at once.
///
/// Context: as [`alloc_pages`].
///
/// # Errors
/// As `alloc_pages`, and for sizes beyond the largest block.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, page_alloc};
/// let three_pages = page_alloc::alloc_pages_exact(GfpFlags::KERNEL, 3 * 4096)?; // the fourth of the block is free again
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { page_alloc::free_pages_exact(three_pages, 3 * 4096) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn alloc_pages_exact(gfp: GfpFlags, size: usize) -> Result<*mut u8, AllocError> {
    let order = Order::for_bytes(size).ok_or(AllocError)?;
    let pfn = alloc_pages(gfp, order)?;
    split_to_pages(pfn, order);
    for extra in size.div_ceil(PAGE_SIZE).max(1)..order.nr_pages() {
        // SAFETY: the page has just been made a block of its own, and nobody has seen its address.
        unsafe { free_pages(Pfn::new(pfn.value() + extra), Order::ZERO) };
    }
    Ok(page_address(pfn))
}

/// Gives back what `alloc_pages_exact` gave for the same size.
///
/// Context: any.
///
/// # Safety
/// As for [`free_pages`].
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, page_alloc};
/// let pages = page_alloc::alloc_pages_exact(GfpFlags::KERNEL, 5000)?;
/// // SAFETY: allocated by the line above with this size, and used by nobody.
/// unsafe { page_alloc::free_pages_exact(pages, 5000) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn free_pages_exact(address: *mut u8, size: usize) {
    for at in 0..size.div_ceil(PAGE_SIZE).max(1) {
        // SAFETY: by the contract of this function; each page is a block of its own.
        unsafe { free_pages_at(address.wrapping_byte_add(at << PAGE_SHIFT), Order::ZERO) };
    }
}

/// Makes each page of a block that the caller holds a block of its own.
pub(super) fn split_to_pages(pfn: Pfn, order: Order) {
    let pages = &page::all()[pfn.value()..pfn.value() + order.nr_pages()];
    let zone = pages[0].state().zone();
    for page in pages {
        page.set_state(PageState::new(PageKind::Allocated, 0, zone));
    }
}
