//! The spinlock under its names.
//!
//! | data touched by | type | Linux |
//! |---|---|---|
//! | threads only | [`SpinLock`] | `spin_lock` |
//! | softirqs or tasklets too | [`BhSpinLock`] | `spin_lock_bh` |
//! | hardirqs too | [`IrqSpinLock`] | `spin_lock_irqsave` |
//!
//! All are the ticket algorithm, since it is fair in two words (`raw::ticket` says why not another), and in a build for one core no algorithm at
//! all; `lock.rs` has the calls. [`TasSpinLock`] and [`McsSpinLock`] are for labs and benches.
//!
//! ```
//! use tetra::sync::SpinLock;
//! static COUNTER: SpinLock<u64> = SpinLock::new(0);
//! *COUNTER.lock() += 1;
//! assert_eq!(*COUNTER.lock_irqsave(), 1);
//! ```
//!
//! The MCS lock takes its queue node from the caller:
//! ```
//! use core::pin::pin;
//! use tetra::sync::{McsNode, McsSpinLock};
//! static COUNTER: McsSpinLock<u64> = McsSpinLock::new(0);
//! let mut node = pin!(McsNode::new());
//! *COUNTER.lock_with(node.as_mut()) += 1;
//! *COUNTER.lock_with(node.as_mut()) += 1; // free again, so it may serve again
//! # assert_eq!(*COUNTER.lock_with(node), 2);
//! ```
//! One node stands in one queue at a time:
//! ```compile_fail,E0499
//! # use core::pin::pin;
//! # use tetra::sync::{McsNode, McsSpinLock};
//! # static A: McsSpinLock<u64> = McsSpinLock::new(0);
//! # static B: McsSpinLock<u64> = McsSpinLock::new(0);
//! let mut node = pin!(McsNode::new());
//! let a = A.lock_with(node.as_mut());
//! let b = B.lock_with(node.as_mut());
//! drop(a);
//! ```
//! and does not go before its guard:
//! ```compile_fail,E0716
//! # use core::pin::pin;
//! # use tetra::sync::{McsNode, McsSpinLock};
//! # static A: McsSpinLock<u64> = McsSpinLock::new(0);
//! let guard = A.lock_with(pin!(McsNode::new()));
//! assert_eq!(*guard, 0);
//! ```

use super::lock::Lock;
use super::policy::{BottomHalfDisabled, LocalIrqDisabled, PreemptDisabled};
use super::raw::{DefaultLock, McsLock, TasLock};

/// A fair spinlock for data that threads share. Holders are not preempted and must not sleep.
pub type SpinLock<T> = Lock<T, DefaultLock, PreemptDisabled>;

/// A fair spinlock for data that a softirq or tasklet touches: always held with bottom halves off.
///
/// # Examples
/// ```
/// use tetra::sync::BhSpinLock;
/// static RECEIVED: BhSpinLock<u32> = BhSpinLock::new(0); // a tasklet counts, threads read
/// let received = RECEIVED.lock();
/// assert!(tetra::cpu::in_softirq()); // bottom halves are off
/// # drop(received);
/// ```
pub type BhSpinLock<T> = Lock<T, DefaultLock, BottomHalfDisabled>;

/// A fair spinlock for data that a hardirq touches: always held with irqs off.
///
/// # Examples
/// ```
/// use tetra::sync::IrqSpinLock;
/// static RECEIVED: IrqSpinLock<u32> = IrqSpinLock::new(0); // a handler counts, threads read
/// let received = RECEIVED.lock();
/// assert!(tetra::cpu::is_atomic()); // irqs are off
/// # drop(received);
/// ```
pub type IrqSpinLock<T> = Lock<T, DefaultLock, LocalIrqDisabled>;

/// An unfair spinlock, to compare with.
pub type TasSpinLock<T> = Lock<T, TasLock, PreemptDisabled>;

/// A fair spinlock whose takers bring a queue node and spin on it, to compare with.
pub type McsSpinLock<T> = Lock<T, McsLock, PreemptDisabled>;

#[cfg(all(not(loom), not(feature = "up"), not(feature = "debug_spinlock"), not(feature = "lockdep"), not(feature = "lock_stat")))]
const _: () = assert!(size_of::<SpinLock<()>>() == 8 && size_of::<TasSpinLock<()>>() == 8 && size_of::<McsSpinLock<()>>() == 16);

#[cfg(all(feature = "up", not(feature = "debug_spinlock"), not(feature = "lockdep"), not(feature = "lock_stat")))]
const _: () = {
    let mark = if cfg!(feature = "up_unchecked") { 0 } else { size_of::<u32>() };
    assert!(size_of::<SpinLock<()>>() == mark && size_of::<IrqSpinLock<u32>>() == mark + size_of::<u32>());
};

/// Threads that meet at a lock: there are none in a build for one core.
#[cfg(all(test, not(loom), not(feature = "up")))]
mod contended_tests {
    use super::*;
    use crate::sync::policy::Policy;
    use crate::sync::raw::{McsNode, RawLock, TicketLock};
    use core::pin::pin;
    use std::thread;

    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20_000;

