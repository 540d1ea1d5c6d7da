//! The text of a report: one shape for panics, oopses and warnings.
//!
//! ```text
//! Kernel panic on cpu2: write failed: nothing mapped (level 1) at 0x0, the NULL page
//! core: cpu2   thread: idle/2 (pid 0)   in: hardirq   count: 0x10000   uptime: 12.345678 s
//! Tainted: [W]=WARN
//! build: 0123456789abcdef
//! pc : 0xffffffff80081234 tetra::...+0x12/0x40
//! ...
//! ```
//! `make symbolize` reads this text; keep `build:`, `pc :` and the `#n 0x...` lines as they are.

use super::backtrace::{self, Start};
use super::symbols::Named;
use super::taint::get_taint;
use crate::arch::exception::ExceptionFrame;
use crate::arch::{self, layout};
use crate::cpu;
use core::fmt::{self, Write};

/// First 8 bytes of the image's GNU build id, which `make symbolize` compares with the ELF's.
pub fn build_id() -> u64 {
    const NOTE_HEADER: usize = 16;
    let note = layout::build_id_note();
    note.get(NOTE_HEADER..NOTE_HEADER + 8).map_or(0, |id| u64::from_be_bytes(id.try_into().expect("8 bytes were taken")))
}

/// Which core and thread speaks, in which context, and what happened to this kernel before.
///
/// # Errors
/// Those of `out`.
pub fn write_context(out: &mut dyn Write) -> fmt::Result {
    let cpu = cpu::id();
    let us = u128::from(arch::counter::now()) * 1_000_000 / u128::from(arch::counter::frequency_hz());
    write!(out, "core: cpu{cpu}   thread: ")?;
    match cpu::task::try_current() {
        Some(task) => write!(out, "{task}")?,
        None => out.write_str("none yet")?,
    }
    writeln!(
        out,
        "   in: {}   count: {:#x}   uptime: {}.{:06} s",
        cpu::context::name(),
        cpu::preempt_count(),
        us / 1_000_000,
        us % 1_000_000
    )?;
    writeln!(out, "{}", get_taint())?;
    writeln!(out, "build: {:016x}", build_id())
}

/// The saved registers.
///
/// # Errors
/// Those of `out`.
pub fn write_registers(out: &mut dyn Write, frame: &ExceptionFrame) -> fmt::Result {
    writeln!(out, "pc : {:#018x} {}", frame.elr, Named::exact(frame.elr as usize))?;
    writeln!(out, "lr : {:#018x} {}", frame.lr, Named::return_to(frame.lr as usize))?;
    writeln!(out, "sp : {:#018x}   spsr: {:#x}   esr: {:#x}   far: {:#x}", frame.sp, frame.spsr, frame.esr, frame.far)?;
    for (row, registers) in frame.x.chunks(4).enumerate() {
        for (column, value) in registers.iter().enumerate() {
            write!(out, "x{:<2}: {value:016x}  ", row * 4 + column)?;
        }
        if row == 7 {
            write!(out, "fp : {:016x}", frame.fp)?;
        }
        out.write_char('\n')?;
    }
    Ok(())
}

/// A backtrace with its heading.
///
/// # Errors
/// Those of `out`.
pub fn write_backtrace(out: &mut dyn Write, start: Start) -> fmt::Result {
    writeln!(out, "backtrace:")?;
    backtrace::write(out, start)
}
