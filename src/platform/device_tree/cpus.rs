//! `/cpus`: the cores and how to start them.

use dtoolkit::Node;
use dtoolkit::fdt::FdtNode;

use super::bus::{CellCounts, single_number};
use super::warning::{DtWarning, Fault};
use super::{DeviceTreeFacts, text};

/// One core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuFacts<'a> {
    /// The affinity fields of its MPIDR_EL1.
    pub mpidr: u64,
    /// How it is started, if the tree says.
    pub enable_method: Option<EnableMethod<'a>>,
    /// Where a waiting core looks for its entry address: the spin table's cell.
    pub release_address: Option<u64>,
}

/// How a core is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnableMethod<'a> {
    /// It polls its release address.
    SpinTable,
    /// The secure firmware starts it; armstub8 has none.
    Psci,
    /// Something that this kernel does not know.
    Other(&'a str),
}

impl<'a> EnableMethod<'a> {
    fn from_name(name: &'a str) -> Self {
        match name {
            "spin-table" => Self::SpinTable,
            "psci" => Self::Psci,
            other => Self::Other(other),
        }
    }
}

/// Reads all cores, in the order of the tree.
pub(super) fn read<'a>(root: &FdtNode<'a>, facts: &mut DeviceTreeFacts<'a>) {
    let Some(cpus) = root.child("cpus") else {
        return facts.warnings.add(DtWarning::Missing("/cpus"));
    };
    let counts = CellCounts::of_children(&cpus, &mut facts.warnings);
    for node in cpus.children().filter(|node| node.name_without_address() == "cpu") {
        let Some(cpu) = read_cpu(&node, counts, facts) else {
            continue;
        };
        if facts.cpus.iter().any(|known| known.mpidr == cpu.mpidr) {
            facts.warnings.bad_property(node.name(), "reg", Fault::Value);
        } else if facts.cpus.try_push(cpu).is_err() {
            return facts.warnings.add(DtWarning::TooMany("cores"));
        }
    }
    if facts.cpus.is_empty() {
        facts.warnings.add(DtWarning::Missing("/cpus/cpu"));
    }
}

fn read_cpu<'a>(node: &FdtNode<'a>, counts: CellCounts, facts: &mut DeviceTreeFacts<'a>) -> Option<CpuFacts<'a>> {
    let mpidr = match node.property("reg").map(single_number) {
        Some(Ok(mpidr)) if (1..=2).contains(&counts.address) => mpidr,
        Some(_) => {
            facts.warnings.bad_property(node.name(), "reg", Fault::Length);
            return None;
        }
        None => {
            facts.warnings.add(DtWarning::Missing("reg of a cpu"));
            return None;
        }
    };
    let enable_method = text(node, "enable-method", &mut facts.warnings).map(EnableMethod::from_name);
    let release_address = match node.property("cpu-release-addr").map(single_number) {
        Some(Ok(address)) => Some(address),
        Some(Err(fault)) => {
            facts.warnings.bad_property(node.name(), "cpu-release-addr", fault);
            None
        }
        None => None,
    };
    Some(CpuFacts { mpidr, enable_method, release_address })
}
