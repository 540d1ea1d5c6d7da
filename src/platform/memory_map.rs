//! From what the firmware says to the memory map that the kernel boots with.
//!
//! Three sources may speak, none must: the device tree's /memory, the board's revision code, and the mailbox's split between ARM and VideoCore.
//! [`build`] takes RAM from the first that is credible, in that order, corrects it by the others, and writes down each disagreement
//! for the boot audit. It always yields a map that can be booted with.
//!
//! | matter | rule |
//! |---|---|
//! | RAM | the tree's, if it holds the kernel and at least [`MIN_MEMORY`]; else all that the board has; else the mailbox's ARM part; else [`ASSUMED_MEMORY`] |
//! | tree ends within the first GiB, board has more | the rest is added: QEMU's tree is like that. Who wants less memory says `mem=`, which is obeyed; the firmware's `total_mem=` is not |
//! | tree says more than the board has | the excess is taken off: touching it would be an external abort |
//! | VideoCore's part of the first GiB | never RAM; from the mailbox, else what the tree leaves out of the first GiB, else the firmware's default |
//! | 0xfc000000-0xffffffff | never RAM: devices |
//! | page 0, kernel, device tree, firmware's reservations | reserved |
//!
//! Reservations and limits that would leave the kernel without memory are refused: a device tree is input, and may be damaged.
//!
//! Context: boot, core 0. Neighbours: `device_tree` and the mailbox driver provide the facts, `mm::memblock` is the map.
//! Sources: Raspberry Pi documentation, "config.txt: memory options"; "BCM2711 ARM Peripherals" §1.2.

use arrayvec::ArrayVec;

use super::board::BoardRevision;
use super::device_tree::DeviceTreeFacts;
use super::rpi4;
use crate::mm::addr::{LINEAR_SIZE, PhysAddr};
use crate::mm::memblock::{Memblock, MemblockError};
use crate::mm::phys_range::PhysRange;

mod note;
#[cfg(test)]
mod tests;

pub use note::{MapNote, MapReport, Source};

/// The least RAM with which a source is believed, and the least that `mem=` can leave.
pub const MIN_MEMORY: u64 = 128 << 20;
/// What reservations must leave free.
pub const MIN_FREE: u64 = 32 << 20;
/// What is taken for granted when nobody says anything: the smallest Pi 4 has 1 GiB, of which the VideoCore gets at most half.
pub const ASSUMED_MEMORY: u64 = 512 << 20;
/// Below this the VideoCore's part cannot begin.
const MIN_VIDEOCORE_START: u64 = 256 << 20;

/// What is known about memory; `Default` knows nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct MemorySources<'a> {
    /// The device tree's facts.
    pub device_tree: Option<&'a DeviceTreeFacts<'a>>,
    /// The board's revision, from mailbox or tree.
    pub board: Option<BoardRevision>,
    /// The ARM's part of the first GiB, from the mailbox.
    pub arm: Option<PhysRange>,
    /// The VideoCore's part of the first GiB, from the mailbox.
    pub videocore: Option<PhysRange>,
    /// The kernel: image, symbol table, early page tables. Empty in tests only.
    pub kernel: PhysRange,
    /// The device tree itself; empty if there is none.
    pub device_tree_blob: PhysRange,
    /// `mem=`.
    pub limit: Option<u64>,
}

impl MemorySources<'_> {
    /// All RAM of the board, if the code is one that can be on this machine.
    fn board_bytes(&self) -> Option<u64> {
        self.board.filter(|board| board.is_bcm2711()).and_then(BoardRevision::memory_bytes)
    }
}

/// Builds the map in `map`, which is empty, and reports where the sources disagree.
pub fn build<const M: usize, const R: usize>(sources: &MemorySources<'_>, map: &mut Memblock<M, R>) -> MapReport {
    let mut report = MapReport::default();
    note::check_devices(sources, &mut report);
    if let Some(board) = sources.board.filter(|board| !board.is_bcm2711()) {
        report.add(MapNote::OtherBoard(board));
    }

    let (source, videocore) = find_ram(sources, map, &mut report);
    report.source = source;
    limit(sources, map, &mut report);
    if let Err(error) = reserve_own(sources, videocore, map) {
        report.add(MapNote::Refused(error));
    }
    reserve_firmware(sources, map, &mut report);
    report
}

