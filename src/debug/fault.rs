//! Faults: the way from an exception frame to a report, or back.
//!
//! Three kinds of fault have a way back: the semihosting probe (an HLT that may be undefined), a probed access to a device that may be absent
//! (`probe_read`), and the breakpoint of a warning (`bug`). All others end the thread, if nothing but the thread is broken (`oops`), else the kernel.

use super::address::Whereabouts;
use super::backtrace::{Start, is_code};
use super::bug::{self, BugSite};
use super::panic::{self, Cause};
use super::syndrome::{Class, FaultStatus, Syndrome};
use crate::arch::bug::{BRK_BUG, BRK_SIZE, BRK_WARN};
use crate::arch::exception::{ExceptionFrame, Vector};
use crate::arch::semihosting;
use crate::upcalls;
use core::fmt;

/// A fault, in words.
#[derive(Clone, Copy, Debug)]
pub struct FaultCause<'a> {
    /// The saved registers.
    pub frame: &'a ExceptionFrame,
    /// Where it was taken.
    pub vector: Vector,
    /// The stack pointer had left its stack.
    pub overflow: bool,
}

impl FaultCause<'_> {
    fn syndrome(&self) -> Syndrome {
        Syndrome(self.frame.esr)
    }

    /// Where a backtrace begins.
    pub fn start(&self) -> Start {
        Start { pc: self.frame.elr as usize, lr: self.frame.lr as usize, fp: self.frame.fp as usize }
    }

    /// What to look at first, where that can be told.
    fn hint(&self) -> Option<&'static str> {
        let syndrome = self.syndrome();
        match (syndrome.class(), syndrome.fault_status()) {
            _ if self.overflow => Some("too deep a recursion, or too large a local: look for the frames that repeat"),
            (Class::InstructionAbort, FaultStatus::Permission) => Some("data was executed: a corrupted function pointer or return address"),
            (Class::InstructionAbort, _) if self.frame.elr < 4096 => Some("a NULL function pointer was called: see the caller below"),
            (Class::DataAbort, FaultStatus::Permission) if is_code(self.frame.far as usize) => Some("kernel text is read-only"),
            (Class::DataAbort, FaultStatus::Translation(_)) if self.frame.far < 4096 => {
                Some("a NULL pointer was used: FAR is the offset of the field")
            }
            _ => None,
        }
    }
}

impl fmt::Display for FaultCause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syndrome = self.syndrome();
        let is_synchronous = matches!(self.vector, Vector::ThreadSync | Vector::HandlerSync);
        if is_synchronous
            && !self.overflow
            && let Some(site) = trap_site(self.frame, BRK_BUG)
        {
            return write!(f, "kernel BUG at {site}");
        }
        if self.overflow {
            write!(f, "stack overflow: sp {:#x} is in {}", self.frame.sp, Whereabouts(self.frame.sp as usize - 1))?;
        } else if is_synchronous {
            write!(f, "{syndrome}")?;
        } else {
            write!(f, "{}: {syndrome}", self.vector.name())?;
        }
        if !self.overflow && syndrome.has_address() {
            write!(f, " at {:#x}, {}", self.frame.far, Whereabouts(self.frame.far as usize))?;
        }
        match self.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Upcall of arch: a fault. Returns if it was mended, and to the end of a thread that dies of it.
#[unsafe(no_mangle)]
fn tetra_handle_fault(frame: &mut ExceptionFrame, vector: Vector) {
    if let Some(after) = semihosting::skip_probe(frame.elr).or_else(|| crate::arch::probe::skip(frame)) {
        frame.elr = after;
        return;
    }
    if let Some(site) = trap_site(frame, BRK_WARN) {
        let start = FaultCause { frame, vector, overflow: false }.start();
        bug::on_warn_trap(site, start);
        frame.elr += BRK_SIZE;
        return;
    }
    end(frame, vector, false);
}

/// The check whose breakpoint was met, if the fault is one with this number. For synchronous exceptions alone: an interrupt leaves the last one's syndrome.
fn trap_site(frame: &ExceptionFrame, number: u16) -> Option<&'static BugSite> {
    (Syndrome(frame.esr).class() == Class::Brk(number)).then(|| bug::site_at(frame.x[0] as usize)).flatten()
}

/// Ends the thread, then comes back to leave it for good, or the kernel.
fn end(frame: &mut ExceptionFrame, vector: Vector, overflow: bool) {
    if !upcalls::die_of_fault(frame, vector, overflow) {
        panic::enter(Cause::Fault(FaultCause { frame, vector, overflow }));
    }
}

/// Upcall of arch: a stack pointer left its stack. The frame lies on the overflow stack.
#[unsafe(no_mangle)]
fn tetra_handle_stack_overflow(frame: &mut ExceptionFrame, vector: Vector) {
    end(frame, vector, true);
}
