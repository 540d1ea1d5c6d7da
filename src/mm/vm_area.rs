//! Which part of the vmalloc region is whose: areas of virtual addresses, found by their address in constant time.
//!
//! The region is cut into units of 32 KiB with a descriptor each, and its free units are kept by the very [`Buddy`] that keeps pages: addresses are
//! plenty (twice RAM), so rounding an area up to a power of two costs nothing that is scarce, and in return allocation, release and look-up do not
//! depend on how many areas there are. Rejected: a sorted tree of areas, as Linux has it. It wastes no address, and each call walks it.
//!
//! An area that is given back is *lazy* first: its translations are gone from the tables, but may be in a TLB still. Lazy areas are handed out again
//! only after a flush, one for all of them.
//!
//! # Invariants
//! 1. The first unit's descriptor holds the area: `Vmalloc` with its order; `data` has pages and, above, who asked for it; `owner` the first block, and above what
//!    it is and the thread.
//! 2. An area's last page is never mapped: the guard page. `units_for` reserves it.
//! 3. A lazy area is `Cached` and on the lazy list by its link.
//!
//! Neighbours: `vmalloc` maps and unmaps; `buddy`.

use super::addr::{PAGE_SHIFT, PAGE_SIZE};
use super::buddy::Buddy;
use super::page::{NIL, PageDesc, PageKind};
use core::sync::atomic::Ordering::Relaxed;

/// log2 of the pages of a unit.
const UNIT_SHIFT: u32 = 3;
/// Bytes of a unit.
pub const UNIT_SIZE: usize = PAGE_SIZE << UNIT_SHIFT;
/// Sizes of areas, as powers of two of units: up to 16 GiB.
const ORDERS: usize = 20;
/// In `owner`, above the first block.
const KIND_SHIFT: u32 = 32;
/// In `owner`, above the two bits of the kind.
const PID_SHIFT: u32 = 34;
const PID_MASK: u32 = (1 << 30) - 1;
/// In `data`, above the pages.
const PLACE_SHIFT: u32 = 32;

/// What an area is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AreaKind {
    /// Pages of its own.
    Vmalloc = 0,
    /// Pages of the caller.
    Vmap = 1,
    /// Registers of a device.
    Ioremap = 2,
    /// Memory shared with a device.
    Dma = 3,
}

impl AreaKind {
    const ALL: [Self; 4] = [Self::Vmalloc, Self::Vmap, Self::Ioremap, Self::Dma];

    /// As `vmallocinfo` shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vmalloc => "vmalloc",
            Self::Vmap => "vmap",
            Self::Ioremap => "ioremap",
            Self::Dma => "dma",
        }
    }
}

/// Who asked for an area.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct User {
    /// The thread's number, its lower 30 bits; 0: none.
    pub pid: u32,
    /// The place in the code, as `vmalloc` writes places: opaque here.
    pub place: u32,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Pages to map; the guard page is added.
    pub nr_pages: usize,
    /// Alignment of the first byte, a power of two.
    pub align: usize,
    /// What it is for.
    pub kind: AreaKind,
    /// Who asks.
    pub user: User,
}

/// An area: offset in the region, pages without the guard, what it is, and the first page's frame number for `Vmalloc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// First byte, counted from the region's start.
    pub offset: usize,
    /// Mapped pages; the guard page comes behind.
    pub nr_pages: usize,
    /// What it is for.
    pub kind: AreaKind,
    /// Frame number of the first block of its own, or `NIL`.
    pub first: u32,
    /// Who asked for it.
    pub user: User,
}

/// All areas. The slice of descriptors, one a unit, is always the same.
#[derive(Debug)]
pub struct Areas {
    free: Buddy<ORDERS>,
    lazy: u32,
    lazy_pages: usize,
}

/// Units for an area of `nr_pages` and its guard page.
const fn units_for(nr_pages: usize) -> usize {
    (nr_pages + 1).div_ceil(1 << UNIT_SHIFT)
}

