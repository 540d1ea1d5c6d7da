//! Context queries: what the running code may do, read off the count word.
//!
//! Hardirq, softirq and preemption depths are counted as in Linux; `arch::count` has the layout and says why it is a register. The queries cost
//! two instructions and are exact for the code that asks.

use super::local::local;
use crate::arch::{self, count};
use core::panic::Location;
use core::ptr;
use core::sync::atomic::Ordering;

/// The counts without the work mark: 0 in a thread that may be preempted.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::cpu::preempt_count;
/// use tetra::sync::SpinLock;
/// let lock = SpinLock::new(0);
/// let held = lock.lock();
/// assert_eq!(preempt_count(), 1);
/// drop(held);
/// assert_eq!(preempt_count(), 0);
/// ```
#[inline(always)]
pub fn preempt_count() -> u32 {
    count::get() as u32
}

/// Depth of preemption-off sections alone.
#[inline(always)]
pub fn preempt_depth() -> u32 {
    preempt_count() & (count::SOFTIRQ_ONE as u32 - 1)
}

/// Number of hardware interrupts that are being handled on this core, one inside the other.
#[inline(always)]
pub fn hardirq_count() -> u32 {
    (preempt_count() >> 16) & 0xf
}

/// In a hardware interrupt's handler.
///
/// # Examples
/// ```
/// assert!(!tetra::cpu::in_hardirq()); // this is a thread
/// ```
#[inline(always)]
pub fn in_hardirq() -> bool {
    hardirq_count() != 0
}

/// Linux's older name for `in_hardirq`.
///
/// # Examples
/// ```
/// assert_eq!(tetra::cpu::in_irq(), tetra::cpu::in_hardirq());
/// ```
#[inline(always)]
pub fn in_irq() -> bool {
    in_hardirq()
}

/// Serving a softirq, or bottom halves are off.
///
/// # Examples
/// ```
/// use tetra::cpu::{BottomHalfGuard, context, in_softirq};
/// let bottom_halves_off = BottomHalfGuard::new();
/// assert!(in_softirq() && !context::in_serving_softirq());
/// ```
#[inline(always)]
pub fn in_softirq() -> bool {
    preempt_count() & 0xff00 != 0
}

/// Serving a softirq, and not merely with bottom halves off.
#[inline(always)]
pub fn in_serving_softirq() -> bool {
    preempt_count() & count::SOFTIRQ_ONE as u32 != 0
}

/// In a hardirq, in a softirq, or with bottom halves off.
///
/// # Examples
/// ```
/// use tetra::cpu::{BottomHalfGuard, PreemptGuard, in_interrupt};
/// let preemption_off = PreemptGuard::new();
/// assert!(!in_interrupt());
/// let bottom_halves_off = BottomHalfGuard::new();
/// assert!(in_interrupt());
/// ```
#[inline(always)]
pub fn in_interrupt() -> bool {
    preempt_count() & 0xfff00 != 0
}

/// In a thread: neither in a hardirq nor serving a softirq.
///
/// # Examples
/// ```
/// use tetra::cpu::{BottomHalfGuard, in_task};
/// let bottom_halves_off = BottomHalfGuard::new();
/// assert!(in_task()); // a thread still, although it may not sleep
/// ```
#[inline(always)]
pub fn in_task() -> bool {
    preempt_count() & (0xf_0000 | count::SOFTIRQ_ONE as u32) == 0
}

/// May not sleep: some depth is counted, or interrupts are masked.
#[inline]
pub fn is_atomic() -> bool {
    preempt_count() != 0 || arch::irq::is_masked()
}

/// Notes where a section began that counts `one`, if it is the thread's first. Nothing in builds without `debug`. Context: in the section.
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub(crate) fn note_section(one: u32) {
    if cfg!(feature = "debug") && preempt_count() == one {
        local().section_began_at.store(ptr::from_ref(Location::caller()).cast_mut(), Ordering::Relaxed);
    }
}

/// Where the first section began that keeps the running thread on its core, preemption-off, bottom-half-off, RCU reader or spinning lock: what makes
/// it atomic. `None` in no section, in a handler, and in builds without `debug`.
///
/// Context: any.
pub fn section_place() -> Option<&'static Location<'static>> {
    if !in_task() || preempt_count() == 0 {
        return None;
    }
    // SAFETY: null, or what `note_section` stored: the address of a place in the program text.
    unsafe { local().section_began_at.load(Ordering::Relaxed).as_ref() }
}

/// What kind of code is running, for reports.
pub fn name() -> &'static str {
    match (in_hardirq(), in_serving_softirq()) {
        (true, _) => "hardirq",
        (_, true) => "softirq",
        _ => "thread",
    }
}
