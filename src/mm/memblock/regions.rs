//! A sorted list of disjoint regions in a fixed array.
//!
//! Both tables of `memblock` are such a list. It lives in an array because nothing can be allocated yet, and it refuses a change that
//! would not fit *before* it touches anything: an overflow leaves the list as it was.
//!
//! 1. Regions are not empty, ascend, and share no byte.
//! 2. Two regions that touch differ in flags or name; else they would be one.

use arrayvec::ArrayVec;
use bitflags::bitflags;

use crate::mm::addr::PhysAddr;
use crate::mm::phys_range::PhysRange;

bitflags! {
    /// What is special about a region.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct RegionFlags: u8 {
        /// The kernel must not map it: another agent uses it, and a speculative read would be one too many.
        const NOMAP = 1 << 0;
    }
}

/// A range of physical memory, its flags and what it is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The bytes.
    pub range: PhysRange,
    /// What is special about them.
    pub flags: RegionFlags,
    /// Who uses them, for the printed map; empty where nobody in particular does.
    pub name: &'static str,
}

impl Region {
    /// Whether the two may be one region once they touch.
    fn is_like(&self, other: &Region) -> bool {
        self.flags == other.flags && self.name == other.name
    }
}

/// The list has no room for the change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableFull;

/// Up to `N` regions; see the module for the invariants.
#[derive(Clone, Debug)]
pub struct RegionList<const N: usize> {
    regions: ArrayVec<Region, N>,
}

