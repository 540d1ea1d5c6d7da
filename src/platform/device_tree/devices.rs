//! The devices whose place and interrupts are checked against the platform's constants.
//!
//! Found by `compatible`, not by path: paths and unit addresses are the first thing that differs between one tree and the next.

use dtoolkit::fdt::FdtNode;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property, ToCellInt};

use super::bus::{Bus, number};
use super::memory::is_enabled;
use super::warning::{DtWarning, Fault, Warnings};
use super::{DeviceTreeFacts, MAX_DEPTH, word};
use crate::drivers::gicv2::IntId;
use crate::mm::addr::PhysAddr;

/// Serial port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UartFacts {
    /// Physical address of its registers.
    pub base: PhysAddr,
    /// Its interrupt.
    pub intid: Option<IntId>,
    /// Its clock, if the tree knows: the Pi's does not, the firmware sets it.
    pub clock_hz: Option<u32>,
}

/// Interrupt controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GicFacts {
    /// Physical address of the distributor.
    pub distributor: PhysAddr,
    /// Physical address of the CPU interface.
    pub cpu_interface: PhysAddr,
}

/// Interrupts of each core's timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TimerFacts {
    /// Secure physical timer.
    pub secure: Option<IntId>,
    /// Non-secure physical timer.
    pub physical: Option<IntId>,
    /// Virtual timer.
    pub virtual_: Option<IntId>,
    /// Hypervisor physical timer.
    pub hypervisor: Option<IntId>,
}

/// A window through which the devices of a bus see memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DmaRange<'a> {
    /// The node of the bus.
    pub bus: &'a str,
    /// The address that a device uses.
    pub bus_address: u64,
    /// What it means to the CPU.
    pub cpu_address: u64,
    /// Bytes of the window.
    pub size: u64,
}

/// Where the serial port was found.
type Uart<'a> = Option<(PhysAddr, FdtNode<'a>)>;

/// Reads all devices of interest, and warns of those that are not there.
pub(super) fn read<'a>(root: &FdtNode<'a>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    let mut uart = None;
    walk(root, bus, 1, &mut uart, facts);
    // After the walk, so that its clock is looked for once and not for each candidate.
    facts.pl011 = uart.map(|(base, node)| {
        let [intid] = interrupts::<1>(&node, &mut facts.warnings);
        UartFacts { base, intid, clock_hz: clock_of(root, &node, &mut facts.warnings) }
    });
    for (is_missing, name) in [(facts.pl011.is_none(), "PL011"), (facts.gic.is_none(), "GIC-400"), (facts.timer.is_none(), "timer")] {
        if is_missing {
            facts.warnings.add(DtWarning::Missing(name));
        }
    }
}

/// Visits the children of `node`, which lie on `bus`, and theirs. `depth` bounds the recursion.
fn walk<'a>(node: &FdtNode<'a>, bus: &Bus<'a, '_>, depth: usize, uart: &mut Uart<'a>, facts: &mut DeviceTreeFacts<'a>) {
    for child in node.children() {
        if depth > MAX_DEPTH {
            return facts.warnings.add(DtWarning::TooDeep);
        }
        visit(&child, bus, uart, facts);
        let below = Bus::below(&child, bus, &mut facts.warnings);
        read_dma_ranges(&child, &below, bus, facts);
        walk(&child, &below, depth + 1, uart, facts);
    }
}

fn visit<'a>(node: &FdtNode<'a>, bus: &Bus<'a, '_>, uart: &mut Uart<'a>, facts: &mut DeviceTreeFacts<'a>) {
    if node.is_compatible("arm,pl011") && is_enabled(node) {
        // The chip has five; UART0 is the one with the lowest address.
        let [base, _] = bases(node, bus, &mut facts.warnings);
        if let Some(base) = base.filter(|&base| uart.is_none_or(|(known, _)| base < known)) {
            *uart = Some((base, *node));
        }
    } else if node.is_compatible("arm,gic-400") && facts.gic.is_none() {
        read_gic(node, bus, facts);
    } else if node.is_compatible("arm,armv8-timer") && facts.timer.is_none() {
        let [secure, physical, virtual_, hypervisor] = interrupts(node, &mut facts.warnings);
        facts.timer = Some(TimerFacts { secure, physical, virtual_, hypervisor });
    }
}

