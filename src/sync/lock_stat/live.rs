//! The kernel's own lock statistics: a cell for each class, way of taking, and core.

use super::sites::TopSites;
use super::{Sum, Times};
use crate::arch::{self, NR_CPUS};
use crate::cpu;
use crate::sync::lock_class::{ClassId, MAX_CLASSES};
use crate::sync::meta::Access;
use crate::sync::unwatched::Unwatched;
use core::panic::Location;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a core counts of a class, for one way of taking its locks.
#[derive(Debug)]
struct Cell {
    taken: AtomicU64,
    waits: Times,
    holds: Times,
}

/// What one core counts. Aligned, so that no line is two cores'.
#[derive(Debug)]
#[repr(align(64))]
struct CoreCells([[Cell; 2]; MAX_CLASSES]);

static CELLS: [CoreCells; NR_CPUS] = [const {
    CoreCells([const { [const { Cell { taken: AtomicU64::new(0), waits: Times::new(), holds: Times::new() } }; 2] }; MAX_CLASSES])
}; NR_CPUS];

static SITES: Unwatched<[TopSites; MAX_CLASSES]> = Unwatched::new([TopSites::EMPTY; MAX_CLASSES]);

/// The two ways of taking that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Alone.
    Exclusive,
    /// As a reader.
    Shared,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Exclusive, Self::Shared];

    fn of(access: Access) -> Self {
        if access == Access::Exclusive { Self::Exclusive } else { Self::Shared }
    }
}

fn cell(cpu: usize, class: ClassId, way: Way) -> &'static Cell {
    &CELLS[cpu].0[class.index()][way as usize]
}

/// Counts an acquisition. Context: any, pinned.
#[inline]
pub(in crate::sync) fn count_taken(class: ClassId, access: Access) {
    cell(cpu::id(), class, Way::of(access)).taken.fetch_add(1, Relaxed);
}

/// Counts a time for which a lock was held. Context: any, pinned.
#[inline]
pub(in crate::sync) fn count_hold(class: ClassId, access: Access, ticks: u64) {
    cell(cpu::id(), class, Way::of(access)).holds.add(ticks);
}

/// A wait that goes on; counted when this is dropped.
#[derive(Debug)]
pub(in crate::sync) struct Waiting {
    class: ClassId,
    way: Way,
    at: Option<&'static Location<'static>>,
    since: u64,
}

impl Waiting {
    /// A wait that is nobody's business.
    pub const NOT_COUNTED: Self = Self { class: ClassId::UNKNOWN, way: Way::Exclusive, at: None, since: 0 };

    /// Begins now. Context: any, pinned.
    pub fn new(class: ClassId, access: Access, at: &'static Location<'static>) -> Self {
        Self { class, way: Way::of(access), at: Some(at), since: arch::counter::now() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(at) = self.at.filter(|_| self.class != ClassId::UNKNOWN) else { return };
        cell(cpu::id(), self.class, self.way).waits.add(arch::counter::now().wrapping_sub(self.since));
        SITES.with(|sites| sites[self.class.index()].add(at));
    }
}

/// The statistics of a class, for one way of taking its locks.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How often.
    pub acquisitions: u64,
    /// Waits, in ticks of the counter.
    pub waits: Sum,
    /// Times held, in ticks of the counter.
    pub holds: Sum,
}

/// The statistics of `class` now. Context: any.
pub fn row(class: ClassId, way: Way) -> Row {
    let mut row = Row { acquisitions: 0, waits: Sum::default(), holds: Sum::default() };
    for cpu in 0..NR_CPUS {
        let cell = cell(cpu, class, way);
        row.acquisitions += cell.taken.load(Relaxed);
        cell.waits.add_to(&mut row.waits);
        cell.holds.add_to(&mut row.holds);
    }
    row
}

/// The call sites at which `class` is waited for. Context: any.
pub fn sites(class: ClassId) -> TopSites {
    SITES.with(|sites| sites[class.index()])
}

/// Begins anew. What is counted meanwhile may be lost in part. Context: any.
pub fn clear() {
    for cells in &CELLS {
        for cell in cells.0.iter().flatten() {
            cell.taken.store(0, Relaxed);
            cell.waits.clear();
            cell.holds.clear();
        }
    }
    SITES.with(|sites| sites.fill(TopSites::EMPTY));
}
