//! The map of physical memory that the kernel boots with.
//!
//! Two tables, as in Linux, whose words are used here: `memory` says where RAM is, `reserved` which bytes are taken, of RAM or not.
//! What is in the first and not in the second is free; nothing else is stored, so the two can be filled in any order, by device tree,
//! mailbox and boot arguments, and cannot contradict each other. The page allocator takes over what is left.
//!
//! A bump allocator would be shorter, but could neither honour limits nor give back, and the reservations are needed in any case.
//!
//! Context: boot, on one core; the type itself has no lock and no state beside its tables.
//! Neighbours: `regions` is the table, `platform::memory_map` fills it.

#[cfg(test)]
mod model_test;
mod regions;

use core::fmt;

pub use regions::{Region, RegionFlags, RegionList};

use super::addr::PhysAddr;
use super::phys_range::PhysRange;
use crate::util::errno::Errno;

/// Why the map refused a change. The map is unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemblockError {
    /// The table of memory has no room for another region.
    MemoryTableFull,
    /// The table of reservations has no room for another region.
    ReservedTableFull,
    /// No free range is large enough within the limits.
    NoSpace,
    /// A size of zero, or an alignment that is no power of two.
    InvalidRequest,
}

impl From<MemblockError> for Errno {
    fn from(error: MemblockError) -> Errno {
        match error {
            MemblockError::MemoryTableFull | MemblockError::ReservedTableFull => Errno::ENOSPC,
            MemblockError::NoSpace => Errno::ENOMEM,
            MemblockError::InvalidRequest => Errno::EINVAL,
        }
    }
}

impl fmt::Display for MemblockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemoryTableFull => "memblock: too many regions of memory",
            Self::ReservedTableFull => "memblock: too many reservations",
            Self::NoSpace => "memblock: no free range is large enough",
            Self::InvalidRequest => "memblock: size of zero or alignment that is no power of two",
        })
    }
}

/// From which end of memory an allocation is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Lowest fitting address first.
    BottomUp,
    /// Highest fitting address first: the default, which spares the scarce low memory for DMA.
    TopDown,
}

/// What is asked of [`Memblock::alloc_in`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Bytes; not zero.
    pub size: u64,
    /// Alignment in bytes; a power of two.
    pub align: u64,
    /// Only addresses in here.
    pub within: PhysRange,
    /// Which end first.
    pub direction: Direction,
    /// Who asks, for the printed map.
    pub name: &'static str,
}

impl Request {
    /// A request for `size` bytes anywhere, from the top, aligned to a page.
    #[must_use]
    pub const fn new(size: u64, name: &'static str) -> Self {
        let anywhere = PhysRange::new(PhysAddr::new(0), PhysAddr::new(u64::MAX));
        let align = super::addr::PAGE_SIZE as u64;
        Self { size, align, within: anywhere, direction: Direction::TopDown, name }
    }
}

/// The map: up to `M` regions of memory and `R` reservations.
#[derive(Clone, Debug, Default)]
pub struct Memblock<const M: usize = 32, const R: usize = 64> {
    memory: RegionList<M>,
    reserved: RegionList<R>,
}

