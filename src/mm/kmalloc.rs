//! `kmalloc` and its family: memory by the byte.
//!
//! Up to 8 KiB from caches by size class, each with a twin below 1 GiB for `DMA` and `DMA32`; above, whole pages. `kfree` needs no size: the page descriptor knows.
//! Where the size is a constant the class is one too, and the call is a few loads at constant offsets. Objects of classes that are powers of two
//! are aligned to their size, all others to 8 at least.
//!
//! The raw calls are what a C programmer expects, for code that must think in bytes; `KBox`, `KVec` and `KArc` own what they allocate.
//!
//! Neighbours: `size_class`, `kmem_cache`; `vmalloc` for what need not be contiguous.

use super::AllocError;
use super::addr::{Order, PAGE_SIZE, VirtAddr};
use super::failslab::{self, FAILSLAB};
use super::gfp::GfpFlags;
use super::kmem_cache::{self, CacheOptions, InvalidFree, alloc_slow, check_context, try_alloc, try_free};
use super::page::{self, PageKind};
use super::page_alloc;
use super::size_class::{MAX_CLASS_SIZE, NR_CLASSES, SIZES, align_of_class, class_of};
use super::slab_layout::SlabFlags;
use crate::arch;
use crate::util::errno::Errno;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

/// Places that kmalloc's caches take: the ordinary ones first, then their twins.
pub(super) const NR_KMALLOC_CACHES: usize = 2 * NR_CLASSES;

const NAMES: [&str; NR_CLASSES] = [
    "kmalloc-8",
    "kmalloc-16",
    "kmalloc-32",
    "kmalloc-64",
    "kmalloc-96",
    "kmalloc-128",
    "kmalloc-192",
    "kmalloc-256",
    "kmalloc-512",
    "kmalloc-1k",
    "kmalloc-2k",
    "kmalloc-4k",
    "kmalloc-8k",
];
const DMA_NAMES: [&str; NR_CLASSES] = [
    "dma-kmalloc-8",
    "dma-kmalloc-16",
    "dma-kmalloc-32",
    "dma-kmalloc-64",
    "dma-kmalloc-96",
    "dma-kmalloc-128",
    "dma-kmalloc-192",
    "dma-kmalloc-256",
    "dma-kmalloc-512",
    "dma-kmalloc-1k",
    "dma-kmalloc-2k",
    "dma-kmalloc-4k",
    "dma-kmalloc-8k",
];

/// Multiples of this are cleared without a call.
const CLEAR_STEP: usize = 1024;

/// `ON_ALLOC` and `ON_FREE`: which memory is zeroed whoever asks.
static INIT_MODE: AtomicU8 = AtomicU8::new(0);
const ON_ALLOC: u8 = 1;
const ON_FREE: u8 = 2;

/// Makes the caches. Once, at boot, on core 0, when pages can be had; `seed` is the secret of the links.
pub(crate) fn init(seed: u64) {
    kmem_cache::init(seed);
    for (class, &size) in SIZES.iter().enumerate() {
        let options = |name, flags| CacheOptions { name, size, align: align_of_class(size).min(PAGE_SIZE), flags, constructor: None };
        kmem_cache::create_at(class, &options(NAMES[class], SlabFlags::empty()));
        kmem_cache::create_at(NR_CLASSES + class, &options(DMA_NAMES[class], SlabFlags::CACHE_DMA));
    }
}

/// Zeroes every allocation, every free, or neither, as `init_on_alloc=` and `init_on_free=` ask. Context: boot, before `init`, or a thread with irqs on.
pub fn set_init_mode(on_alloc: bool, on_free: bool) {
    INIT_MODE.store(if on_alloc { ON_ALLOC } else { 0 } | if on_free { ON_FREE } else { 0 }, Ordering::Relaxed);
    kmem_cache::reset_lists();
}

pub(super) fn zeroes_on_alloc() -> bool {
    INIT_MODE.load(Ordering::Relaxed) & ON_ALLOC != 0
}

pub(super) fn zeroes_on_free() -> bool {
    INIT_MODE.load(Ordering::Relaxed) & ON_FREE != 0
}

pub(super) fn zeroes() -> bool {
    INIT_MODE.load(Ordering::Relaxed) != 0
}

