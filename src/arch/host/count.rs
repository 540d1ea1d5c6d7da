//! The count word of a host thread: the same values as on the target, in a thread-local.

extern crate std;

use std::cell::Cell;
use std::thread_local;

/// One preemption-off section.
pub const PREEMPT_ONE: u64 = 1;
/// Serving a softirq.
pub const SOFTIRQ_ONE: u64 = 1 << 8;
/// One bottom-half-off section.
pub const BH_OFF_ONE: u64 = 2 << 8;
/// One hardware interrupt.
pub const HARDIRQ_ONE: u64 = 1 << 16;
/// No work waits.
pub const NO_WORK: u64 = 1 << 32;
/// The word of a thread in no section, with nothing waiting.
pub const IDLE: u64 = NO_WORK;

thread_local! {
    static WORD: Cell<u64> = const { Cell::new(IDLE) };
}

/// The word now.
pub fn get() -> u64 {
    WORD.get()
}

macro_rules! section {
    ($one:ident, $enter:ident, $leave:ident, $leave_quietly:ident) => {
        /// Enters a section.
        pub fn $enter() {
            WORD.set(WORD.get() + $one);
        }

        /// Leaves a section; if that was the last one and work waits, does it.
        ///
        /// # Safety
        /// As on the target.
        pub unsafe fn $leave() {
            WORD.set(WORD.get() - $one);
            if WORD.get() == 0 {
                crate::upcalls::count_zero_work();
            }
        }

        /// Leaves a section without looking for work.
        ///
        /// # Safety
        /// As on the target.
        pub unsafe fn $leave_quietly() {
            WORD.set(WORD.get() - $one);
        }
    };
}

section!(PREEMPT_ONE, enter_preempt_off, leave_preempt_off, leave_preempt_off_no_resched);
section!(BH_OFF_ONE, enter_bh_off, leave_bh_off, leave_bh_off_quietly);
section!(SOFTIRQ_ONE, enter_softirq, leave_softirq, leave_softirq_quietly);

/// Notes that work waits.
pub fn mark_work() {
    WORD.set(WORD.get() & !NO_WORK);
}

/// Notes that nothing waits any more.
pub fn clear_work() {
    WORD.set(WORD.get() | NO_WORK);
}
