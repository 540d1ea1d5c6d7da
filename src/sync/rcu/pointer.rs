//! `Rcu<T>`: a pointer that readers follow in read sections, and writers replace.
//!
//! The owner of a value is a type, and each step of its life is another one, so that nothing can be freed too early by safe code:
//!
//! ```text
//!  RcuBox<T> ----replace---->  Rcu<T>  ----replace, take---->  Retired<T>  --synchronize--> RcuBox<T>
//!  one owner, &mut T           readers: &T in a section        &T still         \--drop, kfree_rcu--> freed after a grace period
//! ```
//! What is replaced comes back as [`Retired`]: readers may have it in hand still. It becomes the caller's own again by waiting, or is left to `call_rcu`
//! by dropping it, for which its memory has had room from the start. Rejected: `replace` that frees by itself, which hides the wait; a lock in the
//! pointer (writers that base the new value on the old bring their own, or use [`Rcu::replace_if`]).
//!
//! # Memory ordering
//! `replace` is a full barrier: the new value is written before it can be found. Readers depend on the address (`read`). What readers did with a value
//! comes before its drop (`grace_period`).
//!
//! Neighbours: `mm::rcu_box` makes the boxes; `list` chains them.

use super::callbacks::{RcuCallback, RcuHead};
use super::{RcuReadGuard, call_rcu, synchronize_rcu, synchronize_rcu_expedited};
use crate::sync::atomic::AtomicPtr;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

/// A value with what freeing it later takes.
#[repr(C)]
pub(crate) struct RcuBlock<T> {
    head: RcuHead,
    value: T,
}

impl<T> RcuBlock<T> {
    /// A value that `free` drops and frees, called with the block's address once.
    pub(crate) const fn new(value: T, free: RcuCallback) -> Self {
        Self { head: RcuHead::with_function(free), value }
    }
}

/// A value on the heap that nobody else sees yet, or any more. Made by `RcuBox::new`, in `mm`.
///
/// # Invariants
/// `block` is valid, nobody else's, and its head's function frees it.
pub struct RcuBox<T: 'static> {
    block: NonNull<RcuBlock<T>>,
    _owns: PhantomData<RcuBlock<T>>,
}

// SAFETY: a box is its value.
unsafe impl<T: Send> Send for RcuBox<T> {}
// SAFETY: a box is its value.
unsafe impl<T: Sync> Sync for RcuBox<T> {}

impl<T: 'static> RcuBox<T> {
    /// The owner of `block`.
    ///
    /// # Safety
    /// `block` is valid, nobody else's, and its head's function may be called with it, once, on any core and in a softirq.
    pub(crate) const unsafe fn from_block(block: NonNull<RcuBlock<T>>) -> Self {
        Self { block, _owns: PhantomData }
    }

    /// Gives the block up.
    pub(super) fn into_block(self) -> NonNull<RcuBlock<T>> {
        let block = self.block;
        mem::forget(self);
        block
    }
}

impl<T> Drop for RcuBox<T> {
    /// Frees it now: nobody else can see it.
    fn drop(&mut self) {
        let head = self.block.cast::<RcuHead>();
        // SAFETY: the invariant; `head` is the first field.
        let free = unsafe { head.as_ref() }.function;
        // SAFETY: the invariant; the box is gone.
        unsafe { free(head) };
    }
}

impl<T> Deref for RcuBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the invariant, and the borrow of the box.
        unsafe { value_of(self.block) }
    }
}

impl<T> DerefMut for RcuBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the invariant, and the exclusive borrow of the box.
        unsafe { &mut (*self.block.as_ptr()).value }
    }
}

impl<T: fmt::Debug> fmt::Debug for RcuBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// The value of `block`; its head is not touched, which may be queued.
///
/// # Safety
/// The block is valid, and its value not written, for as long as the caller uses the reference.
#[inline(always)]
pub(super) unsafe fn value_of<'a, T>(block: NonNull<RcuBlock<T>>) -> &'a T {
    // SAFETY: the caller's contract.
    unsafe { &(*block.as_ptr()).value }
}

