//! Zones: RAM by who can reach it, and how much of each must stay free.
//!
//! | zone | addresses | for |
//! |---|---|---|
//! | DMA | below 1 GiB | the mailbox and the old DMA engines |
//! | DMA32 | below 4 GiB | most other devices |
//! | NORMAL | above | the kernel itself |
//!
//! A request is served from the highest zone it permits, then from lower ones. Three *watermarks* of free pages keep a reserve: `low` is
//! the border below which reclaim begins, `min` what ordinary requests leave, and half of that what `HIGH` requests leave; `high` is where
//! memory is plenty again. A request that could have been served higher up also leaves a zone's *protection*, so that memory which only some can
//! use is not eaten by those who have a choice. This file computes; `page_alloc` obeys.
//!
//! Rejected: one list of free blocks with address limits on each request. A DMA request would search it all, and nothing would be kept for it.
//!
//! Neighbours: `buddy` keeps each zone's free blocks.

#[cfg(test)]
mod model_test;

use super::addr::{Order, PAGE_SHIFT};
use super::buddy::Buddy;
use super::gfp::{GfpFlags, ZONE_MASK};
use super::page::{PageDesc, PageKind};
use crate::sync::IrqSpinLock;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The zones, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ZoneType {
    /// Below 1 GiB.
    Dma = 0,
    /// Below 4 GiB.
    Dma32 = 1,
    /// All the rest.
    Normal = 2,
}

/// How many zones there are.
pub const NR_ZONES: usize = 3;

impl ZoneType {
    /// The zones, lowest first.
    pub const ALL: [Self; NR_ZONES] = [Self::Dma, Self::Dma32, Self::Normal];

    /// The highest zone that may serve a request.
    #[must_use]
    #[inline(always)]
    pub const fn highest_of(gfp: GfpFlags) -> Self {
        match gfp.bits() & ZONE_MASK {
            0 => Self::Normal,
            2 => Self::Dma32,
            _ => Self::Dma,
        }
    }

    /// The name that Linux gives it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dma => "DMA",
            Self::Dma32 => "DMA32",
            Self::Normal => "Normal",
        }
    }
}

/// Where DMA and DMA32 end, in pages. The boot argument `zones=` moves them, so that 2 GiB show all three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Borders {
    /// First page that is not DMA.
    pub dma_end: usize,
    /// First page that is not DMA32.
    pub dma32_end: usize,
}

impl Borders {
    /// The BCM2711's: 1 GiB and 4 GiB.
    pub const BCM2711: Self = Self { dma_end: 1 << (30 - PAGE_SHIFT), dma32_end: 4 << (30 - PAGE_SHIFT) };

    /// Borders at these addresses, or `None` if they are not multiples of the largest block, out of order, or higher than the hardware's: a
    /// zone may promise more than a device needs, never less.
    #[must_use]
    pub fn new(dma_end: u64, dma32_end: u64) -> Option<Self> {
        let is_aligned = (dma_end | dma32_end).is_multiple_of(Order::MAX.size_bytes() as u64);
        let borders = Self { dma_end: (dma_end >> PAGE_SHIFT) as usize, dma32_end: (dma32_end >> PAGE_SHIFT) as usize };
        let is_within = borders.dma_end <= Self::BCM2711.dma_end && borders.dma32_end <= Self::BCM2711.dma32_end;
        (is_aligned && dma_end <= dma32_end && is_within).then_some(borders)
    }

    /// The pages of a zone.
    #[must_use]
    pub const fn span(&self, zone: ZoneType) -> (usize, usize) {
        match zone {
            ZoneType::Dma => (0, self.dma_end),
            ZoneType::Dma32 => (self.dma_end, self.dma32_end),
            ZoneType::Normal => (self.dma32_end, usize::MAX),
        }
    }
}

/// How far a request may drain a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Nothing is held back: for a request that must not fail.
    None,
    /// Half of `Min`: urgent requests.
    Half,
    /// What ordinary requests leave.
    Min,
    /// Below it, reclaim begins.
    Low,
    /// Memory is plenty.
    High,
}

/// How many pages each zone keeps, computed once from how many it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// The watermark `min`, in pages.
    pub min: usize,
    /// What is left besides by requests that could have been served from zone `i`.
    pub protection: [usize; NR_ZONES],
}

/// One page of protection for so many pages of the zones above.
const PROTECTION_RATIO: [usize; NR_ZONES] = [256, 256, 32];
/// Bounds of all `min` watermarks together, in pages: 128 KiB and 256 MiB.
const MIN_FREE_BOUNDS: (usize, usize) = (32, 65_536);

