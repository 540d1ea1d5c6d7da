//! Bottom halves off, by count.
//!
//! Softirqs and tasklets run on a core when its running thread's count word is 0. A section adds two to the softirq field of that word, one being
//! kept for "serving a softirq"; the leave that reaches 0 runs what was raised meanwhile. Nothing is stored: three instructions a pair.
//!
//! Neighbours: `arch::count` (the word), `irq::softirq` (who looks at it), `sync::policy` (locks that do the same).

use super::context::note_section;
use super::latency;
use crate::arch::count;
use core::marker::PhantomData;

/// What one section counts.
const ONE: u32 = count::BH_OFF_ONE as u32;

/// While it lives, no softirq or tasklet runs on this core, and the thread is not preempted. Interrupts still come.
///
/// Guards nest and drop in any order: they count. `!Send`: it belongs to the thread whose count it raised.
/// It does not leave its thread:
/// ```compile_fail,E0277
/// let guard = tetra::cpu::BottomHalfGuard::new();
/// std::thread::spawn(move || drop(guard));
/// ```
#[must_use = "bottom halves are on again as soon as the guard drops"]
#[derive(Debug)]
pub struct BottomHalfGuard {
    _this_thread: PhantomData<*mut ()>,
}

impl BottomHalfGuard {
    /// Switches bottom halves off. One instruction.
    ///
    /// Context: thread or softirq.
    ///
    /// # Examples
    /// ```
    /// use tetra::cpu::{BottomHalfGuard, in_softirq, in_task};
    /// let bottom_halves_off = BottomHalfGuard::new();
    /// assert!(in_softirq() && in_task()); // off, but none is served
    /// ```
    #[inline(always)]
    #[cfg_attr(feature = "debug", track_caller)]
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
        // SAFETY: the guard stands for one section of this thread, and is dropped once.
        unsafe { end_section() };
    }
}

/// Ends a section, for guards of locks: every [`local_bh_disable`] owes one. Context: that of the section.
///
/// # Safety
/// As for [`local_bh_enable`].
#[inline(always)]
pub(crate) unsafe fn end_section() {
    latency::section_ends(ONE);
    // SAFETY: the caller's contract is this one's.
    unsafe { count::leave_bh_off() };
}

/// Linux's `local_bh_disable`, for pairs that no scope can hold. Prefer the guard.
///
/// Context: thread or softirq.
///
/// # Examples
/// ```
/// tetra::cpu::local_bh_disable();
/// assert!(tetra::cpu::in_softirq()); // owes a `local_bh_enable`
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn local_bh_disable() {
    count::enter_bh_off();
    note_section(ONE);
    latency::section_began(ONE);
}

/// Linux's `local_bh_enable`: undoes one `local_bh_disable` and runs the softirqs that waited.
///
/// Context: thread or softirq. With irqs off what waited runs when they are on again.
///
/// # Safety
/// It undoes one `local_bh_disable` of this thread that no guard stands for, and nothing is used any more that a softirq touches too.
///
/// # Examples
/// ```
/// tetra::cpu::local_bh_disable();
/// // SAFETY: undoes the line above.
/// unsafe { tetra::cpu::local_bh_enable() };
/// ```
/// Without that promise it could end the section of a lock:
/// ```compile_fail,E0133
/// static LOCK: tetra::sync::BhSpinLock<u32> = tetra::sync::BhSpinLock::new(0);
/// let held = LOCK.lock();
/// tetra::cpu::local_bh_enable();
/// ```
#[inline(always)]
pub unsafe fn local_bh_enable() {
    if cfg!(feature = "debug") {
        assert!(super::preempt_count() & 0xfe00 != 0, "local_bh_enable without local_bh_disable");
    }
    // SAFETY: the caller's contract is this one's.
    unsafe { end_section() };
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