/// A value that has been taken out of sight, and that readers may have in hand still.
///
/// Dropping it frees it after a grace period, by `call_rcu`; `T`'s own drop runs in a softirq then.
#[must_use = "dropping it frees the value after a grace period; say so with `kfree_rcu`, or wait with `synchronize`"]
pub struct Retired<T: Send + Sync + 'static> {
    /// Valid until a grace period has passed after this value is gone.
    block: NonNull<RcuBlock<T>>,
}

// SAFETY: whoever has it reads the value, which others do as well, and may drop it or have it dropped.
unsafe impl<T: Send + Sync> Send for Retired<T> {}
// SAFETY: sharing it shares the value.
unsafe impl<T: Send + Sync> Sync for Retired<T> {}

impl<T: Send + Sync> Retired<T> {
    /// What was just taken out of sight.
    ///
    /// # Safety
    /// `block` was a box's, readers find it no more, and nobody else retires it.
    pub(super) const unsafe fn new(block: NonNull<RcuBlock<T>>) -> Self {
        Self { block }
    }

    /// Waits until no reader can have it in hand: then it is the caller's own.
    ///
    /// Context: as `synchronize_rcu`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::Rcu;
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// if let Some(old) = limit.replace(RcuBox::new(20, GfpFlags::KERNEL)?) {
    ///     let mut mine = old.synchronize(); // no reader has it in hand any more,
    ///     *mine += 1; // so it may be changed
    ///     assert_eq!(*mine, 11);
    /// }
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[track_caller]
    pub fn synchronize(self) -> RcuBox<T> {
        synchronize_rcu();
        self.into_box()
    }

    /// The same in a hurry. Context: as `synchronize_rcu_expedited`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::Rcu;
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// let mine = limit.take().map(|old| old.synchronize_expedited());
    /// assert_eq!(mine.as_deref(), Some(&10));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[track_caller]
    pub fn synchronize_expedited(self) -> RcuBox<T> {
        synchronize_rcu_expedited();
        self.into_box()
    }

    /// A grace period has passed.
    fn into_box(self) -> RcuBox<T> {
        let block = self.block;
        mem::forget(self);
        // SAFETY: it was a box's; readers found it no more when this began, and those who had it are done.
        unsafe { RcuBox::from_block(block) }
    }
}

impl<T: Send + Sync> Drop for Retired<T> {
    fn drop(&mut self) {
        let head = self.block.cast::<RcuHead>();
        // SAFETY: readers look at the value, never at the head; nobody has queued it yet.
        let free = unsafe { head.as_ref() }.function;
        // SAFETY: the block is retired, once, so after a grace period it is nobody's; `T: Send` allows its drop on any core.
        unsafe { call_rcu(head, free) };
    }
}

impl<T: Send + Sync> Deref for Retired<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: valid as long as `self`, and shared with readers only.
        unsafe { value_of(self.block) }
    }
}

impl<T: Send + Sync + fmt::Debug> fmt::Debug for Retired<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Frees a value after a grace period: Linux's `kfree_rcu`. The same as dropping it, in words.
///
/// Context: any.
///
/// # Examples
/// ```
/// # use tetra::mm::{GfpFlags, RcuBox};
/// # use tetra::sync::rcu::{Rcu, kfree_rcu, rcu_read_lock};
/// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
/// let section = rcu_read_lock();
/// let seen = limit.read(&section);
/// limit.take().map(kfree_rcu);
/// assert_eq!(seen, Some(&10)); // not before this section is over
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline]
pub fn kfree_rcu<T: Send + Sync>(old: Retired<T>) {
    drop(old);
}