/// Fills the table of memory from the first credible source, and says where the VideoCore's part lies.
fn find_ram<const M: usize, const R: usize>(
    sources: &MemorySources<'_>,
    map: &mut Memblock<M, R>,
    report: &mut MapReport,
) -> (Source, PhysRange) {
    for source in [Source::DeviceTree, Source::Board, Source::Mailbox] {
        let ranges = ranges_of(source, sources);
        if ranges.is_empty() {
            continue;
        }
        match try_source(source, &ranges, sources, map, report) {
            Ok(videocore) => return (source, videocore),
            Err(note) => report.add(note),
        }
        map.clear();
    }
    let assumed = PhysRange::new(PhysAddr::new(0), PhysAddr::new(ASSUMED_MEMORY));
    if let Err(error) = map.add(assumed) {
        report.add(MapNote::Refused(error));
    }
    (Source::Assumption, rpi4::DEFAULT_VIDEOCORE)
}

/// The RAM that a source speaks of, in whole pages.
fn ranges_of(source: Source, sources: &MemorySources<'_>) -> ArrayVec<PhysRange, 16> {
    let mut ranges = ArrayVec::new();
    match source {
        Source::DeviceTree => ranges.extend(sources.device_tree.iter().flat_map(|tree| tree.memory.iter().copied())),
        Source::Board => ranges.extend(sources.board_bytes().into_iter().flat_map(rpi4::ram)),
        Source::Mailbox => ranges.extend(sources.arm),
        Source::Assumption => {}
    }
    ranges.iter_mut().for_each(|range| *range = range.pages_inside());
    ranges.retain(|range| !range.is_empty());
    ranges
}

/// Tries what comes of a source; the map is left in any state if it is not credible.
fn try_source<const M: usize, const R: usize>(
    source: Source,
    ranges: &[PhysRange],
    sources: &MemorySources<'_>,
    map: &mut Memblock<M, R>,
    report: &mut MapReport,
) -> Result<PhysRange, MapNote> {
    ranges.iter().try_for_each(|&range| map.add(range))?;
    let videocore = videocore(source, sources, map, report);
    if source == Source::DeviceTree {
        match_board(sources, map, report)?;
    }
    take_off(rpi4::PERIPHERALS, map, |bytes| MapNote::PeripheralsInMemory { bytes }, source, report)?;
    let unmapped = PhysRange::new(PhysAddr::new(LINEAR_SIZE as u64), PhysAddr::new(u64::MAX));
    take_off(unmapped, map, |bytes| MapNote::BeyondLinearMap { bytes }, source, report)?;
    map.remove(videocore)?;

    let has_kernel = sources.kernel.is_empty() || map.memory().iter().any(|r| r.range.contains_range(sources.kernel));
    if !has_kernel || map.memory_bytes() < MIN_MEMORY {
        return Err(MapNote::NotBelieved { source, bytes: map.memory_bytes(), has_kernel });
    }
    Ok(videocore)
}

/// Takes what is not RAM off the map; worth a note only where the device tree claimed it.
fn take_off<const M: usize, const R: usize>(
    range: PhysRange,
    map: &mut Memblock<M, R>,
    note: fn(u64) -> MapNote,
    source: Source,
    report: &mut MapReport,
) -> Result<(), MemblockError> {
    let before = map.memory_bytes();
    map.remove(range)?;
    let gone = before - map.memory_bytes();
    if gone != 0 && source == Source::DeviceTree {
        report.add(note(gone));
    }
    Ok(())
}

