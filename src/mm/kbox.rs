//! `KBox<T>`: one value on the heap, allocated with GFP flags.
//!
//! What `alloc::boxed::Box` is, with failure in the type: there is no way to make one that does not return a `Result`. The box is a pointer and nothing
//! else; it frees through `kfree`, so one that came from a typed slab cache needs no reference to it.

use super::AllocError;
use super::gfp::GfpFlags;
use super::kmalloc::{kfree, kmalloc};
use super::size_class::size_for_align;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;

/// Bytes to ask of `kmalloc` for a `T`.
pub(super) const fn size_for<T>() -> usize {
    size_for_align(size_of::<T>(), align_of::<T>())
}

/// An owned value on the heap.
///
/// # Invariants
/// `value` is a valid `T` at an address that `kfree` takes, and nobody else's.
pub struct KBox<T: ?Sized> {
    value: NonNull<T>,
    _owns: PhantomData<T>,
}

// SAFETY: a box is its value.
unsafe impl<T: ?Sized + Send> Send for KBox<T> {}
// SAFETY: a box is its value.
unsafe impl<T: ?Sized + Sync> Sync for KBox<T> {}

impl<T> KBox<T> {
    /// Moves `value` to the heap.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError` if there is no memory; `value` is dropped.
    ///
    /// # Examples
    /// ```
    /// use tetra::mm::{GfpFlags, KBox};
    /// let mut number = KBox::new(41, GfpFlags::KERNEL)?;
    /// *number += 1;
    /// assert_eq!(*number, 42);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn new(value: T, gfp: GfpFlags) -> Result<Self, AllocError> {
        let memory = kmalloc(size_for::<T>(), gfp)?.cast::<T>();
        // SAFETY: large enough and aligned (`size_for`), and ours.
        unsafe { memory.write(value) };
        // INVARIANT: just written, just allocated.
        Ok(Self { value: memory, _owns: PhantomData })
    }

    /// Moves `value` to a place on the heap that it never leaves.
    ///
    /// # Errors
    /// As `new`.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn pin(value: T, gfp: GfpFlags) -> Result<Pin<Self>, AllocError> {
        Ok(Self::new(value, gfp)?.into())
    }

    /// Moves the value out and frees its place.
    pub fn into_inner(self) -> T {
        let memory = Self::into_raw(self);
        // SAFETY: a valid value that is moved out; nobody reads it again.
        let value = unsafe { memory.read() };
        // SAFETY: `into_raw` gave it up; the value is gone.
        unsafe { kfree(memory.as_ptr().cast()) };
        value
    }
}

impl<T: ?Sized> KBox<T> {
    /// A box of what `into_raw` gave, or of a value in memory from `kmalloc`.
    ///
    /// # Safety
    /// `value` is a valid `T` at an address that `kfree` takes, and nobody else owns it.
    pub const unsafe fn from_raw(value: NonNull<T>) -> Self {
        Self { value, _owns: PhantomData }
    }

    /// Gives the value up: whoever has the pointer owns it.
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        let value = boxed.value;
        mem::forget(boxed);
        value
    }

    /// Never frees it.
    pub fn leak(boxed: Self) -> &'static mut T {
        // SAFETY: valid, ours alone, and from now on never freed.
        unsafe { Self::into_raw(boxed).as_mut() }
    }
}

impl<T: ?Sized> Drop for KBox<T> {
    fn drop(&mut self) {
        // SAFETY: the invariant; the box is not used again.
        unsafe { self.value.drop_in_place() };
        // SAFETY: the invariant.
        unsafe { kfree(self.value.as_ptr().cast()) };
    }
}

impl<T: ?Sized> Deref for KBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the invariant, and the borrow of the box.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for KBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the invariant, and the exclusive borrow of the box.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized> From<KBox<T>> for Pin<KBox<T>> {
    fn from(boxed: KBox<T>) -> Self {
        // SAFETY: the value does not move when the box does, and is dropped in place.
        unsafe { Pin::new_unchecked(boxed) }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for KBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for KBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn a_box_drops_its_value_once() {
        let token = Rc::new(());
        let boxed = KBox::new(token.clone(), GfpFlags::KERNEL).unwrap();
        assert_eq!(Rc::strong_count(&token), 2);
        let moved_out = boxed.into_inner();
        assert_eq!(Rc::strong_count(&token), 2);
        drop(KBox::new(moved_out, GfpFlags::KERNEL).unwrap());
        assert_eq!(Rc::strong_count(&token), 1);
    }

    #[test]
    fn values_without_size_and_with_alignment() {
        #[repr(align(64))]
        struct Line(u8);

        drop(KBox::new((), GfpFlags::KERNEL).unwrap());
        let line = KBox::new(Line(3), GfpFlags::KERNEL).unwrap();
        assert!((&raw const *line as usize).is_multiple_of(64) && line.0 == 3);
    }
}
