//! Where the sources of the memory map disagree, as lines for the boot audit.

use core::fmt;

use arrayvec::ArrayVec;

use super::MemorySources;
use crate::mm::addr::PhysAddr;
use crate::mm::memblock::MemblockError;
use crate::mm::phys_range::PhysRange;
use crate::platform::board::BoardRevision;
use crate::platform::rpi4;

/// Where the map's RAM comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Source {
    /// /memory of the device tree.
    DeviceTree,
    /// The board's revision code.
    Board,
    /// The mailbox: the ARM's part of the first GiB.
    Mailbox,
    /// Nobody said anything credible.
    #[default]
    Assumption,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeviceTree => "device tree",
            Self::Board => "board revision",
            Self::Mailbox => "mailbox",
            Self::Assumption => "assumption",
        })
    }
}

/// One disagreement or correction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MapNote {
    /// A source was dropped: too little memory, or the kernel is not in it.
    NotBelieved {
        /// Which.
        source: Source,
        /// The RAM it leaves.
        bytes: u64,
        /// Whether the kernel lies in that RAM.
        has_kernel: bool,
    },
    /// The device tree ends within the first GiB though the board has more.
    BoardHasMore {
        /// Bytes in the tree.
        described: u64,
        /// Bytes of the board.
        total: u64,
        /// Bytes added.
        added: u64,
    },
    /// The device tree describes RAM that the board does not have.
    BoardHasLess {
        /// Bytes of the board.
        total: u64,
        /// Bytes taken off.
        removed: u64,
    },
    /// The device tree describes RAM where the peripherals are.
    PeripheralsInMemory {
        /// Bytes taken off.
        bytes: u64,
    },
    /// The device tree describes RAM that the linear map does not reach.
    BeyondLinearMap {
        /// Bytes taken off.
        bytes: u64,
    },
    /// Tree and mailbox put the border between ARM and VideoCore at different places.
    SplitDiffers {
        /// Where the tree's RAM ends.
        tree: PhysAddr,
        /// Where the mailbox's VideoCore part starts.
        mailbox: PhysAddr,
    },
    /// The VideoCore's part had to be guessed.
    VideocoreAssumed {
        /// What the mailbox said, if anything.
        said: Option<PhysRange>,
        /// What was used.
        used: PhysRange,
    },
    /// `mem=` would have left too little.
    LimitRaised {
        /// What was asked for.
        asked: u64,
        /// What was used.
        used: u64,
    },
    /// A reservation of the firmware would have hit the kernel or left too little.
    ReservationRefused(PhysRange),
    /// A device is not where the kernel looks for it; `enable_high_peripherals`, or a tree of another board.
    DeviceElsewhere {
        /// Which.
        name: &'static str,
        /// Where the tree has it.
        tree: PhysAddr,
        /// Where the kernel uses it.
        used: PhysAddr,
    },
    /// The revision code is not that of a board with a BCM2711.
    OtherBoard(BoardRevision),
    /// The map has no room.
    Refused(MemblockError),
}

impl From<MemblockError> for MapNote {
    fn from(error: MemblockError) -> Self {
        Self::Refused(error)
    }
}

impl MapNote {
    /// Whether it is only to be known and not to be mended. The one such note is what every run under QEMU brings.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        matches!(self, Self::BoardHasMore { .. })
    }
}

const fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

impl fmt::Display for MapNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBelieved { source, bytes, has_kernel: true } => write!(f, "{source}: {} MiB of memory: not believed", mib(*bytes)),
            Self::NotBelieved { source, .. } => write!(f, "{source}: the kernel is not in its memory: not believed"),
            Self::BoardHasMore { described, total, added } => write!(
                f,
                "device tree has {} MiB, board revision {} MiB: {} MiB above 1 GiB added",
                mib(*described),
                mib(*total),
                mib(*added)
            ),
            Self::BoardHasLess { total, removed } => {
                write!(f, "board revision has {} MiB: {} MiB of the device tree's taken off", mib(*total), mib(*removed))
            }
            Self::PeripheralsInMemory { bytes } => {
                write!(f, "device tree has {} MiB where the peripherals are: taken off", mib(*bytes))
            }
            Self::BeyondLinearMap { bytes } => write!(f, "device tree has {} MiB above the linear map: taken off", mib(*bytes)),
            Self::SplitDiffers { tree, mailbox } => {
                write!(f, "VideoCore's part starts at {mailbox} (mailbox), the device tree's memory ends at {tree}")
            }
            Self::VideocoreAssumed { said: None, used } => write!(f, "nobody says what is the VideoCore's: assumed {used}"),
            Self::VideocoreAssumed { said: Some(said), used } => {
                write!(f, "mailbox gives {said} to the VideoCore: not believed, assumed {used}")
            }
            Self::LimitRaised { asked, used } => write!(f, "mem={asked} is too little: {} MiB used", mib(*used)),
            Self::ReservationRefused(range) => write!(f, "device tree reserves {range}: refused, the kernel could not run"),
            Self::DeviceElsewhere { name, tree, used } => write!(f, "{name} is at {tree} in the device tree, used at {used}"),
            Self::OtherBoard(board) => write!(f, "revision is not of a board with a BCM2711: {board}"),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

/// How the map came about.
#[derive(Clone, Default, Debug)]
pub struct MapReport {
    /// Where RAM comes from.
    pub source: Source,
    notes: ArrayVec<MapNote, 16>,
}

impl MapReport {
    /// Adds a note; beyond sixteen the first ones say enough.
    pub(super) fn add(&mut self, note: MapNote) {
        if !self.notes.contains(&note) {
            // Full: dropped, see above.
            let _ = self.notes.try_push(note);
        }
    }

    /// The notes, in the order in which they arose.
    #[must_use]
    pub fn notes(&self) -> &[MapNote] {
        &self.notes
    }

    /// Whether all sources agree, or differ harmlessly.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.notes.iter().all(MapNote::is_harmless)
    }
}

/// Compares the tree's devices with the addresses that the kernel is built for.
pub(super) fn check_devices(sources: &MemorySources<'_>, report: &mut MapReport) {
    let Some(tree) = sources.device_tree else {
        return;
    };
    let found = [
        (&rpi4::UART0, tree.pl011.map(|uart| uart.base)),
        (&rpi4::GICD, tree.gic.map(|gic| gic.distributor)),
        (&rpi4::GICC, tree.gic.map(|gic| gic.cpu_interface)),
    ];
    for (device, base) in found {
        if let Some(base) = base.filter(|&base| base != device.phys()) {
            report.add(MapNote::DeviceElsewhere { name: device.name, tree: base, used: device.phys() });
        }
    }
}