/// Allocates `size` bytes. Their content is undefined, unless `gfp` has `ZERO`. Size 0 is served like 8.
///
/// Context: any if `gfp` may not sleep, else a thread that may, which is checked with feature `debug`.
///
/// # Errors
/// `AllocError` if there is no memory, or no block can be so large.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kmalloc(100, GfpFlags::KERNEL)?;
/// // SAFETY: allocated above, and not used any more.
/// unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn kmalloc(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    check_context(gfp);
    let Some(class) = class_of(size) else { return kmalloc_large(size, gfp) };
    // A twin for DMA32 alone would be the third set: below 1 GiB is below 4 GiB.
    let slot = if gfp.intersects(GfpFlags::DMA.union(GfpFlags::DMA32)) { NR_CLASSES + class } else { class };
    let object = match try_alloc(slot) {
        Some(object) => object,
        None => alloc_slow(kmem_cache::cache_at(slot), gfp, size).ok_or(AllocError)?,
    };
    if gfp.contains(GfpFlags::ZERO) {
        zero(object, size);
    }
    Ok(object)
}

/// Fills an object of a class with zeros. Context: the caller has just been given it, for `size` bytes.
#[inline(always)]
fn zero(object: NonNull<u8>, size: usize) {
    if size != 0 && size.is_multiple_of(CLEAR_STEP) {
        // SAFETY: the class has room for `size`, and from 1 KiB on objects are aligned to that; they are Normal memory, and this one is ours.
        unsafe { arch::page::clear_kilobytes(object.as_ptr(), size) };
    } else {
        // SAFETY: the class has room for `size`, and the object is ours.
        unsafe { object.as_ptr().write_bytes(0, size) };
    }
}

/// Pages of its own for what no class holds.
#[cold]
#[inline(never)]
fn kmalloc_large(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    let order = Order::for_bytes(size).ok_or(AllocError)?;
    if failslab::should_fail(size, gfp) {
        return Err(AllocError);
    }
    let gfp = kmem_cache::fit_for_here(if zeroes_on_alloc() { gfp | GfpFlags::ZERO } else { gfp });
    let head = page_alloc::alloc_pages(gfp, order)?;
    page::desc(head).ok_or(AllocError)?.set_kind(PageKind::LargeKmalloc);
    NonNull::new(page_alloc::page_address(head)).ok_or(AllocError)
}

/// Frees what any of these calls, or any slab cache, gave. NULL is allowed, and nothing.
///
/// A pointer that is none of that, or is free already, is reported and left alone: at once if it is wild or was freed last, else when its slab is
/// next looked at.
///
/// Context: any.
///
/// # Safety
/// `object` is such memory and nobody uses it from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kmalloc(100, GfpFlags::ATOMIC)?;
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline(never)]
pub unsafe fn kfree(object: *mut u8) {
    // SAFETY: by the contract of this function.
    if !unsafe { try_free(object, None) } {
        kfree_slow(object);
    }
}

#[cold]
#[inline(never)]
fn kfree_slow(object: *mut u8) {
    let Some(object) = NonNull::new(object) else { return };
    if page::of_virt(VirtAddr::from_ptr(object.as_ptr())).is_some_and(|desc| desc.state().is_kind(PageKind::LargeKmalloc)) {
        return free_large(object);
    }
    match kmem_cache::free_slow(object, None) {
        Ok(true) | Err(InvalidFree) => {}
        Ok(false) => free_large(object),
    }
}

/// Frees a block of pages. Context: the head's kind was found to be `LargeKmalloc`.
fn free_large(object: NonNull<u8>) {
    let address = VirtAddr::from_ptr(object.as_ptr());
    let Some(phys) = address.linear_to_phys() else { return };
    let Some(desc) = page::desc(phys.pfn()) else { return };
    if !address.is_aligned(PAGE_SIZE) {
        return kmem_cache::report_invalid_pointer(object);
    }
    let order = Order::new(desc.state().order()).expect("a block has an order");
    desc.set_kind(PageKind::Allocated);
    // SAFETY: `kmalloc_large` allocated the block with this order, and the caller gives it away.
    unsafe { page_alloc::free_pages(phys.pfn(), order) };
}

/// As `kmalloc`; the bytes are 0.
///
/// # Errors
/// As `kmalloc`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kzalloc(100, GfpFlags::KERNEL)?;
/// // SAFETY: 100 bytes of ours.
/// assert_eq!(unsafe { object.read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline(always)]
#[cfg_attr(feature = "debug", track_caller)]
pub fn kzalloc(size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kmalloc(size, gfp | GfpFlags::ZERO)
}

