//! Who called whom, from frame pointers.
//!
//! All code is built with frame pointers, and the vectors leave a frame record in each exception frame, so one chain leads from the innermost
//! function through handlers into the thread that they interrupted (AAPCS64 6.2.3). A broken chain must not break the report: a record is
//! followed only if it lies whole in a mapped kernel stack, each next one lies higher on the same stack, and each stack is entered once.
//!
//! A function that was interrupted while it had no record of its own is no link of the chain; its caller is found through the saved x30
//! ([`prologue`]).

use super::prologue;
use super::symbols::{self, Named};
use crate::arch::NR_CPUS;
use crate::arch::exception::ExceptionFrame;
use crate::arch::layout::{self, STACK_SIZE};
use crate::arch::mmu::{self, Attributes};
use arrayvec::ArrayVec;
use core::fmt;
use core::mem::offset_of;

/// Frames shown of one chain.
pub const MAX_FRAMES: usize = 48;
/// Stacks that one chain can cross: thread, exception, overflow, and one to spare.
const MAX_STACKS: usize = 4;
const RECORD_SIZE: usize = 16;
/// How far the interrupted x30 lies below the record of the exception frame that holds both.
const LR_BELOW_RECORD: usize = offset_of!(ExceptionFrame, record) - offset_of!(ExceptionFrame, lr);

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Where execution is.
    pub pc: usize,
    /// Link register, believed only where no frame can have been pushed since it was set: if `pc` is no code, or in a function that has no frame
    /// there. 0 if it is not known.
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
            pending: caller_in_lr(start.pc, || start.lr),
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
        if frame.is_exact {
            self.pending = caller_in_lr(address, || interrupted_lr(here));
        }
        self.after_vector = is_vector(address);
        Some(frame)
    }
}

/// The caller of the function at `pc`, if only `lr` names it.
fn caller_in_lr(pc: usize, lr: impl FnOnce() -> usize) -> Option<Frame> {
    if is_code(pc) && (is_vector(pc) || has_frame(pc)) {
        return None;
    }
    Some(Frame { address: lr(), is_exact: false }).filter(|frame| is_code(frame.address))
}

/// The function at `pc` has its own record there. True if nothing is known of it.
fn has_frame(pc: usize) -> bool {
    let Some(symbol) = symbols::table().and_then(|table| table.lookup(pc as u64)) else { return true };
    let first = symbol.address as usize;
    if !is_code(first) || !first.is_multiple_of(4) {
        return true;
    }
    // SAFETY: whole words of kernel text, from the first instruction of a function up to one that was to run: mapped, and never written.
    prologue::has_frame((first..pc).step_by(4).map(|at| unsafe { (at as *const u32).read() }))
}

/// The x30 of what was interrupted, from the exception frame whose record is at `record`. 0 if that cannot be one.
fn interrupted_lr(record: usize) -> usize {
    let at = record.wrapping_sub(LR_BELOW_RECORD);
    if !is_on_stack(at) {
        return 0;
    }
    // SAFETY: aligned as the record is, and in a mapped, readable kernel stack. Volatile: its core may be running.
    unsafe { (at as *const usize).read_volatile() }
}

/// In the exception vectors, whose frames hold where execution was interrupted.
fn is_vector(address: usize) -> bool {
    (layout::vectors_start()..layout::vectors_end()).contains(&address)
}

/// A chain that was walked, to be named and printed later: names and consoles are slow, and the stack may be in use again by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where execution was.
    pub pc: usize,
    /// The chain from there, innermost first.
    pub frames: ArrayVec<Frame, MAX_FRAMES>,
}

impl Trace {
    /// Walks from `start`.
    ///
    /// Context: as `Frames::from`. 800 bytes of stack.
    pub fn from(start: Start) -> Self {
        Self { pc: start.pc, frames: Frames::from(start).take(MAX_FRAMES).collect() }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_frames(f, self.pc, self.frames.iter().copied())
    }
}

/// Code that a frame may return to.
pub fn is_code(address: usize) -> bool {
    (layout::LINK_BASE..layout::text_end()).contains(&address)
}

/// In the good half of a mapped kernel stack: of a thread or of a core.
fn is_on_stack(address: usize) -> bool {
    let of_cores = layout::core_blocks()..layout::core_blocks() + NR_CPUS * layout::CORE_BLOCK_SIZE;
    let of_threads = layout::STACKS_BASE..layout::DEVICE_BASE;
    address & STACK_SIZE != 0
        && (of_cores.contains(&address) || of_threads.contains(&address))
        && matches!(mmu::translate(address), Some((_, Attributes::Data)))
}

/// Writes the lines of a backtrace.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn fmt::Write, start: Start) -> fmt::Result {
    write_frames(out, start.pc, Frames::from(start))
}

fn write_frames(out: &mut dyn fmt::Write, pc: usize, frames: impl IntoIterator<Item = Frame>) -> fmt::Result {
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
