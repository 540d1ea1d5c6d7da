//! The condition variable: threads that wait until data under a mutex is as they need it.
//!
//! `wait_while` gives the mutex back, sleeps, and has it again when it looks. A notification is a step of a counter: who read the counter with the mutex
//! still held cannot miss a step that was made under the mutex later, however slowly it gets to its queue. Only a mutex's guard is accepted: with a
//! spinlock's the thread would sleep in its section.
//! ```compile_fail,E0308
//! use tetra::sync::{Condvar, SpinLock};
//! static LOCK: SpinLock<u32> = SpinLock::new(0);
//! static CHANGED: Condvar = Condvar::new();
//! let guard = CHANGED.wait_while(LOCK.lock(), |count| *count == 0);
//! ```
//!
//! ```no_run
//! use tetra::sync::{Condvar, Mutex};
//! static STOCK: Mutex<u32> = Mutex::new(0);
//! static CAME: Condvar = Condvar::new();
//!
//! // the one who needs something
//! let mut stock = CAME.wait_while(STOCK.lock(), |stock| *stock == 0);
//! *stock -= 1;
//! drop(stock);
//! // the one who brings it
//! *STOCK.lock() += 1;
//! CAME.notify_one();
//! ```
//!
//! # Memory ordering
//! The data is the mutex's. The counter is read before the mutex is given back and stepped after the change was made under it; the look at the counter
//! behind the barrier of the wait (`wait_room`) sees the step, or the notifier sees the waiter.

use super::atomic::AtomicU32;
use super::mutex::MutexGuard;
use super::raw_mutex::LockError;
use super::wait_room::{Kind, Sleep, WaitRoom, might_sleep};
use core::fmt;

/// Threads that wait for a change of data under a mutex.
pub struct Condvar {
    /// Notifications so far. A waiter would miss 2^32 of them between two looks.
    nr_notified: AtomicU32,
    room: WaitRoom,
}

impl Condvar {
    /// Nobody waits.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Condvar;
    /// static CAME: Condvar = Condvar::new();
    /// CAME.notify_all(); // nobody waits: nothing happens
    /// ```
    pub const fn new() -> Self {
        Self { nr_notified: AtomicU32::new(0), room: WaitRoom::new() }
    }

    /// Waits as long as `is_unfit` says so of the data; the mutex is free meanwhile, and held when it looks and when this returns.
    ///
    /// Context: thread, may sleep; with no other lock held that a notifier needs.
    ///
    /// # Panics
    /// As `Mutex::lock`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{Condvar, Mutex};
    /// static STOCK: Mutex<u32> = Mutex::new(0);
    /// static CAME: Condvar = Condvar::new();
    /// let mut stock = CAME.wait_while(STOCK.lock(), |stock| *stock == 0);
    /// *stock -= 1; // held again, and there is some
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>, mut is_unfit: impl FnMut(&mut T) -> bool) -> MutexGuard<'a, T> {
        might_sleep();
        let mut guard = guard;
        while is_unfit(&mut guard) {
            // Nothing but a notification ends a deep sleep.
            let (mutex, _) = self.wait_once(guard, Sleep::DEEP);
            guard = mutex.lock();
        }
        guard
    }

    /// The same; a fatal signal ends the wait.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`), or `OwnerDead` when the mutex is taken again; it is not held then.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{Condvar, LockError, Mutex};
    /// fn take(came: &Condvar, stock: &Mutex<u32>) -> Result<(), LockError> {
    ///     *came.wait_while_killable(stock.lock(), |stock| *stock == 0)? -= 1; // a fatal signal: nothing was taken
    ///     Ok(())
    /// }
    /// assert_eq!(take(&Condvar::new(), &Mutex::new(1)), Ok(()));
    /// ```
    #[track_caller]
    pub fn wait_while_killable<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        mut is_unfit: impl FnMut(&mut T) -> bool,
    ) -> Result<MutexGuard<'a, T>, LockError> {
        might_sleep();
        let mut guard = guard;
        while is_unfit(&mut guard) {
            let (mutex, waited) = self.wait_once(guard, Sleep::KILLABLE);
            waited?;
            // Who was notified and cannot look passes the notification on: another waits for it.
            guard = mutex.lock_killable().inspect_err(|_| self.notify_one())?;
        }
        Ok(guard)
    }

    fn wait_once<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>, sleep: Sleep) -> (&'a super::Mutex<T>, Result<(), LockError>) {
        let seen = self.nr_notified.read();
        let mutex = MutexGuard::mutex(&guard);
        drop(guard);
        let waited = self.room.wait_for_condition(sleep, Kind::Exclusive, || self.nr_notified.read() != seen);
        (mutex, waited.map_err(|_| LockError::Interrupted))
    }

    /// Wakes who has waited longest. Context: any; the change was made under the mutex before.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{Condvar, Mutex};
    /// static STOCK: Mutex<u32> = Mutex::new(0);
    /// static CAME: Condvar = Condvar::new();
    /// *STOCK.lock() += 1; // one piece,
    /// CAME.notify_one(); // for one that waits
    /// ```
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all. Context: any; the change was made under the mutex before.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{Condvar, Mutex};
    /// static STOCK: Mutex<u32> = Mutex::new(0);
    /// static CAME: Condvar = Condvar::new();
    /// *STOCK.lock() += 10; // enough for all that wait
    /// CAME.notify_all();
    /// ```
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    fn notify(&self, count: usize) {
        self.nr_notified.inc();
        if !self.room.is_empty() {
            self.room.call(count);
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("nr_notified", &self.nr_notified).finish()
    }
}