impl<const M: usize, const R: usize> Memblock<M, R> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: RegionList::new(), reserved: RegionList::new() }
    }

    /// Forgets everything; in place, because the map is large for a boot stack.
    pub fn clear(&mut self) {
        self.memory.clear();
        self.reserved.clear();
    }

    /// Adds RAM. Overlaps with what is known are fine.
    ///
    /// # Errors
    /// [`MemblockError::MemoryTableFull`].
    pub fn add(&mut self, range: PhysRange) -> Result<(), MemblockError> {
        let region = Region { range, flags: RegionFlags::empty(), name: "" };
        self.memory.add(region).map_err(|_| MemblockError::MemoryTableFull)
    }

    /// Takes RAM off the map, as if it did not exist: a hole, or what a limit cuts away. Reservations stay.
    ///
    /// # Errors
    /// [`MemblockError::MemoryTableFull`] if the hole splits a region and there is no room for the second half.
    pub fn remove(&mut self, range: PhysRange) -> Result<(), MemblockError> {
        self.memory.remove(range).map_err(|_| MemblockError::MemoryTableFull)
    }

    /// Reserves bytes, be they RAM or not. Bytes that are reserved already keep the name they have.
    ///
    /// # Errors
    /// [`MemblockError::ReservedTableFull`].
    pub fn reserve(&mut self, range: PhysRange, name: &'static str) -> Result<(), MemblockError> {
        let region = Region { range, flags: RegionFlags::empty(), name };
        self.reserved.add(region).map_err(|_| MemblockError::ReservedTableFull)
    }

    /// Gives reserved bytes back.
    ///
    /// # Errors
    /// [`MemblockError::ReservedTableFull`] if this splits a reservation and there is no room for the second half.
    pub fn free(&mut self, range: PhysRange) -> Result<(), MemblockError> {
        self.reserved.remove(range).map_err(|_| MemblockError::ReservedTableFull)
    }

    /// Marks RAM that the kernel must not map. It is not free from then on.
    ///
    /// # Errors
    /// [`MemblockError::MemoryTableFull`] if regions must be cut and there is no room.
    pub fn mark_nomap(&mut self, range: PhysRange) -> Result<(), MemblockError> {
        self.memory.set_flags(range, RegionFlags::NOMAP).map_err(|_| MemblockError::MemoryTableFull)
    }

    /// Takes back [`Memblock::mark_nomap`].
    ///
    /// # Errors
    /// [`MemblockError::MemoryTableFull`] if regions must be cut and there is no room.
    pub fn clear_nomap(&mut self, range: PhysRange) -> Result<(), MemblockError> {
        self.memory.set_flags(range, RegionFlags::empty()).map_err(|_| MemblockError::MemoryTableFull)
    }

    /// Keeps the lowest `limit` bytes of RAM and removes the rest, for `mem=`. Returns how many bytes went.
    pub fn enforce_limit(&mut self, limit: u64) -> u64 {
        let before = self.memory_bytes();
        if let Some(first_gone) = self.address_after(limit) {
            let gone = PhysRange::new(first_gone, self.end_of_memory());
            self.memory.remove(gone).expect("cutting at the top splits nothing");
        }
        before - self.memory_bytes()
    }

    /// Where the byte lies that has `bytes` of RAM below it.
    fn address_after(&self, bytes: u64) -> Option<PhysAddr> {
        let mut left = bytes;
        for region in self.memory() {
            if region.range.size() > left {
                return Some(region.range.start() + left);
            }
            left -= region.range.size();
        }
        None
    }

    /// Reserves `size` bytes of free memory, from the top, aligned to `align`.
    ///
    /// # Errors
    /// As [`Memblock::alloc_in`].
    pub fn alloc(&mut self, size: u64, align: u64, name: &'static str) -> Result<PhysRange, MemblockError> {
        self.alloc_in(&Request { align, ..Request::new(size, name) })
    }

    /// Reserves free memory as `request` says.
    ///
    /// # Errors
    /// [`MemblockError::NoSpace`] if nothing fits, [`MemblockError::ReservedTableFull`] if it cannot be written down,
    /// [`MemblockError::InvalidRequest`] for a size of zero or an alignment that is no power of two.
    pub fn alloc_in(&mut self, request: &Request) -> Result<PhysRange, MemblockError> {
        let found = self.find_free(request)?;
        self.reserve(found, request.name)?;
        Ok(found)
    }

    /// Finds free memory as `request` says, without reserving it.
    ///
    /// # Errors
    /// [`MemblockError::NoSpace`] and [`MemblockError::InvalidRequest`], as for [`Memblock::alloc_in`].
    pub fn find_free(&self, request: &Request) -> Result<PhysRange, MemblockError> {
        if request.size == 0 || !request.align.is_power_of_two() {
            return Err(MemblockError::InvalidRequest);
        }
        let mut fits = self.free_ranges().filter_map(|free| place(free.intersect(request.within), request));
        let found = match request.direction {
            Direction::BottomUp => fits.next(),
            Direction::TopDown => fits.last(),
        };
        found.ok_or(MemblockError::NoSpace)
    }

    /// The free ranges, ascending: RAM that may be mapped and is not reserved.
    pub fn free_ranges(&self) -> impl Iterator<Item = PhysRange> + '_ {
        FreeRanges { memory: self.memory.as_slice(), reserved: self.reserved.as_slice(), from: PhysAddr::new(0) }
    }

    /// The regions of RAM, ascending.
    #[must_use]
    pub fn memory(&self) -> &[Region] {
        self.memory.as_slice()
    }

    /// The reservations, ascending.
    #[must_use]
    pub fn reserved(&self) -> &[Region] {
        self.reserved.as_slice()
    }

    /// All RAM, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory.total_bytes()
    }

    /// All free memory, in bytes.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free_ranges().map(PhysRange::size).sum()
    }

    /// The byte after the highest RAM; 0 if there is none.
    #[must_use]
    pub fn end_of_memory(&self) -> PhysAddr {
        self.memory().last().map_or(PhysAddr::new(0), |region| region.range.end())
    }

    /// Whether `addr` is RAM.
    #[must_use]
    pub fn is_memory(&self, addr: PhysAddr) -> bool {
        self.memory.find(addr).is_some()
    }

    /// Whether `addr` is RAM that the kernel may map.
    #[must_use]
    pub fn is_map_memory(&self, addr: PhysAddr) -> bool {
        self.memory.find(addr).is_some_and(|region| !region.flags.contains(RegionFlags::NOMAP))
    }

    /// Whether any byte of `range` is reserved.
    #[must_use]
    pub fn is_reserved(&self, range: PhysRange) -> bool {
        self.reserved.overlaps(range)
    }
}

