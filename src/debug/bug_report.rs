//! Misuse of an API that was survived: one block with what, where, in which context, and how it came there.
//!
//! ```text
//! BUG: free_pages: double free of page 0x1234, order 0: it is free already
//!   at src/mm/slab.rs:120, cpu1, thread idle/1 (pid 0), in thread
//!   0xffffffff80091234 tetra::mm::...+0x12/0x40
//! ```
//! One record, so that reports of several cores do not mix; the backtrace is cut where the record is full.
//!
//! Neighbours: `lock_report` has more to say of locks; `panic` is for what is not survived.

use super::backtrace::{self, Start};
use super::symbols::Named;
use super::taint::{Taint, add_taint};
use crate::cpu;
use crate::log::{Level, emit};
use core::fmt;
use core::panic::Location;

/// Frames that are shown: more do not fit a record.
const NR_FRAMES: usize = 8;

/// Upcall of all layers: prints a report. Context: any.
#[unsafe(no_mangle)]
fn tetra_bug_report(what: fmt::Arguments<'_>, place: &'static Location<'static>) {
    add_taint(Taint::Warn);
    emit(
        Level::Err,
        "",
        format_args!("BUG: {what}\n  at {}:{}, cpu{}, {}", place.file(), place.line(), cpu::id(), Where(backtrace::here())),
    );
}

/// Thread, context and backtrace from here: taken before formatting begins, whose frames say nothing.
struct Where(Start);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match cpu::task::try_current() {
            Some(task) => write!(f, "thread {task}, in {}", cpu::context::name())?,
            None => write!(f, "no thread yet")?,
        }
        for frame in backtrace::Frames::from(self.0).take(NR_FRAMES) {
            write!(f, "\n  {:#018x} {}", frame.address, Named::return_to(frame.address))?;
        }
        Ok(())
    }
}
