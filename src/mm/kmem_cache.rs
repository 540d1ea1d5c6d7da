//! Slab caches: objects of one size, in a list for each core, over slabs of pages.
//!
//! ```text
//! alloc/free  ->  this core's list (irqs masked, no lock)  <- 64 at a time ->  slabs of the cache (its lock)  <- pages ->  page_alloc
//! ```
//! - An object goes to the list of the core that *frees* it, whoever allocated it. A list that is full gives a batch back to the slabs, under the
//!   lock of its cache alone; nothing is global on the way.
//! - The page descriptor says which cache an object is of: each page of a slab carries its number.
//! - A cache that must look at every object (`slub_debug`, a constructor, failslab) has lists without room, so that the fast path misses on its own
//!   and pays nothing for the question. An object of such a cache is not written while it is free.
//!
//! | mistake | found | by |
//! |---|---|---|
//! | wild pointer, other cache | at the free | the cache's number in the page's descriptor |
//! | double free | at the free, if it was the last one freed, or on a checked cache | comparison with the head; the slab's map |
//! | | else when the batch goes back | the slab's map |
//! | write after free | at the next allocation | the link checks itself (`free_link`); poison |
//! | out of bounds | at the free | red zones |
//! | leak | when the cache is destroyed | the slab's map |
//!
//! # Memory ordering
//! A list is its core's: program order. Slabs are under the cache's lock. Who frees hands an object over by the lock, or keeps it on the same core.
//!
//! Neighbours: `slab`, `slab_layout`, `free_link` are the pure parts; `kmalloc` is a set of these caches. Sources: J. Bonwick and J. Adams,
//! "Magazines and Vmem" (USENIX 2001), for lists before slabs.

mod check;
mod cpu_list;
mod owned;
mod reclaim;
mod report;
mod slabs;
mod slow;
mod track;
mod typed;

pub use owned::for_each_of;
pub use reclaim::SLABS;
pub use report::nr_reports;
pub use typed::KmemCache;

use super::AllocError;
use super::gfp::GfpFlags;
use super::slab_layout::{CreateError, SlabFlags, SlabLayout};
use super::{failslab, page, slub_debug};
use crate::cpu;
use crate::cpu::local::NR_SLAB_CACHES;
use crate::sync::rcu::rcu_barrier;
use crate::sync::{IrqSpinLock, SpinLock};
use crate::upcalls;
use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use slabs::Slabs;

pub(super) use cpu_list::{init_early, try_alloc, try_free};
pub(super) use slow::free_slow;
pub use slow::{InvalidFree, check_context};
pub(super) use slow::{alloc_slow, fit_for_here, has_boot_debug, object_size, shrink_object};

/// Puts an object into the state that users of the cache find it in. Called once for each object of a new slab, not at each allocation.
pub type Constructor = fn(*mut u8);

/// What a cache is made of; fixed while it lives.
#[derive(Clone, Copy)]
struct Params {
    name: &'static str,
    layout: SlabLayout,
    flags: SlabFlags,
    constructor: Option<Constructor>,
    /// Objects in a core's list; 0 for a cache that looks at every object.
    capacity: usize,
    /// Objects that move at a time.
    batch: usize,
    /// Free slabs that are kept.
    max_empty: usize,
}

/// A cache, or a place for one.
pub struct Cache {
    /// One of the states below. Release when it becomes `LIVE`, after `params` was written; whoever holds the cache or an object of it came by it
    /// through that.
    state: AtomicU8,
    /// Written under `CREATION` by the one who takes the place, before it is `LIVE`; read while it is `LIVE` or `ZOMBIE`, by who holds the cache, an
    /// object of it, its lock with an object out, or `CREATION`.
    params: UnsafeCell<Option<Params>>,
    /// Touched by hardirqs. Lock order: inside it nothing is taken.
    slabs: IrqSpinLock<Slabs>,
    nr_errors: AtomicU32,
}

/// Nobody's.
const FREE: u8 = 0;
/// In use.
const LIVE: u8 = 1;
/// Destroyed while objects were out: it serves nobody, and takes them back.
const ZOMBIE: u8 = 2;

// SAFETY: `params` is written under `CREATION` while the state is `FREE`, when nobody reads it (who may read is said there), and only read afterwards.
unsafe impl Sync for Cache {}

static CACHES: [Cache; NR_SLAB_CACHES] = [const { Cache::vacant() }; NR_SLAB_CACHES];

