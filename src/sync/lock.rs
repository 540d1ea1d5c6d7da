//! `Lock<T, R, G>`: data under an algorithm `R`, held in a context at least as strict as policy `G`.
//!
//! Here meet the three things that a lock is made of; each knows nothing of the others. The order is: enter the policy's section, take the
//! algorithm, and the reverse on the way out, so that nobody is interrupted or preempted while holding in a context that could deadlock.
//!
//! What the types refuse: a call may ask for more than the type's policy, never for less;
//! ```compile_fail,E0277
//! static TIMER: tetra::sync::IrqSpinLock<u32> = tetra::sync::IrqSpinLock::new(0);
//! TIMER.lock_bh(); // a handler takes this lock: bottom halves off is not enough
//! ```
//! a guard stays on its core and thread;
//! ```compile_fail,E0277
//! static COUNT: tetra::sync::SpinLock<u32> = tetra::sync::SpinLock::new(0);
//! let guard = COUNT.lock();
//! std::thread::spawn(move || drop(guard));
//! ```
//! the data is reached through a guard alone, and not beyond its life;
//! ```compile_fail,E0616
//! static COUNT: tetra::sync::SpinLock<u32> = tetra::sync::SpinLock::new(0);
//! let data = COUNT.data.get();
//! ```
//! ```compile_fail,E0505
//! let lock = tetra::sync::SpinLock::new(vec![1]);
//! let guard = lock.lock();
//! let first = &guard[0];
//! drop(guard);
//! println!("{first}");
//! ```
//! what must not be shared between cores is not shared by a lock either.
//! ```compile_fail,E0277
//! static SHARED: tetra::sync::SpinLock<Option<std::rc::Rc<u32>>> = tetra::sync::SpinLock::new(None);
//! ```
//!
//! Neighbours: `raw` (algorithms), `policy` (sections), `meta` (hooks), `spinlock` (the names that users know).

use super::meta::{Access, IS_WATCHED, LockMeta};
use super::policy::{AtLeast, BottomHalfDisabled, IrqsOffAlready, LocalIrqDisabled, Policy, PreemptDisabled};
use super::raw::RawLock;
use crate::cpu::IrqsOff;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;

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
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// static COUNT: SpinLock<u32> = SpinLock::new(7);
    /// assert_eq!(*COUNT.lock(), 7);
    /// ```
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self { raw: R::INIT, meta: LockMeta::new(), _policy: PhantomData, data: UnsafeCell::new(data) }
    }

    /// The data, when no lock is needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