/// Allocates an array of `nr` elements of `size` bytes, not initialised.
///
/// # Errors
/// As `kmalloc`, and if the product overflows.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// assert!(kmalloc::kmalloc_array(usize::MAX, 2, GfpFlags::KERNEL).is_err()); // the product overflows
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn kmalloc_array(nr: usize, size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kmalloc(nr.checked_mul(size).ok_or(AllocError)?, gfp)
}

/// As `kmalloc_array`; the bytes are 0.
///
/// # Errors
/// As `kmalloc_array`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kcalloc(25, size_of::<u32>(), GfpFlags::KERNEL)?;
/// // SAFETY: 100 bytes of ours.
/// assert_eq!(unsafe { object.add(99).read() }, 0);
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[inline]
#[cfg_attr(feature = "debug", track_caller)]
pub fn kcalloc(nr: usize, size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    kmalloc_array(nr, size, gfp | GfpFlags::ZERO)
}

/// Bytes that may be used at `object`, which `kmalloc` gave: at least what was asked for, and no more where `slub_debug=ZU` guards the rest.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kmalloc(100, GfpFlags::KERNEL)?;
/// assert!(kmalloc::ksize(object) >= 100); // what its size class has
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
pub fn ksize(object: NonNull<u8>) -> usize {
    if let Some(size) = kmem_cache::object_size(object) {
        return size;
    }
    let desc = page::of_virt(VirtAddr::from_ptr(object.as_ptr())).filter(|desc| desc.kind() == PageKind::LargeKmalloc);
    desc.map_or(0, |desc| PAGE_SIZE << desc.state().order())
}

/// Makes the allocation `size` bytes long, elsewhere if need be. The content stays, up to the smaller size; with `ZERO`, what is beyond the *usable*
/// old size reads as zeros.
///
/// # Errors
/// As `kmalloc`; the old allocation is then as it was.
///
/// # Safety
/// `object` came from `kmalloc` and its family, and only the result is used from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kmemdup(b"tetra", GfpFlags::KERNEL)?;
/// // SAFETY: allocated by the line above, and only the result is used.
/// let object = unsafe { kmalloc::krealloc(object, 1000, GfpFlags::KERNEL) }?;
/// // SAFETY: 1000 bytes of ours.
/// assert_eq!(unsafe { object.read() }, b't');
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn krealloc(object: NonNull<u8>, size: usize, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    let old_size = ksize(object);
    let fits = size <= old_size && (size > old_size / 2 || old_size <= SIZES[0]);
    if fits {
        if kmem_cache::has_boot_debug() {
            kmem_cache::shrink_object(object, size);
        }
        return Ok(object);
    }
    let new = kmalloc(size, gfp)?;
    // SAFETY: both are allocations of at least so many bytes, and not the same one.
    unsafe { new.as_ptr().copy_from_nonoverlapping(object.as_ptr(), old_size.min(size)) };
    // SAFETY: by the contract of this function.
    unsafe { kfree(object.as_ptr()) };
    Ok(new)
}

/// Allocates a copy of `bytes`.
///
/// # Errors
/// As `kmalloc`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, kmalloc};
/// let object = kmalloc::kmemdup(b"tetra", GfpFlags::KERNEL)?;
/// // SAFETY: five bytes of ours.
/// assert_eq!(unsafe { object.read() }, b't');
/// # // SAFETY: allocated above, and not used any more.
/// # unsafe { kmalloc::kfree(object.as_ptr()) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub fn kmemdup(bytes: &[u8], gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
    let copy = kmalloc(bytes.len(), gfp)?;
    // SAFETY: as many bytes as `bytes`, just allocated.
    unsafe { copy.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(copy)
}

/// Sets the rule of `failslab`, as `FaultAttr::set` reads it: which allocations fail from now on.
///
/// Context: thread, irqs on.
///
/// # Errors
/// `EINVAL` at the first word that is not understood; those before it are set.
pub fn set_failslab(text: &str) -> Result<(), Errno> {
    let result = FAILSLAB.set(text);
    kmem_cache::reset_lists();
    result
}

const _: () = assert!(SIZES[NR_CLASSES - 1] == MAX_CLASS_SIZE);