/// Held while a place is taken or given back, and by who walks all caches. Threads and boot only, irqs on. Lock order: outside of a cache's lock.
static CREATION: SpinLock<()> = SpinLock::new(());

/// A request for a cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// As `slabinfo` shows it.
    pub name: &'static str,
    /// Bytes of an object.
    pub size: usize,
    /// Alignment, a power of two up to a page; 0: a word.
    pub align: usize,
    /// What the cache does beside.
    pub flags: SlabFlags,
    /// Makes objects of raw memory, once a slab.
    pub constructor: Option<Constructor>,
}

impl CacheOptions {
    /// A cache of objects of `size` bytes without anything special.
    pub const fn new(name: &'static str, size: usize) -> Self {
        Self { name, size, align: 0, flags: SlabFlags::empty(), constructor: None }
    }
}

/// Makes a cache: Linux's `kmem_cache_create`.
///
/// Context: thread.
///
/// # Errors
/// `CreateError`; none is left behind.
///
/// # Panics
/// On an error, if the flags have `PANIC`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::kmem_cache::{self, CacheOptions};
/// let blocks = kmem_cache::create(&CacheOptions { align: 64, ..CacheOptions::new("block", 192) })?;
/// assert_eq!(blocks.object_size(), 192);
/// # Ok::<(), tetra::mm::slab_layout::CreateError>(())
/// ```
pub fn create(options: &CacheOptions) -> Result<CacheHandle, CreateError> {
    match create_cache(options, None) {
        // INVARIANT: the number of an element of `CACHES`.
        Ok(cache) => Ok(CacheHandle { cache, slot: cache.slot() }),
        Err(error) if options.flags.contains(SlabFlags::PANIC) => {
            panic!("cannot create slab cache {} of {} bytes: {error}", options.name, options.size)
        }
        Err(error) => Err(error),
    }
}

/// As `create`, in place `slot` if one is given, and without an owner.
fn create_cache(options: &CacheOptions, slot: Option<usize>) -> Result<&'static Cache, CreateError> {
    let flags = options.flags | slow::boot_flags(options.name);
    let layout = SlabLayout::new(options.size, options.align, flags)?;
    let (capacity, batch) = if flags.intersects(SlabFlags::DEBUG_FLAGS) || options.constructor.is_some() {
        (0, 1)
    } else {
        cpu_list::capacity_and_batch(layout.stride)
    };
    let params = Params {
        name: options.name,
        layout,
        flags,
        constructor: options.constructor,
        capacity,
        batch,
        max_empty: slabs::max_empty(layout.slab_bytes()),
    };

    let _creation = CREATION.lock();
    reap_zombies();
    let is_free = |slot: &usize| CACHES[*slot].state.load(Ordering::Acquire) == FREE;
    let slot = slot.or_else(|| (super::kmalloc::NR_KMALLOC_CACHES..NR_SLAB_CACHES).find(is_free)).ok_or(CreateError::TooManyCaches)?;
    let cache = &CACHES[slot];
    // SAFETY: the place is free and `CREATION` is held: nobody else writes, nobody reads.
    unsafe { *cache.params.get() = Some(params) };
    cache.nr_errors.store(0, Ordering::Relaxed);
    cpu_list::set_room(slot, if is_forced_slow() { 0 } else { capacity });
    cache.state.store(LIVE, Ordering::Release);
    Ok(cache)
}

/// Makes the cache of place `slot`, for `kmalloc` at boot.
pub(super) fn create_at(slot: usize, options: &CacheOptions) {
    if let Err(error) = create_cache(options, Some(slot)) {
        panic!("cannot create slab cache {}: {error}", options.name);
    }
}

/// The cache of place `slot`, which boot has made.
pub(super) fn cache_at(slot: usize) -> &'static Cache {
    &CACHES[slot]
}

/// Reports an address that `kfree` cannot take.
pub(super) fn report_invalid_pointer(object: NonNull<u8>) {
    report::invalid_pointer(None, object, page::of_virt(super::addr::VirtAddr::from_ptr(object.as_ptr())));
}

/// Prepares each core's lists. Once, at boot, on core 0, when the page descriptors stand and before the first cache is made.
pub(super) fn init(seed: u64) {
    cpu_list::init(seed, page::all());
}

/// Somebody wants to see every object of every cache.
fn is_forced_slow() -> bool {
    failslab::FAILSLAB.is_armed() || super::kmalloc::zeroes()
}

impl Cache {
    const fn vacant() -> Self {
        Self {
            state: AtomicU8::new(FREE),
            params: UnsafeCell::new(None),
            slabs: IrqSpinLock::new(Slabs::new()),
            nr_errors: AtomicU32::new(0),
        }
    }

