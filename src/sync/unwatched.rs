//! `Unwatched<T>`: data of the lock checks themselves, under a raw lock that no check sees.
//!
//! A check that took an ordinary lock would check itself for ever. So: interrupts off, a test-and-set lock, and a mark a core that its owner is inside a
//! check, which the hooks look at: what is locked in there (the console's lock, under a report) is not watched.
//!
//! # Memory ordering
//! That of the raw lock: acquire by the exchange that finds it free, release by the store that frees it (`raw::tas`).

use super::raw::{RawLock, TasLock};
use crate::arch::NR_CPUS;
use crate::cpu::{self, IrqGuard};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// This core is inside a check. Written by the core itself, with irqs off.
static IS_INSIDE: [AtomicBool; NR_CPUS] = [const { AtomicBool::new(false) }; NR_CPUS];

/// Data of a check.
#[derive(Debug)]
pub(super) struct Unwatched<T> {
    lock: TasLock,
    data: UnsafeCell<T>,
}

// SAFETY: `with` lets one caller at a time at the data, so sharing moves access between cores, which `T: Send` permits.
unsafe impl<T: Send> Sync for Unwatched<T> {}

impl<T> Unwatched<T> {
    /// Around `data`.
    pub const fn new(data: T) -> Self {
        Self { lock: TasLock::INIT, data: UnsafeCell::new(data) }
    }

    /// Calls `f` with the data, alone.
    ///
    /// Context: any; irqs are off meanwhile. Calls for different data may nest, for the same data they would wait for ever.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _irqs_off = IrqGuard::new();
        let inside = &IS_INSIDE[cpu::id()];
        let was_inside = inside.swap(true, Relaxed);
        self.lock.lock();
        // SAFETY: the lock is held, and `f` cannot keep the reference.
        let result = f(unsafe { &mut *self.data.get() });
        // SAFETY: taken above, given back once.
        unsafe { self.lock.unlock(()) };
        inside.store(was_inside, Relaxed);
        result
    }
}

/// Whether this core is inside a check, which is not to be checked. Context: any.
#[inline]
pub(super) fn is_inside_check() -> bool {
    IS_INSIDE[cpu::id()].load(Relaxed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_mark_lasts_until_the_outermost_call_ends() {
        let (outer, inner) = (Unwatched::new(1), Unwatched::new(2));
        let sum = outer.with(|one| {
            let two = inner.with(|two| *two);
            assert!(is_inside_check());
            *one + two
        });
        assert!(sum == 3 && !crate::arch::irq::is_masked());
    }
}
