//! What the device tree says, as plain facts.
//!
//! The firmware leaves a flattened device tree in memory and its address in x0. It is hostile input: it may be missing, truncated, edited by
//! hand or no tree at all. [`parse`] cannot fail; whatever it cannot find or understand stays empty in [`DeviceTreeFacts`], with a warning for
//! the boot audit. The rest of the kernel never sees a node or a cell.
//!
//! The flattened format is read by the crate `dtoolkit`: no allocation, no recursion, maintained, fuzzed upstream. `Fdt::new` checks
//! every token of the tree once, and what it hands out afterwards cannot panic. So damage to the structure costs the whole
//! tree, while nonsense in a property costs that property only. (`fdt` 0.1, the older choice, panics on malformed cells.) Of
//! the crate's accessors only names, properties and cells are used: what the standard nodes mean is read here, leniently.
//!
//! Every walk is bounded: fixed paths, or [`MAX_DEPTH`] levels of nodes, each visited once.
//!
//! Context: boot, core 0, MMU on (a tree is not aligned). The facts borrow text from the blob, which stays reserved.
//! Neighbours: `memory_map` uses memory and reservations, `board` decodes the revision.
//! Source: Devicetree Specification 0.4.

mod bus;
mod chosen;
mod cpus;
mod devices;
mod memory;
#[cfg(test)]
mod mutation_test;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod trees;
mod warning;

use arrayvec::ArrayVec;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};

pub use chosen::Stdout;
pub use cpus::{CpuFacts, EnableMethod};
pub use devices::{DmaRange, GicFacts, TimerFacts, UartFacts};
pub use memory::Reservation;
pub use warning::{DtWarning, Fault, Warnings};

use super::board::BoardRevision;
use crate::mm::phys_range::PhysRange;
use bus::Bus;
use memory::Reservations;

/// First word of every flattened device tree.
pub const MAGIC: u32 = 0xd00d_feed;
/// Bytes of the header, and so the least that a tree has.
pub const HEADER_SIZE: usize = 40;
/// The largest tree that is believed. The Pi's has 27 to 60 KiB, QEMU doubles what it is given.
pub const MAX_SIZE: usize = 512 << 10;
/// How deep nodes are looked at; the root is level 0. The deepest device that matters is at level 2.
pub const MAX_DEPTH: usize = 5;

/// Everything that the kernel wants to know from a device tree. Empty fields: the tree does not say, or not intelligibly.
#[derive(Clone, Default, Debug)]
pub struct DeviceTreeFacts<'a> {
    /// Bytes of the tree itself, from its header; 0 if there is no tree.
    pub size_bytes: usize,
    /// The board's name.
    pub model: Option<&'a str>,
    /// The board's revision code, which the firmware adds.
    pub board_revision: Option<BoardRevision>,
    /// Where RAM is.
    pub memory: ArrayVec<PhysRange, 16>,
    /// What the firmware wants left alone: the reservation block and `/reserved-memory`.
    pub reservations: Reservations<'a>,
    /// The boot arguments.
    pub bootargs: Option<&'a str>,
    /// The console that the firmware proposes.
    pub stdout: Option<Stdout<'a>>,
    /// The cores.
    pub cpus: ArrayVec<CpuFacts<'a>, 8>,
    /// The first PL011.
    pub pl011: Option<UartFacts>,
    /// The interrupt controller.
    pub gic: Option<GicFacts>,
    /// The cores' timers.
    pub timer: Option<TimerFacts>,
    /// Which part of memory the devices of a bus reach, and under which addresses.
    pub dma_ranges: ArrayVec<DmaRange<'a>, 16>,
    /// What is wrong with the tree.
    pub warnings: Warnings<'a>,
}

impl DeviceTreeFacts<'_> {
    /// Whether a tree was there and sound, however little it says.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.size_bytes != 0
    }
}

/// The size of the tree that starts with these two words (as read from memory, not yet swapped).
///
/// For a caller that has only an address: it reads two aligned words and learns how much to copy or map.
///
/// # Errors
/// [`DtWarning::BadMagic`] or [`DtWarning::Implausible`].
pub const fn total_size(first_words: [u32; 2]) -> Result<usize, DtWarning<'static>> {
    let (magic, total) = (u32::from_be(first_words[0]), u32::from_be(first_words[1]));
    if magic != MAGIC {
        return Err(DtWarning::BadMagic { found: magic });
    }
    if (total as usize) < HEADER_SIZE || total as usize > MAX_SIZE {
        return Err(DtWarning::Implausible { total });
    }
    Ok(total as usize)
}

/// Reads a device tree. `blob` starts with its header and may be longer than the tree.
///
/// Never panics and ends in time proportional to the size of the tree, whatever the bytes are.
#[must_use]
pub fn parse(blob: &[u8]) -> DeviceTreeFacts<'_> {
    let mut facts = DeviceTreeFacts::default();
    match open(blob) {
        Ok(tree) => read_tree(tree, &mut facts),
        Err(warning) => facts.warnings.add(warning),
    }
    facts
}

/// Checks header and structure.
fn open(blob: &[u8]) -> Result<Fdt<'_>, DtWarning<'_>> {
    let Some(header) = blob.first_chunk::<HEADER_SIZE>() else {
        return Err(DtWarning::TooShort { have: blob.len() });
    };
    let word = |index: usize| u32::from_ne_bytes([header[index], header[index + 1], header[index + 2], header[index + 3]]);
    let total = total_size([word(0), word(4)])?;
    let tree = blob.get(..total).ok_or(DtWarning::Truncated { total, have: blob.len() })?;
    Fdt::new(tree).map_err(DtWarning::Structure)
}

fn read_tree<'a>(tree: Fdt<'a>, facts: &mut DeviceTreeFacts<'a>) {
    let root = tree.root();
    let bus = Bus::root(&root, &mut facts.warnings);
    facts.size_bytes = tree.data().len();

    read_board(&root, facts);
    chosen::read(&root, facts);
    memory::read(&tree, &root, &bus, facts);
    cpus::read(&root, facts);
    devices::read(&root, &bus, facts);
}

fn read_board<'a>(root: &FdtNode<'a>, facts: &mut DeviceTreeFacts<'a>) {
    facts.model = text(root, "model", &mut facts.warnings);
    if facts.model.is_none() {
        facts.warnings.add(DtWarning::Missing("model"));
    }
    if !root.is_compatible("brcm,bcm2711") {
        facts.warnings.add(DtWarning::OtherChip);
    }
    let system = root.child("system");
    facts.board_revision = system.and_then(|node| word(&node, "linux,revision", &mut facts.warnings)).map(BoardRevision::new);
}

/// A property that is a text, if there is one.
fn text<'a>(node: &FdtNode<'a>, property: &'static str, warnings: &mut Warnings<'a>) -> Option<&'a str> {
    match node.property(property)?.value_as::<&'a str>() {
        Ok(text) if !text.contains('\0') => Some(text),
        _ => {
            warnings.bad_property(node.name(), property, Fault::Text);
            None
        }
    }
}

/// A property that is one cell, if there is one.
fn word<'a>(node: &FdtNode<'a>, property: &'static str, warnings: &mut Warnings<'a>) -> Option<u32> {
    match node.property(property)?.value_as::<u32>() {
        Ok(word) => Some(word),
        Err(_) => {
            warnings.bad_property(node.name(), property, Fault::Length);
            None
        }
    }
}
