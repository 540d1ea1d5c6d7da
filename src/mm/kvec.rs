//! `KVec<T>`: a growable array on the heap, each growth with GFP flags and able to fail.
//!
//! `alloc::vec::Vec` has `try_reserve`, but its `push` may still abort, and it knows no flags. Here all that allocates takes flags and returns a
//! `Result`; a failed call leaves the vector as it was.

use super::AllocError;
use super::gfp::GfpFlags;
use super::kmalloc::{kfree, kmalloc};
use super::size_class::size_for_align;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};
use core::slice;

/// Elements of the first allocation, at least.
const MIN_CAPACITY: usize = 4;

/// A growable array.
///
/// # Invariants
/// `data` has room for `capacity` elements, the first `len` are valid; `capacity` 0: nothing is allocated. For a `T` without size nothing ever is.
pub struct KVec<T> {
    data: NonNull<T>,
    len: usize,
    capacity: usize,
    _owns: PhantomData<T>,
}

// SAFETY: a vector is its elements.
unsafe impl<T: Send> Send for KVec<T> {}
// SAFETY: a vector is its elements.
unsafe impl<T: Sync> Sync for KVec<T> {}

impl<T> KVec<T> {
    /// An empty vector, which has allocated nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { data: NonNull::dangling(), len: 0, capacity: if size_of::<T>() == 0 { usize::MAX } else { 0 }, _owns: PhantomData }
    }

    /// An empty vector with room for `capacity` elements.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError` if there is no memory.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with_capacity(capacity: usize, gfp: GfpFlags) -> Result<Self, AllocError> {
        let mut vec = Self::new();
        vec.reserve(capacity, gfp)?;
        Ok(vec)
    }

    /// Makes room for `additional` more elements.
    ///
    /// Context and errors: as `with_capacity`.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn reserve(&mut self, additional: usize, gfp: GfpFlags) -> Result<(), AllocError> {
        let wanted = self.len.checked_add(additional).ok_or(AllocError)?;
        if wanted > self.capacity { self.grow(wanted, gfp) } else { Ok(()) }
    }

    #[cold]
    #[cfg_attr(feature = "debug", track_caller)]
    fn grow(&mut self, wanted: usize, gfp: GfpFlags) -> Result<(), AllocError> {
        let capacity = wanted.max(self.capacity.saturating_mul(2)).max(MIN_CAPACITY);
        let bytes = capacity.checked_mul(size_of::<T>()).ok_or(AllocError)?;
        let data = kmalloc(size_for_align(bytes, align_of::<T>()), gfp)?.cast::<T>();
        // SAFETY: both have room for `len` elements, which move; the new block is no part of the old.
        unsafe { data.copy_from_nonoverlapping(self.data, self.len) };
        self.free_memory();
        // INVARIANT: the elements are in the new block, which has room for `capacity`.
        (self.data, self.capacity) = (data, capacity);
        Ok(())
    }

    fn free_memory(&mut self) {
        if size_of::<T>() != 0 && self.capacity > 0 {
            // SAFETY: allocated by `grow`; the caller has moved or dropped the elements.
            unsafe { kfree(self.data.as_ptr().cast()) };
        }
    }

    /// Appends `value`.
    ///
    /// Context: as `with_capacity`.
    ///
    /// # Errors
    /// As `with_capacity`; `value` is dropped.
    ///
    /// # Examples
    /// ```
    /// use tetra::mm::{GfpFlags, KVec};
    /// let mut routes = KVec::new();
    /// routes.push(7, GfpFlags::KERNEL)?; // no memory is an error, and not the end
    /// assert_eq!(routes.len(), 1);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn push(&mut self, value: T, gfp: GfpFlags) -> Result<(), AllocError> {
        self.reserve(1, gfp)?;
        // SAFETY: there is room for one more.
        let end = unsafe { self.data.add(self.len) };
        // SAFETY: as above; nothing valid is overwritten.
        unsafe { end.write(value) };
        // INVARIANT: one more is valid.
        self.len += 1;
        Ok(())
    }

    /// Appends copies of `values`.
    ///
    /// Context and errors: as `with_capacity`.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn extend_from_slice(&mut self, values: &[T], gfp: GfpFlags) -> Result<(), AllocError>
    where
        T: Copy,
    {
        self.reserve(values.len(), gfp)?;
        // SAFETY: there is room behind the last.
        let end = unsafe { self.data.add(self.len) };
        // SAFETY: as above; `values` cannot lie in the vector, which is borrowed exclusively.
        unsafe { end.as_ptr().copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        // INVARIANT: so many more are valid.
        self.len += values.len();
        Ok(())
    }

    /// Removes the last element.
    pub fn pop(&mut self) -> Option<T> {
        // INVARIANT: the last is no longer counted as valid before it is moved out.
        self.len = self.len.checked_sub(1)?;
        // SAFETY: it was valid.
        let last = unsafe { self.data.add(self.len) };
        // SAFETY: as above, and nobody reads it again.
        Some(unsafe { last.read() })
    }

    /// Drops all but the first `len` elements. The room stays.
    pub fn truncate(&mut self, len: usize) {
        let Some(surplus) = self.len.checked_sub(len) else { return };
        // SAFETY: `len` is within the vector.
        let tail = ptr::slice_from_raw_parts_mut(unsafe { self.data.add(len) }.as_ptr(), surplus);
        // INVARIANT: they are no longer counted as valid before they are dropped.
        self.len = len;
        // SAFETY: valid elements, which nobody reaches any more.
        unsafe { ptr::drop_in_place(tail) };
    }

    /// Drops all elements. The room stays.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Elements that there is room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for KVec<T> {
    fn drop(&mut self) {
        self.clear();
        self.free_memory();
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` are valid.
        unsafe { slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for KVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl<'a, T> IntoIterator for &'a KVec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for KVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::prelude::v1::*;
    use std::rc::Rc;

    const GFP: GfpFlags = GfpFlags::KERNEL;

    proptest! {
        #[test]
        fn agrees_with_vec(operations in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut vec, mut model) = (KVec::new(), Vec::new());
            for operation in operations {
                match operation % 5 {
                    0..=2 => {
                        vec.push(Rc::new(operation), GFP).unwrap();
                        model.push(Rc::new(operation));
                    }
                    3 => prop_assert_eq!(vec.pop(), model.pop()),
                    _ => {
                        vec.truncate(usize::from(operation) / 5);
                        model.truncate(usize::from(operation) / 5);
                    }
                }
                prop_assert_eq!(&*vec, &*model);
            }
        }
    }

    #[test]
    fn every_element_is_dropped_once() {
        let token = Rc::new(());
        let mut vec = KVec::new();
        for _ in 0..20 {
            vec.push(token.clone(), GFP).unwrap();
        }
        vec.truncate(7);
        assert_eq!(Rc::strong_count(&token), 8);
        drop(vec);
        assert_eq!(Rc::strong_count(&token), 1);
    }

    #[test]
    fn impossible_sizes_fail_and_change_nothing() {
        let mut vec = KVec::<u64>::new();
        vec.extend_from_slice(&[1, 2, 3], GFP).unwrap();
        assert_eq!(vec.reserve(usize::MAX, GFP), Err(AllocError));
        assert_eq!(vec.reserve(usize::MAX / 8, GFP), Err(AllocError));
        assert_eq!(*vec, [1, 2, 3]);
    }

    #[test]
    fn elements_without_size_need_no_memory() {
        let mut vec = KVec::new();
        for _ in 0..1000 {
            vec.push((), GFP).unwrap();
        }
        assert_eq!((vec.len(), vec.pop(), vec.len()), (1000, Some(()), 999));
    }
}
