//! The reader-writer spinlock: many readers at once, or one writer.
//!
//! For data that is read often and long, and written rarely: a reader pays as much as for a spinlock, so short sections gain nothing, and where
//! readers may retry, [`super::SeqLock`] costs them no store at all. Arrivals are served in order, so neither side starves; a reader in an interrupt
//! does not queue and waits only for a writer that holds (`raw::rw` says how and why). So data that an interrupt only *reads* needs irqs off for
//! its writers alone: `write_irqsave` there, plain `read` everywhere.
//!
//! A thread that reads must not read again inside: a writer may have queued in between. (`lockdep` finds it.)
//!
//! | Linux | here |
//! |---|---|
//! | `read_lock`, `read_lock_irq`, `read_lock_irqsave`, `read_lock_bh` | [`RwLock::read`], `read_irq`, `read_irqsave`, `read_bh` |
//! | `write_lock` and its forms | [`RwLock::write`] and its forms |
//! | `read_trylock`, `write_trylock` | [`RwLock::try_read`], [`RwLock::try_write`] |
//! | `rw_is_locked` | [`RwLock::is_locked`] |
//!
//! ```
//! use tetra::sync::RwLock;
//! static LIMITS: RwLock<(u32, u32)> = RwLock::new((0, 100));
//! LIMITS.write().1 = 50;
//! let (one, other) = (LIMITS.read(), LIMITS.try_read());
//! assert_eq!((one.1, other.map(|limits| limits.1)), (50, Some(50)));
//! ```
//! Data that may not be shared between cores cannot be read in parallel:
//! ```compile_fail,E0277
//! static SHARED: tetra::sync::RwLock<core::cell::Cell<u32>> = tetra::sync::RwLock::new(core::cell::Cell::new(0));
//! ```
//! a guard stays on its core and thread;
//! ```compile_fail,E0277
//! static LIMIT: tetra::sync::RwLock<u32> = tetra::sync::RwLock::new(0);
//! let guard = LIMIT.read();
//! std::thread::spawn(move || drop(guard));
//! ```
//! and a reader cannot write:
//! ```compile_fail,E0594
//! static LIMIT: tetra::sync::RwLock<u32> = tetra::sync::RwLock::new(0);
//! *LIMIT.read() = 1;
//! ```
//!
//! Neighbours: `raw::rw` (the algorithm, its states and ordering), `policy`, `meta`.

use super::meta::{Access, IS_WATCHED, LockMeta};
use super::policy::{AtLeast, BottomHalfDisabled, LocalIrqDisabled, Policy, PreemptDisabled};
use super::raw::DefaultRwLock;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// Data that many readers or one writer may touch.
pub struct RwLock<T: ?Sized, G: Policy = PreemptDisabled> {
    raw: DefaultRwLock,
    meta: LockMeta,
    _policy: PhantomData<fn(G)>,
    data: UnsafeCell<T>,
}

// SAFETY: writers move access to the data between threads (`Send`), readers share it (`Sync`); the algorithm keeps the two apart.
unsafe impl<T: ?Sized + Send + Sync, G: Policy> Sync for RwLock<T, G> {}
// SAFETY: the lock owns the data.
unsafe impl<T: ?Sized + Send, G: Policy> Send for RwLock<T, G> {}

impl<T> RwLock<T> {
    /// A free lock around `data`, for threads. The place of this call is the lock's class.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::RwLock;
    /// static LIMIT: RwLock<u32> = RwLock::new(100);
    /// assert_eq!(*LIMIT.read(), 100);
    /// ```
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self::with_policy(data)
    }
}

impl<T, G: Policy> RwLock<T, G> {
    /// A free lock around `data`, whose holders are in the context that its type names.
    #[track_caller]
    pub const fn with_policy(data: T) -> Self {
        Self { raw: DefaultRwLock::INIT, meta: LockMeta::new(), _policy: PhantomData, data: UnsafeCell::new(data) }
    }

