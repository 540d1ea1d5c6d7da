//! `/chosen`: what the firmware tells the kernel, as opposed to what it tells about the hardware.

use dtoolkit::fdt::FdtNode;
use dtoolkit::{Node, Property};

use super::warning::{DtWarning, Fault};
use super::{DeviceTreeFacts, text};

/// The console that the firmware proposes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stdout<'a> {
    /// The path of its node.
    pub path: &'a str,
    /// What follows the colon, such as `115200n8`; empty if nothing does.
    pub options: &'a str,
}

/// Reads boot arguments and console.
pub(super) fn read<'a>(root: &FdtNode<'a>, facts: &mut DeviceTreeFacts<'a>) {
    let Some(chosen) = root.child("chosen") else {
        return facts.warnings.add(DtWarning::Missing("/chosen"));
    };
    facts.bootargs = text(&chosen, "bootargs", &mut facts.warnings);

    let Some(stdout) = text(&chosen, "stdout-path", &mut facts.warnings) else {
        return;
    };
    let (target, options) = stdout.split_once(':').unwrap_or((stdout, ""));
    facts.stdout = resolve(root, target, facts).map(|path| Stdout { path, options });
    if facts.stdout.is_none() {
        facts.warnings.bad_property("chosen", "stdout-path", Fault::Dangling);
    }
}

/// A path is itself; anything else is the name of an alias.
fn resolve<'a>(root: &FdtNode<'a>, target: &'a str, facts: &mut DeviceTreeFacts<'a>) -> Option<&'a str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let aliases = root.child("aliases")?;
    let alias = aliases.properties().find(|property| property.name() == target)?;
    match alias.value_as::<&'a str>() {
        Ok(path) if path.starts_with('/') && !path.contains('\0') => Some(path),
        _ => {
            facts.warnings.bad_property("aliases", "path", Fault::Text);
            None
        }
    }
}