impl Limits {
    /// The limits of all zones, from the pages that each manages.
    ///
    /// Together the `min` marks are 4 times the square root of the memory in KiB, Linux's rule: a large machine needs a larger reserve, but not
    /// in proportion. Each zone has its share.
    #[must_use]
    pub fn of(managed: [usize; NR_ZONES]) -> [Self; NR_ZONES] {
        let total: usize = managed.iter().sum();
        let min_free_kib = (total * 4 * 16).isqrt();
        let min_free = (min_free_kib / 4).clamp(MIN_FREE_BOUNDS.0, MIN_FREE_BOUNDS.1).min(total / 8);
        core::array::from_fn(|zone| {
            let mut limits = Self { min: (min_free * managed[zone]).checked_div(total).unwrap_or(0), protection: [0; NR_ZONES] };
            let mut above = 0;
            for (protection, pages) in limits.protection.iter_mut().zip(managed).skip(zone + 1) {
                above += pages;
                *protection = above / PROTECTION_RATIO[zone];
            }
            limits
        })
    }

    /// Pages that a request of class `class` leaves free at `mark`.
    #[must_use]
    #[inline]
    pub const fn floor(&self, class: ZoneType, mark: Mark) -> usize {
        let pages = match mark {
            Mark::None => return 0,
            Mark::Half => self.min / 2,
            Mark::Min => self.min,
            Mark::Low => self.min + self.min / 4,
            Mark::High => self.min + self.min / 2,
        };
        pages + self.protection[class as usize]
    }
}

/// A zone: its free blocks and its limits.
#[derive(Debug)]
pub struct Zone {
    /// Which it is.
    pub kind: ZoneType,
    /// Free blocks; hardirqs allocate too. Innermost lock of mm: nothing is taken inside.
    pub(super) free: IrqSpinLock<Buddy<{ Order::COUNT }>>,
    /// Copy of the free blocks' `nr_free`, for looks without the lock. Written under the lock.
    nr_free: AtomicUsize,
    managed: AtomicUsize,
    min: AtomicUsize,
    protection: [AtomicUsize; NR_ZONES],
}

impl Zone {
    /// An empty zone.
    #[must_use]
    pub const fn new(kind: ZoneType) -> Self {
        Self {
            kind,
            free: IrqSpinLock::new(Buddy::new(kind as u8)),
            nr_free: AtomicUsize::new(0),
            managed: AtomicUsize::new(0),
            min: AtomicUsize::new(0),
            protection: [const { AtomicUsize::new(0) }; NR_ZONES],
        }
    }

    /// Pages on the free lists. Context: any; a hint.
    pub fn nr_free(&self) -> usize {
        self.nr_free.load(Relaxed)
    }

    /// Pages that the zone was given at boot.
    pub fn managed(&self) -> usize {
        self.managed.load(Relaxed)
    }

    /// The zone's limits. Context: any.
    pub fn limits(&self) -> Limits {
        Limits { min: self.min.load(Relaxed), protection: core::array::from_fn(|class| self.protection[class].load(Relaxed)) }
    }

    /// Free blocks of each order. Context: any; takes the zone's lock.
    pub fn block_counts(&self) -> [u32; Order::COUNT] {
        *self.free.lock().counts()
    }

    /// Sets the limits. Context: boot.
    pub(super) fn set_limits(&self, limits: &Limits) {
        self.min.store(limits.min, Relaxed);
        for (slot, pages) in self.protection.iter().zip(limits.protection) {
            slot.store(pages, Relaxed);
        }
    }

    /// Gives the zone its pages `start..end`. Context: boot.
    pub(super) fn add_range(&self, pages: &[PageDesc], start: usize, end: usize) {
        let mut free = self.free.lock();
        free.add_range(pages, start, end);
        self.nr_free.store(free.nr_free(), Relaxed);
        self.managed.fetch_add(end - start, Relaxed);
    }

    /// Takes up to `wanted` blocks that leave `floor` pages free, and gives each to `each`; the number taken.
    ///
    /// Context: any; irqs are off while `each` runs.
    #[inline]
    pub(super) fn take(
        &self,
        pages: &[PageDesc],
        order: usize,
        floor: usize,
        wanted: usize,
        kind: PageKind,
        mut each: impl FnMut(u32),
    ) -> usize {
        let mut free = self.free.lock();
        let mut taken = 0;
        while taken < wanted && free.nr_free() >= floor + (1 << order) {
            let Some(block) = free.alloc(pages, order, kind) else { break };
            each(block);
            taken += 1;
        }
        self.nr_free.store(free.nr_free(), Relaxed);
        taken
    }

    /// Takes blocks of `order` back, as long as `next` has one.
    ///
    /// Context: any; irqs are off while `next` runs.
    #[inline]
    pub(super) fn give_back(&self, pages: &[PageDesc], order: usize, mut next: impl FnMut() -> Option<u32>) {
        let mut free = self.free.lock();
        while let Some(block) = next() {
            free.free(pages, block, order);
        }
        self.nr_free.store(free.nr_free(), Relaxed);
    }
}
