//! How an `RcuBox` is made: memory of `kmalloc`, with GFP flags.
//!
//! `sync::rcu` owns the type and its life; it lies below the allocators, so the block carries the function that frees it.

use super::AllocError;
use super::gfp::GfpFlags;
use super::kbox::KBox;
use crate::sync::rcu::{RcuBlock, RcuHead};
use core::ptr::NonNull;

pub use crate::sync::rcu::RcuBox;

impl<T: 'static> RcuBox<T> {
    /// Moves `value` to the heap, with room for freeing it after a grace period: two words.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError` if there is no memory; `value` is dropped.
    ///
    /// # Examples
    /// ```
    /// use tetra::mm::{GfpFlags, RcuBox};
    /// let mut limit = RcuBox::new(10, GfpFlags::KERNEL)?;
    /// *limit += 1; // nobody else sees it yet
    /// assert_eq!(*limit, 11);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn new(value: T, gfp: GfpFlags) -> Result<Self, AllocError> {
        let block = KBox::into_raw(KBox::new(RcuBlock::new(value, free::<T>), gfp)?);
        // SAFETY: just made, and given up by its box; `free` makes that box again.
        Ok(unsafe { Self::from_block(block) })
    }
}

/// Drops and frees a block.
///
/// # Safety
/// `head` is the first field of an `RcuBlock<T>` that came from a `KBox`, and nobody uses it any more.
unsafe fn free<T: 'static>(head: NonNull<RcuHead>) {
    // SAFETY: by the contract.
    drop(unsafe { KBox::from_raw(head.cast::<RcuBlock<T>>()) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_box_drops_its_value_once() {
        let token = Arc::new(());
        drop(RcuBox::new(token.clone(), GfpFlags::KERNEL).unwrap());
        assert_eq!(Arc::strong_count(&token), 1);
    }
}
