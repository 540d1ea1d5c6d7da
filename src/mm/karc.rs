//! `KArc<T>`: a value on the heap that several own, allocated with GFP flags.
//!
//! The count is `RefCount`, which saturates: references that are lost without end leak the value instead of freeing it under its users. No weak
//! references: a structure that needs to find its objects keeps them in a table under a lock, and takes a reference there.
//!
//! # Memory ordering
//! A clone orders nothing: who clones has a reference. A drop releases, and the last one acquires, so that all uses come before the value's own drop.

use super::AllocError;
use super::gfp::GfpFlags;
use super::kbox::KBox;
use crate::sync::refcount::RefCount;
use core::fmt;
use core::ops::Deref;
use core::ptr::{self, NonNull};

struct Shared<T> {
    count: RefCount,
    value: T,
}

/// A shared value on the heap.
///
/// # Invariants
/// `shared` is valid, came from a `KBox`, and this reference is counted in it.
pub struct KArc<T> {
    shared: NonNull<Shared<T>>,
}

// SAFETY: all references reach the value shared, and the last one, on whatever core, drops it.
unsafe impl<T: Send + Sync> Send for KArc<T> {}
// SAFETY: as above: a shared reference can be cloned.
unsafe impl<T: Send + Sync> Sync for KArc<T> {}

impl<T> KArc<T> {
    /// Moves `value` to the heap; this is the only reference.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError` if there is no memory; `value` is dropped.
    ///
    /// # Examples
    /// ```
    /// use tetra::mm::{GfpFlags, KArc};
    /// let first = KArc::new("shared", GfpFlags::KERNEL)?;
    /// let second = first.clone();
    /// assert!(KArc::ptr_eq(&first, &second) && *second == "shared");
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn new(value: T, gfp: GfpFlags) -> Result<Self, AllocError> {
        let boxed = KBox::new(Shared { count: RefCount::new(1), value }, gfp)?;
        // INVARIANT: from a box, with one reference counted.
        Ok(Self { shared: KBox::into_raw(boxed) })
    }

    fn shared(&self) -> &Shared<T> {
        // SAFETY: the invariant: it lives as long as this reference.
        unsafe { self.shared.as_ref() }
    }

    /// Whether both are references to one value.
    pub fn ptr_eq(a: &Self, b: &Self) -> bool {
        ptr::eq(a.shared.as_ptr(), b.shared.as_ptr())
    }

    /// The value alone, if this is the only reference; there is no way for another to come to be meanwhile.
    pub fn get_mut(arc: &mut Self) -> Option<&mut T> {
        if arc.shared().count.read() != 1 {
            return None;
        }
        // Pairs with the release of whoever dropped the last other reference.
        crate::sync::barrier::smp_mb();
        // SAFETY: the only reference is borrowed exclusively.
        Some(unsafe { &mut arc.shared.as_mut().value })
    }
}

impl<T> Clone for KArc<T> {
    fn clone(&self) -> Self {
        self.shared().count.inc();
        // INVARIANT: just counted.
        Self { shared: self.shared }
    }
}

impl<T> Drop for KArc<T> {
    fn drop(&mut self) {
        if self.shared().count.dec_and_test() {
            // SAFETY: it came from a box, and this was the last reference.
            drop(unsafe { KBox::from_raw(self.shared) });
        }
    }
}

impl<T> Deref for KArc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.shared().value
    }
}

impl<T: fmt::Debug> fmt::Debug for KArc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    #[test]
    fn the_last_reference_drops_the_value() {
        static DROPS: AtomicU32 = AtomicU32::new(0);
        struct Counted;
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPS.fetch_add(1, Ordering::Relaxed);
            }
        }

        let first = KArc::new(Counted, GfpFlags::KERNEL).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                let arc = first.clone();
                scope.spawn(move || (0..1000).for_each(|_| drop(arc.clone())));
            }
        });
        assert_eq!(DROPS.load(Ordering::Relaxed), 0);
        drop(first);
        assert_eq!(DROPS.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_a_single_owner_may_change_the_value() {
        let mut first = KArc::new(1, GfpFlags::KERNEL).unwrap();
        *KArc::get_mut(&mut first).unwrap() = 2;
        let second = first.clone();
        assert!(KArc::get_mut(&mut first).is_none());
        drop(second);
        assert_eq!((KArc::get_mut(&mut first).copied(), *first), (Some(2), 2));
    }
}
