//! The registers that a thread keeps while another runs, and the exchange of two threads.
//!
//! A switch is an ordinary call, so the procedure call standard has saved what a callee may change (AAPCS64 6.1.1); left are x19 to x30 and the stack
//! pointer. There is no FP state: the kernel is built without it. The count word x18 is not saved: at a switch all depths are 0 (`sched::switch`
//! asserts it), and the one thing left in it, the mark that work waits, belongs to the core and stays there.
//!
//! # Barriers
//! DSB ISH before the thread is given up: a thread that is preempted between a cache or TLB maintenance instruction and its DSB may go on on another
//! core, whose DSB would not wait for what this one began (Arm ARM B2.3.12, D8.17). No ISB: TPIDR_EL0 is read by MRS only, and direct reads see
//! earlier direct writes in program order (Arm ARM D24.1.2.2); nothing else that changes is context.

use super::count;
use core::arch::global_asm;
use core::mem::offset_of;

/// The callee-saved registers of a thread that does not run.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Context {
    /// x19 to x28.
    x: [u64; 10],
    fp: u64,
    lr: u64,
    sp: u64,
}

const _: () = assert!(offset_of!(Context, fp) == 80 && offset_of!(Context, lr) == 88 && offset_of!(Context, sp) == 96);
const _: () = assert!(count::IDLE == count::NO_WORK, "a word without depths is nothing but the mark");

impl Context {
    /// The context of no thread.
    pub const fn new() -> Self {
        Self { x: [0; 10], fp: 0, lr: 0, sp: 0 }
    }

    /// A context that begins with `entry(prev, argument)` on the stack whose top is `stack_top`, irqs masked; `prev` is what the thread before it
    /// passed to `switch`.
    pub fn start_at(entry: extern "C" fn(usize, usize) -> !, argument: usize, stack_top: usize) -> Self {
        let mut x = [0; 10];
        x[0] = entry as usize as u64;
        x[1] = argument as u64;
        Self { x, fp: 0, lr: thread_trampoline as *const () as u64, sp: stack_top as u64 }
    }

    /// Where a backtrace of the thread begins: program counter and frame pointer. True only while it does not run.
    pub fn position(&self) -> (usize, usize) {
        (self.lr as usize, self.fp as usize)
    }
}

// x0 = where to save, x1 = what to load, x2 = the next thread's task block, x3 = what the next thread gets as the result.
global_asm!(
    ".section .text.context_switch, \"ax\"",
    ".balign 64",
    ".globl context_switch",
    ".type context_switch, %function",
    "context_switch:",
    "stp x19, x20, [x0, #0]",
    "stp x21, x22, [x0, #16]",
    "stp x23, x24, [x0, #32]",
    "stp x25, x26, [x0, #48]",
    "stp x27, x28, [x0, #64]",
    "stp x29, x30, [x0, #80]",
    "mov x9, sp",
    "str x9, [x0, #96]",
    "dsb ish",
    "ldp x19, x20, [x1, #0]",
    "ldp x21, x22, [x1, #16]",
    "ldp x23, x24, [x1, #32]",
    "ldp x25, x26, [x1, #48]",
    "ldp x27, x28, [x1, #64]",
    "ldp x29, x30, [x1, #80]",
    "ldr x9, [x1, #96]",
    "mov sp, x9",
    "msr tpidr_el0, x2",
    "mov x0, x3",
    "ret",
    ".size context_switch, . - context_switch",
    // The first instructions of a thread: x19 = entry, x20 = its argument. A frame record of zeros ends its backtraces.
    ".globl thread_trampoline",
    ".type thread_trampoline, %function",
    "thread_trampoline:",
    "mov x1, x20",
    "mov x2, x19",
    "mov x29, xzr",
    "mov x30, xzr",
    "br x2",
    ".size thread_trampoline, . - thread_trampoline",
);

unsafe extern "C" {
    fn context_switch(save: *mut Context, load: *const Context, task: usize, give: usize) -> usize;
    fn thread_trampoline();
}

/// Saves the running thread in `save` and goes on with the one in `load`, whose task block is `task`; that one's `switch` returns `give`. Returns when
/// someone switches back, with what that one gave.
///
/// # Safety
/// Irqs are masked and no depth is counted. `load` holds what `switch` saved of a thread that does not run, or `start_at` made, its stack is mapped and
/// nobody else uses it, and `task` is its block, which is never freed. Nobody loads `save` before this thread is off the core.
#[inline(always)]
pub unsafe fn switch(save: *mut Context, load: *const Context, task: usize, give: usize) -> usize {
    // SAFETY: by the contract of this function.
    unsafe { context_switch(save, load, task, give) }
}
