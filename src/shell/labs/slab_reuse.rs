//! `lab slab-reuse`: a cache gives back what was freed last, also to somebody else.

use super::Place;
use super::journal::Journal;
use super::notebook::{Hex, Notebook};
use super::team;
use crate::mm::GfpFlags;
use crate::mm::KmemCache;
use crate::mm::kmem_cache::{CacheHandle, CacheOptions, create};
use crate::mm::slab_layout::SlabFlags;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::Once;
use crate::util::errno::Errno;
use core::ptr::NonNull;

shell::lab! {
    name: "slab-reuse",
    place: Place::course(2, 1, 1),
    title: "a slab cache: reuse, and what a use after free meets",
    needs: 1,
    idea: "\
A cache has objects of one size. The object freed last is given out first: its
line is in the cache still. That is what makes kmem_cache_alloc fast, and what
makes a use after free so bad: the stale pointer points into somebody else's
data, and everything looks well.

A cache with poison fills what is free with 0x6b and looks again before it
gives it out. (In Rust the first half needs `unsafe`: a KBox that was dropped
cannot be named any more.)",
    next: "docs/memory-slab.md; `slabinfo`; boot argument slub_debug=P",
    run: run,
}

/// The course's `struct my_object`.
struct MyObject {
    _name: [u8; 40],
    value: u64,
}

const SIZE: usize = 64;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.right("kmem_cache_create(\"my_objects\"), alloc, free, alloc")?;
    let cache = KmemCache::<MyObject>::new("my_objects", SlabFlags::HWCACHE_ALIGN).map_err(Errno::from)?;
    let new = |value| cache.alloc(MyObject { _name: [0; 40], value }, GfpFlags::KERNEL).map_err(Errno::from);
    let first = new(1)?;
    let first_at = (&raw const *first).addr();
    drop(first);
    let (second, time) = team::timed(|| new(2));
    let second = second?;
    let second_at = (&raw const *second).addr();
    book.value("first object at", Hex(first_at as u64))?;
    book.value("second object at, after the first was freed", Hex(second_at as u64))?;
    book.value("ns for the second", time.as_nanos())?;
    book.claim("aligned to a cache line (SLAB_HWCACHE_ALIGN)", second_at.is_multiple_of(64))?;
    let value = second.value;
    drop(second);
    book.claim("kmem_cache_destroy: all objects are back", value == 2 && cache.destroy().is_ok())?;

    stale_pointer(book)?;
    poison(book)
}

/// A pointer that is kept after the free reads what the next owner writes.
fn stale_pointer(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("q = p; kfree(p); p2 = kmalloc(); ... *q")?;
    let cache = create(&CacheOptions::new("lab_stale", SIZE)).map_err(Errno::from)?;
    let _irqs_off = crate::cpu::IrqGuard::new();
    let stale = cache.alloc(GfpFlags::ATOMIC).map_err(Errno::from)?;
    free(&cache, stale);
    let owned = cache.alloc(GfpFlags::ATOMIC).map_err(Errno::from)?;
    // SAFETY: allocated above; SIZE bytes, ours.
    unsafe { owned.cast::<u64>().write(42) };
    // SAFETY: the mistake, harmless here: the address is that of `owned`, or of memory of the slab that is mapped all the same.
    let seen = unsafe { stale.cast::<u64>().read_volatile() };
    free(&cache, owned);
    drop(_irqs_off);
    book.value("the stale pointer reads", seen)?;
    book.claim("it is the same memory: the next owner's 42", stale == owned && seen == 42)?;
    Ok(book.claim("and nobody noticed", cache.nr_errors() == 0 && cache.destroy().is_ok())?)
}

/// The same in a cache that checks.
fn poison(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    /// Kept for good: the object that was written to after its free stays out of use, so the cache is never empty.
    static CHECKED: Once<Result<CacheHandle, Errno>> = Once::new();

    book.right("the same in a cache with SLAB_POISON")?;
    let cache = CHECKED
        .call_once(|| create(&CacheOptions { flags: SlabFlags::POISON, ..CacheOptions::new("lab_poison", SIZE) }).map_err(Errno::from));
    let cache = cache.as_ref().map_err(|error| *error)?;
    let mut journal = Journal::begin();
    let before = cache.nr_errors();
    let stale = cache.alloc(GfpFlags::KERNEL).map_err(Errno::from)?;
    free(cache, stale);
    // SAFETY: the mistake: the object is free. Its memory is the slab's, mapped and in nobody's use; the cache is there to find this.
    let seen = unsafe { stale.as_ptr().cast::<u64>().wrapping_add(1).read_volatile() };
    // SAFETY: as above.
    unsafe { stale.as_ptr().cast::<u64>().wrapping_add(1).write_volatile(42) };
    let next = cache.alloc(GfpFlags::KERNEL).map_err(Errno::from)?;
    book.value("the stale pointer reads", Hex(seen))?;
    book.value("reports (`dmesg` has them)", cache.nr_errors() - before)?;
    journal.quote(book, "lab_poison")?;
    book.claim("it reads the poison, and its write is reported", seen == 0x6b6b_6b6b_6b6b_6b6b && cache.nr_errors() == before + 1)?;
    let is_out_of_use = next != stale;
    free(cache, next);
    Ok(book.claim("the damaged object is left out of use", is_out_of_use)?)
}

fn free(cache: &CacheHandle, object: NonNull<u8>) {
    // SAFETY: callers allocated it from this cache and free it once.
    unsafe { cache.free(object) };
}