impl Areas {
    /// No area and no room.
    #[must_use]
    pub const fn new() -> Self {
        Self { free: Buddy::new(0), lazy: NIL, lazy_pages: 0 }
    }

    /// Gives it all units.
    pub fn add_units(&mut self, units: &[PageDesc]) {
        self.free.add_range(units, 0, units.len());
    }

    /// Reserves room for an area; `None` if there is none, or if the alignment is no power of two.
    ///
    /// A block of the buddy is aligned to its size, so a larger alignment is a larger block.
    pub fn alloc(&mut self, units: &[PageDesc], request: &Request) -> Option<Area> {
        let Request { nr_pages, align, kind, user } = *request;
        let wanted = units_for(nr_pages).max(align / UNIT_SIZE).checked_next_power_of_two()?;
        let order = wanted.trailing_zeros() as usize;
        if order >= ORDERS || nr_pages == 0 || !align.is_power_of_two() {
            return None;
        }
        let unit = self.free.alloc(units, order, PageKind::Vmalloc)?;
        let user = User { pid: user.pid & PID_MASK, ..user };
        let area = Area { offset: unit as usize * UNIT_SIZE, nr_pages, kind, first: NIL, user };
        Self::write(&units[unit as usize], &area);
        Some(area)
    }

    fn write(unit: &PageDesc, area: &Area) {
        unit.data.store(area.nr_pages as u64 | u64::from(area.user.place) << PLACE_SHIFT, Relaxed);
        unit.owner.store(u64::from(area.user.pid) << PID_SHIFT | (area.kind as u64) << KIND_SHIFT | u64::from(area.first), Relaxed);
    }

    /// Notes the first block of the area's own pages.
    pub fn set_first(&mut self, units: &[PageDesc], area: &mut Area, first: u32) {
        area.first = first;
        Self::write(&units[area.offset / UNIT_SIZE], area);
    }

    /// The area that begins at `offset`; `None` if none does.
    #[must_use]
    pub fn find(&self, units: &[PageDesc], offset: usize) -> Option<Area> {
        let unit = units.get(offset / UNIT_SIZE).filter(|_| offset.is_multiple_of(UNIT_SIZE))?;
        if unit.state().kind() != PageKind::Vmalloc {
            return None;
        }
        let (owner, data) = (unit.owner.load(Relaxed), unit.data.load(Relaxed));
        let user = User { pid: (owner >> PID_SHIFT) as u32, place: (data >> PLACE_SHIFT) as u32 };
        let kind = AreaKind::ALL[(owner >> KIND_SHIFT) as usize % AreaKind::ALL.len()];
        Some(Area { offset, nr_pages: data as u32 as usize, kind, first: owner as u32, user })
    }

    /// The first area at or behind `offset`.
    #[must_use]
    pub fn next(&self, units: &[PageDesc], offset: usize) -> Option<Area> {
        let mut at = offset.div_ceil(UNIT_SIZE);
        while at < units.len() {
            let area = self.find(units, at * UNIT_SIZE);
            if area.is_some() {
                return area;
            }
            // Heads of free and lazy blocks are skipped whole.
            at += 1 << units[at].state().order();
        }
        None
    }

    /// Marks the area as lazy: it is no area any more, and not free before `purge`. Pages that are lazy now.
    pub fn retire(&mut self, units: &[PageDesc], area: &Area) -> usize {
        let index = area.offset / UNIT_SIZE;
        units[index].set_kind(PageKind::Cached);
        units[index].set_next(self.lazy);
        self.lazy = index as u32;
        self.lazy_pages += area.nr_pages;
        self.lazy_pages
    }

    /// Makes all lazy areas free. The caller has flushed the TLBs of all cores since the last of them was retired.
    pub fn purge(&mut self, units: &[PageDesc]) {
        while let Some(unit) = units.get(self.lazy as usize) {
            let (index, next) = (self.lazy, unit.next());
            self.free.free(units, index, unit.state().order());
            self.lazy = next;
        }
        self.lazy_pages = 0;
    }

