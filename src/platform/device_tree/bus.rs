//! Numbers and addresses in a device tree: cells, `reg`, `ranges`.
//!
//! A number in a property is one or more 32-bit cells; how many, the parent node says. An address in `reg` is one of its bus; each bus on
//! the way up says in `ranges` where its addresses lie in the view of its parent. A [`Bus`] lives on the stack of the walk
//! and points at its parent there, so that translation needs no table and no allocation.
//!
//! Source: Devicetree Specification 0.4, §2.3.5, §2.3.6, §2.3.8.

use dtoolkit::fdt::{FdtNode, FdtProperty};
use dtoolkit::{Cells, Node, Property, ToCellInt};

use super::warning::{DtWarning, Fault, Warnings};
use crate::mm::phys_range::PhysRange;

/// The most cells that an address or size may have: PCI uses three, and nobody more.
const MAX_CELLS: u32 = 3;
/// The most entries of one `reg` or `ranges` that are looked at. Keeps a hostile tree from making translation quadratic.
const MAX_ENTRIES: usize = 64;

/// How many cells an address and a size have below a node.
#[derive(Clone, Copy)]
pub(super) struct CellCounts {
    pub(super) address: usize,
    pub(super) size: usize,
}

/// Reads a count of cells; `default` where the node does not say, or says nonsense.
fn count<'a>(node: &FdtNode<'a>, property: &'static str, default: u32, warnings: &mut Warnings<'a>) -> usize {
    let said = node.property(property).map(|property| property.value_as::<u32>());
    let count = match said {
        None => default,
        Some(Ok(count)) if count <= MAX_CELLS => count,
        Some(Ok(_)) => {
            warnings.bad_property(node.name(), property, Fault::Value);
            default
        }
        Some(Err(_)) => {
            warnings.bad_property(node.name(), property, Fault::Length);
            default
        }
    };
    count as usize
}

impl CellCounts {
    /// What `node` says about its children; 2 and 1 where it says nothing, as the specification wants.
    pub(super) fn of_children<'a>(node: &FdtNode<'a>, warnings: &mut Warnings<'a>) -> Self {
        Self { address: count(node, "#address-cells", 2, warnings), size: count(node, "#size-cells", 1, warnings) }
    }
}

/// A number of up to two cells; no cell at all is 0.
pub(super) fn number(cells: Cells<'_>) -> Result<u64, Fault> {
    cells.to_int::<u64>().map_err(|_| Fault::Width)
}

/// A property that is one number of one or two cells.
pub(super) fn single_number(property: FdtProperty<'_>) -> Result<u64, Fault> {
    match property.value_as::<u32>() {
        Ok(word) => Ok(u64::from(word)),
        Err(_) => property.value_as::<u64>().map_err(|_| Fault::Length),
    }
}

/// The space in which the `reg` of a node's children is written.
pub(super) struct Bus<'a, 'p> {
    parent: Option<&'p Bus<'a, 'p>>,
    counts: CellCounts,
    /// Where this space lies in the parent's; `None`: nowhere.
    ranges: Option<FdtProperty<'a>>,
}

impl<'a, 'p> Bus<'a, 'p> {
    /// The space of the root's children: what the CPU sees.
    pub(super) fn root(root: &FdtNode<'a>, warnings: &mut Warnings<'a>) -> Self {
        Self { parent: None, counts: CellCounts::of_children(root, warnings), ranges: None }
    }

    /// The space of the children of `node`, which itself lies on `parent`.
    pub(super) fn below(node: &FdtNode<'a>, parent: &'p Bus<'a, 'p>, warnings: &mut Warnings<'a>) -> Self {
        Self { parent: Some(parent), counts: CellCounts::of_children(node, warnings), ranges: node.property("ranges") }
    }

    /// The cells of an address and a size on this bus.
    pub(super) fn counts(&self) -> CellCounts {
        self.counts
    }

    /// Where `address` of this bus lies for the CPU.
    pub(super) fn translate(&self, address: u64) -> Option<u64> {
        let Some(parent) = self.parent else {
            return Some(address);
        };
        let ranges = self.ranges?;
        if ranges.value().is_empty() {
            return parent.translate(address);
        }
        let fields = [self.counts.address, parent.counts.address, self.counts.size];
        let entry = ranges.as_prop_encoded_array(fields).ok()?.take(MAX_ENTRIES).find_map(|[child, up, size]| {
            let offset = address.checked_sub(number(child).ok()?)?;
            (offset < number(size).ok()?).then_some(number(up).ok()?.checked_add(offset))
        });
        parent.translate(entry??)
    }

    /// Reads the `reg` of `node`, a child of this bus, and calls `entry` with each range in the CPU's view. Empty ranges are left out.
    pub(super) fn each_reg(&self, node: &FdtNode<'a>, warnings: &mut Warnings<'a>, mut entry: impl FnMut(PhysRange, &mut Warnings<'a>)) {
        let Some(property) = node.property("reg") else {
            return;
        };
        let Ok(entries) = property.as_prop_encoded_array([self.counts.address, self.counts.size]) else {
            return warnings.bad_property(node.name(), "reg", Fault::Length);
        };
        for [address, size] in entries.take(MAX_ENTRIES) {
            match self.cpu_range(node, address, size) {
                Ok(range) if range.is_empty() => {}
                Ok(range) => entry(range, warnings),
                Err(warning) => warnings.add(warning),
            }
        }
    }

    /// The CPU's view of one entry of `reg`. The first byte decides; no range of a real tree crosses from one window into another.
    fn cpu_range(&self, node: &FdtNode<'a>, address: Cells<'_>, size: Cells<'_>) -> Result<PhysRange, DtWarning<'a>> {
        let bad = |fault| DtWarning::BadProperty { node: node.name(), property: "reg", fault };
        let (address, size) = (number(address).map_err(bad)?, number(size).map_err(bad)?);
        if size == 0 {
            return Ok(PhysRange::default());
        }
        let base = self.translate(address).ok_or(DtWarning::Untranslatable { node: node.name(), address })?;
        PhysRange::from_size(base, size).ok_or(bad(Fault::Wraps))
    }
}