/// For algorithms that need nothing from the taker.
impl<T: ?Sized, R: RawLock<Node = ()>, G: Policy> Lock<T, R, G> {
    /// Takes the lock in its type's context; spins until it can.
    ///
    /// Context: any that the policy allows; does not sleep. Acquire: all before the last unlock happens before what follows.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// static COUNT: SpinLock<u32> = SpinLock::new(0);
    /// *COUNT.lock() += 1; // the guard drops at the end of the statement
    /// assert_eq!(*COUNT.lock(), 1);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock(&self) -> LockGuard<'_, T, R, G, G> {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// Takes the lock with irqs off: Linux's `spin_lock_irqsave`.
    ///
    /// Context: any; afterwards irqs are off until the last guard that wants it so has dropped, in whatever order. Ordering: as `lock`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let (one, other) = (SpinLock::new(1), SpinLock::new(2));
    /// let (one, other) = (one.lock_irqsave(), other.lock_irqsave());
    /// drop(one);
    /// assert!(tetra::cpu::is_atomic()); // irqs stay off for the other
    /// # drop(other);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_irqsave(&self) -> LockGuard<'_, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// Linux's `spin_lock_irq`, and the same as `lock_irqsave`: since sections are counted, whoever knows irqs to be on gains nothing by saying so.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// static COUNT: SpinLock<u32> = SpinLock::new(0);
    /// *COUNT.lock_irq() += 1;
    /// assert!(!tetra::cpu::is_atomic()); // irqs are as before
    /// # assert_eq!(*COUNT.lock(), 1);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_irq(&self) -> LockGuard<'_, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// Takes the lock where irqs are off already, for which the caller has evidence: they are not counted once more, which saves half of the pair's cost. The
    /// guard cannot outlive the evidence.
    ///
    /// Context: irqs off. Ordering: as `lock`.
    #[inline(always)]
    #[track_caller]
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no scheduler"))]
    pub(crate) fn lock_irqs_off<'a>(&'a self, _evidence: IrqsOff<'a>) -> LockGuard<'a, T, R, G, IrqsOffAlready>
    where
        IrqsOffAlready: AtLeast<G>,
    {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// Takes the lock with bottom halves off: Linux's `spin_lock_bh`.
    ///
    /// Context: thread or softirq. Ordering: as `lock`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.lock_bh();
    /// assert!(tetra::cpu::in_softirq()); // bottom halves are off
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_bh(&self) -> LockGuard<'_, T, R, G, BottomHalfDisabled>
    where
        BottomHalfDisabled: AtLeast<G>,
    {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// Takes the lock inside another of its class: Linux's `spin_lock_nested`. `level`, 1 to 7, says which of the nested ones it is, so that `lockdep`
    /// knows the order that the program keeps among them (by address, parent before child). Without `lockdep` the same as `lock`.
    ///
    /// Context and ordering: as `lock`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// static ENDS: [SpinLock<u32>; 2] = [const { SpinLock::new(7) }; 2]; // one class: made at one place
    /// let (mut from, mut to) = (ENDS[0].lock(), ENDS[1].lock_nested(1)); // by index, always
    /// (*from, *to) = (*from - 1, *to + 1);
    /// assert_eq!(*from + *to, 14);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_nested(&self, level: u8) -> LockGuard<'_, T, R, G, G> {
        self.lock_in(NonNull::dangling(), level)
    }

    /// As `lock_nested`, with irqs off.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// static ENDS: [SpinLock<u32>; 2] = [const { SpinLock::new(7) }; 2]; // one class: made at one place
    /// let (from, to) = (ENDS[0].lock_irqsave(), ENDS[1].lock_irqsave_nested(1)); // by index, always
    /// assert_eq!(*from + *to, 14);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_irqsave_nested(&self, level: u8) -> LockGuard<'_, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in(NonNull::dangling(), level)
    }

    /// Takes the lock in the context that the caller's types ask for: for locks made of this one.
    #[inline(always)]
    #[track_caller]
    pub(super) fn lock_as<C: AtLeast<G>>(&self) -> LockGuard<'_, T, R, G, C> {
        self.lock_in(NonNull::dangling(), 0)
    }

    /// As `lock_as`, if the lock is free.
    #[inline(always)]
    #[track_caller]
    pub(super) fn try_lock_as<C: AtLeast<G>>(&self) -> Option<LockGuard<'_, T, R, G, C>> {
        self.try_lock_in(NonNull::dangling())
    }

    /// Takes the lock if it is free.
    ///
    /// Context: as `lock`, and does not spin. Acquire on success; no order on failure.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.lock();
    /// assert!(count.try_lock().is_none());
    /// drop(guard);
    /// assert!(count.try_lock().is_some());
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T, R, G, G>> {
        self.try_lock_in(NonNull::dangling())
    }

    /// Takes the lock with irqs off if it is free; else irqs are as before. Context and ordering: as `try_lock`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.try_lock_irqsave();
    /// assert!(guard.is_some() && tetra::cpu::is_atomic());
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_lock_irqsave(&self) -> Option<LockGuard<'_, T, R, G, LocalIrqDisabled>>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.try_lock_in(NonNull::dangling())
    }

    /// The same as `try_lock_irqsave`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.lock();
    /// assert!(count.try_lock_irq().is_none());
    /// # drop(guard);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_lock_irq(&self) -> Option<LockGuard<'_, T, R, G, LocalIrqDisabled>>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.try_lock_in(NonNull::dangling())
    }

    /// Takes the lock with bottom halves off if it is free; else they are as before. Context and ordering: as `try_lock`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.lock();
    /// assert!(count.try_lock_bh().is_none());
    /// assert!(!tetra::cpu::in_softirq()); // it left bottom halves as they were
    /// # drop(guard);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn try_lock_bh(&self) -> Option<LockGuard<'_, T, R, G, BottomHalfDisabled>>
    where
        BottomHalfDisabled: AtLeast<G>,
    {
        self.try_lock_in(NonNull::dangling())
    }
}