    fn adds_up<R: RawLock, G: Policy>(add: impl Fn(&Lock<u64, R, G>) + Sync) {
        let counter = Lock::<u64, R, G>::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..ROUNDS).for_each(|_| add(&counter)));
            }
        });
        assert!(!counter.is_locked() && !counter.is_contended());
        assert_eq!(counter.into_inner(), THREADS * ROUNDS);
    }

    #[test]
    fn no_update_is_lost() {
        adds_up::<TicketLock, PreemptDisabled>(|lock| *lock.lock() += 1);
        adds_up::<TasLock, LocalIrqDisabled>(|lock| *lock.lock() += 1);
        adds_up::<McsLock, BottomHalfDisabled>(|lock| *lock.lock_with(pin!(McsNode::new())) += 1);
    }

    #[test]
    fn no_update_is_lost_by_tries() {
        adds_up::<TicketLock, PreemptDisabled>(|lock| while lock.try_lock().map(|mut guard| *guard += 1).is_none() {});
        adds_up::<McsLock, PreemptDisabled>(|lock| {
            let mut node = pin!(McsNode::new());
            while lock.try_lock_with(node.as_mut()).map(|mut guard| *guard += 1).is_none() {}
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::arch::irq;
    use crate::cpu::{self, preempt_count};
    use crate::sync::raw::McsNode;
    use core::mem;
    use core::pin::pin;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[cfg(not(feature = "up_unchecked"))]
    #[test]
    fn try_lock_fails_while_held_and_leaves_the_context_as_it_was() {
        let lock = IrqSpinLock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        assert!(lock.is_locked() && !lock.is_contended());
        drop(guard);
        assert!(!irq::is_masked());
        assert!(lock.try_lock().is_some());
        assert!(!irq::is_masked());

        let lock = SpinLock::new(());
        let guard = lock.lock();
        let before = preempt_count();
        assert!(lock.try_lock_bh().is_none() && lock.try_lock_irqsave().is_none() && lock.try_lock_irq().is_none());
        assert!(preempt_count() == before && !irq::is_masked());
        drop(guard);
    }

    #[test]
    fn each_call_marks_its_context() {
        let lock = BhSpinLock::new(());
        let guard = lock.lock();
        assert!(cpu::in_softirq() && !irq::is_masked());
        drop(guard);
        let guard = lock.lock_irq();
        assert!(!cpu::in_softirq() && irq::is_masked());
        drop(guard);
        assert!(preempt_count() == 0 && !irq::is_masked());
    }

    #[test]
    fn guards_drop_in_every_order() {
        let (a, b, c) = (SpinLock::new(()), SpinLock::new(()), SpinLock::new(()));
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut guards: [Option<std::boxed::Box<dyn core::any::Any>>; 3] = [None, None, None];
            // SAFETY: the locks outlive the guards, which are dropped below; only the lifetime is stretched, so that they fit an array.
            guards[0] = Some(std::boxed::Box::new(unsafe { mem::transmute::<LockGuardIrq<'_>, LockGuardIrq<'static>>(a.lock_irqsave()) }));
            // SAFETY: as above.
            guards[1] = Some(std::boxed::Box::new(unsafe { mem::transmute::<LockGuardBh<'_>, LockGuardBh<'static>>(b.lock_bh()) }));
            // SAFETY: as above.
            guards[2] = Some(std::boxed::Box::new(unsafe { mem::transmute::<LockGuardIrq<'_>, LockGuardIrq<'static>>(c.lock_irq()) }));
            for (dropped, at) in order.into_iter().enumerate() {
                let irq_guards_left = usize::from(guards[0].is_some()) + usize::from(guards[2].is_some());
                assert_eq!(irq::is_masked(), irq_guards_left > 0, "after {dropped} drops in order {order:?}");
                guards[at] = None;
            }
            assert!(preempt_count() == 0 && !irq::is_masked(), "order {order:?}");
        }
    }

    type LockGuardIrq<'a> = crate::sync::LockGuard<'a, (), DefaultLock, PreemptDisabled, LocalIrqDisabled>;
    type LockGuardBh<'a> = crate::sync::LockGuard<'a, (), DefaultLock, PreemptDisabled, BottomHalfDisabled>;

    #[test]
    fn an_mcs_node_whose_guard_was_leaked_is_not_let_go() {
        let lock = McsSpinLock::new(0);
        let text = catch_unwind(AssertUnwindSafe(|| {
            let mut node = pin!(McsNode::new());
            mem::forget(lock.lock_with(node.as_mut()));
        }))
        .expect_err("the node went away");
        assert!(text.downcast_ref::<&str>().is_some_and(|text| text.contains("goes away while it is queued")));
        // SAFETY: the section of the guard that was forgotten.
        unsafe { crate::arch::count::leave_preempt_off() };
    }

    #[cfg(all(feature = "up_unchecked", not(feature = "debug_spinlock")))]
    #[test]
    fn on_one_core_the_word_is_gone_and_the_sections_stay() {
        let lock = SpinLock::new(());
        let depth = u32::from(!cfg!(feature = "preempt_none") || cfg!(feature = "debug"));
        let guard = lock.lock();
        assert!(preempt_count() == depth && !lock.is_locked());
        drop(guard);
        let guard = lock.lock_irq();
        assert!(irq::is_masked());
        drop(guard);
        assert!(preempt_count() == 0 && !irq::is_masked());
        assert_eq!(size_of::<SpinLock<u64>>(), size_of::<u64>());
    }
}
