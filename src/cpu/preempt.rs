//! Preemption off, by count.
//!
//! To enter a section is safe, since one too many harms nobody. To leave is not, except by the guard's drop: it could end the section that another
//! guard, a held lock or a reader of RCU stands for.

use super::context::note_section;
use super::latency;
use crate::arch::count;
use core::marker::PhantomData;

/// What one section counts.
const ONE: u32 = count::PREEMPT_ONE as u32;

/// While it lives, the thread stays on its core and no other thread runs there. Interrupts still do.
///
/// Guards nest and drop in any order: they count. `!Send`: it belongs to the thread whose count it raised.
/// It does not leave its thread:
/// ```compile_fail,E0277
/// let guard = tetra::cpu::PreemptGuard::new();
/// std::thread::spawn(move || drop(guard));
/// ```
#[must_use = "preemption is on again as soon as the guard drops"]
#[derive(Debug)]
pub struct PreemptGuard {
    _this_thread: PhantomData<*mut ()>,
}

impl PreemptGuard {
    /// Switches preemption off. One instruction.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::cpu::{PreemptGuard, preempt_count};
    /// let pinned = PreemptGuard::new();
    /// assert_eq!(preempt_count(), 1);
    /// drop(pinned);
    /// assert_eq!(preempt_count(), 0);
    /// ```
    #[inline(always)]
    #[cfg_attr(feature = "debug", track_caller)]
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
        // SAFETY: the guard stands for one section of this thread, and is dropped once.
        unsafe { end_section() };
    }
}

/// Ends a section, for guards of locks: every [`preempt_disable`] owes one. Context: that of the section.
///
/// # Safety
/// As for [`preempt_enable`].
#[inline(always)]
pub(crate) unsafe fn end_section() {
    latency::section_ends(ONE);
    // SAFETY: the caller's contract is this one's.
    unsafe { count::leave_preempt_off() };
}

/// Linux's `preempt_disable`, for pairs that no scope can hold. Prefer the guard.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::cpu::{preempt, preempt_count};
/// preempt::preempt_disable();
/// preempt::preempt_disable();
/// assert_eq!(preempt_count(), 2); // owes two `preempt_enable`
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn preempt_disable() {
    count::enter_preempt_off();
    note_section(ONE);
    latency::section_began(ONE);
}

/// Linux's `preempt_enable`: undoes one `preempt_disable` and does the work that waited.
///
/// Context: that of the section.
///
/// # Safety
/// It undoes one `preempt_disable` of this thread that no guard stands for, and nothing is used any more that holds only as long as the section does:
/// a reference to this core's data, what an RCU reader found.
///
/// # Examples
/// ```
/// use tetra::cpu::preempt::{preempt_disable, preempt_enable};
/// preempt_disable();
/// // SAFETY: undoes the line above.
/// unsafe { preempt_enable() };
/// ```
/// Without that promise it could end the section of a lock:
/// ```compile_fail,E0133
/// static LOCK: tetra::sync::SpinLock<u32> = tetra::sync::SpinLock::new(0);
/// let held = LOCK.lock();
/// tetra::cpu::preempt::preempt_enable();
/// ```
#[inline(always)]
pub unsafe fn preempt_enable() {
    check_depth("preempt_enable");
    // SAFETY: the caller's contract is this one's.
    unsafe { end_section() };
}

/// As `preempt_enable`, but leaves waiting work to the next occasion: for callers about to schedule anyway.
///
/// Context: that of the section.
///
/// # Safety
/// As for [`preempt_enable`].
///
/// # Examples
/// ```
/// use tetra::cpu::{preempt, preempt_count};
/// preempt::preempt_disable();
/// // SAFETY: undoes the line above.
/// unsafe { preempt::preempt_enable_no_resched() };
/// assert_eq!(preempt_count(), 0);
/// ```
#[inline(always)]
pub unsafe fn preempt_enable_no_resched() {
    check_depth("preempt_enable_no_resched");
    latency::section_ends(ONE);
    // SAFETY: the caller's contract is this one's.
    unsafe { count::leave_preempt_off_no_resched() };
}

/// In builds with `debug`: a leave must have its enter.
#[inline(always)]
fn check_depth(who: &str) {
    if cfg!(feature = "debug") {
        assert!(super::context::preempt_depth() > 0, "{who} without preempt_disable");
    }
}

/// Linux's `get_cpu`: preemption off, and the number of the core on which it went off.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::cpu::{self, preempt};
/// let cpu = preempt::get_cpu();
/// assert_eq!(cpu, cpu::id()); // until `put_cpu` nothing moves the thread
/// // SAFETY: undoes `get_cpu`.
/// unsafe { preempt::put_cpu() };
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn get_cpu() -> usize {
    preempt_disable();
    super::id()
}

/// Linux's `put_cpu`: undoes `get_cpu`.
///
/// Context: that of the section.
///
/// # Safety
/// It undoes one `get_cpu` of this thread; else as for [`preempt_enable`].
///
/// # Examples
/// ```
/// use tetra::cpu::{preempt, preempt_count};
/// let _cpu = preempt::get_cpu();
/// // SAFETY: undoes the line above.
/// unsafe { preempt::put_cpu() };
/// assert_eq!(preempt_count(), 0);
/// ```
#[inline]
pub unsafe fn put_cpu() {
    // SAFETY: the caller's contract is this one's.
    unsafe { preempt_enable() };
}
