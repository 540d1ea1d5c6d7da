//! A report in the log: one record a line, and one report at a time.
//!
//! For what is survived. Such a report goes to the rings like any message, so that it costs its core no more than the formatting: the console shows it
//! later, at the speed of its line, or not at all if its level is hidden; `dmesg` has it in any case. A panic, which has no later, writes straight to the
//! console instead (`panic`).
//!
//! Reports of two cores do not mix: the second waits for the first, a bounded time, since the first may be stuck, and answers meanwhile what others want
//! of its core. A report inside a report on the same core does not wait.
//!
//! # Memory ordering
//! `REPORTER` is taken with acquire and given back with release; it orders nothing but the two reports' records.

use crate::arch;
use crate::cpu::{self, IrqGuard};
use crate::log::{Level, emit};
use crate::upcalls;
use arrayvec::ArrayString;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How long another core's report is waited for.
const WAIT_MILLIS: u64 = 500;
/// Longest line; the rest goes on as another.
const LINE_MAX: usize = 512;
const NOBODY: usize = usize::MAX;

/// The core whose report it is.
static REPORTER: AtomicUsize = AtomicUsize::new(NOBODY);

/// The turn to report, on this core, whose interrupts are off meanwhile: a section of preemption would show in the report's count.
#[derive(Debug)]
pub struct Turn {
    is_owner: bool,
    _irqs_off: IrqGuard,
}

impl Turn {
    /// Waits for the turn, at most half a second. Context: any.
    pub fn wait() -> Self {
        let irqs_off = IrqGuard::new();
        let me = cpu::id();
        let deadline = arch::counter::now() + arch::counter::frequency_hz() / 1000 * WAIT_MILLIS;
        let is_owner = loop {
            match REPORTER.compare_exchange(NOBODY, me, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break true,
                Err(owner) if owner == me || arch::counter::now() >= deadline => break false,
                Err(_) => {}
            }
            upcalls::answer_attention();
            arch::relax();
        };
        Self { is_owner, _irqs_off: irqs_off }
    }

    /// True if this is a report inside another one of this core, or another core's did not end in time.
    pub const fn is_nested(&self) -> bool {
        !self.is_owner
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_owner {
            REPORTER.store(NOBODY, Ordering::Release);
        }
    }
}

/// Logs each line that is written to it. What is left without a newline is logged when it drops.
#[derive(Debug)]
pub struct LogLines {
    level: Level,
    line: ArrayString<LINE_MAX>,
}

impl LogLines {
    /// Lines of this level.
    pub const fn new(level: Level) -> Self {
        Self { level, line: ArrayString::new_const() }
    }

    fn end_line(&mut self) {
        emit(self.level, "", format_args!("{}", self.line));
        self.line.clear();
    }
}

impl fmt::Write for LogLines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            let (words, is_end) = piece.strip_suffix('\n').map_or((piece, false), |words| (words, true));
            for letter in words.chars() {
                if self.line.try_push(letter).is_err() {
                    self.end_line();
                    self.line.push(letter);
                }
            }
            if is_end && !(words.is_empty() && self.line.is_empty()) {
                self.end_line();
            }
        }
        Ok(())
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}
