//! `/memory`, the reservation block and `/reserved-memory`.

use arrayvec::ArrayVec;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

use super::DeviceTreeFacts;
use super::bus::Bus;
use super::warning::{DtWarning, Fault, Warnings};
use crate::mm::phys_range::PhysRange;

/// Bytes that the firmware wants left alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation<'a> {
    /// The bytes.
    pub range: PhysRange,
    /// Whether the kernel must not even map them.
    pub is_nomap: bool,
    /// The node's name; empty for the reservation block, which has no names.
    pub name: &'a str,
}

/// All that are kept.
pub(super) type Reservations<'a> = ArrayVec<Reservation<'a>, 24>;

/// Reads where RAM is and what of it is taken.
pub(super) fn read<'a>(tree: &Fdt<'a>, root: &FdtNode<'a>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    read_ram(root, bus, facts);
    read_reservation_block(tree, facts);
    read_reserved_memory(root, bus, facts);
}

fn read_ram<'a>(root: &FdtNode<'a>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    let DeviceTreeFacts { memory, warnings, .. } = facts;
    for node in root.children().filter(|node| node.name_without_address() == "memory") {
        bus.each_reg(&node, warnings, |range, warnings| {
            if memory.try_push(range).is_err() {
                warnings.add(DtWarning::TooMany("ranges of memory"));
            }
        });
    }
    if memory.is_empty() {
        // The file of the distribution looks like this; the firmware fills it in.
        warnings.add(DtWarning::Missing("/memory with a size"));
    }
}

fn read_reservation_block<'a>(tree: &Fdt<'a>, facts: &mut DeviceTreeFacts<'a>) {
    for entry in tree.memory_reservations() {
        match PhysRange::from_size(entry.address(), entry.size()) {
            Some(range) => {
                push(Reservation { range, is_nomap: false, name: "" }, &mut facts.reservations, &mut facts.warnings);
            }
            None => facts.warnings.bad_property("reservation block", "entry", Fault::Wraps),
        }
    }
}

/// Only fixed ranges are reservations. A node without `reg` asks the kernel for a pool of some size, which is nothing to this kernel.
fn read_reserved_memory<'a>(root: &FdtNode<'a>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    let Some(parent) = root.child("reserved-memory") else {
        return;
    };
    let bus = Bus::below(&parent, bus, &mut facts.warnings);
    let DeviceTreeFacts { reservations, warnings, .. } = facts;
    for node in parent.children().filter(is_enabled) {
        let (is_nomap, name) = (node.property("no-map").is_some(), node.name());
        bus.each_reg(&node, warnings, |range, warnings| push(Reservation { range, is_nomap, name }, reservations, warnings));
    }
}

fn push<'a>(reservation: Reservation<'a>, reservations: &mut Reservations<'a>, warnings: &mut Warnings<'a>) {
    if !reservation.range.is_empty() && reservations.try_push(reservation).is_err() {
        warnings.add(DtWarning::TooMany("reservations"));
    }
}

/// Whether a node's `status` lets it be used.
pub(super) fn is_enabled(node: &FdtNode<'_>) -> bool {
    node.property("status").is_none_or(|status| matches!(status.value(), b"okay\0" | b"ok\0"))
}