    fn slot(&self) -> usize {
        (&raw const *self as usize - CACHES.as_ptr() as usize) / size_of::<Cache>()
    }

    /// The parameters. Context: the caller holds the cache, or an object of it.
    #[inline]
    fn params(&self) -> &Params {
        // SAFETY: not written while the state is other than `FREE`, which the caller's hold on the cache keeps it.
        let params = unsafe { &*self.params.get() };
        params.as_ref().expect("a cache that is held has parameters")
    }

    /// Every object passes through the checked path.
    fn is_slow(&self) -> bool {
        self.params().capacity == 0 || is_forced_slow()
    }

    /// The name. Context: any.
    pub fn name(&self) -> &'static str {
        self.params().name
    }

    /// Bytes of an object as it was asked for. Context: any.
    pub fn object_size(&self) -> usize {
        self.params().layout.object_size
    }

    /// Reports of misuse of this cache since it was made. Context: any.
    pub fn nr_errors(&self) -> u32 {
        self.nr_errors.load(Ordering::Relaxed)
    }

    /// What `slabinfo` shows. Context: any. Objects in cores' lists count as active, as in Linux; `drain` brings them back first.
    pub fn usage(&self) -> Usage {
        let params = self.params();
        self.slabs.lock().usage(params)
    }

    /// Looks at every object, out or free, for bytes that are not what they must be; each damage is reported once and mended: Linux's
    /// `slabinfo -v`. Gives the number of reports. A cache that checks nothing has nothing to look at.
    ///
    /// Context: thread.
    pub fn validate(&self) -> usize {
        let params = self.params();
        if !params.flags.intersects(SlabFlags::RED_ZONE | SlabFlags::POISON) {
            return 0;
        }
        let mut nr_damaged = 0;
        self.slabs.lock().for_each_object(params, |place, is_out| nr_damaged += usize::from(check::look_and_mend(self, place, is_out)));
        nr_damaged
    }

    /// Gives the free objects of all cores back to the slabs.
    ///
    /// Context: thread, irqs on.
    pub fn drain(&self) {
        let slot = self.slot();
        upcalls::on_all_cores(&|| cpu_list::drain(slot));
    }

    /// Gives free slabs back to the page allocator; says how many pages: Linux's `kmem_cache_shrink`.
    ///
    /// Context: thread, irqs on.
    pub fn shrink(&self) -> usize {
        self.drain();
        slabs::release_empty(self, 0)
    }
}

/// Figures of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Objects that are out, or in a core's list.
    pub active_objects: usize,
    /// Objects in all slabs.
    pub nr_objects: usize,
    /// Bytes from one object to the next.
    pub stride: usize,
    /// Objects in a slab.
    pub objects_per_slab: usize,
    /// Pages of a slab.
    pub pages_per_slab: usize,
    /// Slabs with an object out.
    pub active_slabs: usize,
    /// Slabs.
    pub nr_slabs: usize,
}

/// All caches, in the order of their places. Context: thread; a cache may be destroyed meanwhile, so the figures are taken here.
pub fn for_each(mut f: impl FnMut(&'static str, Usage)) {
    for cache in &CACHES {
        let found = {
            let _creation = CREATION.lock();
            (cache.state.load(Ordering::Acquire) != FREE).then(|| (cache.name(), cache.usage()))
        };
        if let Some((name, usage)) = found {
            f(name, usage);
        }
    }
}

/// Calls `f` with the name of each cache that guards or poisons its objects, and how many are damaged: [`Cache::validate`].
///
/// Context: thread, irqs on; not with a cache's lock.
pub fn validate_all(mut f: impl FnMut(&'static str, usize)) {
    for cache in &CACHES {
        let found = {
            let _creation = CREATION.lock();
            let is_checked = cache.state.load(Ordering::Acquire) != FREE && cache.params().flags.intersects(SlabFlags::DEBUG_FLAGS);
            is_checked.then(|| (cache.name(), cache.validate()))
        };
        if let Some((name, nr_damaged)) = found {
            f(name, nr_damaged);
        }
    }
}

/// Gives every core's free objects back to their slabs. Context: thread, irqs on.
pub fn drain_all() {
    let _creation = CREATION.lock();
    upcalls::on_all_cores(&|| (0..NR_SLAB_CACHES).for_each(cpu_list::drain));
}

/// Objects were out when their cache was destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillInUse {
    /// How many.
    pub nr_objects: usize,
}

/// A cache of raw objects and the right to destroy it: Linux's `struct kmem_cache *`. `KmemCache` is the typed form.
#[derive(Debug)]
pub struct CacheHandle {
    cache: &'static Cache,
    /// The cache's place, so that no allocation computes it.
    ///
    /// # Invariants
    /// Below `NR_SLAB_CACHES`.
    slot: usize,
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Cache").field("slot", &self.slot()).finish_non_exhaustive()
    }
}

