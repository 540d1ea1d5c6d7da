//! The mutex: data that one thread at a time may touch, and sleep while it does.
//!
//! The lock for threads when the section may sleep or is long; where a handler or a bottom half touches the data too, a spinlock is needed. It is not for
//! handlers at all. `raw_mutex` tells how it waits, hands over and lends urgency.
//!
//! An owner that ends without giving it back, by a fault, leaves the data in any state, so nobody gets it any more: a waiter gets a report and an error.
//!
//! ```no_run
//! use tetra::sync::Mutex;
//!
//! static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
//! NAMES.lock().push("tetra"); // the allocation may sleep
//! assert_eq!(NAMES.try_lock().map(|names| names.len()), Some(1));
//! ```
//! A guard stays with its thread, which is the owner:
//! ```compile_fail,E0277
//! static COUNT: tetra::sync::Mutex<u32> = tetra::sync::Mutex::new(0);
//! let guard = COUNT.lock();
//! std::thread::spawn(move || drop(guard));
//! ```
//! and the data is not reached without it, nor beyond its life.
//! ```compile_fail,E0616
//! static COUNT: tetra::sync::Mutex<u32> = tetra::sync::Mutex::new(0);
//! let data = COUNT.data.get();
//! ```
//! ```compile_fail,E0505
//! let lock = tetra::sync::Mutex::new(vec![1]);
//! let guard = lock.lock();
//! let first = &guard[0];
//! drop(guard);
//! println!("{first}");
//! ```
//!
//! # Memory ordering
//! All before an unlock happens before all after the next lock.

use super::raw_mutex::{LockError, RawMutex};
use super::wait_room::Sleep;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// Data that one thread at a time may touch: Linux's `struct mutex`.
#[doc(alias("DEFINE_MUTEX", "mutex_init"))]
#[repr(C)]
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through a guard, of which there is one at a time; so sharing only moves access between threads, which `T: Send` permits.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: the mutex owns the data; its room is empty when it is moved, since waiters borrow it.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `data`. The place of this call is its class.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Mutex;
    /// static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    /// assert!(!NAMES.is_locked());
    /// ```
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self { raw: RawMutex::new(), data: UnsafeCell::new(data) }
    }

    /// The data, when no lock is needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the mutex; sleeps until it can: Linux's `mutex_lock`.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Panics
    /// If the running thread has it already, or its owner has ended with it: who can go on then asks with `lock_killable`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::Mutex;
    /// static NAMES: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    /// NAMES.lock().push("tetra"); // the guard drops at the end of the statement
    /// assert_eq!(NAMES.lock().len(), 1);
    /// ```
    #[doc(alias = "mutex_lock")]
    #[inline(always)]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_nested(0)
    }

    /// As `lock`, inside another of its class: Linux's `mutex_lock_nested`. `level`, 1 to 7, is for `lockdep`, as for `Lock::lock_nested`.
    ///
    /// Context, order and panics: as `lock`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::Mutex;
    /// static ENDS: [Mutex<u32>; 2] = [const { Mutex::new(7) }; 2]; // one class: made at one place
    /// let (mut from, mut to) = (ENDS[0].lock(), ENDS[1].lock_nested(1)); // by index, always
    /// (*from, *to) = (*from - 1, *to + 1);
    /// assert_eq!(*from + *to, 14);
    /// ```
    #[doc(alias = "mutex_lock_nested")]
    #[inline(always)]
    #[track_caller]
    pub fn lock_nested(&self, level: u8) -> MutexGuard<'_, T> {
        self.raw.lock_for_sure(level);
        MutexGuard::new(self)
    }

    /// Takes the mutex; a signal ends the wait: Linux's `mutex_lock_interruptible`.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`) or `OwnerDead` (`EOWNERDEAD`).
    ///
    /// # Panics
    /// If the running thread has it already.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{LockError, Mutex};
    /// fn add(names: &Mutex<Vec<&'static str>>, name: &'static str) -> Result<(), LockError> {
    ///     names.lock_interruptible()?.push(name); // a signal: nothing was added
    ///     Ok(())
    /// }
    /// assert_eq!(add(&Mutex::new(Vec::new()), "tetra"), Ok(()));
    /// ```
    #[doc(alias = "mutex_lock_interruptible")]
    #[inline]
    #[track_caller]
    pub fn lock_interruptible(&self) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock(&Sleep::INTERRUPTIBLE, 0).map(|()| MutexGuard::new(self))
    }

    /// Takes the mutex; a fatal signal ends the wait: Linux's `mutex_lock_killable`.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`) or `OwnerDead` (`EOWNERDEAD`).
    ///
    /// # Panics
    /// If the running thread has it already.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::Mutex;
    /// let names = Mutex::new(vec!["tetra"]);
    /// assert!(names.lock_killable().is_ok_and(|names| names.len() == 1));
    /// ```
    #[doc(alias = "mutex_lock_killable")]
    #[inline]
    #[track_caller]
    pub fn lock_killable(&self) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock(&Sleep::KILLABLE, 0).map(|()| MutexGuard::new(self))
    }

    /// Takes the mutex if it is free: Linux's `mutex_trylock`.
    ///
    /// Context: thread. Acquire on success.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::Mutex;
    /// let names = Mutex::new(vec!["tetra"]);
    /// let guard = names.lock();
    /// assert!(names.try_lock().is_none());
    /// ```
    #[doc(alias = "mutex_trylock")]
    #[inline(always)]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// Somebody has it: Linux's `mutex_is_locked`. A hint. Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::Mutex;
    /// let names = Mutex::new(vec!["tetra"]);
    /// let guard = names.lock();
    /// assert!(names.is_locked());
    /// ```
    #[doc(alias = "mutex_is_locked")]
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    /// The data, without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("locked", &self.is_locked()).finish_non_exhaustive()
    }
}

/// The right to the data of a mutex. Gives the mutex back when it drops.
///
/// `!Send`: the thread that took it is the owner.
#[must_use = "the mutex is given back as soon as the guard drops"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    _stays: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    #[inline(always)]
    fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex, _stays: PhantomData }
    }

    /// Whose guard it is: for who gives it back and takes it again.
    pub(super) fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard's thread has the mutex; a shared borrow of the guard allows shared access.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the exclusive borrow of the guard makes the access exclusive.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    #[track_caller]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
