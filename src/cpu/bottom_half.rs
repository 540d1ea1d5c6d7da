//! Bottom halves off, by count.
//!
//! Softirqs and tasklets run on a core when its running thread's count word is 0. A section adds two to the softirq field of that word, one being
//! kept for "serving a softirq"; the leave that reaches 0 runs what was raised meanwhile. Nothing is stored: three instructions a pair.
//!
//! Neighbours: `arch::count` (the word), `irq::softirq` (who looks at it), `sync::policy` (locks that do the same).

use super::latency;
use crate::arch::count;
use core::marker::PhantomData;

/// What one section counts.
const ONE: u32 = count::BH_OFF_ONE as u32;

/// While it lives, no softirq or tasklet runs on this core, and the thread is not preempted. Interrupts still come.
///
/// Guards nest and drop in any order: they count. `!Send`: it belongs to the thread whose count it raised.
#[must_use = "bottom halves are on again as soon as the guard drops"]
#[derive(Debug)]
pub struct BottomHalfGuard {
    _this_thread: PhantomData<*mut ()>,
}

impl BottomHalfGuard {
    /// Switches bottom halves off. One instruction.
    ///
    /// Context: thread or softirq.
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "a guard is made on purpose, never by a derived Default")]
    pub fn new() -> Self {
        local_bh_disable();
        Self { _this_thread: PhantomData }
    }
}

impl Drop for BottomHalfGuard {
    /// Two instructions, unless this was the last section and something was raised meanwhile: then it runs here.
    #[inline(always)]
    fn drop(&mut self) {
        end_section();
    }
}

/// Ends a section, for guards of locks: every [`local_bh_disable`] owes one. Context: that of the section.
#[inline(always)]
pub(crate) fn end_section() {
    latency::section_ends(ONE);
    count::leave_bh_off();
}

/// Linux's `local_bh_disable`, for pairs that no scope can hold. Prefer the guard.
///
/// Context: thread or softirq.
#[inline(always)]
pub fn local_bh_disable() {
    count::enter_bh_off();
    latency::section_began(ONE);
}

/// Linux's `local_bh_enable`: undoes one `local_bh_disable` and runs the softirqs that waited.
///
/// Context: thread or softirq. With irqs off what waited runs when they are on again.
#[inline(always)]
pub fn local_bh_enable() {
    if cfg!(feature = "debug") {
        assert!(super::preempt_count() & 0xfe00 != 0, "local_bh_enable without local_bh_disable");
    }
    end_section();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{in_softirq, in_task, preempt_count};

    #[test]
    fn sections_count_and_are_no_softirq() {
        let outer = BottomHalfGuard::new();
        let inner = BottomHalfGuard::new();
        drop(outer);
        assert!(in_softirq() && in_task());
        drop(inner);
        assert_eq!(preempt_count(), 0);
    }
}
