//! `KmemCache<T>`: a cache of values of one type, whose objects are owning pointers.

use super::{CacheHandle, CacheOptions, StillInUse, Usage, create};
use crate::mm::AllocError;
use crate::mm::gfp::GfpFlags;
use crate::mm::kbox::KBox;
use crate::mm::slab_layout::{CreateError, SlabFlags};
use core::marker::PhantomData;

/// A cache of `T`s. What it allocates is a [`KBox`], which frees itself: the page descriptor knows the cache, so the box need not.
///
/// ```no_run
/// use tetra::mm::{GfpFlags, KmemCache, slab_layout::SlabFlags};
/// let tasks = KmemCache::<[u64; 16]>::new("task", SlabFlags::HWCACHE_ALIGN)?;
/// let task = tasks.alloc([0; 16], GfpFlags::KERNEL)?;
/// # Ok::<(), tetra::util::errno::Errno>(())
/// ```
#[derive(Debug)]
pub struct KmemCache<T> {
    handle: CacheHandle,
    _values: PhantomData<fn() -> T>,
}

impl<T> KmemCache<T> {
    /// A cache with room for a `T`, aligned for it.
    ///
    /// Context: thread.
    ///
    /// # Errors
    /// `CreateError`; `BadSize` for a `T` without size.
    ///
    /// # Panics
    /// On an error, if `flags` has `PANIC`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::KmemCache;
    /// use tetra::mm::slab_layout::SlabFlags;
    /// let routes = KmemCache::<[u32; 6]>::new("route", SlabFlags::HWCACHE_ALIGN)?;
    /// # Ok::<(), tetra::mm::slab_layout::CreateError>(())
    /// ```
    pub fn new(name: &'static str, flags: SlabFlags) -> Result<Self, CreateError> {
        let options = CacheOptions { name, size: size_of::<T>(), align: align_of::<T>(), flags, constructor: None };
        Ok(Self { handle: create(&options)?, _values: PhantomData })
    }

    /// Allocates room for `value` and moves it there.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError`; `value` is dropped.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, KmemCache};
    /// use tetra::mm::slab_layout::SlabFlags;
    /// let routes = KmemCache::<[u32; 6]>::new("route", SlabFlags::PANIC).expect("it panics else");
    /// let route = routes.alloc([7; 6], GfpFlags::KERNEL)?;
    /// assert_eq!(route[0], 7);
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn alloc(&self, value: T, gfp: GfpFlags) -> Result<KBox<T>, AllocError> {
        let object = self.handle.alloc(gfp)?.cast::<T>();
        // SAFETY: room and alignment for a `T`, ours alone.
        unsafe { object.write(value) };
        // SAFETY: a valid `T` at an address that `kfree` takes.
        Ok(unsafe { KBox::from_raw(object) })
    }

    /// Gives free slabs back; says how many pages. Context: thread, irqs on.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::KmemCache;
    /// use tetra::mm::slab_layout::SlabFlags;
    /// let routes = KmemCache::<[u32; 6]>::new("route", SlabFlags::empty())?;
    /// assert_eq!(routes.shrink(), 0); // no slab was made yet
    /// # Ok::<(), tetra::mm::slab_layout::CreateError>(())
    /// ```
    pub fn shrink(&self) -> usize {
        self.handle.shrink()
    }

    /// What `slabinfo` shows. Context: any.
    pub fn usage(&self) -> Usage {
        self.handle.usage()
    }

    /// Destroys the cache. Boxes that are still there stay valid.
    ///
    /// Context: thread, irqs on.
    ///
    /// # Errors
    /// `StillInUse`, after a report that lists them.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, KmemCache};
    /// use tetra::mm::slab_layout::SlabFlags;
    /// let routes = KmemCache::<[u32; 6]>::new("route", SlabFlags::PANIC).expect("it panics else");
    /// drop(routes.alloc([7; 6], GfpFlags::KERNEL)?);
    /// assert!(routes.destroy().is_ok()); // nothing is out
    /// # Ok::<(), tetra::mm::AllocError>(())
    /// ```
    pub fn destroy(self) -> Result<(), StillInUse> {
        self.handle.destroy()
    }
}
