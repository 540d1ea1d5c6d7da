//! Who called whom, from frame pointers.
//!
//! All code is built with frame pointers, and the vectors leave a frame record in each exception frame, so one chain leads from the innermost
//! function through handlers into the thread that they interrupted (AAPCS64 6.2.3). A broken chain must not break the report: a record is
//! followed only if it lies whole in a mapped kernel stack, each next one lies higher on the same stack, and each stack is entered once.

use super::symbols::Named;
use crate::arch::layout::{self, STACK_SIZE};
use crate::arch::mmu::{self, Attributes};
use core::fmt;

/// Frames shown of one chain.
pub const MAX_FRAMES: usize = 48;
/// Stacks that one chain can cross: thread, exception, overflow, and one to spare.
const MAX_STACKS: usize = 4;
const RECORD_SIZE: usize = 16;

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Where execution is.
    pub pc: usize,
    /// Link register, believed only if `pc` is no code: then the jump there did not push a frame.
    pub lr: usize,
    /// Frame pointer.
    pub fp: usize,
}

/// One line of a backtrace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The address, as found.
    pub address: usize,
    /// True where execution was interrupted; false for a return address.
    pub is_exact: bool,
}

/// Walks a chain, innermost first. Ends at the first record that cannot be right.
#[derive(Clone, Debug)]
pub struct Frames {
    pending: Option<Frame>,
    fp: usize,
    stacks: [usize; MAX_STACKS],
    nr_stacks: usize,
    left: usize,
    after_vector: bool,
}

impl Frames {
    /// A walk from `start`.
    ///
    /// Context: any. The stacks that it crosses must not be running, or the tail may be stale; it is never unsafe.
    pub fn from(start: Start) -> Self {
        Self {
            pending: (!is_code(start.pc) && is_code(start.lr)).then_some(Frame { address: start.lr, is_exact: false }),
            fp: start.fp,
            stacks: [0; MAX_STACKS],
            nr_stacks: 0,
            left: MAX_FRAMES,
            after_vector: false,
        }
    }

    /// The record at `fp`, if it can be one.
    fn record(&mut self) -> Option<(usize, usize)> {
        let fp = self.fp;
        if fp & 7 != 0 || !is_on_stack(fp) || !is_on_stack(fp + RECORD_SIZE - 1) || !self.enter(fp / STACK_SIZE) {
            return None;
        }
        // SAFETY: aligned, and both words lie in a mapped, readable kernel stack, as just checked. Volatile: its core may be running.
        let caller_fp = unsafe { (fp as *const usize).read_volatile() };
        let second = (fp + RECORD_SIZE / 2) as *const usize;
        // SAFETY: as above.
        let address = unsafe { second.read_volatile() };
        Some((caller_fp, address))
    }

    /// True if `stack` is the one we are on, or one that we have not been on.
    fn enter(&mut self, stack: usize) -> bool {
        if self.nr_stacks > 0 && self.stacks[self.nr_stacks - 1] == stack {
            return true;
        }
        let is_new = !self.stacks[..self.nr_stacks].contains(&stack);
        if !is_new || self.nr_stacks == MAX_STACKS {
            return false;
        }
        self.stacks[self.nr_stacks] = stack;
        self.nr_stacks += 1;
        true
    }
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if let Some(frame) = self.pending.take() {
            return Some(frame);
        }
        self.left = self.left.checked_sub(1)?;
        let here = self.fp;
        let (caller_fp, address) = self.record()?;
        if address == 0 {
            return None;
        }

        let same_stack = caller_fp / STACK_SIZE == here / STACK_SIZE;
        self.fp = if same_stack && caller_fp <= here { 0 } else { caller_fp };
        let frame = Frame { address, is_exact: self.after_vector };
        self.after_vector = (layout::vectors_start()..layout::vectors_end()).contains(&address);
        Some(frame)
    }
}

/// Code that a frame may return to.
pub fn is_code(address: usize) -> bool {
    (layout::LINK_BASE..layout::text_end()).contains(&address)
}

/// In the good half of a mapped kernel stack.
fn is_on_stack(address: usize) -> bool {
    address & STACK_SIZE != 0 && matches!(mmu::translate(address), Some((_, Attributes::Data)))
}

/// Writes the lines of a backtrace.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn fmt::Write, start: Start) -> fmt::Result {
    write_frames(out, start.pc, Frames::from(start))
}

/// The same of frames that were taken earlier, called from where `pc` is.
///
/// # Errors
/// Those of `out`.
pub fn write_frames(out: &mut dyn fmt::Write, pc: usize, frames: impl IntoIterator<Item = Frame>) -> fmt::Result {
    writeln!(out, "  #0  {:#018x} {}", pc, Named::exact(pc))?;
    let mut nr = 1;
    for frame in frames {
        let name = if frame.is_exact { Named::exact(frame.address) } else { Named::return_to(frame.address) };
        let mark = if frame.is_exact { "  <- interrupted here" } else { "" };
        writeln!(out, "  #{nr:<2} {:#018x} {name}{mark}", frame.address)?;
        nr += 1;
    }
    if nr > MAX_FRAMES {
        writeln!(out, "  ... more than {MAX_FRAMES} frames: the rest is left out")?;
    }
    Ok(())
}

/// The caller's own position, for a report from running code.
#[inline(always)]
pub fn here() -> Start {
    let (pc, fp) = crate::arch::position();
    Start { pc, lr: 0, fp }
}