impl<const N: usize> RegionList<N> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { regions: ArrayVec::new_const() }
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.regions.clear();
    }

    /// The regions in ascending order.
    #[must_use]
    pub fn as_slice(&self) -> &[Region] {
        &self.regions
    }

    /// All bytes of the list.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.range.size()).sum()
    }

    /// The region that holds `addr`.
    #[must_use]
    pub fn find(&self, addr: PhysAddr) -> Option<&Region> {
        self.regions.get(self.first_ending_after(addr)).filter(|region| region.range.contains(addr))
    }

    /// Whether any byte of `range` is in the list.
    #[must_use]
    pub fn overlaps(&self, range: PhysRange) -> bool {
        !range.is_empty() && self.regions.get(self.first_ending_after(range.start())).is_some_and(|r| r.range.overlaps(range))
    }

    /// Adds those bytes of `new` that are not there yet; bytes that are keep their flags and name.
    ///
    /// # Errors
    /// [`TableFull`] if the result does not fit; the list is unchanged.
    pub fn add(&mut self, new: Region) -> Result<(), TableFull> {
        if self.len_after_add(&new) > N {
            return Err(TableFull);
        }
        // Gaps that grow a neighbour go first: they never need a slot and may give one back, so the list cannot overflow on the way.
        self.fill_gaps(&new, |joins| joins != (false, false));
        self.fill_gaps(&new, |joins| joins == (false, false));
        Ok(())
    }

    /// Takes all bytes of `range` out.
    ///
    /// # Errors
    /// [`TableFull`] if `range` cuts a region in two and there is no room for the second piece; the list is unchanged.
    pub fn remove(&mut self, range: PhysRange) -> Result<(), TableFull> {
        if range.is_empty() {
            return Ok(());
        }
        if let Some(index) = self.crosses(range.start()).filter(|&index| self.regions[index].range.end() > range.end()) {
            self.regions.try_insert(index + 1, self.regions[index]).map_err(|_| TableFull)?;
            self.set_end(index, range.start());
            self.set_start(index + 1, range.end());
            return Ok(());
        }
        for region in self.regions.iter_mut().filter(|region| region.range.overlaps(range)) {
            region.range = outside(region.range, range);
        }
        self.regions.retain(|region| !region.range.is_empty());
        Ok(())
    }

    /// Gives all bytes of `range` that are in the list these flags.
    ///
    /// # Errors
    /// [`TableFull`] if there is no room to cut regions at the edges of `range`; the list is unchanged.
    pub fn set_flags(&mut self, range: PhysRange, flags: RegionFlags) -> Result<(), TableFull> {
        self.isolate(range)?;
        for region in self.regions.iter_mut().filter(|region| region.range.overlaps(range)) {
            region.flags = flags;
        }
        self.merge_neighbours();
        Ok(())
    }

    /// The first region that ends above `addr`, as an index; the length if there is none.
    fn first_ending_after(&self, addr: PhysAddr) -> usize {
        self.regions.partition_point(|region| region.range.end() <= addr)
    }

    /// The lowest part of `within` that no region covers.
    fn next_gap(&self, within: PhysRange) -> Option<PhysRange> {
        let mut start = within.start();
        for region in &self.regions[self.first_ending_after(start)..] {
            if region.range.start() > start {
                let gap = PhysRange::new(start, region.range.start().min(within.end()));
                return Some(gap).filter(|gap| !gap.is_empty());
            }
            start = region.range.end();
        }
        Some(PhysRange::new(start, within.end())).filter(|gap| !gap.is_empty())
    }

    /// The neighbours of `gap`, which no region overlaps, if they touch it and are like it: (below, above).
    fn joins(&self, gap: &Region) -> (bool, bool) {
        let above = self.first_ending_after(gap.range.start());
        let joins_below = above > 0 && self.regions[above - 1].range.end() == gap.range.start() && self.regions[above - 1].is_like(gap);
        let joins_above = self.regions.get(above).is_some_and(|r| r.range.start() == gap.range.end() && r.is_like(gap));
        (joins_below, joins_above)
    }

    /// How many regions there would be after `add`. A gap filled never touches the next one, so each can be judged alone.
    fn len_after_add(&self, new: &Region) -> usize {
        let mut len = self.regions.len();
        let mut from = new.range.start();
        while let Some(gap) = self.next_gap(PhysRange::new(from, new.range.end())) {
            match self.joins(&Region { range: gap, ..*new }) {
                (true, true) => len -= 1,
                (false, false) => len += 1,
                _ => {}
            }
            from = gap.end();
        }
        len
    }

    /// Fills those gaps under `new` whose neighbours are as `chosen` wants.
    fn fill_gaps(&mut self, new: &Region, chosen: fn((bool, bool)) -> bool) {
        let mut from = new.range.start();
        while let Some(gap) = self.next_gap(PhysRange::new(from, new.range.end())) {
            let gap = Region { range: gap, ..*new };
            if chosen(self.joins(&gap)) {
                self.fill_gap(gap);
            }
            from = gap.range.end();
        }
    }

    /// Puts a region where none is, as a part of its neighbours where they are like it.
    fn fill_gap(&mut self, gap: Region) {
        let above = self.first_ending_after(gap.range.start());
        match self.joins(&gap) {
            (true, true) => {
                let joined = self.regions.remove(above);
                self.set_end(above - 1, joined.range.end());
            }
            (true, false) => self.set_end(above - 1, gap.range.end()),
            (false, true) => self.set_start(above, gap.range.start()),
            (false, false) => self.regions.insert(above, gap),
        }
    }

    /// Cuts the regions at both edges of `range`, so that each lies inside it or outside.
    fn isolate(&mut self, range: PhysRange) -> Result<(), TableFull> {
        if range.is_empty() {
            return Ok(());
        }
        let cuts = [range.start(), range.end()].iter().filter(|&&edge| self.crosses(edge).is_some()).count();
        // A piece that merges again at once could be spared; a table that full is an error worth seeing either way.
        if self.regions.len() + cuts > N {
            return Err(TableFull);
        }
        self.cut(range.start());
        self.cut(range.end());
        Ok(())
    }

    /// The region, as an index, that has bytes on both sides of `edge`.
    fn crosses(&self, edge: PhysAddr) -> Option<usize> {
        let index = self.first_ending_after(edge);
        self.regions.get(index).filter(|region| region.range.start() < edge).map(|_| index)
    }

    /// Cuts the region that crosses `edge`. The two halves are merged again by the caller or made to differ.
    fn cut(&mut self, edge: PhysAddr) {
        if let Some(index) = self.crosses(edge) {
            let lower = self.regions[index];
            self.regions.insert(index, lower);
            self.set_end(index, edge);
            self.set_start(index + 1, edge);
        }
    }

    /// Makes one region of touching ones that are alike.
    fn merge_neighbours(&mut self) {
        let mut index = 1;
        while index < self.regions.len() {
            let (lower, upper) = (self.regions[index - 1], self.regions[index]);
            if lower.range.end() == upper.range.start() && lower.is_like(&upper) {
                self.regions.remove(index);
                self.set_end(index - 1, upper.range.end());
            } else {
                index += 1;
            }
        }
    }

    fn set_start(&mut self, index: usize, start: PhysAddr) {
        let region = &mut self.regions[index];
        region.range = PhysRange::new(start, region.range.end());
    }

    fn set_end(&mut self, index: usize, end: PhysAddr) {
        let region = &mut self.regions[index];
        region.range = PhysRange::new(region.range.start(), end);
    }
}

/// What is left of `range` outside `gone`, which overlaps it but does not cut it in two.
fn outside(range: PhysRange, gone: PhysRange) -> PhysRange {
    if range.start() < gone.start() { PhysRange::new(range.start(), gone.start()) } else { PhysRange::new(gone.end(), range.end()) }
}

impl<const N: usize> Default for RegionList<N> {
    fn default() -> Self {
        Self::new()
    }
}
