//! Who allocated which pages: `page_owner=on`, as in Linux.
//!
//! Sixteen bytes a page beside the descriptors, reserved at boot only if they are asked for. While they are kept every request goes through the slow path, which
//! writes them; the fast path does not know of them. Nothing is cleared at a free: the descriptor says whether a page is held, and whoever gets it
//! next is written over it. Rejected: words in the descriptor itself, which belong to the page's holder.
//!
//! # Memory ordering
//! Relaxed. A page's words are written by the one who has just been given it; readers are reports and views, which may see an owner of a moment ago.
//!
//! Neighbours: `page_alloc::slow` writes, `debug::oops` and the view `page_owner` read. Pages of slabs and of vmalloc areas are not spoken of here:
//! `kmem_cache` and `vmalloc` know their users themselves.

use super::addr::{Order, Pfn};
use super::page::{self, PageKind};
use crate::cpu;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Of one page, in 16 bytes. All zero: never allocated.
#[derive(Debug)]
pub(super) struct Record {
    place: AtomicPtr<Location<'static>>,
    pid: AtomicU32,
}

/// A block of pages that somebody holds.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// Its first page.
    pub pfn: Pfn,
    /// log2 of its pages.
    pub order: usize,
    /// The thread that asked for it, by number; 0: boot.
    pub pid: u32,
    /// Where; the caller's place in builds with `debug`, else one in the allocator.
    pub place: &'static Location<'static>,
}

static RECORDS: AtomicPtr<Record> = AtomicPtr::new(ptr::dangling_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

/// Keeps owners from here on, in `records`.
///
/// # Safety
/// Once, at boot, on one core. `records` points to `len` zeroed records that live for ever and are nobody else's.
pub(super) unsafe fn install(records: *mut Record, len: usize) {
    RECORDS.store(records, Relaxed);
    LEN.store(len, Relaxed);
}

/// Whether owners are kept. Context: any.
#[inline]
pub fn is_on() -> bool {
    LEN.load(Relaxed) != 0
}

fn records() -> &'static [Record] {
    // SAFETY: `install` was given an array of this length that lives for ever, or the length is 0; the fields are atomics.
    unsafe { core::slice::from_raw_parts(RECORDS.load(Relaxed), LEN.load(Relaxed)) }
}

/// Notes the running thread as owner of a block. Each page of it, since a block may be split later. Context: any; the caller has just been given it.
#[inline(always)]
pub(super) fn note(pfn: Pfn, order: Order, place: &'static Location<'static>) {
    if is_on() {
        write(pfn, order, place);
    }
}

#[cold]
#[inline(never)]
fn write(pfn: Pfn, order: Order, place: &'static Location<'static>) {
    let Some(block) = records().get(pfn.value()..pfn.value() + order.nr_pages()) else { return };
    let pid = cpu::task::try_current().map_or(0, |task| task.pid());
    for record in block {
        record.place.store(ptr::from_ref(place).cast_mut(), Relaxed);
        record.pid.store(pid, Relaxed);
    }
}

/// All blocks that somebody holds, in the order of their addresses; none if owners are not kept.
///
/// Context: any. A block that is allocated or freed meanwhile may be missed.
pub fn all_held() -> impl Iterator<Item = Held> {
    page::all().iter().zip(records()).enumerate().filter_map(|(number, (page, record))| {
        let state = page.state();
        if !matches!(state.kind(), PageKind::Allocated | PageKind::LargeKmalloc | PageKind::Dma) {
            return None;
        }
        // SAFETY: null, or written by `note`, of a reference that is good for ever.
        let place = unsafe { record.place.load(Relaxed).as_ref() }?;
        Some(Held { pfn: Pfn::new(number), order: state.order(), pid: record.pid.load(Relaxed), place })
    })
}
