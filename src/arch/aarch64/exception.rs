//! Exceptions: the saved frame, what a syndrome means, and the doors from vectors.S into the kernel.
//!
//! The frame's layout is known to vectors.S by number; the assertions below hold the two together.
//! Source: Arm ARM D24.2.36 (ESR_EL1), D1.3.

use super::{count, layout};
use crate::upcalls;
use core::arch::global_asm;
use core::mem::offset_of;

/// What vectors.S saves. Interrupt frames fill x0-x17, x29, x30, `elr`, `spsr` and the record; fault frames all of it.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct ExceptionFrame {
    /// x0 to x28. x18 is the count word at entry, for the report only: it is not restored.
    pub x: [u64; 29],
    /// Frame pointer, x29.
    pub fp: u64,
    /// Link register, x30.
    pub lr: u64,
    /// Stack pointer of what was interrupted.
    pub sp: u64,
    /// Where it was interrupted.
    pub elr: u64,
    /// Its processor state.
    pub spsr: u64,
    /// Syndrome.
    pub esr: u64,
    /// Faulting address, where the syndrome has one.
    pub far: u64,
    /// A frame record (x29, ELR): a backtrace walks through it from the handler into what was interrupted.
    pub record: [u64; 2],
}

impl ExceptionFrame {
    /// SPSR: EL1 on SP_EL0, where threads run.
    const EL1T: u64 = 0b0100;
    /// SPSR: interrupts masked.
    const IRQS_MASKED: u64 = 1 << 7;
    /// SPSR: the four mask bits.
    const DAIF: u64 = 0xf << 6;

    /// The interrupted code took interrupts.
    pub fn has_irqs_on(&self) -> bool {
        self.spsr & Self::IRQS_MASKED == 0
    }

    /// The count word of the interrupted code, without the mark that work waits. Fault frames only.
    pub fn preempt_count(&self) -> u32 {
        self.x[18] as u32
    }

    /// Has the exception return to `function(argument)` on this core's overflow stack, irqs masked, instead of to what was interrupted.
    ///
    /// # Safety
    /// The frame is of a fault in a thread, which is given up. The overflow stack holds nothing but, at most, this frame, and nothing else of this core
    /// comes to use it before `function` has left it.
    pub unsafe fn redirect_to_overflow_stack(&mut self, function: extern "C" fn(usize) -> !, argument: usize) {
        self.x[0] = argument as u64;
        (self.fp, self.lr) = (0, 0);
        self.sp = (super::core_area() + layout::OVERFLOW_STACK_TOP) as u64;
        self.elr = function as usize as u64;
        self.spsr = self.spsr & Self::DAIF | Self::IRQS_MASKED | Self::EL1T;
    }
}

/// Runs `function(argument)` on this core's overflow stack, from its top; the stack in use stays as it is.
///
/// # Safety
/// Irqs are masked, in a thread. Nothing else of this core comes to use the overflow stack before `function` has left it.
pub unsafe fn call_on_overflow_stack(function: extern "C" fn(usize) -> !, argument: usize) -> ! {
    let top = super::core_area() + layout::OVERFLOW_STACK_TOP;
    // SAFETY: by the contract; the top is that of a mapped stack.
    unsafe { call_on_fresh_stack(top, function, argument) }
}

unsafe extern "C" {
    pub(super) fn call_on_fresh_stack(top: usize, function: extern "C" fn(usize) -> !, argument: usize) -> !;
}

const FRAME_SIZE: usize = size_of::<ExceptionFrame>();
const _: () = {
    assert!(FRAME_SIZE == 304);
    assert!(offset_of!(ExceptionFrame, fp) == 232);
    assert!(offset_of!(ExceptionFrame, sp) == 248);
    assert!(offset_of!(ExceptionFrame, elr) == 256);
    assert!(offset_of!(ExceptionFrame, esr) == 272);
    assert!(offset_of!(ExceptionFrame, record) == 288);
    assert!(count::HARDIRQ_ONE & 0xfff == 0);
};

/// Immediate of the BRK behind a call that must not return.
pub const BRK_UNREACHABLE: u64 = 0xdead;

