//! The count word: how deep the running thread is in preemption-off, softirq and hardirq sections, in x18.
//!
//! Why a register: one ADD or SUBS changes it, and an instruction cannot be torn by an interrupt, so no update is lost and no per-core memory
//! is touched that a migration could swap in between. All code of the image, `core` and `alloc` included, is built with `-Zfixed-x18`; the
//! exception frame leaves x18 alone, so a handler counts in it and what it marks survives the return; at a context switch all depths are 0
//! and the mark is the core's, so it stays as it is.
//! Rejected: a word in the thread's block (9 to 10 instructions a pair when done soundly), a word per core (a migration between load and
//! store corrupts it).
//!
//! | bits | meaning | who changes them |
//! |---|---|---|
//! | 0-7 | preemption-off depth | the thread, its guards |
//! | 8-15 | softirq: 1 = serving one, each 2 = bottom halves off | softirq entry, `local_bh_disable` |
//! | 16-19 | hardirq depth | vectors.S |
//! | 32 | **no** work waits (inverted) | cleared by who asks for a reschedule or a softirq, set by who did it |
//!
//! Because bit 32 is inverted, "depth is 0 and something waits" is the value 0: the SUBS of the last leave finds it without another load.
//! Neighbours: `cpu::context` names the depths, vectors.S counts hardirqs.

use core::arch::asm;

/// One preemption-off section.
pub const PREEMPT_ONE: u64 = 1;
/// Serving a softirq.
pub const SOFTIRQ_ONE: u64 = 1 << 8;
/// One bottom-half-off section: twice `SOFTIRQ_ONE`, so that serving and switched off are told apart.
pub const BH_OFF_ONE: u64 = 2 << 8;
/// One hardware interrupt.
pub const HARDIRQ_ONE: u64 = 1 << 16;
/// No work waits.
pub const NO_WORK: u64 = 1 << 32;
/// The word of a thread in no section, with nothing waiting.
pub const IDLE: u64 = NO_WORK;

/// The word now.
#[inline(always)]
pub fn get() -> u64 {
    let word;
    // SAFETY: copies a register. Not `pure`: the word changes between two reads.
    unsafe { asm!("mov {}, x18", out(reg) word, options(nomem, nostack, preserves_flags)) };
    word
}

macro_rules! section {
    ($one:ident, $operand:literal, $enter:ident, $leave:ident, $leave_quietly:ident, $what:literal) => {
        #[doc = concat!("Enters a section with ", $what, ". Accesses after it are not moved before it by the compiler.")]
        #[inline(always)]
        pub fn $enter() {
            // SAFETY: x18 is reserved for this word in all code of the image; to enter more than needed harms nobody.
            unsafe { asm!(concat!("add x18, x18, ", $operand), options(nostack, preserves_flags)) };
        }

        #[doc = concat!("Leaves a section with ", $what, "; if that was the last one and work waits, does it.")]
        ///
        /// # Safety
        /// It undoes one entry of this thread and core which no guard stands for, and nothing that the section kept in place is used any more.
        #[inline(always)]
        pub unsafe fn $leave() {
            // SAFETY: as for entering, and by the contract a section ends that is the caller's; `count_zero_with_work` keeps every register but x30 and the flags.
            unsafe {
                asm!(
                    concat!("subs x18, x18, ", $operand),
                    "b.ne 2f",
                    "bl count_zero_with_work",
                    "2:",
                    out("x30") _,
                );
            }
        }

        #[doc = concat!("Leaves a section with ", $what, " without looking for work.")]
        ///
        /// # Safety
        /// It undoes one entry of this thread and core which no guard stands for, and nothing that the section kept in place is used any more.
        #[inline(always)]
        pub unsafe fn $leave_quietly() {
            // SAFETY: as for the other way to leave.
            unsafe { asm!(concat!("sub x18, x18, ", $operand), options(nostack, preserves_flags)) };
        }
    };
}

section!(PREEMPT_ONE, "#1", enter_preempt_off, leave_preempt_off, leave_preempt_off_no_resched, "preemption off");
section!(BH_OFF_ONE, "#0x200", enter_bh_off, leave_bh_off, leave_bh_off_quietly, "bottom halves off");
section!(SOFTIRQ_ONE, "#0x100", enter_softirq, leave_softirq, leave_softirq_quietly, "a softirq served");

/// Notes that work waits: the leave that reaches depth 0 will find it.
///
/// Context: on the core and thread that shall do it, irqs masked or in a handler.
#[inline]
pub fn mark_work() {
    // SAFETY: x18 is reserved for this word; one instruction, so no depth is lost.
    unsafe { asm!("and x18, x18, #{}", const !NO_WORK, options(nostack, preserves_flags)) };
}

/// Notes that nothing waits any more. Context as for `mark_work`.
#[inline]
pub fn clear_work() {
    // SAFETY: as for `mark_work`.
    unsafe { asm!("orr x18, x18, #{}", const NO_WORK, options(nostack, preserves_flags)) };
}