/// A pointer to a value, or to none, that readers follow while writers replace it.
///
/// # Examples
/// ```
/// use tetra::mm::{GfpFlags, RcuBox};
/// use tetra::sync::rcu::{Rcu, kfree_rcu, rcu_read_lock};
///
/// static LIMIT: Rcu<u32> = Rcu::empty();
///
/// LIMIT.assign(RcuBox::new(10, GfpFlags::KERNEL)?);
/// let section = rcu_read_lock();
/// assert_eq!(LIMIT.read(&section), Some(&10));
/// drop(section);
///
/// if let Some(old) = LIMIT.replace(RcuBox::new(20, GfpFlags::KERNEL)?) {
///     kfree_rcu(old);
/// }
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
pub struct Rcu<T: Send + Sync + 'static> {
    /// Null, or a block that was a box's and is to be retired by whoever takes it out.
    block: AtomicPtr<RcuBlock<T>>,
}

impl<T: Send + Sync> Rcu<T> {
    /// Points to nothing.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::Rcu;
    /// static LIMIT: Rcu<u32> = Rcu::empty();
    /// assert!(LIMIT.is_empty());
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub const fn empty() -> Self {
        Self { block: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Points to `value`.
    pub fn new(value: RcuBox<T>) -> Self {
        Self { block: AtomicPtr::new(value.into_block().as_ptr()) }
    }

    /// The value now, for as long as the section lasts: Linux's `rcu_dereference`.
    ///
    /// Context: any. Two loads with that of the value, and no barrier.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{Rcu, rcu_read_lock};
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// assert_eq!(limit.read(&rcu_read_lock()), Some(&10));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline(always)]
    pub fn read<'a>(&'a self, _section: &'a RcuReadGuard) -> Option<&'a T> {
        let block = NonNull::new(self.block.read())?;
        // SAFETY: in a section. Whoever takes the block out frees it after a grace period, which this section holds up; so does the end of this pointer,
        // which needs it alone. Its content was written before: it is reached through the address that was loaded.
        Some(unsafe { value_of(block) })
    }

    /// Has readers find `new` from now on; the old value comes back.
    ///
    /// Context: any. Full barrier. Of several writers each gets the value of the one before.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::Rcu;
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// let old = limit.replace(RcuBox::new(20, GfpFlags::KERNEL)?);
    /// assert_eq!(old.as_deref(), Some(&10)); // freed after a grace period, when it drops
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    pub fn replace(&self, new: RcuBox<T>) -> Option<Retired<T>> {
        self.exchange(new.into_block().as_ptr())
    }

    /// Has readers find nothing from now on; the old value comes back. Context and order: as `replace`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::Rcu;
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// assert_eq!(limit.take().as_deref(), Some(&10));
    /// assert!(limit.is_empty());
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    pub fn take(&self) -> Option<Retired<T>> {
        self.exchange(ptr::null_mut())
    }

    /// As `replace`; the old value is freed after a grace period. Linux's `rcu_assign_pointer` with the `kfree_rcu` that belongs to it.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{Rcu, rcu_read_lock};
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// limit.assign(RcuBox::new(20, GfpFlags::KERNEL)?); // the 10 is freed after a grace period
    /// assert_eq!(limit.read(&rcu_read_lock()), Some(&20));
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    pub fn assign(&self, new: RcuBox<T>) {
        drop(self.replace(new));
    }

    fn exchange(&self, new: *mut RcuBlock<T>) -> Option<Retired<T>> {
        let old = NonNull::new(self.block.xchg(new))?;
        // SAFETY: it came from a box, and the exchange gave it to this caller alone.
        Some(unsafe { Retired::new(old) })
    }

    /// Replaces the value if it still is `current`, which was read in the same section: for writers without a lock, who build the new value from the old.
    ///
    /// No other value can have come to `current`'s address meanwhile, since the section keeps it from being freed: there is no ABA problem.
    ///
    /// Context: any. Full barrier if it replaces.
    ///
    /// # Errors
    /// `new`, if another writer was quicker.
    ///
    /// # Examples
    /// ```
    /// # use tetra::mm::{GfpFlags, RcuBox};
    /// # use tetra::sync::rcu::{Rcu, rcu_read_lock};
    /// let limit = Rcu::new(RcuBox::new(10, GfpFlags::KERNEL)?);
    /// let section = rcu_read_lock();
    /// if let Some(seen) = limit.read(&section) {
    ///     let next = RcuBox::new(seen + 1, GfpFlags::ATOMIC)?; // a section must not sleep
    ///     assert!(limit.replace_if(&section, seen, next).is_ok()); // else another writer was quicker: look again
    /// }
    /// assert_eq!(limit.read(&section), Some(&11));
    /// # drop(section);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn replace_if(&self, _section: &RcuReadGuard, current: &T, new: RcuBox<T>) -> Result<Retired<T>, RcuBox<T>> {
        let found = NonNull::new(self.block.read());
        // SAFETY: as in `read`.
        let Some(block) = found.filter(|block| ptr::eq(unsafe { value_of(*block) }, current)) else { return Err(new) };
        let new = new.into_block();
        match self.block.cmpxchg(block.as_ptr(), new.as_ptr()) {
            // SAFETY: as in `exchange`.
            Ok(_) => Ok(unsafe { Retired::new(block) }),
            // SAFETY: it was a box's, and nobody has seen it.
            Err(_) => Err(unsafe { RcuBox::from_block(new) }),
        }
    }

    /// Points to nothing; stale on return. Context: any.
    pub fn is_empty(&self) -> bool {
        self.block.read().is_null()
    }
}

impl<T: Send + Sync> Drop for Rcu<T> {
    /// Frees the value at once: readers borrow the pointer, so there are none.
    fn drop(&mut self) {
        if let Some(block) = NonNull::new(self.block.read()) {
            // SAFETY: it was a box's, and the pointer, which nobody borrows, was the only way to it.
            drop(unsafe { RcuBox::from_block(block) });
        }
    }
}

impl<T: Send + Sync> Default for Rcu<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Send + Sync + fmt::Debug> fmt::Debug for Rcu<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(&super::rcu_read_lock()).fmt(f)
    }
}

