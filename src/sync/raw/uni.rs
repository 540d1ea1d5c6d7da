//! The locks of a build for one core (feature `up`): a mark, and nobody who waits.
//!
//! No other core can hold the lock, and the policy's section keeps other threads, bottom halves or handlers of this core out. So whoever finds it
//! held would wait for itself: a handler that took a lock whose type or call does not mask irqs, or a thread that takes it twice. On four cores
//! that hangs; here the wait is a panic that names the lock.
//!
//! The mark is what makes the lock sound: without it a second taker gets in, and safe code has two `&mut` to one value. A build that is known
//! to be free of such mistakes (it ran with `debug_spinlock` on four cores) can do without: the feature `up_unchecked` removes the mark, the lock
//! compiles to its policy's section, and with `preempt_none` besides to nothing. Who switches it on promises what the compiler cannot check.
//!
//! # Memory ordering
//! A core sees its own accesses in order; the policies' sections keep the compiler from moving accesses out. The mark is changed by exclusives all
//! the same: a handler that comes between a load and a store, and leaks its guard, must not be overwritten.

use super::RawLock;
use core::ptr::{self, NonNull};

#[cfg(not(feature = "up_unchecked"))]
use checked::Mark;
#[cfg(feature = "up_unchecked")]
use unchecked::Mark;

/// No spinlock, but the mark that it is held.
#[derive(Debug)]
pub struct UniLock(Mark);

// SAFETY: the mark lets one holder in until it leaves. Without it (`up_unchecked`) the promise is that of whoever chose the feature: the section
// that the policy protects is not entered by anyone else of this only core.
unsafe impl RawLock for UniLock {
    const INIT: Self = Self(Mark::FREE);

    type Node = ();
    type Token = ();

    #[inline(always)]
    unsafe fn begin(&self, _: NonNull<()>) -> ((), bool) {
        ((), self.0.enter_alone())
    }

    #[cold]
    fn wait(&self, (): (), _: &mut dyn FnMut()) {
        waits_for_itself(ptr::from_ref(self).addr());
    }

    #[inline(always)]
    unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<()> {
        self.0.enter_alone().then_some(())
    }

    #[inline(always)]
    unsafe fn unlock(&self, (): ()) {
        self.0.leave_alone();
    }

    fn is_locked(&self) -> bool {
        self.0.is_taken()
    }

    fn is_contended(&self) -> bool {
        false
    }
}

/// No reader-writer lock, but the count of those inside.
#[derive(Debug)]
pub struct UniRwLock(Mark);

/// The calls of `RawRwLock`, by the same contracts.
#[expect(clippy::missing_safety_doc, reason = "the contracts are those of `RawRwLock`, word for word")]
impl UniRwLock {
    /// See `RawRwLock::INIT`.
    #[cfg_attr(
        not(feature = "up_unchecked"),
        expect(clippy::declare_interior_mutable_const, reason = "an initial value for statics, copied at each use on purpose")
    )]
    pub const INIT: Self = Self(Mark::FREE);

    /// See `RawRwLock::begin_read`.
    #[inline(always)]
    pub fn begin_read(&self) -> bool {
        self.0.enter_shared()
    }

    /// See `RawRwLock::wait_read`.
    #[cold]
    pub fn wait_read(&self, _: &mut dyn FnMut()) {
        waits_for_itself(ptr::from_ref(self).addr());
    }

    /// See `RawRwLock::read`.
    #[inline(always)]
    pub fn read(&self) {
        if !self.begin_read() {
            waits_for_itself(ptr::from_ref(self).addr());
        }
    }

    /// See `RawRwLock::unlock_read`.
    #[inline(always)]
    pub unsafe fn unlock_read(&self) {
        self.0.leave_shared();
    }

    /// See `RawRwLock::begin_write`.
    #[inline(always)]
    pub fn begin_write(&self) -> bool {
        self.0.enter_alone()
    }

    /// See `RawRwLock::wait_write`.
    #[cold]
    pub fn wait_write(&self, _: &mut dyn FnMut()) {
        waits_for_itself(ptr::from_ref(self).addr());
    }

    /// See `RawRwLock::write`.
    #[inline(always)]
    pub fn write(&self) {
        if !self.begin_write() {
            waits_for_itself(ptr::from_ref(self).addr());
        }
    }

    /// See `RawRwLock::unlock_write`.
    #[inline(always)]
    pub unsafe fn unlock_write(&self) {
        self.0.leave_alone();
    }

    /// See `RawRwLock::is_locked`.
    pub fn is_locked(&self) -> bool {
        self.0.is_taken()
    }

    /// See `RawRwLock::is_write_locked`.
    pub fn is_write_locked(&self) -> bool {
        self.0.is_taken_alone()
    }

    /// See `RawRwLock::is_contended`.
    pub fn is_contended(&self) -> bool {
        false
    }
}

