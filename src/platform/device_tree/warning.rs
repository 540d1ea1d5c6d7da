//! What is wrong with a device tree.
//!
//! A tree that is wrong in one place is still used in the others: whoever reads it leaves the field empty and files a warning. The list is
//! bounded, because a hostile tree can be wrong thousands of times.

use core::fmt;

use arrayvec::ArrayVec;
use dtoolkit::error::FdtParseError;

/// Warnings kept; the first ones say the most.
const MAX_WARNINGS: usize = 12;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DtWarning<'a> {
    /// Fewer bytes than a header has.
    TooShort {
        /// The bytes that are there.
        have: usize,
    },
    /// The first word is not 0xd00dfeed: this is no device tree.
    BadMagic {
        /// The first word.
        found: u32,
    },
    /// The header claims a size that no tree of this machine has.
    Implausible {
        /// The size claimed.
        total: u32,
    },
    /// The header claims more bytes than are there.
    Truncated {
        /// The size claimed.
        total: usize,
        /// The bytes that are there.
        have: usize,
    },
    /// Blocks or tokens are damaged; nothing of the tree is believed.
    Structure(FdtParseError),
    /// A node or property that a Pi 4's tree has is not there.
    Missing(&'static str),
    /// A property cannot be understood.
    BadProperty {
        /// The name of its node.
        node: &'a str,
        /// Its own name.
        property: &'static str,
        /// Why not.
        fault: Fault,
    },
    /// A bus does not say where this address lies in the CPU's view.
    Untranslatable {
        /// The name of the node.
        node: &'a str,
        /// The address on its bus.
        address: u64,
    },
    /// More entries than there is room for; the first ones are kept.
    TooMany(&'static str),
    /// Nodes nested deeper than is looked at.
    TooDeep,
    /// The tree is for another chip.
    OtherChip,
}

/// Why a property cannot be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its length does not fit what it should hold.
    Length,
    /// A number has more than two cells and does not fit 64 bits.
    Width,
    /// Address plus size wraps round.
    Wraps,
    /// It is no text.
    Text,
    /// It refers to something that is not there.
    Dangling,
    /// It has a value that makes no sense.
    Value,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "has the wrong length",
            Self::Width => "holds a number wider than 64 bits",
            Self::Wraps => "holds a range that wraps round",
            Self::Text => "is no text",
            Self::Dangling => "refers to something that is not there",
            Self::Value => "has a value that makes no sense",
        })
    }
}

impl fmt::Display for DtWarning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { have } => write!(f, "device tree: {have} bytes are less than a header"),
            Self::BadMagic { found } => write!(f, "device tree: magic is {found:#010x}, not 0xd00dfeed"),
            Self::Implausible { total } => write!(f, "device tree: header claims {total} bytes"),
            Self::Truncated { total, have } => write!(f, "device tree: header claims {total} bytes, {have} are there"),
            Self::Structure(error) => write!(f, "device tree: damaged: {error}"),
            Self::Missing(what) => write!(f, "device tree: no {what}"),
            Self::BadProperty { node, property, fault } => write!(f, "device tree: {node}: {property} {fault}"),
            Self::Untranslatable { node, address } => write!(f, "device tree: {node}: no bus maps address {address:#x}"),
            Self::TooMany(what) => write!(f, "device tree: too many {what}, the rest is ignored"),
            Self::TooDeep => f.write_str("device tree: nodes nested too deeply are ignored"),
            Self::OtherChip => f.write_str("device tree: written for another chip than the BCM2711"),
        }
    }
}

/// The warnings about a tree, in the order of their discovery, each once.
#[derive(Clone, Default, Debug)]
pub struct Warnings<'a> {
    kept: ArrayVec<DtWarning<'a>, MAX_WARNINGS>,
    dropped: usize,
}

impl<'a> Warnings<'a> {
    /// Files a warning, unless it was filed before or the list is full.
    pub(super) fn add(&mut self, warning: DtWarning<'a>) {
        if self.kept.contains(&warning) {
            return;
        }
        if self.kept.try_push(warning).is_err() {
            self.dropped += 1;
        }
    }

    /// Files that `property` of `node` cannot be understood.
    pub(super) fn bad_property(&mut self, node: &'a str, property: &'static str, fault: Fault) {
        self.add(DtWarning::BadProperty { node, property, fault });
    }

    /// The warnings that were kept.
    pub fn iter(&self) -> impl Iterator<Item = &DtWarning<'a>> {
        self.kept.iter()
    }

    /// How many more there were.
    #[must_use]
    pub const fn dropped(&self) -> usize {
        self.dropped
    }

    /// Whether the tree is without fault.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
