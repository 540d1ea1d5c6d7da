//! `PageDesc`: what is known of each page of RAM, in 32 bytes, and the array of them.
//!
//! One array from physical page 0 to the last page of RAM, indexed by the frame number: from address to descriptor it is one bounds check and
//! one shift. Holes in between are `Reserved`. On this machine a sparse form would save nothing: RAM begins at 0 and its largest hole is the
//! VideoCore's.
//!
//! # Invariants
//! 1. A block of pages is known by its first page, the *head*; all its other pages are `Tail`. So whoever frees what is no head, or frees it
//!    twice, or with another order, is found by comparing one word.
//! 2. The links belong to the list that the page is on: the buddy lists (under the zone's lock) or a core's page lists (irqs off); of a page
//!    that is allocated, to its holder.
//! 3. `owner` and `data` belong to whoever holds the page; the page allocator never reads them.
//!
//! # Memory ordering
//! All accesses are relaxed. A page passes from one core to another under a zone's lock, which orders them; what a holder publishes
//! through `owner` and `data` it orders itself.
//!
//! Neighbours: `buddy` and `page_alloc` write the state; slabs, large kmallocs and vmalloc areas mark their pages.

use super::addr::{Pfn, VirtAddr};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// No page: the end of a list of frame numbers.
pub const NIL: u32 = u32::MAX;

/// What a page is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PageKind {
    /// Never the page allocator's: a hole, the kernel's image, firmware, the array of descriptors itself.
    Reserved = 0,
    /// Not the first page of its block.
    Tail = 1,
    /// Head of a free block on a buddy list.
    Free = 2,
    /// Head of a free block on a core's page list.
    Cached = 3,
    /// Head of a block that somebody holds.
    Allocated = 4,
    /// Head of a slab.
    Slab = 5,
    /// Head of a kmalloc that is too large for slabs.
    LargeKmalloc = 6,
    /// A translation table.
    Table = 7,
    /// Head of a block of a vmalloc area.
    Vmalloc = 8,
    /// Head of a block that a device reads or writes.
    Dma = 9,
}

impl PageKind {
    const ALL: [Self; 10] = [
        Self::Reserved,
        Self::Tail,
        Self::Free,
        Self::Cached,
        Self::Allocated,
        Self::Slab,
        Self::LargeKmalloc,
        Self::Table,
        Self::Vmalloc,
        Self::Dma,
    ];
}

/// Kind, order and zone of a page in one word, so that one compare knows all three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageState(u32);

impl PageState {
    /// The state of a page of zone number `zone`, in a block of `order`.
    #[must_use]
    #[inline(always)]
    pub const fn new(kind: PageKind, order: usize, zone: u8) -> Self {
        Self(kind as u32 | (order as u32) << 8 | (zone as u32) << 16)
    }

    /// What the page is used for.
    #[must_use]
    pub fn kind(self) -> PageKind {
        PageKind::ALL[(self.0 & 0xff) as usize]
    }

    /// log2 of the pages of the block; 0 for a tail.
    #[must_use]
    #[inline(always)]
    pub const fn order(self) -> usize {
        (self.0 >> 8) as usize & 0xff
    }

