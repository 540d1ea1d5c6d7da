//! What each core of a hung guest is doing: registers, and a backtrace along the frame pointers.
//!
//! The guest takes no part: QEMU stops it, prints the registers and reads the stacks.

use std::fmt::Write;

use anyhow::{Context, Result};
use regex::Regex;
use serde_json::json;

use crate::elf::Symbols;
use crate::qmp::Qmp;

/// Frames shown of one core.
const FRAMES_MAX: usize = 32;

/// Stops the guest and describes its cores.
pub fn describe(qmp: &mut Qmp, symbols: &Symbols) -> Result<String> {
    qmp.execute("stop", json!({}))?;
    let text = qmp.monitor("info registers -a")?;
    let mut report = String::new();
    for (number, registers) in cores(&text).into_iter().enumerate() {
        let get = |name: &str| register(&registers, name);
        let (pc, fp, lr) = (get("PC"), get("X29"), get("X30"));
        let Some(pc) = pc else { continue };
        writeln!(report, "core {number}: {}", registers_line(&registers))?;
        writeln!(report, "    {pc:#018x}  {}", symbols.describe(pc))?;
        let frames = walk(qmp, number, fp.unwrap_or(0));
        // A leaf function has no frame yet: its caller is only in the link register.
        if let Some(lr) = lr.filter(|lr| frames.first() != Some(lr) && *lr != 0) {
            writeln!(report, "    {lr:#018x}  {}  (link register)", symbols.describe(lr.wrapping_sub(4)))?;
        }
        for address in frames {
            writeln!(report, "    {address:#018x}  {}", symbols.describe(address.wrapping_sub(4)))?;
        }
    }
    Ok(report)
}

/// Splits the monitor's text into one part a core.
fn cores(text: &str) -> Vec<String> {
    text.split("CPU#").skip(1).map(str::to_owned).collect()
}

fn register(text: &str, name: &str) -> Option<u64> {
    let pattern = Regex::new(&format!(r"\b{name}=\s*([0-9a-fA-F]+)")).expect("a register name is a plain word");
    u64::from_str_radix(&pattern.captures(text)?[1], 16).ok()
}

/// The registers that say most, on one line.
fn registers_line(text: &str) -> String {
    let mut line = String::new();
    for name in ["PC", "SP", "X29", "X30", "X18", "X0?0", "X0?1", "PSTATE"] {
        if let Some(value) = register(text, name) {
            let _ = write!(line, "{} {value:#x} ", name.replace("0?", "").to_lowercase());
        }
    }
    let state = Regex::new(r"PSTATE=\w+ (.*)").expect("a fixed pattern");
    line + state.captures(text).map_or("", |found| found.get(1).map_or("", |group| group.as_str())).trim()
}

/// Follows the frame records, which must lie at rising addresses, and returns the return addresses.
fn walk(qmp: &mut Qmp, core: usize, mut frame: u64) -> Vec<u64> {
    let mut addresses = Vec::new();
    while addresses.len() < FRAMES_MAX && frame != 0 && frame.is_multiple_of(8) {
        let Ok((next, address)) = frame_record(qmp, core, frame) else { break };
        if address == 0 {
            break;
        }
        addresses.push(address);
        if next <= frame {
            break;
        }
        frame = next;
    }
    addresses
}

fn frame_record(qmp: &mut Qmp, core: usize, address: u64) -> Result<(u64, u64)> {
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().to_str().context("the folder for temporary files is not UTF-8")?;
    // The protocol takes signed numbers; kernel addresses are above their range.
    let signed = address as i64;
    qmp.execute("memsave", json!({ "val": signed as u64, "size": 16, "filename": path, "cpu-index": core }))?;
    let bytes = std::fs::read(path)?;
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    word(0).zip(word(8)).context("QEMU read too little")
}
