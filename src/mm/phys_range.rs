//! Half-open ranges of physical addresses.
//!
//! `core::ops::Range` would do, but it is not `Copy`, iterates, and allows `start > end`; here a range never wraps and is never inside out.
//!
//! Neighbours: `memblock` keeps lists of them, `platform` reads them from the device tree.

use core::fmt;

use super::addr::{PAGE_SIZE, PhysAddr};

/// The bytes from `start` up to, not including, `end`.
///
/// # Invariants
/// `start <= end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysRange {
    start: PhysAddr,
    end: PhysAddr,
}

impl PhysRange {
    /// The range between two addresses; empty if `end` lies below `start`.
    #[must_use]
    pub const fn new(start: PhysAddr, end: PhysAddr) -> Self {
        // INVARIANT: an end below the start is raised to it.
        if end.value() < start.value() { Self { start, end: start } } else { Self { start, end } }
    }

    /// The `size` bytes from `start`, or `None` if they wrap round.
    #[must_use]
    pub const fn from_size(start: u64, size: u64) -> Option<Self> {
        match start.checked_add(size) {
            Some(end) => Some(Self { start: PhysAddr::new(start), end: PhysAddr::new(end) }),
            None => None,
        }
    }

    /// The first byte.
    #[must_use]
    pub const fn start(self) -> PhysAddr {
        self.start
    }

    /// The byte after the last.
    #[must_use]
    pub const fn end(self) -> PhysAddr {
        self.end
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.end.value() - self.start.value()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.size() == 0
    }

    /// Whether `addr` lies in it.
    #[must_use]
    pub fn contains(self, addr: PhysAddr) -> bool {
        self.start <= addr && addr < self.end
    }

    /// Whether all bytes of `other` lie in it. An empty range lies in every range.
    #[must_use]
    pub fn contains_range(self, other: PhysRange) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }

    /// Whether the two share a byte.
    #[must_use]
    pub fn overlaps(self, other: PhysRange) -> bool {
        !self.intersect(other).is_empty()
    }

    /// The bytes that the two share; empty if there are none.
    #[must_use]
    pub fn intersect(self, other: PhysRange) -> PhysRange {
        PhysRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The whole pages inside: what may be handed out without touching a neighbour.
    #[must_use]
    pub fn pages_inside(self) -> PhysRange {
        let start = self.start.align_up(PAGE_SIZE as u64).unwrap_or(self.end);
        PhysRange::new(start, self.end.align_down(PAGE_SIZE as u64))
    }

    /// The pages touched: what must be kept when the range is kept. At the very top of the address space the end stays unaligned.
    #[must_use]
    pub fn pages_around(self) -> PhysRange {
        if self.is_empty() {
            return self;
        }
        PhysRange::new(self.start.align_down(PAGE_SIZE as u64), self.end.align_up(PAGE_SIZE as u64).unwrap_or(self.end))
    }
}

impl fmt::Display for PhysRange {
    /// Prints the first and the last byte, as Linux does: `[0x0000000000000000-0x000000003b3fffff]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "[{} empty]", self.start);
        }
        write!(f, "[{}-{:#018x}]", self.start, self.end.value() - 1)
    }
}

impl fmt::Debug for PhysRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
    }

    #[test]
    fn prints_first_and_last_byte() {
        assert_eq!(range(0, 0x3b40_0000).to_string(), "[0x0000000000000000-0x000000003b3fffff]");
        assert_eq!(range(4096, 4096).to_string(), "[0x0000000000001000 empty]");
    }

    #[test]
    fn never_inside_out() {
        assert!(range(9, 3).is_empty());
        assert_eq!(PhysRange::from_size(u64::MAX, 2), None);
        assert_eq!(PhysRange::from_size(u64::MAX, 0).unwrap().size(), 0);
    }

    #[test]
    fn pages_inside_and_around() {
        assert_eq!(range(1, 0x2fff).pages_inside(), range(0x1000, 0x2000));
        assert_eq!(range(1, 0x2fff).pages_around(), range(0, 0x3000));
        assert!(range(0x10, 0x20).pages_inside().is_empty());
        assert!(range(0x10, 0x10).pages_around().is_empty());
        assert!(range(u64::MAX - 2, u64::MAX).pages_inside().is_empty());
        assert_eq!(range(u64::MAX - 2, u64::MAX).pages_around().end().value(), u64::MAX);
    }

    #[test]
    fn overlap_wants_a_shared_byte() {
        assert!(!range(0, 4).overlaps(range(4, 8)));
        assert!(range(0, 5).overlaps(range(4, 8)));
        assert!(!range(0, 5).overlaps(range(2, 2)));
        assert!(range(0, 5).contains_range(range(7, 7)));
    }
}