/// Where in `free` the request would go.
fn place(free: PhysRange, request: &Request) -> Option<PhysRange> {
    let start = match request.direction {
        Direction::BottomUp => free.start().align_up(request.align)?,
        Direction::TopDown => free.end().checked_sub(request.size)?.align_down(request.align),
    };
    let placed = PhysRange::from_size(start.value(), request.size)?;
    free.contains_range(placed).then_some(placed)
}

/// Walks both tables side by side.
struct FreeRanges<'a> {
    memory: &'a [Region],
    reserved: &'a [Region],
    /// All below is done.
    from: PhysAddr,
}

impl Iterator for FreeRanges<'_> {
    type Item = PhysRange;

    fn next(&mut self) -> Option<PhysRange> {
        loop {
            let (region, later) = self.memory.split_first()?;
            let start = self.from.max(region.range.start());
            if region.flags.contains(RegionFlags::NOMAP) || start >= region.range.end() {
                self.memory = later;
                continue;
            }
            match self.reserved.split_first() {
                Some((taken, later)) if taken.range.end() <= start => self.reserved = later,
                Some((taken, _)) if taken.range.start() <= start => self.from = taken.range.end(),
                next => {
                    let end = next.map_or(region.range.end(), |(taken, _)| region.range.end().min(taken.range.start()));
                    self.from = end;
                    return Some(PhysRange::new(start, end));
                }
            }
        }
    }
}

impl<const M: usize, const R: usize> fmt::Display for Memblock<M, R> {
    /// Prints both tables, one region a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, free) = (self.memory_bytes(), self.free_bytes());
        writeln!(f, "memory:   {} regions, {} KiB, {} KiB of them free", self.memory().len(), total >> 10, free >> 10)?;
        self.memory().iter().try_for_each(|region| write_region(f, region))?;
        writeln!(f, "reserved: {} regions, {} KiB", self.reserved().len(), self.reserved.total_bytes() >> 10)?;
        self.reserved().iter().try_for_each(|region| write_region(f, region))
    }
}

fn write_region(f: &mut fmt::Formatter<'_>, region: &Region) -> fmt::Result {
    let nomap = if region.flags.contains(RegionFlags::NOMAP) { " nomap" } else { "" };
    let space = if region.name.is_empty() { "" } else { " " };
    writeln!(f, "  {} {:>8} KiB{space}{}{nomap}", region.range, region.range.size().div_ceil(1024), region.name)
}
