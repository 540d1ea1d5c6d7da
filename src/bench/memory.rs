//! Rows of the allocators: a pair on the fast path, a thousand in a row, whole pages, virtual areas, and filling and copying.
//!
//! `kmalloc` and the caches are inlined with a constant size or a static cache, as their users have them; `kfree` and the pages are calls, and the
//! call counts. Runs of a thousand go through the lists of the core, so their refills from the slabs or the zones are in them.

use super::bench;
use crate::mm::addr::{Order, PAGE_SIZE, Pfn};
use crate::mm::gfp::GfpFlags;
use crate::mm::kmalloc::{kfree, kmalloc, kzalloc};
use crate::mm::kmem_cache::{self, CacheHandle, CacheOptions};
use crate::mm::page_alloc::{alloc_pages, free_pages};
use crate::mm::vmalloc::{purge, vfree, vmalloc};
use crate::sync::Once;
use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering};

const KERNEL: GfpFlags = GfpFlags::KERNEL;
/// Allocations in a row.
const BATCH: usize = 1000;
/// Areas made and given back before the share of unmapping is paid.
const AREAS: usize = 64;

/// Pointers that the one thread that measures keeps from one call to the next.
struct Batch<T>(UnsafeCell<[T; BATCH]>);

// SAFETY: the shell runs one command at a time, and a command measures one row after the other, on one thread.
unsafe impl<T> Sync for Batch<T> {}

impl<T: Copy> Batch<T> {
    const fn new(empty: T) -> Self {
        Self(UnsafeCell::new([empty; BATCH]))
    }

    #[inline(always)]
    fn for_each(&self, each: impl FnMut(&mut T)) {
        // SAFETY: one thread (see above), and `each` does not come back here.
        unsafe { &mut *self.0.get() }.iter_mut().for_each(each);
    }
}

type Objects = Batch<*mut u8>;
type Blocks = Batch<Pfn>;

#[inline(always)]
fn object_pair(size: usize, gfp: GfpFlags) {
    if let Ok(object) = kmalloc(size, gfp) {
        // SAFETY: just allocated, and nobody else knows it.
        unsafe { kfree(object.as_ptr()) };
    }
}

#[inline(always)]
fn zeroed_pair(size: usize) {
    if let Ok(object) = kzalloc(size, KERNEL) {
        // SAFETY: as in `object_pair`.
        unsafe { kfree(object.as_ptr()) };
    }
}

#[inline(always)]
fn page_pair(order: Order) {
    if let Ok(block) = alloc_pages(KERNEL, order) {
        // SAFETY: just allocated with this order, and nobody else knows it.
        unsafe { free_pages(block, order) };
    }
}

bench! {
    "mem.kmalloc_8", _none: () = () => object_pair(8, KERNEL);
    "mem.kmalloc_64", _none: () = () => object_pair(64, KERNEL);
    "mem.kmalloc_64_atomic", _none: () = () => object_pair(64, GfpFlags::ATOMIC);
    "mem.kmalloc_64_runtime", size: AtomicUsize = AtomicUsize::new(64) => object_pair(size.load(Ordering::Relaxed), KERNEL);
    "mem.kmalloc_1024", _none: () = () => object_pair(1024, KERNEL);
    "mem.kmalloc_8192", _none: () = () => object_pair(8192, KERNEL);
    "mem.kmalloc_16384", _none: () = () => object_pair(16384, KERNEL);
    "mem.kzalloc_1024", _none: () = () => zeroed_pair(1024);
    "mem.kmalloc_64_batch_alloc" / 1000, batch: Objects = Batch::new(null_mut()) => fill(batch); after empty(batch);
    "mem.kfree_64_batch" / 1000, batch: Objects = Batch::new(null_mut()) => empty(batch); before fill(batch);
}

#[inline(always)]
fn fill(batch: &Objects) {
    batch.for_each(|object| *object = kmalloc(64, KERNEL).map_or(null_mut(), NonNull::as_ptr));
}

