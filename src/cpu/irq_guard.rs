//! Interrupts off, by a rule that lets guards drop in any order.
//!
//! DAIF.I itself is level 0: the entry that finds it clear sets it. Every further entry finds it set and adds one to a per-core word, `extra`.
//! A drop takes one from `extra`, or, when that is 0, clears DAIF.I. So the mask is lifted by whichever guard drops last, and a pair costs 7
//! instructions. Rejected: the flags saved in each guard (dropping the outer first unmasks inside the inner), and a depth with a saved DAIF
//! (12 to 16 instructions).
//!
//! Invariant: DAIF.I clear means `extra` is 0. Checked, in builds with `debug`, where an interrupt returns to a thread and in the idle loop. In
//! a hardirq the hardware has set I, so all entries there are extra ones.
//! The word is per core and not per thread because nobody migrates with irqs off; a context switch happens at one level exactly.

use super::latency;
use super::local::local;
use crate::arch::irq;
use core::hint::cold_path;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// While it lives, this core takes no interrupts. Guards nest and drop in any order. `!Send`: it belongs to its core.
///
/// It does not leave its thread:
/// ```compile_fail,E0277
/// let guard = tetra::cpu::IrqGuard::new();
/// std::thread::spawn(move || drop(guard));
/// ```
#[must_use = "interrupts are on again as soon as the guard drops"]
#[derive(Debug)]
pub struct IrqGuard {
    _this_core: PhantomData<*mut ()>,
}

impl IrqGuard {
    /// Masks interrupts, whatever their state: Linux's `local_irq_save`.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::cpu::{IrqGuard, is_atomic};
    /// let (outer, inner) = (IrqGuard::new(), IrqGuard::new());
    /// drop(outer);
    /// assert!(is_atomic()); // the inner one keeps interrupts off
    /// drop(inner);
    /// assert!(!is_atomic());
    /// ```
    #[inline(always)]
    #[expect(clippy::new_without_default, reason = "a guard is made on purpose, never by a derived Default")]
    pub fn new() -> Self {
        enter();
        Self { _this_core: PhantomData }
    }
}

impl IrqGuard {
    /// Evidence that irqs are off as long as this guard is borrowed.
    #[inline(always)]
    pub fn irqs_off(&self) -> IrqsOff<'_> {
        IrqsOff { _this_core: PhantomData }
    }
}

/// Evidence that this core takes no interrupts for `'a`, at no cost: who has it need not mask them again. `!Send`: it is true of one core.
#[derive(Clone, Copy, Debug)]
pub struct IrqsOff<'a> {
    _this_core: PhantomData<(*mut (), &'a IrqGuard)>,
}

impl IrqsOff<'_> {
    /// The same where no guard stands for it: in an exception, or in a section that was entered by hand.
    ///
    /// Context: irqs masked.
    ///
    /// # Safety
    /// They stay masked, and the caller stays on this core, as long as what is made of the evidence is used.
    #[inline(always)]
    pub unsafe fn assume() -> Self {
        check_masked();
        Self { _this_core: PhantomData }
    }
}

/// In builds with `debug`: what takes interrupts for masked finds them so.
#[inline(always)]
pub(crate) fn check_masked() {
    if cfg!(feature = "debug") {
        assert!(irq::is_masked(), "irqs are on where they were taken for masked");
    }
}

impl Drop for IrqGuard {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the guard stands for one entry on this core, and is dropped once.
        unsafe { leave() };
    }
}

/// Runs `f` with interrupts masked and puts the mask back as it was: 3 instructions, where scope forces the order.
///
/// For the hottest paths of mm. No [`IrqGuard`] or lock guard that `f` makes may outlive it: it would count itself as an inner entry.
///
/// Context: any.
#[inline(always)]
pub(crate) fn with_irqs_masked<R>(f: impl FnOnce() -> R) -> R {
    let state = irq::save();
    let before = depth_for_check();
    let result = f();
    if cfg!(feature = "debug") {
        assert!(depth_for_check() == before, "a guard that keeps interrupts off was made inside of with_irqs_masked and outlives it");
    }
    // SAFETY: what `save` gave; `f` has come to an end, and no guard of its own outlives it (the rule above, which holds for the kernel's own callers).
    unsafe { irq::restore(state) };
    result
}

/// The depth, in builds that check it.
#[inline(always)]
fn depth_for_check() -> u32 {
    if cfg!(feature = "debug") { extra_depth() } else { 0 }
}