    /// Pages of the region that no area has, lazy ones not counted.
    #[must_use]
    pub const fn nr_free_pages(&self) -> usize {
        self.free.nr_free() << UNIT_SHIFT
    }
}

impl Default for Areas {
    fn default() -> Self {
        Self::new()
    }
}

/// Units for a machine with `ram` bytes: twice its RAM in addresses, at most `room` bytes.
#[must_use]
pub const fn nr_units(ram: usize, room: usize) -> usize {
    let wanted = (ram * 2).next_power_of_two();
    (if wanted < room { wanted } else { room }) >> (PAGE_SHIFT + UNIT_SHIFT)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::prelude::v1::*;

    const UNITS: usize = 4096;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

        #[test]
        fn areas_do_not_overlap_and_all_room_comes_back(seed in 1u64..) {
            let units: Vec<PageDesc> = std::iter::repeat_with(PageDesc::new).take(UNITS).collect();
            let (mut areas, mut model, mut state) = (Areas::new(), BTreeMap::<usize, Area>::new(), seed);
            areas.add_units(&units);
            let all = areas.nr_free_pages();
            for _ in 0..20_000 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let (what, size) = ((state >> 33) % 100, 1 + (state >> 40) as usize % 300);
                if what < 50 {
                    let align = PAGE_SIZE << ((state >> 50) % 9);
                    let user = User { pid: state as u32 & PID_MASK, place: (state >> 9) as u32 };
                    let request = Request { nr_pages: size, align, kind: AreaKind::ALL[size % 4], user };
                    if let Some(area) = areas.alloc(&units, &request) {
                        prop_assert!(area.offset.is_multiple_of(align));
                        prop_assert_eq!((area.nr_pages, area.kind, area.user), (size, request.kind, user));
                        let end = |area: &Area| area.offset + (area.nr_pages + 1) * PAGE_SIZE;
                        if let Some((_, below)) = model.range(..=area.offset).next_back() {
                            prop_assert!(end(below) <= area.offset, "{below:?} and its guard page reach into {area:?}");
                        }
                        if let Some((above, _)) = model.range(area.offset..).next() {
                            prop_assert!(end(&area) <= *above);
                        }
                        prop_assert_eq!(areas.find(&units, area.offset), Some(area));
                        model.insert(area.offset, area);
                    }
                } else if what < 98 {
                    let Some((&offset, &area)) = model.range((state as usize % UNITS) * UNIT_SIZE..).next() else { continue };
                    areas.retire(&units, &area);
                    prop_assert_eq!(areas.find(&units, offset), None);
                    model.remove(&offset);
                } else {
                    areas.purge(&units);
                }
            }
            let mut at = 0;
            for area in model.values() {
                let next = areas.next(&units, at);
                prop_assert_eq!(next.as_ref(), Some(area));
                at = area.offset + 1;
            }
            prop_assert_eq!(areas.next(&units, at), None);
            for area in model.values() {
                areas.retire(&units, area);
            }
            areas.purge(&units);
            prop_assert_eq!(areas.nr_free_pages(), all);
        }
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        let units: Vec<PageDesc> = std::iter::repeat_with(PageDesc::new).take(16).collect();
        let mut areas = Areas::new();
        areas.add_units(&units);
        let request = |nr_pages, align| Request { nr_pages, align, kind: AreaKind::Vmalloc, user: User::default() };
        assert_eq!(areas.alloc(&units, &request(0, PAGE_SIZE)), None);
        assert_eq!(areas.alloc(&units, &request(128, PAGE_SIZE)), None, "no room for the guard page");
        for align in [3 * PAGE_SIZE, 0, 1 << 20, 1 << 63] {
            assert_eq!(areas.alloc(&units, &request(1, align)), None, "{align:#x}");
        }
        assert!(areas.alloc(&units, &request(127, 16 * UNIT_SIZE)).is_some());
        assert_eq!(areas.find(&units, PAGE_SIZE), None);
        assert_eq!(areas.find(&units, usize::MAX), None);
    }
}