/// Makes the device tree's RAM fit the board's.
fn match_board<const M: usize, const R: usize>(
    sources: &MemorySources<'_>,
    map: &mut Memblock<M, R>,
    report: &mut MapReport,
) -> Result<(), MemblockError> {
    let Some(total) = sources.board_bytes() else {
        return Ok(());
    };
    let [low, high] = rpi4::ram(total);

    if map.end_of_memory() <= rpi4::DMA_LIMIT && total > rpi4::DMA_LIMIT.value() {
        let described = map.memory_bytes();
        map.add(PhysRange::new(rpi4::DMA_LIMIT, low.end()))?;
        map.add(high)?;
        report.add(MapNote::BoardHasMore { described, total, added: map.memory_bytes() - described });
    }

    let before = map.memory_bytes();
    map.remove(PhysRange::new(low.end(), rpi4::PERIPHERALS.start()))?;
    map.remove(PhysRange::new(high.end().max(rpi4::PERIPHERALS.end()), PhysAddr::new(u64::MAX)))?;
    let removed = before - map.memory_bytes();
    if removed != 0 {
        report.add(MapNote::BoardHasLess { total, removed });
    }
    Ok(())
}

/// The VideoCore's part of the first GiB.
fn videocore<const M: usize, const R: usize>(
    source: Source,
    sources: &MemorySources<'_>,
    map: &Memblock<M, R>,
    report: &mut MapReport,
) -> PhysRange {
    let is_plausible = |range: &PhysRange| {
        let start = range.start().value();
        start >= MIN_VIDEOCORE_START && range.end() <= rpi4::DMA_LIMIT && !range.is_empty() && !range.overlaps(sources.kernel)
    };
    let first_gib = PhysRange::new(PhysAddr::new(0), rpi4::DMA_LIMIT);
    let arm_end = map.memory().iter().map(|region| region.range.intersect(first_gib)).rfind(|range| !range.is_empty());
    let left_out = arm_end.map(|range| PhysRange::new(range.end(), rpi4::DMA_LIMIT)).filter(is_plausible);

    match sources.videocore {
        Some(said) if is_plausible(&said) => {
            let gap = left_out.filter(|gap| gap.start() != said.start() && source == Source::DeviceTree);
            if let Some(gap) = gap {
                report.add(MapNote::SplitDiffers { tree: gap.start(), mailbox: said.start() });
            }
            said
        }
        said => {
            let used = left_out.unwrap_or(rpi4::DEFAULT_VIDEOCORE);
            if said.is_some() || left_out.is_none() {
                report.add(MapNote::VideocoreAssumed { said, used });
            }
            used
        }
    }
}

/// Obeys `mem=`, as far as the kernel can live with it.
fn limit<const M: usize, const R: usize>(sources: &MemorySources<'_>, map: &mut Memblock<M, R>, report: &mut MapReport) {
    let Some(asked) = sources.limit else {
        return;
    };
    let used = asked.max(MIN_MEMORY).max(sources.kernel.end().value() + MIN_FREE);
    if used != asked {
        report.add(MapNote::LimitRaised { asked, used });
    }
    map.enforce_limit(used);
}

/// Reserves what the kernel itself needs.
fn reserve_own<const M: usize, const R: usize>(
    sources: &MemorySources<'_>,
    videocore: PhysRange,
    map: &mut Memblock<M, R>,
) -> Result<(), MemblockError> {
    map.reserve(rpi4::FIRMWARE_PAGE, "page 0 (spin table)")?;
    map.reserve(sources.kernel.pages_around(), "kernel")?;
    map.reserve(sources.device_tree_blob.pages_around(), "device tree")?;
    map.reserve(videocore, "VideoCore")
}

/// Reserves what the device tree wants reserved, unless that would be the kernel's end.
fn reserve_firmware<const M: usize, const R: usize>(sources: &MemorySources<'_>, map: &mut Memblock<M, R>, report: &mut MapReport) {
    for reservation in sources.device_tree.iter().flat_map(|tree| &tree.reservations) {
        let range = reservation.range.pages_around();
        let taken: u64 = map.free_ranges().map(|free| free.intersect(range).size()).sum();
        let hits_kernel = reservation.is_nomap && range.overlaps(sources.kernel);
        if hits_kernel || (taken != 0 && map.free_bytes() - taken < MIN_FREE) {
            report.add(MapNote::ReservationRefused(range));
            continue;
        }
        if let Err(error) = map.reserve(range, "firmware") {
            report.add(MapNote::Refused(error));
        }
        if reservation.is_nomap
            && let Err(error) = map.mark_nomap(range)
        {
            report.add(MapNote::Refused(error));
        }
    }
}