impl<T: ?Sized, R: RawLock, G: Policy> Lock<T, R, G> {
    /// Takes the lock with the taker's own queue node; spins until it can.
    ///
    /// The node is borrowed as long as the guard lives, so it can neither move nor stand in two queues; see `raw::mcs`.
    ///
    /// Context and ordering: as `lock`.
    ///
    /// # Examples
    /// ```
    /// use core::pin::pin;
    /// use tetra::sync::{McsNode, McsSpinLock};
    /// static COUNT: McsSpinLock<u32> = McsSpinLock::new(0);
    /// *COUNT.lock_with(pin!(McsNode::new())) += 1;
    /// assert_eq!(*COUNT.lock_with(pin!(McsNode::new())), 1);
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn lock_with<'a>(&'a self, node: Pin<&'a mut R::Node>) -> LockGuard<'a, T, R, G, G> {
        self.lock_in(node_ptr(node), 0)
    }

    /// Takes the lock with irqs off and the taker's own node.
    #[inline(always)]
    #[track_caller]
    pub fn lock_irqsave_with<'a>(&'a self, node: Pin<&'a mut R::Node>) -> LockGuard<'a, T, R, G, LocalIrqDisabled>
    where
        LocalIrqDisabled: AtLeast<G>,
    {
        self.lock_in(node_ptr(node), 0)
    }

    /// Takes the lock with the taker's own node if it is free.
    #[inline(always)]
    #[track_caller]
    pub fn try_lock_with<'a>(&'a self, node: Pin<&'a mut R::Node>) -> Option<LockGuard<'a, T, R, G, G>> {
        self.try_lock_in(node_ptr(node))
    }

    /// Someone holds the lock. A hint: stale on return unless the caller is the holder. In a build for one core without `debug_spinlock` nobody
    /// keeps the answer, and it is `false`.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let guard = count.lock();
    /// assert!(count.is_locked());
    /// drop(guard);
    /// assert!(!count.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked() || self.meta.is_held()
    }

    /// Someone waits for the lock. A hint for holders that could let go for a moment.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SpinLock;
    /// let count = SpinLock::new(0);
    /// let mut guard = count.lock();
    /// while *guard < 3 && !count.is_contended() {
    ///     *guard += 1; // work that can be left for later if somebody waits
    /// }
    /// assert_eq!(*guard, 3); // here nobody does
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
    fn lock_in<C: AtLeast<G>>(&self, node: NonNull<R::Node>, subclass: u8) -> LockGuard<'_, T, R, G, C> {
        C::enter();
        self.meta.acquire(Access::Exclusive, subclass);
        let token = self.take(node, subclass);
        self.meta.acquired(Access::Exclusive, subclass);
        LockGuard { lock: self, token, _context: PhantomData }
    }

    #[inline(always)]
    #[track_caller]
    fn take(&self, node: NonNull<R::Node>, subclass: u8) -> R::Token {
        if !IS_WATCHED {
            // SAFETY: the node is pinned and borrowed until the guard is dropped (or it takes up no room); if the guard is leaked, the node's own
            // destructor stands in.
            return unsafe { self.raw.lock_with(node) };
        }
        // SAFETY: as above.
        let (token, is_held) = unsafe { self.raw.begin(node) };
        if !is_held {
            let mut wait = self.meta.contended(Access::Exclusive, subclass);
            self.raw.wait(token, &mut || wait.look());
        }
        token
    }

    #[inline(always)]
    #[track_caller]
    fn try_lock_in<C: AtLeast<G>>(&self, node: NonNull<R::Node>) -> Option<LockGuard<'_, T, R, G, C>> {
        C::enter();
        // SAFETY: as in `take`.
        match unsafe { self.raw.try_lock_with(node) } {
            Some(token) => {
                self.meta.acquired(Access::Exclusive, 0);
                Some(LockGuard { lock: self, token, _context: PhantomData })
            }
            None => {
                // SAFETY: undoes the `enter` above; no guard was made.
                unsafe { C::leave() };
                None
            }
        }
    }
}

#[inline(always)]
fn node_ptr<N>(node: Pin<&mut N>) -> NonNull<N> {
    // SAFETY: the algorithm does not move the node.
    NonNull::from(unsafe { node.get_unchecked_mut() })
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
        self.lock.meta.release(Access::Exclusive);
        // SAFETY: this guard holds the lock by `token`, and is dropped once.
        unsafe { self.lock.raw.unlock(self.token) };
        // SAFETY: undoes the `enter` that came before this guard, which stands for it and is dropped once.
        unsafe { C::leave() };
    }
}

impl<T: ?Sized + fmt::Debug, R: RawLock, G: Policy, C: Policy> fmt::Debug for LockGuard<'_, T, R, G, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
