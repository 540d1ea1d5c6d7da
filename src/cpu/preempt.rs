//! Preemption off, by count.

use super::latency;
use crate::arch::count;
use core::marker::PhantomData;

/// What one section counts.
const ONE: u32 = count::PREEMPT_ONE as u32;

/// While it lives, the thread stays on its core and no other thread runs there. Interrupts still do.
///
/// Guards nest and drop in any order: they count. `!Send`: it belongs to the thread whose count it raised.
#[must_use = "preemption is on again as soon as the guard drops"]
#[derive(Debug)]
pub struct PreemptGuard {
    _this_thread: PhantomData<*mut ()>,
}

impl PreemptGuard {
    /// Switches preemption off. One instruction.
    ///
    /// Context: any.
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "a guard is made on purpose, never by a derived Default")]
    pub fn new() -> Self {
        preempt_disable();
        Self { _this_thread: PhantomData }
    }
}

impl Drop for PreemptGuard {
    /// Two instructions, unless this was the last section and a reschedule or a softirq waits: then it happens here.
    #[inline(always)]
    fn drop(&mut self) {
        end_section();
    }
}

/// Ends a section, for guards of locks: every [`preempt_disable`] owes one. Context: that of the section.
#[inline(always)]
pub(crate) fn end_section() {
    latency::section_ends(ONE);
    count::leave_preempt_off();
}

/// Linux's `preempt_disable`, for pairs that no scope can hold. Prefer the guard.
#[inline(always)]
pub fn preempt_disable() {
    count::enter_preempt_off();
    latency::section_began(ONE);
}

/// Linux's `preempt_enable`: undoes one `preempt_disable` and does the work that waited.
#[inline(always)]
pub fn preempt_enable() {
    check_depth("preempt_enable");
    end_section();
}

/// As `preempt_enable`, but leaves waiting work to the next occasion: for callers about to schedule anyway.
#[inline(always)]
pub fn preempt_enable_no_resched() {
    check_depth("preempt_enable_no_resched");
    latency::section_ends(ONE);
    count::leave_preempt_off_no_resched();
}

/// In builds with `debug`: a leave must have its enter.
#[inline(always)]
fn check_depth(who: &str) {
    if cfg!(feature = "debug") {
        assert!(super::context::preempt_depth() > 0, "{who} without preempt_disable");
    }
}

/// Linux's `get_cpu`: preemption off, and the number of the core on which it went off.
#[inline]
pub fn get_cpu() -> usize {
    preempt_disable();
    super::id()
}

/// Linux's `put_cpu`: undoes `get_cpu`.
#[inline]
pub fn put_cpu() {
    preempt_enable();
}
