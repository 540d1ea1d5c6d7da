//! `kmalloc` over `std`, so that the types that own its memory are tested on a PC.

use super::AllocError;
use super::failslab;
use super::gfp::GfpFlags;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Before each block: its size. As wide as the largest alignment that tests ask for.
const HEADER: usize = 64;

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

/// Allocates `size` bytes, aligned to 64.
///
/// # Errors
/// `AllocError` for sizes that cannot be, and where `failslab` says so.
pub fn kmalloc(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    if size > isize::MAX as usize / 2 || failslab::should_fail(size, gfp) {
        return Err(AllocError);
    }
    // SAFETY: the size is not 0.
    let block = unsafe { alloc_zeroed(layout(size).ok_or(AllocError)?) };
    // SAFETY: the block begins with the header.
    unsafe { block.cast::<usize>().write(size) };
    // SAFETY: the block is longer than the header.
    NonNull::new(unsafe { block.add(HEADER) }).ok_or(AllocError)
}

/// Frees what `kmalloc` gave.
///
/// # Safety
/// As on the target.
pub unsafe fn kfree(object: *mut u8) {
    // SAFETY: `kmalloc` put a header there.
    let block = unsafe { object.sub(HEADER) };
    // SAFETY: as above.
    let size = unsafe { block.cast::<usize>().read() };
    // SAFETY: as allocated.
    unsafe { dealloc(block, layout(size).expect("it was allocated with it")) };
}