/// A wait that nobody could end.
#[cold]
#[inline(never)]
fn waits_for_itself(lock: usize) -> ! {
    panic!(
        "lock {lock:#x} is held, and on one core whoever waits for it waits for itself: taken twice, or by a handler that it does not mask"
    );
}

/// The mark, with the states and the loops of `RawRwLock` as far as one core needs them.
#[cfg(not(feature = "up_unchecked"))]
mod checked {
    use crate::arch::gate;
    use crate::sync::atomic::AtomicU32;

    const SHARED_BIT: u32 = 31;
    const ALONE_BIT: u32 = 30;
    /// Nobody is inside; less by one for each that shares.
    const NOBODY: u32 = 1 << SHARED_BIT | 1 << ALONE_BIT;
    /// Somebody is inside alone: what `clear_if_bit` leaves.
    const ALONE: u32 = 0;

    /// Who is inside.
    #[derive(Debug)]
    pub(super) struct Mark(AtomicU32);

    impl Mark {
        #[expect(clippy::declare_interior_mutable_const, reason = "an initial value for statics, copied at each use on purpose")]
        pub(super) const FREE: Self = Self(AtomicU32::new(NOBODY));

        #[inline(always)]
        pub(super) fn enter_alone(&self) -> bool {
            gate::clear_if_bit::<ALONE_BIT>(self.0.cell())
        }

        #[inline(always)]
        pub(super) fn leave_alone(&self) {
            self.0.store_release(NOBODY);
        }

        #[inline(always)]
        pub(super) fn enter_shared(&self) -> bool {
            gate::dec_if_bit::<SHARED_BIT>(self.0.cell())
        }

        #[inline(always)]
        pub(super) fn leave_shared(&self) {
            self.0.fetch_inc_release();
        }

        pub(super) fn is_taken(&self) -> bool {
            self.0.read() != NOBODY
        }

        pub(super) fn is_taken_alone(&self) -> bool {
            self.0.read() == ALONE
        }
    }
}

/// No mark.
#[cfg(feature = "up_unchecked")]
mod unchecked {
    /// Nothing: everybody gets in.
    #[derive(Debug)]
    pub(super) struct Mark;

    impl Mark {
        pub(super) const FREE: Self = Self;

        #[inline(always)]
        pub(super) fn enter_alone(&self) -> bool {
            true
        }

        #[inline(always)]
        pub(super) fn leave_alone(&self) {}

        #[inline(always)]
        pub(super) fn enter_shared(&self) -> bool {
            true
        }

        #[inline(always)]
        pub(super) fn leave_shared(&self) {}

        pub(super) fn is_taken(&self) -> bool {
            false
        }

        pub(super) fn is_taken_alone(&self) -> bool {
            false
        }
    }
}

#[cfg(all(test, not(loom), feature = "up", not(feature = "up_unchecked")))]
mod tests {
    use super::{RawLock, UniLock};
    use crate::sync::{RwLock, SpinLock};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::string::String;

    fn text_of_panic(f: impl FnOnce()) -> String {
        *catch_unwind(AssertUnwindSafe(f)).expect_err("it waited").downcast::<String>().expect("a formatted text")
    }

    #[test]
    fn who_would_wait_for_itself_is_told() {
        let lock = SpinLock::new(0);
        let guard = lock.lock();
        assert!(lock.is_locked() && lock.try_lock().is_none());
        drop(guard);
        assert!(!lock.is_locked());

        // The algorithm alone: a panic does not come through the call that keeps all registers.
        let raw = UniLock::INIT;
        raw.lock();
        assert!(raw.try_lock().is_none());
        assert!(text_of_panic(|| raw.wait((), &mut || ())).contains("waits for itself"));
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let lock = RwLock::new(0);
        let readers = (lock.read(), lock.read());
        assert!(lock.is_locked() && !lock.is_write_locked() && lock.try_write().is_none());
        assert!(text_of_panic(|| *lock.write() += 1).contains("waits for itself"));
        drop(readers);
        let writer = lock.write();
        assert!(lock.is_write_locked() && lock.try_read().is_none());
        assert!(text_of_panic(|| assert_eq!(*lock.read(), 0)).contains("waits for itself"));
        drop(writer);
        assert!(!lock.is_locked());
    }
}
