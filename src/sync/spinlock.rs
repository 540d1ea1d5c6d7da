//! The spinlock under its names.
//!
//! `SpinLock` is for data that threads share; `IrqSpinLock` for data that a hardirq touches too. Both are the ticket algorithm; `lock.rs` has
//! the calls.
//!
//! ```
//! use tetra::sync::SpinLock;
//! static COUNTER: SpinLock<u64> = SpinLock::new(0);
//! *COUNTER.lock() += 1;
//! assert_eq!(*COUNTER.lock_irqsave(), 1);
//! ```

use super::lock::Lock;
use super::policy::{LocalIrqDisabled, PreemptDisabled};
use super::raw::TicketLock;

/// A fair spinlock for data that threads share. Holders are not preempted and must not sleep.
pub type SpinLock<T> = Lock<T, TicketLock, PreemptDisabled>;

/// A fair spinlock for data that a hardirq touches: always held with irqs off.
pub type IrqSpinLock<T> = Lock<T, TicketLock, LocalIrqDisabled>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn no_update_is_lost() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = 20_000;
        let counter = Arc::new(SpinLock::new(0));
        let adders: Vec<_> = (0..THREADS)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || (0..ROUNDS).for_each(|_| *counter.lock() += 1))
            })
            .collect();
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        assert_eq!(*counter.lock(), THREADS * ROUNDS);
    }

    #[test]
    fn try_lock_fails_while_held_and_leaves_the_context_as_it_was() {
        let lock = IrqSpinLock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        assert!(lock.is_locked() && !lock.is_contended());
        drop(guard);
        assert!(!crate::arch::irq::is_masked());
        assert!(lock.try_lock().is_some());
        assert!(!crate::arch::irq::is_masked());
    }

    #[test]
    fn a_call_may_strengthen_the_policy_and_guards_drop_in_any_order() {
        let (a, b) = (SpinLock::new(1), SpinLock::new(2));
        let outer = a.lock_irqsave();
        let inner = b.lock();
        drop(outer);
        assert_eq!(crate::cpu::preempt_count(), 1);
        drop(inner);
        assert_eq!(crate::cpu::preempt_count(), 0);
        assert!(!crate::arch::irq::is_masked());
    }
}