impl core::ops::Deref for CacheHandle {
    type Target = Cache;

    fn deref(&self) -> &Cache {
        self.cache
    }
}

impl CacheHandle {
    /// Allocates an object: Linux's `kmem_cache_alloc`. Its bytes are what a constructor made of them, else undefined, or zeros with `ZERO`.
    ///
    /// Context: any if `gfp` may not sleep, else a thread that may.
    ///
    /// # Errors
    /// `AllocError` if there is no memory; the cache is unchanged.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::GfpFlags;
    /// use tetra::mm::kmem_cache::{self, CacheOptions};
    /// let blocks = kmem_cache::create(&CacheOptions::new("block", 192))?;
    /// let block = blocks.alloc(GfpFlags::KERNEL)?;
    /// // SAFETY: allocated by the line above, and used by nobody.
    /// unsafe { blocks.free(block) };
    /// # Ok::<(), tetra::util::errno::Errno>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn alloc(&self, gfp: GfpFlags) -> Result<NonNull<u8>, AllocError> {
        check_context(gfp);
        // SAFETY: the field's invariant.
        unsafe { core::hint::assert_unchecked(self.slot < NR_SLAB_CACHES) };
        let object = match try_alloc(self.slot) {
            Some(object) => object,
            None => alloc_slow(self.cache, gfp, 0).ok_or(AllocError)?,
        };
        if gfp.contains(GfpFlags::ZERO) && self.params().constructor.is_none() {
            // SAFETY: the object has these bytes and is the caller's.
            unsafe { object.as_ptr().write_bytes(0, self.object_size()) };
        }
        Ok(object)
    }

    /// Gives an object back: Linux's `kmem_cache_free`. One of another cache is reported and not freed.
    ///
    /// Context: any.
    ///
    /// # Safety
    /// `object` came from `alloc` of this cache and nobody uses it any more. What does not hold of that is found as the table above says.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::GfpFlags;
    /// use tetra::mm::kmem_cache::{self, CacheOptions};
    /// let blocks = kmem_cache::create(&CacheOptions::new("block", 192))?;
    /// let block = blocks.alloc(GfpFlags::ATOMIC)?;
    /// // SAFETY: from this cache, and used by nobody.
    /// unsafe { blocks.free(block) };
    /// # Ok::<(), tetra::util::errno::Errno>(())
    /// ```
    #[inline]
    pub unsafe fn free(&self, object: NonNull<u8>) {
        // SAFETY: by the contract of this function.
        unsafe { slow::free_to(self.cache, self.slot, object) };
    }

    /// Fills `objects` or allocates nothing: Linux's `kmem_cache_alloc_bulk`.
    ///
    /// Context: as `alloc`.
    ///
    /// # Errors
    /// `AllocError` if there is no memory for all of them.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::GfpFlags;
    /// use tetra::mm::kmem_cache::{self, CacheOptions};
    /// let blocks = kmem_cache::create(&CacheOptions::new("block", 192))?;
    /// let mut batch = [None; 16];
    /// blocks.alloc_bulk(GfpFlags::KERNEL, &mut batch)?; // all or none
    /// assert!(batch.iter().all(Option::is_some));
    /// # // SAFETY: from this cache, and used by nobody.
    /// # unsafe { blocks.free_bulk(&mut batch) };
    /// # Ok::<(), tetra::util::errno::Errno>(())
    /// ```
    #[track_caller]
    pub fn alloc_bulk(&self, gfp: GfpFlags, objects: &mut [Option<NonNull<u8>>]) -> Result<(), AllocError> {
        for at in 0..objects.len() {
            match self.alloc(gfp) {
                Ok(object) => objects[at] = Some(object),
                Err(error) => {
                    // SAFETY: allocated just now, and given to nobody.
                    objects[..at].iter_mut().filter_map(Option::take).for_each(|object| unsafe { self.free(object) });
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Frees all that is in `objects`, and leaves `None`.
    ///
    /// Context: any.
    ///
    /// # Safety
    /// As `free`, for each.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::GfpFlags;
    /// use tetra::mm::kmem_cache::{self, CacheOptions};
    /// let blocks = kmem_cache::create(&CacheOptions::new("block", 192))?;
    /// let mut batch = [None; 16];
    /// blocks.alloc_bulk(GfpFlags::KERNEL, &mut batch)?;
    /// // SAFETY: from this cache, and used by nobody.
    /// unsafe { blocks.free_bulk(&mut batch) };
    /// assert_eq!(batch, [None; 16]);
    /// # Ok::<(), tetra::util::errno::Errno>(())
    /// ```
    pub unsafe fn free_bulk(&self, objects: &mut [Option<NonNull<u8>>]) {
        // SAFETY: by the contract of this function.
        objects.iter_mut().filter_map(Option::take).for_each(|object| unsafe { self.free(object) });
    }

    /// Destroys the cache: Linux's `kmem_cache_destroy`. Objects that `kfree_rcu` is to free are waited for. Live objects are listed in a report and stay
    /// valid; the cache then lives on without a name for new ones, and takes them back.
    ///
    /// Context: thread, irqs on; may sleep, if nothing forbids it.
    ///
    /// # Errors
    /// `StillInUse`, with the number of live objects.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::kmem_cache::{self, CacheOptions};
    /// let blocks = kmem_cache::create(&CacheOptions::new("block", 192))?;
    /// assert!(blocks.destroy().is_ok()); // no object is out
    /// # Ok::<(), tetra::mm::slab_layout::CreateError>(())
    /// ```
    pub fn destroy(self) -> Result<(), StillInUse> {
        let cache = self.cache;
        core::mem::forget(self);
        wait_for_rcu(cache);
        destroy_cache(cache)
    }
}

impl Drop for CacheHandle {
    /// As `destroy`, which reports for itself.
    fn drop(&mut self) {
        wait_for_rcu(self.cache);
        let _reported = destroy_cache(self.cache);
    }
}

/// Objects are out: those that `kfree_rcu` was asked to free come back by its callbacks, which are waited for. Not in atomic context.
fn wait_for_rcu(cache: &'static Cache) {
    if cpu::is_atomic() {
        return;
    }
    cache.drain();
    if cache.usage().active_objects > 0 {
        rcu_barrier();
    }
}

/// Holds `CREATION` from beginning to end, so that nobody takes the place or walks the caches meanwhile. Other cores that wait for it have irqs on
/// and answer.
fn destroy_cache(cache: &'static Cache) -> Result<(), StillInUse> {
    let _creation = CREATION.lock();
    cache.state.store(ZOMBIE, Ordering::Release);
    close(cache);
    let mut left = cache.usage().active_objects;
    if left > 0 {
        // One that was on its way back from another core while the lists were emptied.
        close(cache);
        left = cache.usage().active_objects;
    }
    if left > 0 {
        report::live_objects(cache, left);
        return Err(StillInUse { nr_objects: left });
    }
    bury(cache);
    Ok(())
}

/// Empties and closes all cores' lists of a cache that is `ZOMBIE`.
fn close(cache: &Cache) {
    let slot = cache.slot();
    upcalls::on_all_cores(&|| cpu_list::reset_own(slot));
}

/// Gives the place of a cache without objects, whose lists are closed, back. Context: `CREATION` is held.
fn bury(cache: &Cache) {
    slabs::release_empty(cache, 0);
    cache.state.store(FREE, Ordering::Release);
}

/// Ends caches that were destroyed with objects out and have got them back since. Context: `CREATION` is held.
fn reap_zombies() {
    let zombies = CACHES.iter().filter(|cache| cache.state.load(Ordering::Acquire) == ZOMBIE);
    zombies.filter(|cache| cache.usage().active_objects == 0).for_each(bury);
}

/// Closes every core's lists if `failslab` is armed or objects are zeroed by boot argument, else opens them: after each change of either.
///
/// Context: thread, irqs on; boot.
pub fn reset_lists() {
    let _creation = CREATION.lock();
    upcalls::on_all_cores(&|| {
        let used = CACHES.iter().enumerate().filter(|(_, cache)| cache.state.load(Ordering::Acquire) != FREE);
        used.for_each(|(slot, _)| cpu_list::reset_own(slot));
    });
}

/// The argument of `slub_debug=`, if it was given; before the first cache is made. Context: boot.
pub fn set_boot_debug(argument: &'static str) -> Result<(), slub_debug::UnknownLetter> {
    slow::set_boot_debug(argument)
}