fn read_gic<'a>(node: &FdtNode<'a>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    match bases(node, bus, &mut facts.warnings) {
        [Some(distributor), Some(cpu_interface)] => facts.gic = Some(GicFacts { distributor, cpu_interface }),
        _ => facts.warnings.bad_property(node.name(), "reg", Fault::Length),
    }
}

/// The first two addresses of `reg`.
fn bases<'a>(node: &FdtNode<'a>, bus: &Bus<'a, '_>, warnings: &mut Warnings<'a>) -> [Option<PhysAddr>; 2] {
    let mut bases = [None; 2];
    let mut slots = bases.iter_mut();
    bus.each_reg(node, warnings, |range, _| {
        if let Some(slot) = slots.next() {
            *slot = Some(range.start());
        }
    });
    bases
}

/// The first `N` interrupts, in the GIC's notation: kind, number, flags.
fn interrupts<'a, const N: usize>(node: &FdtNode<'a>, warnings: &mut Warnings<'a>) -> [Option<IntId>; N] {
    let mut intids = [None; N];
    let Some(property) = node.property("interrupts") else {
        return intids;
    };
    let Ok(entries) = property.as_prop_encoded_array([1, 1, 1]) else {
        warnings.bad_property(node.name(), "interrupts", Fault::Length);
        return intids;
    };
    for (slot, [kind, line, _flags]) in intids.iter_mut().zip(entries) {
        *slot = intid(kind.to_int().unwrap_or(u32::MAX), line.to_int().unwrap_or(u32::MAX));
        if slot.is_none() {
            warnings.bad_property(node.name(), "interrupts", Fault::Value);
        }
    }
    intids
}

/// Source: the GIC's binding of the device tree: kind 0 is shared and counts from 32, kind 1 is private and counts from 16.
fn intid(kind: u32, line: u32) -> Option<IntId> {
    let number = match kind {
        0 => line.checked_add(32)?,
        1 if line < 16 => line + 16,
        _ => return None,
    };
    IntId::new(u16::try_from(number).ok()?)
}

/// The clock of a device: its own `clock-frequency`, or that of the fixed clock which `clocks` names first.
fn clock_of<'a>(root: &FdtNode<'a>, node: &FdtNode<'a>, warnings: &mut Warnings<'a>) -> Option<u32> {
    if node.property("clock-frequency").is_some() {
        return word(node, "clock-frequency", warnings);
    }
    let phandle = node.property("clocks")?.value().first_chunk().map(|cell| u32::from_be_bytes(*cell))?;
    let clock = fixed_clocks(root).find(|clock| clock.property("phandle").is_some_and(|p| p.value_as::<u32>() == Ok(phandle)))?;
    word(&clock, "clock-frequency", warnings)
}

/// Fixed clocks lie below the root or in `/clocks`.
fn fixed_clocks<'a>(root: &FdtNode<'a>) -> impl Iterator<Item = FdtNode<'a>> {
    let below_clocks = root.child("clocks").into_iter().flat_map(|clocks| clocks.children());
    root.children().chain(below_clocks).filter(|node| node.is_compatible("fixed-clock"))
}

/// Reads `dma-ranges` of a bus. Wide addresses, as PCI's, are not for this kernel's devices and are left out.
fn read_dma_ranges<'a>(node: &FdtNode<'a>, below: &Bus<'a, '_>, bus: &Bus<'a, '_>, facts: &mut DeviceTreeFacts<'a>) {
    let Some(property) = node.property("dma-ranges").filter(|property| !property.value().is_empty()) else {
        return;
    };
    let (child, parent) = (below.counts(), bus.counts());
    let Ok(entries) = property.as_prop_encoded_array([child.address, parent.address, child.size]) else {
        return facts.warnings.bad_property(node.name(), "dma-ranges", Fault::Length);
    };
    for [bus_address, cpu_address, size] in entries {
        let (Ok(bus_address), Ok(cpu_address), Ok(size)) = (number(bus_address), number(cpu_address), number(size)) else {
            continue;
        };
        let range = DmaRange { bus: node.name(), bus_address, cpu_address, size };
        if facts.dma_ranges.try_push(range).is_err() {
            return facts.warnings.add(DtWarning::TooMany("dma-ranges"));
        }
    }
}
