//! The registers that a thread keeps while another runs, and the exchange of two threads.
//!
//! To the compiler the exchange is one instruction that changes every register: what the function around it still needs, it has put on the stack, once,
//! together with what it would have had to save anyway. Left are those which it may not give up, x19 (LLVM's own) and the frame pointer, the stack pointer,
//! and where to go on. Rejected: a routine that is called and saves x19 to x30 in the thread's block, behind a caller that has just saved them on the stack.
//! There is no FP state: the kernel is built without it. The count word x18 is not saved: at a switch all depths are 0 (`sched::switch`
//! asserts it), and the one thing left in it, the mark that work waits, belongs to the core and stays there.
//!
//! # Barriers
//! DSB ISH before the thread is given up: a thread that is preempted between a cache or TLB maintenance instruction and its DSB may go on on another
//! core, whose DSB would not wait for what this one began (Arm ARM B2.3.12, D8.17). No ISB: TPIDR_EL0 is read by MRS only, and direct reads see
//! earlier direct writes in program order (Arm ARM D24.1.2.2); nothing else that changes is context.

use super::count;
use core::arch::{asm, global_asm};
use core::mem::offset_of;

/// What is not on the stack of a thread that does not run.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Context {
    x19: u64,
    fp: u64,
    pc: u64,
    sp: u64,
}

const _: () = assert!(offset_of!(Context, fp) == 8 && offset_of!(Context, pc) == 16 && offset_of!(Context, sp) == 24);
const _: () = assert!(count::IDLE == count::NO_WORK, "a word without depths is nothing but the mark");

impl Context {
    /// The context of no thread.
    pub const fn new() -> Self {
        Self { x19: 0, fp: 0, pc: 0, sp: 0 }
    }

    /// A context that begins with `entry(prev, stack_top)` on the stack whose top is `stack_top`, irqs masked; `prev` is what the thread before it
    /// passed to `switch`.
    pub fn start_at(entry: extern "C" fn(usize, usize) -> !, stack_top: usize) -> Self {
        Self { x19: entry as usize as u64, fp: 0, pc: thread_trampoline as *const () as u64, sp: stack_top as u64 }
    }

    /// Where a backtrace of the thread begins: program counter and frame pointer. True only while it does not run.
    pub fn position(&self) -> (usize, usize) {
        (self.pc as usize, self.fp as usize)
    }
}

// The first instructions of a thread: x19 = entry, x3 = what the thread before it gave. A frame record of zeros ends its backtraces.
global_asm!(
    ".section .text.thread_trampoline, \"ax\"",
    ".globl thread_trampoline",
    ".type thread_trampoline, %function",
    "thread_trampoline:",
    "mov x0, x3",
    "mov x1, sp",
    "mov x29, xzr",
    "mov x30, xzr",
    "br x19",
    ".size thread_trampoline, . - thread_trampoline",
);

unsafe extern "C" {
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
    let given;
    // SAFETY: by the contract of this function. Whoever switches back restores x19, x29 and the stack pointer and goes on at the label; all else that the
    // asm may change is declared, x18 is the core's.
    unsafe {
        asm!(
            "adr x9, 2f",
            "mov x10, sp",
            "stp x19, x29, [x0]",
            "stp x9, x10, [x0, #16]",
            "dsb ish",
            "ldp x19, x29, [x1]",
            "ldp x9, x10, [x1, #16]",
            "mov sp, x10",
            "msr tpidr_el0, x2",
            "br x9",
            "2:",
            inlateout("x0") save => _,
            inlateout("x1") load => _,
            inlateout("x2") task => _,
            inlateout("x3") give => given,
            out("x4") _, out("x5") _, out("x6") _, out("x7") _, out("x8") _, out("x9") _, out("x10") _, out("x11") _,
            out("x12") _, out("x13") _, out("x14") _, out("x15") _, out("x16") _, out("x17") _,
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _, out("x26") _, out("x27") _,
            out("x28") _, out("x30") _,
        );
    }
    given
}
