//! `Lock<T, R, G>`: data under an algorithm `R`, held in a context at least as strict as policy `G`.
//!
//! Here meet the three things that a lock is made of; each knows nothing of the others. The order is: enter the policy's section, take the
//! algorithm, and the reverse on the way out, so that nobody is interrupted or preempted while holding in a context that could deadlock.
//!
//! Neighbours: `raw` (algorithms), `policy` (sections), `meta` (hooks), `spinlock` (the names that users know).

use super::meta::LockMeta;
use super::policy::{AtLeast, BottomHalfDisabled, LocalIrqDisabled, Policy, PreemptDisabled};
use super::raw::RawLock;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// Data that one holder at a time may touch.
pub struct Lock<T: ?Sized, R: RawLock, G: Policy> {
    raw: R,
    meta: LockMeta,
    _policy: PhantomData<fn(G)>,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through a guard, and the algorithm lets one guard exist at a time; so sharing the lock only ever moves access to the
// data between threads, which `T: Send` permits.
unsafe impl<T: ?Sized + Send, R: RawLock, G: Policy> Sync for Lock<T, R, G> {}
// SAFETY: the lock owns the data.
unsafe impl<T: ?Sized + Send, R: RawLock, G: Policy> Send for Lock<T, R, G> {}

impl<T, R: RawLock, G: Policy> Lock<T, R, G> {
    /// A free lock around `data`. The place of this call is the lock's class.
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self { raw: R::INIT, meta: LockMeta::new(), _policy: PhantomData, data: UnsafeCell::new(data) }
    }

    /// The data, when no lock is needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized, R: RawLock, G: Policy> Lock<T, R, G> {
    /// Takes the lock in its type's context; spins until it can.
    ///
    /// Context: any that the policy allows; does not sleep. Acquire: all before the last unlock happens before what follows.
    #[inline(always)]
    pub fn lock(&self) -> LockGuard<'_, T, R, G, G> {
        self.lock_in()
    }

    /// Takes the lock with irqs off: Linux's `spin_lock_irqsave` and `spin_lock_irq` in one, since the state is counted.
    #[inline(always)]
    pub fn lock_irqsave(&self) -> LockGuard<'_, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in()
    }

    /// The same as `lock_irqsave`: whoever knows irqs to be on gains nothing here by saying so.
    #[inline(always)]
    pub fn lock_irq(&self) -> LockGuard<'_, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in()
    }

    /// Takes the lock with bottom halves off.
    #[inline(always)]
    pub fn lock_bh(&self) -> LockGuard<'_, T, R, G, BottomHalfDisabled>
    where
        BottomHalfDisabled: AtLeast<G>,
    {
        self.lock_in()
    }

    /// Takes the lock if it is free.
    ///
    /// Context: as `lock`, and does not spin. Acquire on success; no order on failure.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T, R, G, G>> {
        self.try_lock_in()
    }

    /// Takes the lock with irqs off if it is free; else irqs are as before.
    #[inline(always)]
    pub fn try_lock_irqsave(&self) -> Option<LockGuard<'_, T, R, G, LocalIrqDisabled>>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.try_lock_in()
    }

    /// Takes the lock with bottom halves off if it is free; else they are as before.
    #[inline(always)]
    pub fn try_lock_bh(&self) -> Option<LockGuard<'_, T, R, G, BottomHalfDisabled>>
    where
        BottomHalfDisabled: AtLeast<G>,
    {
        self.try_lock_in()
    }

    /// Someone holds the lock. A hint: stale on return unless the caller is the holder.
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    /// Someone waits for the lock. A hint for holders that could let go for a moment.
    pub fn is_contended(&self) -> bool {
        self.raw.is_contended()
    }

    /// The data, without locking: `&mut self` proves that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    #[inline(always)]
    fn lock_in<C: AtLeast<G>>(&self) -> LockGuard<'_, T, R, G, C> {
        C::enter();
        self.meta.acquire();
        let token = self.raw.lock();
        self.meta.acquired();
        LockGuard { lock: self, token, _context: PhantomData }
    }

    #[inline(always)]
    fn try_lock_in<C: AtLeast<G>>(&self) -> Option<LockGuard<'_, T, R, G, C>> {
        C::enter();
        match self.raw.try_lock() {
            Some(token) => {
                self.meta.acquired();
                Some(LockGuard { lock: self, token, _context: PhantomData })
            }
            None => {
                C::leave();
                None
            }
        }
    }
}

impl<T: ?Sized, R: RawLock, G: Policy> fmt::Debug for Lock<T, R, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("locked", &self.is_locked()).field("context", &G::NAME).finish_non_exhaustive()
    }
}

/// The right to the data of a lock, in context `C`. Gives the lock back when it drops.
///
/// `!Send`: the section that it ends belongs to its core.
#[must_use = "the lock is given back as soon as the guard drops"]
pub struct LockGuard<'a, T: ?Sized, R: RawLock, G: Policy, C: Policy = PreemptDisabled> {
    lock: &'a Lock<T, R, G>,
    token: R::Token,
    _context: PhantomData<(*mut (), C)>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync, R: RawLock, G: Policy, C: Policy> Sync for LockGuard<'_, T, R, G, C> {}

impl<T: ?Sized, R: RawLock, G: Policy, C: Policy> Deref for LockGuard<'_, T, R, G, C> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else has the data; a shared borrow of the guard allows shared access.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized, R: RawLock, G: Policy, C: Policy> DerefMut for LockGuard<'_, T, R, G, C> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; the exclusive borrow of the guard makes the access exclusive.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized, R: RawLock, G: Policy, C: Policy> Drop for LockGuard<'_, T, R, G, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.meta.release();
        // SAFETY: this guard holds the lock by `token`, and is dropped once.
        unsafe { self.lock.raw.unlock(self.token) };
        C::leave();
    }
}

impl<T: ?Sized + fmt::Debug, R: RawLock, G: Policy, C: Policy> fmt::Debug for LockGuard<'_, T, R, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