/// Enters an irq-off section: for guards of locks. Every `enter` owes one `leave` on the same core.
#[inline(always)]
pub fn enter() {
    if irq::is_masked() {
        enter_nested();
    } else {
        irq::mask();
        note_place();
        latency::irqs_went_off();
    }
}

/// Enters the section that no other may be around, the switch of threads. False, and nothing has changed, if irqs are off already.
///
/// Context: any. True: the caller owes one [`leave_outermost`].
#[inline(always)]
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no scheduler"))]
pub(crate) fn enter_outermost() -> bool {
    if irq::is_masked() {
        return false;
    }
    irq::mask();
    note_place();
    latency::irqs_went_off();
    true
}

/// Leaves that section: irqs are on again. There is no depth to look at, since it found them on (the invariant).
///
/// # Safety
/// It undoes one `enter_outermost` that was true, of this thread or of the one that it was switched from; no guard of a section is left, and nothing is used
/// any more that a handler touches too.
#[inline(always)]
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no scheduler"))]
pub(crate) unsafe fn leave_outermost() {
    if cfg!(feature = "debug") {
        assert!(extra_depth() == 0, "a guard that keeps interrupts off was made in the outermost section and outlives it");
    }
    latency::irqs_go_on();
    // SAFETY: by the contract.
    unsafe { irq::unmask() };
}

/// Notes where irqs were masked, for the report on a core that never unmasks them. Nothing in builds without `debug`.
#[inline(always)]
fn note_place() {
    #[cfg(all(target_os = "none", feature = "debug"))]
    local().irqs_masked_at.store(crate::arch::position().0, Ordering::Relaxed);
}

/// Where core `cpu` last masked interrupts by a guard or a lock; `None` if it never did, or the build does not note it.
///
/// Context: any; of another core, a hint.
pub fn last_masked_at(cpu: usize) -> Option<usize> {
    Some(super::local::local_of(cpu).irqs_masked_at.load(Ordering::Relaxed)).filter(|address| *address != 0)
}

/// Leaves an irq-off section.
///
/// # Safety
/// It undoes one `enter` on this core that no guard stands for, and nothing is used any more that a handler touches too.
#[inline(always)]
pub unsafe fn leave() {
    let extra = &local().irq_extra;
    let depth = extra.load(Ordering::Relaxed);
    if depth != 0 {
        leave_nested(depth);
    } else {
        latency::irqs_go_on();
        // SAFETY: this was the last entry (the invariant), and it was the caller's.
        unsafe { irq::unmask() };
    }
}

/// Inlined: a call here would make the caller save registers on the way that is not nested.
#[inline(always)]
fn enter_nested() {
    cold_path();
    // Only this core writes the word, and with irqs masked nothing on it comes in between: a load and a store are enough.
    let extra = &local().irq_extra;
    extra.store(extra.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[inline(always)]
fn leave_nested(depth: u32) {
    cold_path();
    local().irq_extra.store(depth - 1, Ordering::Relaxed);
}

/// Entries beyond the first, on this core. Context: irqs masked.
pub fn extra_depth() -> u32 {
    local().irq_extra.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (bool, u32) {
        (irq::is_masked(), extra_depth())
    }

    #[test]
    fn guards_drop_in_every_order() {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for order in ORDERS {
            let before = state();
            let mut guards = [Some(IrqGuard::new()), Some(IrqGuard::new()), Some(IrqGuard::new())];
            for (dropped, at) in order.into_iter().enumerate() {
                assert!(irq::is_masked(), "unmasked after {dropped} of 3 drops in order {order:?}");
                guards[at] = None;
            }
            assert_eq!(state(), before, "order {order:?}");
        }
    }

    #[cfg(feature = "debug")]
    #[test]
    fn a_guard_that_outlives_its_masked_section_is_found() {
        let outcome = std::panic::catch_unwind(|| core::mem::forget(with_irqs_masked(IrqGuard::new)));
        let text = outcome.expect_err("the guard outlives the section");
        assert!(text.downcast_ref::<&str>().is_some_and(|text| text.contains("outlives it")));
        // SAFETY: of the guard, which was dropped by the unwinding, and of the section, nothing is left.
        unsafe { irq::unmask() };
    }

    #[test]
    fn a_section_that_found_irqs_masked_leaves_them_masked() {
        irq::mask();
        drop(IrqGuard::new());
        assert_eq!(state(), (true, 0));
        // SAFETY: no guard is left.
        unsafe { irq::unmask() };
    }
}
