//! Context policies: what is switched off on this core while a lock is held.
//!
//! A lock's type names the least that its data needs; a call may ask for more (`lock_irqsave` on a preempt-off lock), never for less: the
//! `AtLeast` bounds leave those calls out. Everything is counted (`cpu::preempt`, `cpu::irq_guard`), so guards drop in any order.
//!
//! In a build for one core that never preempts (features `up` and `preempt_none`) nothing is left for `PreemptDisabled` to do: no other thread
//! comes in between, and it only keeps the compiler from moving accesses out of the section. Bottom halves and irqs are marked as ever. With
//! `debug` the depth is counted there too, so that sleeping in the section is found.

use crate::arch::barrier;
use crate::cpu::{bottom_half, irq_guard, preempt};

#[cfg(all(feature = "preempt_none", feature = "preempt_voluntary"))]
compile_error!("`preempt_none` and `preempt_voluntary` are two preemption models: choose one, or neither for full preemption");

/// Preemption must be counted: another core may look for work, or a thread may be preempted, or depths are checked.
const COUNTS_PREEMPTION: bool = cfg!(any(not(feature = "up"), not(feature = "preempt_none"), feature = "debug"));

/// A section of this core: `enter` before the lock is taken, `leave` after it is released, on the same core and thread.
///
/// # Safety
/// `enter` must keep the caller on its core until the matching `leave`, and pairs must nest and overlap in any order.
pub unsafe trait Policy {
    /// Name, for reports.
    const NAME: &'static str;
    /// Begins the section.
    fn enter();
    /// Ends the section and does what waited for its end.
    ///
    /// # Safety
    /// It undoes one `enter` of this thread and core that no guard stands for, and nothing that the section protects is used any more.
    unsafe fn leave();
}

/// Preemption off: for data that only threads touch.
#[derive(Debug)]
pub enum PreemptDisabled {}

/// Preemption and bottom halves off: for data that softirqs or tasklets touch too.
#[derive(Debug)]
pub enum BottomHalfDisabled {}

/// Interrupts off: for data that a hardirq touches too. Implies the other two, since nothing preempts or runs bottom halves with irqs off.
#[derive(Debug)]
pub enum LocalIrqDisabled {}

// SAFETY: a raised count keeps the thread on its core; counts overlap in any order.
unsafe impl Policy for PreemptDisabled {
    const NAME: &'static str = "preemption off";

    #[inline(always)]
    #[cfg_attr(feature = "debug", track_caller)]
    fn enter() {
        if COUNTS_PREEMPTION { preempt::preempt_disable() } else { barrier::compiler() }
    }

    #[inline(always)]
    unsafe fn leave() {
        if COUNTS_PREEMPTION {
            // SAFETY: the caller's contract is this one's.
            unsafe { preempt::end_section() }
        } else {
            barrier::compiler()
        }
    }
}

// SAFETY: as for `PreemptDisabled`: the scheduler looks at the whole count.
unsafe impl Policy for BottomHalfDisabled {
    const NAME: &'static str = "bottom halves off";

    #[inline(always)]
    #[cfg_attr(feature = "debug", track_caller)]
    fn enter() {
        bottom_half::local_bh_disable();
    }

    #[inline(always)]
    unsafe fn leave() {
        // SAFETY: the caller's contract is this one's.
        unsafe { bottom_half::end_section() };
    }
}

// SAFETY: with irqs masked nothing else runs on the core; `irq_guard` lets sections overlap in any order.
unsafe impl Policy for LocalIrqDisabled {
    const NAME: &'static str = "irqs off";

    #[inline(always)]
    fn enter() {
        irq_guard::enter();
    }

    #[inline(always)]
    unsafe fn leave() {
        // SAFETY: the caller's contract is this one's.
        unsafe { irq_guard::leave() };
    }
}

/// Interrupts are off already, and stay so: nothing is left to do. Who asks for it brings the evidence (`Lock::lock_irqs_off`); no lock is of this policy.
#[derive(Debug)]
pub(crate) enum IrqsOffAlready {}

// SAFETY: with irqs masked, which whoever made the guard has shown to hold as long as the guard lives, nothing else runs on the core.
unsafe impl Policy for IrqsOffAlready {
    const NAME: &'static str = "irqs off";

    #[inline(always)]
    fn enter() {
        irq_guard::check_masked();
        barrier::compiler();
    }

    #[inline(always)]
    unsafe fn leave() {
        barrier::compiler();
    }
}

/// `Self` switches off at least what `G` does.
pub trait AtLeast<G: Policy>: Policy {}

impl<G: Policy> AtLeast<G> for G {}
impl AtLeast<PreemptDisabled> for BottomHalfDisabled {}
impl AtLeast<PreemptDisabled> for LocalIrqDisabled {}
impl AtLeast<BottomHalfDisabled> for LocalIrqDisabled {}
impl AtLeast<PreemptDisabled> for IrqsOffAlready {}
impl AtLeast<BottomHalfDisabled> for IrqsOffAlready {}
impl AtLeast<LocalIrqDisabled> for IrqsOffAlready {}