    /// The data, when no lock is needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

#[cfg(all(not(loom), not(feature = "debug_spinlock"), not(feature = "lockdep"), not(feature = "lock_stat")))]
const _: () = assert!(
    size_of::<RwLock<u32>>()
        == 4 + match () {
            () if cfg!(feature = "up_unchecked") => 0,
            () if cfg!(feature = "up") => 4,
            () => 16,
        }
);

/// Defines the forms of one way in: for each context a call that waits and one that tries. `others`: what readers beside it get.
macro_rules! forms {
    ($guard:ident, $enter:ident, $try_enter:ident, $what:literal, others $others:literal, $($call:ident, $try_call:ident, $context:ty, $how:literal;)+) => {
        $(
            #[doc = concat!("Enters as a ", $what, $how, "; spins until it can.")]
            ///
            /// Context: any that the policy allows; does not sleep. Acquire: all that writers, and for a writer also readers, did inside before happens
            /// before what follows.
            ///
            /// # Examples
            /// ```
            /// let lock = tetra::sync::RwLock::new(7);
            #[doc = concat!("let inside = lock.", stringify!($call), "();")]
            #[doc = concat!("assert!(*inside == 7 && lock.try_read().", $others, "());")]
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn $call(&self) -> $guard<'_, T, G, $context>
            where
                $context: AtLeast<G>,
            {
                self.$enter(0)
            }

            #[doc = concat!("Enters as a ", $what, $how, " if that needs no waiting; else the context is as before.")]
            ///
            /// Context and ordering: as the form that waits; no order on failure.
            ///
            /// # Examples
            /// ```
            /// let lock = tetra::sync::RwLock::new(7);
            /// let writer = lock.write();
            #[doc = concat!("assert!(lock.", stringify!($try_call), "().is_none());")]
            /// drop(writer);
            #[doc = concat!("assert!(lock.", stringify!($try_call), "().is_some());")]
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn $try_call(&self) -> Option<$guard<'_, T, G, $context>>
            where
                $context: AtLeast<G>,
            {
                self.$try_enter()
            }
        )+
    };
}

impl<T: ?Sized, G: Policy> RwLock<T, G> {
    forms! {
        RwLockReadGuard, read_in, try_read_in, "reader", others "is_some",
        read, try_read, G, ", in the type's context";
        read_irqsave, try_read_irqsave, LocalIrqDisabled, " with irqs off";
        read_irq, try_read_irq, LocalIrqDisabled, " with irqs off";
        read_bh, try_read_bh, BottomHalfDisabled, " with bottom halves off";
    }

    forms! {
        RwLockWriteGuard, write_in, try_write_in, "writer", others "is_none",
        write, try_write, G, ", in the type's context";
        write_irqsave, try_write_irqsave, LocalIrqDisabled, " with irqs off";
        write_irq, try_write_irq, LocalIrqDisabled, " with irqs off";
        write_bh, try_write_bh, BottomHalfDisabled, " with bottom halves off";
    }

    /// Enters as a reader inside another lock of this one's class: as `Lock::lock_nested`. Context and ordering: as `read`.
    #[inline(always)]
    #[track_caller]
    pub fn read_nested(&self, level: u8) -> RwLockReadGuard<'_, T, G, G> {
        self.read_in(level)
    }

    /// Enters as a writer inside another lock of this one's class: as `Lock::lock_nested`. Context and ordering: as `write`.
    #[inline(always)]
    #[track_caller]
    pub fn write_nested(&self, level: u8) -> RwLockWriteGuard<'_, T, G, G> {
        self.write_in(level)
    }

    /// Someone is inside. A hint, as for a spinlock.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::RwLock;
    /// let lock = RwLock::new(7);
    /// let reader = lock.read();
    /// assert!(lock.is_locked() && !lock.is_write_locked());
    /// # drop(reader);
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked() || self.meta.is_held()
    }

    /// A writer is inside. A hint.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::RwLock;
    /// let lock = RwLock::new(7);
    /// let writer = lock.write();
    /// assert!(lock.is_write_locked());
    /// # drop(writer);
    /// ```
    pub fn is_write_locked(&self) -> bool {
        self.raw.is_write_locked() || self.meta.is_held()
    }

    /// Someone waits. A hint for holders that could let go for a moment.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::RwLock;
    /// let lock = RwLock::new(7);
    /// let reader = lock.read();
    /// assert!(!lock.is_contended()); // inside, but nobody waits
    /// # drop(reader);
    /// ```
    pub fn is_contended(&self) -> bool {
        self.raw.is_contended()
    }

    /// The data, without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    #[inline(always)]
    #[track_caller]
    fn read_in<C: AtLeast<G>>(&self, subclass: u8) -> RwLockReadGuard<'_, T, G, C> {
        C::enter();
        self.meta.acquire(Access::Shared, subclass);
        if !IS_WATCHED {
            self.raw.read();
        } else if !self.raw.begin_read() {
            let mut wait = self.meta.contended(Access::Shared, subclass);
            self.raw.wait_read(&mut || wait.look());
        }
        self.meta.acquired(Access::Shared, subclass);
        RwLockReadGuard { lock: self, _context: PhantomData }
    }

    #[inline(always)]
    #[track_caller]
    fn try_read_in<C: AtLeast<G>>(&self) -> Option<RwLockReadGuard<'_, T, G, C>> {
        C::enter();
        if self.raw.begin_read() {
            self.meta.acquired(Access::Shared, 0);
            return Some(RwLockReadGuard { lock: self, _context: PhantomData });
        }
        // SAFETY: undoes the `enter` above; no guard was made.
        unsafe { C::leave() };
        None
    }

    #[inline(always)]
    #[track_caller]
    fn write_in<C: AtLeast<G>>(&self, subclass: u8) -> RwLockWriteGuard<'_, T, G, C> {
        C::enter();
        self.meta.acquire(Access::Exclusive, subclass);
        if !IS_WATCHED {
            self.raw.write();
        } else if !self.raw.begin_write() {
            let mut wait = self.meta.contended(Access::Exclusive, subclass);
            self.raw.wait_write(&mut || wait.look());
        }
        self.meta.acquired(Access::Exclusive, subclass);
        RwLockWriteGuard { lock: self, _context: PhantomData }
    }

    #[inline(always)]
    #[track_caller]
    fn try_write_in<C: AtLeast<G>>(&self) -> Option<RwLockWriteGuard<'_, T, G, C>> {
        C::enter();
        if self.raw.begin_write() {
            self.meta.acquired(Access::Exclusive, 0);
            return Some(RwLockWriteGuard { lock: self, _context: PhantomData });
        }
        // SAFETY: undoes the `enter` above; no guard was made.
        unsafe { C::leave() };
        None
    }
}