    /// Number of the zone.
    #[must_use]
    #[inline(always)]
    pub const fn zone(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Whether this is `kind`, whatever order and zone: without a table of kinds.
    #[must_use]
    #[inline(always)]
    pub const fn is_kind(self, kind: PageKind) -> bool {
        self.0 & 0xff == kind as u32
    }

    /// Whether this is `kind` and `order`, in whatever zone.
    #[must_use]
    #[inline(always)]
    pub const fn is(self, kind: PageKind, order: usize) -> bool {
        self.0 & 0xffff == kind as u32 | (order as u32) << 8
    }
}

/// From one kind to the other in the state's word, by one addition.
const CACHED_TO_ALLOCATED: u32 = PageKind::Allocated as u32 - PageKind::Cached as u32;

/// What is known of a page.
#[derive(Debug)]
#[repr(C, align(32))]
pub struct PageDesc {
    state: AtomicU32,
    next: AtomicU32,
    prev: AtomicU32,
    /// Of each page of a slab, tails too: the number of its cache, plus 1; else 0.
    slab: AtomicU32,
    /// For the holder.
    pub(super) owner: AtomicU64,
    /// For the holder.
    pub(super) data: AtomicU64,
}

const _: () = assert!(size_of::<PageDesc>() == 32, "32 bytes a page: 0.8 % of RAM");

impl PageDesc {
    /// A page that is nobody's to give.
    #[expect(clippy::new_without_default, reason = "made for arrays only")]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(PageKind::Reserved as u32),
            next: AtomicU32::new(0),
            prev: AtomicU32::new(0),
            slab: AtomicU32::new(0),
            owner: AtomicU64::new(0),
            data: AtomicU64::new(0),
        }
    }

    /// Kind, order and zone, now.
    ///
    /// Context: any. A hint, unless the caller holds the page or the lock of its zone.
    #[inline(always)]
    pub fn state(&self) -> PageState {
        PageState(self.state.load(Relaxed))
    }

    /// What the page is used for; a hint, as `state`.
    pub fn kind(&self) -> PageKind {
        self.state().kind()
    }

    #[inline(always)]
    pub(super) fn set_state(&self, state: PageState) {
        self.state.store(state.0, Relaxed);
    }

    /// Makes a block of a core's list, which is `Cached`, one that is `Allocated`; order and zone stay.
    ///
    /// Context: any; the caller has just taken the block off the list.
    #[inline(always)]
    pub(super) fn take_from_cache(&self) {
        self.state.store(self.state.load(Relaxed) + CACHED_TO_ALLOCATED, Relaxed);
    }

    /// The reverse of `take_from_cache`, for a block that was found to be `Allocated`.
    #[inline(always)]
    pub(super) fn put_into_cache(&self) {
        self.state.store(self.state.load(Relaxed) - CACHED_TO_ALLOCATED, Relaxed);
    }

    /// Marks the block that begins here as a slab, a vmalloc block and so on, or as plainly `Allocated` before it is freed.
    ///
    /// Context: any; the caller holds the block.
    #[inline(always)]
    pub(super) fn set_kind(&self, kind: PageKind) {
        let state = self.state.load(Relaxed);
        self.state.store((state & !0xff) | kind as u32, Relaxed);
    }

    /// Marks the page, head or tail, as one of a slab of cache number `slot`, or as none any more.
    ///
    /// Context: any; the caller holds the block. What hands an object over orders this before another core frees it.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there are no slabs"))]
    pub(super) fn set_slab(&self, slot: Option<usize>) {
        self.slab.store(slot.map_or(0, |slot| slot as u32 + 1), Relaxed);
    }

    /// The number of the cache plus 1, if the page is part of a slab; else 0. `kfree` looks up a list with it, without asking which it is.
    #[inline(always)]
    pub(super) fn slab_list(&self) -> usize {
        self.slab.load(Relaxed) as usize
    }

    /// The number of the cache, if the page is part of a slab.
    #[inline(always)]
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there are no slabs"))]
    pub(super) fn slab_slot(&self) -> Option<usize> {
        self.slab_list().checked_sub(1)
    }

    #[inline(always)]
    pub(super) fn next(&self) -> u32 {
        self.next.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn set_next(&self, next: u32) {
        self.next.store(next, Relaxed);
    }

    #[inline(always)]
    pub(super) fn prev(&self) -> u32 {
        self.prev.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn set_prev(&self, prev: u32) {
        self.prev.store(prev, Relaxed);
    }
}

/// The array. Written once at boot, on one core, before the others run.
static ARRAY: AtomicPtr<PageDesc> = AtomicPtr::new(core::ptr::dangling_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

/// The descriptors of all pages, indexed by frame number; empty before the page allocator stands.
///
/// Context: any.
#[inline(always)]
pub fn all() -> &'static [PageDesc] {
    let (array, len) = (ARRAY.load(Relaxed), LEN.load(Relaxed));
    // SAFETY: `install` was given an array of this length that lives for ever; all fields are atomics, so it may be shared. Both words were
    // written before any other core ran.
    unsafe { core::slice::from_raw_parts(array, len) }
}

/// The descriptor of page `pfn`, or `None` above the last page of RAM.
///
/// Context: any.
#[inline(always)]
pub fn desc(pfn: Pfn) -> Option<&'static PageDesc> {
    all().get(pfn.value())
}

/// The descriptor of the page that holds an address of the linear map; `None` for every other address.
///
/// Context: any.
#[inline(always)]
pub fn of_virt(addr: VirtAddr) -> Option<&'static PageDesc> {
    desc(addr.linear_to_phys()?.pfn())
}

/// Makes `array` the descriptors of the pages from frame 0 on.
///
/// # Safety
/// Once, at boot, on one core. `array` points to `len` zeroed descriptors that live for ever and are nobody else's.
pub unsafe fn install(array: *mut PageDesc, len: usize) {
    LEN.store(len, Relaxed);
    ARRAY.store(array, Relaxed);
}
