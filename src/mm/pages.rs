//! `Pages`: a block of pages that frees itself.

use super::AllocError;
use super::addr::{Order, Pfn};
use super::gfp::GfpFlags;
use super::page_alloc;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::slice;

/// 2^order contiguous pages of RAM that nobody else has; freed when dropped.
///
/// # Invariants
/// The block is held by this value alone: its kind is `Allocated`, its order `order`.
#[derive(Debug)]
pub struct Pages {
    pfn: Pfn,
    order: Order,
}

impl Pages {
    /// Allocates a block. Context: as [`page_alloc::alloc_pages`].
    ///
    /// # Errors
    /// As `alloc_pages`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, Pages, addr::Order};
    /// let mut pages = Pages::new(GfpFlags::KERNEL, Order::ZERO)?;
    /// assert_eq!(pages.bytes_mut().len(), 4096);
    /// drop(pages); // frees them
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn new(gfp: GfpFlags, order: Order) -> Result<Self, AllocError> {
        // INVARIANT: the block has just been given out.
        page_alloc::alloc_pages(gfp, order).map(|pfn| Self { pfn, order })
    }

    /// Takes over a block from `into_raw` or `alloc_pages`. Context: any.
    ///
    /// # Safety
    /// The caller holds the block, with that order, and gives it up.
    #[must_use]
    pub unsafe fn from_raw(pfn: Pfn, order: Order) -> Self {
        // INVARIANT: by the contract.
        Self { pfn, order }
    }

    /// Gives the block to the caller, who frees it or makes it `Pages` again. Context: any.
    #[must_use]
    pub fn into_raw(self) -> (Pfn, Order) {
        let this = ManuallyDrop::new(self);
        (this.pfn, this.order)
    }

    /// The first page. Context: any.
    #[must_use]
    pub const fn pfn(&self) -> Pfn {
        self.pfn
    }

    /// log2 of the number of pages. Context: any.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.order
    }

    /// Where the linear map shows the block. Context: any.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        page_alloc::page_address(self.pfn)
    }

    /// The block's bytes, which hold whatever was there, or zeros if `ZERO` was asked. Context: any.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the block is mapped in the linear map and this value's alone, and it is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.as_ptr().cast(), self.order.size_bytes()) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: by the invariant the block is ours, and this value is gone.
        unsafe { page_alloc::free_pages(self.pfn, self.order) };
    }
}