impl<T: ?Sized, G: Policy> fmt::Debug for RwLock<T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("locked", &self.is_locked()).field("context", &G::NAME).finish_non_exhaustive()
    }
}

/// The right to read the data, in context `C`. Leaves when it drops. `!Send`: the section that it ends belongs to its core.
#[must_use = "the lock is given back as soon as the guard drops"]
pub struct RwLockReadGuard<'a, T: ?Sized, G: Policy, C: Policy = PreemptDisabled> {
    lock: &'a RwLock<T, G>,
    _context: PhantomData<(*mut (), C)>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync, G: Policy, C: Policy> Sync for RwLockReadGuard<'_, T, G, C> {}

impl<T: ?Sized, G: Policy, C: Policy> Deref for RwLockReadGuard<'_, T, G, C> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: while a reader is inside no writer is.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized, G: Policy, C: Policy> Drop for RwLockReadGuard<'_, T, G, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.meta.release(Access::Shared);
        // SAFETY: this guard is inside as a reader, and is dropped once.
        unsafe { self.lock.raw.unlock_read() };
        // SAFETY: undoes the `enter` that came before this guard, which stands for it and is dropped once.
        unsafe { C::leave() };
    }
}

impl<T: ?Sized + fmt::Debug, G: Policy, C: Policy> fmt::Debug for RwLockReadGuard<'_, T, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The right to read and write the data, in context `C`. Leaves when it drops. `!Send`, as the reader's.
#[must_use = "the lock is given back as soon as the guard drops"]
pub struct RwLockWriteGuard<'a, T: ?Sized, G: Policy, C: Policy = PreemptDisabled> {
    lock: &'a RwLock<T, G>,
    _context: PhantomData<(*mut (), C)>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync, G: Policy, C: Policy> Sync for RwLockWriteGuard<'_, T, G, C> {}

impl<T: ?Sized, G: Policy, C: Policy> Deref for RwLockWriteGuard<'_, T, G, C> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: a writer is inside alone; a shared borrow of its guard allows shared access.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized, G: Policy, C: Policy> DerefMut for RwLockWriteGuard<'_, T, G, C> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the exclusive borrow of the guard makes the access exclusive.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized, G: Policy, C: Policy> Drop for RwLockWriteGuard<'_, T, G, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.meta.release(Access::Exclusive);
        // SAFETY: this guard is inside as a writer, and is dropped once.
        unsafe { self.lock.raw.unlock_write() };
        // SAFETY: undoes the `enter` that came before this guard, which stands for it and is dropped once.
        unsafe { C::leave() };
    }
}

impl<T: ?Sized + fmt::Debug, G: Policy, C: Policy> fmt::Debug for RwLockWriteGuard<'_, T, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, not(loom), not(feature = "up")))]
mod tests;
