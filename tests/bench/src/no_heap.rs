//! The global allocator of an image that uses none: `alloc`, which some peers name, wants one to exist.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

struct NoHeap;

#[global_allocator]
static NO_HEAP: NoHeap = NoHeap;

// SAFETY: it never gives an object, so none comes back.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _layout: Layout) -> *mut u8 {
        null_mut()
    }

    unsafe fn dealloc(&self, _object: *mut u8, _layout: Layout) {}
}