global_asm!(
    include_str!("vectors.S"),
    frame_size = const FRAME_SIZE,
    stack_shift = const layout::STACK_SHIFT,
    irq_stack_top = const layout::IRQ_STACK_TOP,
    overflow_stack_top = const layout::OVERFLOW_STACK_TOP,
    hardirq_one_shifted = const count::HARDIRQ_ONE >> 12,
    brk_unreachable = const BRK_UNREACHABLE,
    handle_irq = sym handle_irq,
    irq_exit_work = sym irq_exit_work,
    preempt_from_irq = sym preempt_from_irq,
    handle_fault = sym handle_fault,
    handle_overflow = sym handle_overflow,
    count_zero_work = sym count_zero_work,
);

/// The sixteen vectors, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub enum Vector {
    ThreadSync,
    ThreadIrq,
    ThreadFiq,
    ThreadSError,
    HandlerSync,
    HandlerIrq,
    HandlerFiq,
    HandlerSError,
    El0Sync,
    El0Irq,
    El0Fiq,
    El0SError,
    El0A32Sync,
    El0A32Irq,
    El0A32Fiq,
    El0A32SError,
}

impl Vector {
    const ALL: [Self; 16] = [
        Self::ThreadSync,
        Self::ThreadIrq,
        Self::ThreadFiq,
        Self::ThreadSError,
        Self::HandlerSync,
        Self::HandlerIrq,
        Self::HandlerFiq,
        Self::HandlerSError,
        Self::El0Sync,
        Self::El0Irq,
        Self::El0Fiq,
        Self::El0SError,
        Self::El0A32Sync,
        Self::El0A32Irq,
        Self::El0A32Fiq,
        Self::El0A32SError,
    ];

    fn from_number(number: u64) -> Self {
        Self::ALL[number as usize & 15]
    }

    /// What a report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ThreadSync => "synchronous exception in a thread",
            Self::ThreadIrq => "interrupt in a thread",
            Self::ThreadFiq => "FIQ in a thread (none is routed here)",
            Self::ThreadSError => "SError in a thread (asynchronous abort: the cause lies earlier)",
            Self::HandlerSync => "synchronous exception in a handler",
            Self::HandlerIrq => "interrupt in a handler",
            Self::HandlerFiq => "FIQ in a handler (none is routed here)",
            Self::HandlerSError => "SError in a handler (asynchronous abort: the cause lies earlier)",
            Self::El0Sync => "synchronous exception from EL0 (there is no EL0: corrupted SPSR)",
            Self::El0Irq => "interrupt from EL0 (there is no EL0: corrupted SPSR)",
            Self::El0Fiq => "FIQ from EL0 (there is no EL0: corrupted SPSR)",
            Self::El0SError => "SError from EL0 (there is no EL0: corrupted SPSR)",
            Self::El0A32Sync => "synchronous exception from AArch32 (there is none: corrupted SPSR)",
            Self::El0A32Irq => "interrupt from AArch32 (there is none: corrupted SPSR)",
            Self::El0A32Fiq => "FIQ from AArch32 (there is none: corrupted SPSR)",
            Self::El0A32SError => "SError from AArch32 (there is none: corrupted SPSR)",
        }
    }

    /// True if the interrupted code ran on a thread's stack.
    pub fn is_from_thread(self) -> bool {
        (self as u8) < 4
    }
}

extern "C" fn handle_irq(frame: &mut ExceptionFrame) {
    upcalls::handle_irq(frame);
}

/// The count is 0, something waits, irqs are masked, this is the exception stack. True: the thread shall be switched out.
extern "C" fn irq_exit_work() -> bool {
    upcalls::irq_exit_work()
}

extern "C" fn preempt_from_irq() {
    upcalls::preempt_from_irq();
}

extern "C" fn handle_fault(frame: &mut ExceptionFrame, vector: u64) {
    upcalls::handle_fault(frame, Vector::from_number(vector));
}

extern "C" fn handle_overflow(frame: &mut ExceptionFrame, vector: u64) {
    upcalls::handle_stack_overflow(frame, Vector::from_number(vector));
}

extern "C" fn count_zero_work() {
    upcalls::count_zero_work();
}
