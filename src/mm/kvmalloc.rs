//! `kvmalloc`: memory that is contiguous if that is cheap, and from many pages if not.
//!
//! For tables whose size depends on the machine: `kmalloc` is the quicker and keeps large mappings, but a block of many pages may not be there when memory
//! has long been in use, and looking hard for one costs others theirs. So it is asked once, without a report and without effort, and `vmalloc` does the
//! rest. Up to a page nothing is gained by that: such a request is `kmalloc`'s alone.
//!
//! What is got this way is given back by [`kvfree`], which tells by the address where it came from. It must not be handed to a device: it may be
//! in many pieces of physical memory.
//!
//! Neighbours: `kmalloc`, `vmalloc`.

use super::AllocError;
use super::addr::PAGE_SIZE;
use super::gfp::{GfpFlags, ZONE_MASK};
use super::kmalloc::{kfree, kmalloc};
use super::vmalloc;
use core::ptr::NonNull;

/// Allocates `size` bytes, of physical memory in one piece or in many. Aligned to a page if larger than half of one.
///
/// Context: thread, if more than a page is asked for, and may sleep then; up to a page as `kmalloc`.
///
/// # Errors
/// `AllocError` if there is neither. With `DMA` or `DMA32`, or without `RECLAIM`, there is only the one piece: those ask for what many pieces are not,
/// and mapping pages needs tables.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kvmalloc};
/// let memory = kvmalloc::kvmalloc(8 << 20, GfpFlags::KERNEL)?; // more than the largest block: pages side by side
/// // SAFETY: allocated above, and not used any more.
/// unsafe { kvmalloc::kvfree(memory.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn kvmalloc(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    let may_be_in_pieces = size > PAGE_SIZE && gfp.may_sleep() && gfp.bits() & ZONE_MASK == 0;
    if !may_be_in_pieces {
        return kmalloc(size, gfp);
    }
    // `NOFAIL` waits until a block is there: that is for the pages of the second try.
    let easily = gfp.difference(GfpFlags::NOFAIL) | GfpFlags::NORETRY | GfpFlags::NOWARN;
    kmalloc(size, easily).or_else(|_| NonNull::new(vmalloc::vmalloc(size, gfp)?).ok_or(AllocError))
}

/// As `kvmalloc`; the bytes are 0.
///
/// # Errors
/// As `kvmalloc`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kvmalloc};
/// let memory = kvmalloc::kvzalloc(100, GfpFlags::KERNEL)?;
/// // SAFETY: 100 bytes of ours.
/// assert_eq!(unsafe { memory.read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kvmalloc::kvfree(memory.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn kvzalloc(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kvmalloc(size, gfp | GfpFlags::ZERO)
}

/// Allocates an array of `nr` elements of `size` bytes, not initialised.
///
/// # Errors
/// As `kvmalloc`, and if the product overflows.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kvmalloc};
/// assert!(kvmalloc::kvmalloc_array(usize::MAX, 2, GfpFlags::KERNEL).is_err()); // the product overflows
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn kvmalloc_array(nr: usize, size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kvmalloc(nr.checked_mul(size).ok_or(AllocError)?, gfp)
}

/// As `kvmalloc_array`; the bytes are 0.
///
/// # Errors
/// As `kvmalloc_array`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kvmalloc};
/// let memory = kvmalloc::kvcalloc(1000, size_of::<u64>(), GfpFlags::KERNEL)?;
/// // SAFETY: 8000 bytes of ours.
/// assert_eq!(unsafe { memory.add(7999).read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kvmalloc::kvfree(memory.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn kvcalloc(nr: usize, size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kvmalloc_array(nr, size, gfp | GfpFlags::ZERO)
}

/// Frees what any of these calls gave. NULL is allowed, and nothing.
///
/// Context: thread if it may be of many pieces ([`vmalloc::is_vmalloc_addr`]), else any.
///
/// # Safety
/// `memory` is such memory and nobody uses it from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kvmalloc};
/// let memory = kvmalloc::kvmalloc(8 << 20, GfpFlags::KERNEL)?;
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { kvmalloc::kvfree(memory.as_ptr()) }; // whichever of the two it was
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn kvfree(memory: *mut u8) {
    if vmalloc::is_vmalloc_addr(memory) {
        // SAFETY: by the contract of this function.
        unsafe { vmalloc::vfree(memory) };
    } else {
        // SAFETY: likewise.
        unsafe { kfree(memory) };
    }
}
