//! What the suites of slabs share: caches, reports counted, objects given away, and single bytes in and around them.

use core::ptr::NonNull;
use tetra::mm::kmalloc::kfree;
use tetra::mm::kmem_cache::{self, CacheHandle, CacheOptions, nr_reports};
use tetra::mm::slab_layout::SlabFlags;

/// A cache of objects of `size` bytes.
pub fn cache(name: &'static str, size: usize, flags: SlabFlags) -> CacheHandle {
    kmem_cache::create(&CacheOptions { flags, ..CacheOptions::new(name, size) }).expect("there is room for a cache")
}

/// Reports that `f` caused.
pub fn reports_of(f: impl FnOnce()) -> u32 {
    let before = nr_reports();
    f();
    nr_reports() - before
}

/// Gives an object away.
pub fn free(object: NonNull<u8>) {
    // SAFETY: callers give away what they allocated, or do wrong on purpose on a cache that checks it.
    unsafe { kfree(object.as_ptr()) };
}

/// Writes the byte at `offset`.
pub fn write(object: NonNull<u8>, offset: isize, value: u8) {
    // SAFETY: within the cache's slab; wrong on purpose where it is not within the object, or the object is free.
    unsafe { object.as_ptr().wrapping_offset(offset).write_volatile(value) };
}

/// Reads the byte at `offset`.
pub fn read(object: NonNull<u8>, offset: usize) -> u8 {
    // SAFETY: as for `write`.
    unsafe { object.as_ptr().wrapping_add(offset).read_volatile() }
}