#[inline(always)]
fn empty(batch: &Objects) {
    // SAFETY: `fill` allocated it, or left NULL, which is allowed; it is freed once for each fill.
    batch.for_each(|object| unsafe { kfree(*object) });
}

/// A cache that lives as long as the kernel, once it was asked for.
static CACHE: Once<CacheHandle> = Once::new();

#[inline(always)]
fn cached_pair(cache: &CacheHandle) {
    if let Ok(object) = cache.alloc(KERNEL) {
        // SAFETY: just allocated from this cache, and nobody else knows it.
        unsafe { cache.free(object) };
    }
}

bench! {
    "mem.kmem_cache_64", _none: () = () => {
        if let Some(cache) = CACHE.get() {
            cached_pair(cache);
        }
    };
        before { CACHE.call_once(|| kmem_cache::create(&CacheOptions::new("bench", 64)).expect("there is room for one more cache")); };
}

bench! {
    "mem.page_0", _none: () = () => page_pair(Order::ZERO);
    "mem.page_3", _none: () = () => page_pair(const { order(3) });
    "mem.page_5", _none: () = () => page_pair(const { order(5) });
    "mem.page_0_batch_alloc" / 1000, batch: Blocks = Batch::new(Pfn::new(0)) => take_pages(batch); after give_pages(batch);
    "mem.page_0_batch_free" / 1000, batch: Blocks = Batch::new(Pfn::new(0)) => give_pages(batch); before take_pages(batch);
}

const fn order(value: usize) -> Order {
    match Order::new(value) {
        Some(order) => order,
        None => panic!("there is no such order"),
    }
}

#[inline(always)]
fn take_pages(batch: &Blocks) {
    batch.for_each(|page| *page = alloc_pages(KERNEL, Order::ZERO).expect("a thousand pages are free when nothing else runs"));
}

#[inline(always)]
fn give_pages(batch: &Blocks) {
    // SAFETY: `take_pages` allocated it, and it is freed once for each time.
    batch.for_each(|page| unsafe { free_pages(*page, Order::ZERO) });
}

bench! {
    "mem.vmalloc_1m" / 64, _none: () = () => areas(1 << 20);
    "mem.vmalloc_4k" / 64, _none: () = () => areas(PAGE_SIZE);
}

/// Makes and gives back areas, and unmaps them all at the end: more often than need be, so their share is not too small.
fn areas(size: usize) {
    for _ in 0..AREAS {
        if let Ok(area) = vmalloc(size, KERNEL) {
            // SAFETY: just allocated, and nobody else knows it.
            unsafe { vfree(area) };
        }
    }
    purge();
}

/// Pages of the kernel's image to fill and to copy.
#[repr(C, align(4096))]
struct Pages<const N: usize>(UnsafeCell<[[u8; PAGE_SIZE]; N]>);

// SAFETY: as for `Batch`.
unsafe impl<const N: usize> Sync for Pages<N> {}

impl<const N: usize> Pages<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([[0; PAGE_SIZE]; N]))
    }

    #[inline(always)]
    fn first(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

#[inline(always)]
fn clear(page: &Pages<1>) {
    // SAFETY: a page of memory like any other, which nobody else uses.
    unsafe { crate::arch::page::clear_page(page.first()) };
}

#[inline(always)]
fn set(page: &Pages<1>) {
    // SAFETY: as above.
    unsafe { page.first().write_bytes(0, PAGE_SIZE) };
}

#[inline(always)]
fn copy(pages: &Pages<2>) {
    // SAFETY: two pages side by side, which nobody else uses.
    unsafe { pages.first().copy_to_nonoverlapping(pages.first().wrapping_add(PAGE_SIZE), PAGE_SIZE) };
}

bench! {
    "mem.clear_page", page: Pages<1> = Pages::new() => clear(page);
    "mem.memset_4096", page: Pages<1> = Pages::new() => set(page);
    "mem.memcpy_4096", pages: Pages<2> = Pages::new() => copy(pages);
}