const _: () = {
    assert!(size_of::<Rcu<u64>>() == size_of::<usize>() || cfg!(loom));
    assert!(mem::offset_of!(RcuBlock<u64>, head) == 0);
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::mm::GfpFlags;
    use crate::sync::rcu::rcu_read_lock;
    use std::sync::Arc;

    fn boxed<T>(value: T) -> RcuBox<T> {
        RcuBox::new(value, GfpFlags::KERNEL).expect("memory")
    }

    #[test]
    fn each_writer_gets_the_value_before() {
        let pointer = Rcu::empty();
        assert!(pointer.is_empty() && pointer.replace(boxed(1)).is_none());
        assert_eq!(pointer.replace(boxed(2)).map(|old| *old), Some(1));
        assert_eq!(pointer.read(&rcu_read_lock()), Some(&2));
        assert_eq!(pointer.take().map(|old| *old.synchronize()), Some(2));
        assert!(pointer.is_empty());
    }

    #[test]
    fn who_was_too_late_gets_its_own_back() {
        let pointer = Rcu::new(boxed(1));
        let section = rcu_read_lock();
        let seen = pointer.read(&section).expect("made with one");
        drop(pointer.replace(boxed(2)));
        assert_eq!(pointer.replace_if(&section, seen, boxed(3)).map_err(|back| *back).err(), Some(3));
        let seen = pointer.read(&section).expect("replaced");
        assert_eq!(pointer.replace_if(&section, seen, boxed(4)).map(|old| *old).ok(), Some(2));
        assert_eq!(pointer.read(&section), Some(&4));
    }

    #[test]
    fn a_pointer_frees_what_it_points_to() {
        let token = Arc::new(());
        drop(Rcu::new(boxed(token.clone())));
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
