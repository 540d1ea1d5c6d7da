//! What happens when a core's list is empty, full, or not to be trusted.

use super::cpu_list::OwnList;
use super::slabs::{self, Place};
use super::{Cache, check, cpu_list, report};
use crate::cpu;
use crate::mm::addr::{Pfn, VirtAddr};
use crate::mm::atomic_request;
use crate::mm::failslab;
use crate::mm::gfp::GfpFlags;
use crate::mm::page::{self, PageKind};
use crate::mm::slab::PutError;
use crate::mm::slab_layout::SlabFlags;
use crate::mm::slub_debug::{self, UnknownLetter};
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Acquire;
use spin::Once;

/// `slub_debug=`, if it was given.
static BOOT_DEBUG: Once<&'static str> = Once::new();

pub(super) fn set_boot_debug(argument: &'static str) -> Result<(), UnknownLetter> {
    slub_debug::flags_for(argument, "")?;
    BOOT_DEBUG.call_once(|| argument);
    Ok(())
}

/// Whether `slub_debug=` was given, so that kmalloc's objects may be guarded.
#[inline]
pub(in crate::mm) fn has_boot_debug() -> bool {
    BOOT_DEBUG.is_completed()
}

/// What `slub_debug=` asks of a cache.
pub(super) fn boot_flags(name: &str) -> SlabFlags {
    BOOT_DEBUG.get().and_then(|argument| slub_debug::flags_for(argument, name).ok()).unwrap_or(SlabFlags::empty())
}

/// Reports, in builds with `debug`, a request that may sleep where nobody may.
///
/// Context: any. Nothing in builds without.
#[inline(always)]
#[track_caller]
pub fn check_context(gfp: GfpFlags) {
    if cfg!(feature = "debug") && gfp.may_sleep() && cpu::is_atomic() {
        may_not_sleep(gfp, Location::caller());
    }
}

/// `gfp` without what this context does not permit. Who asked wrongly was told so by `check_context`; it is not told twice, and nothing sleeps.
pub(in crate::mm) fn fit_for_here(gfp: GfpFlags) -> GfpFlags {
    if cpu::is_atomic() { gfp - GfpFlags::KERNEL - GfpFlags::NOFAIL } else { gfp }
}

#[cold]
#[inline(never)]
fn may_not_sleep(gfp: GfpFlags, place: &'static Location<'static>) {
    if atomic_request::report(gfp, place) {
        report::count();
    }
}

/// Allocates when this core's list has nothing. `size` is what `kmalloc` was asked for, and a checked cache
/// guards what is beyond; 0: the whole object.
///
/// Context: any that `gfp` permits.
#[cold]
#[inline(never)]
pub(in crate::mm) fn alloc_slow(cache: &'static Cache, gfp: GfpFlags, size: usize) -> Option<NonNull<u8>> {
    // kmalloc's caches are called by their places, also before they are made.
    if cache.state.load(Acquire) != super::LIVE {
        return None;
    }
    if failslab::should_fail(cache.object_size(), gfp) {
        return None;
    }
    let object = if cache.is_slow() { take_checked(cache, gfp, size) } else { refill(cache, gfp) };
    core::hint::black_box(object)
}

/// Takes a batch: one object for the caller, the rest for this core's list.
fn refill(cache: &'static Cache, gfp: GfpFlags) -> Option<NonNull<u8>> {
    let params = cache.params();
    let mut new_slab: Option<Pfn> = None;
    loop {
        let (found, broken) = {
            let mut list = OwnList::new(cache.slot());
            list.reopen();
            match list.pop() {
                Ok(Some(object)) => (Some(object), None),
                popped => {
                    let mut slabs = cache.slabs.lock();
                    new_slab.take().into_iter().for_each(|head| slabs::add(&mut slabs, head));
                    let max = params.batch.min(list.room() + 1);
                    let mut first = None;
                    slabs.take_up_to(params, max, |place| match first {
                        None => first = Some(place.object(params)),
                        // SAFETY: taken from the slab just now, so free and in no list.
                        Some(_) => unsafe { list.push(place.object(params)) },
                    });
                    (first, popped.err())
                }
            }
        };
        broken.iter().for_each(|broken| report::broken_list(cache, broken));
        if found.is_some() {
            // The list may have been filled from elsewhere meanwhile: then the slab is for those who come.
            new_slab.into_iter().for_each(|head| slabs::add(&mut cache.slabs.lock(), head));
            return found;
        }
        new_slab = Some(slabs::new_slab(cache, gfp)?);
    }
}

/// Takes one object from the slabs and looks at it. One that is damaged is reported and never given out.
fn take_checked(cache: &'static Cache, gfp: GfpFlags, size: usize) -> Option<NonNull<u8>> {
    let params = cache.params();
    let mut new_slab = None;
    loop {
        let mut found = None;
        {
            let mut slabs = cache.slabs.lock();
            new_slab.take().into_iter().for_each(|head| slabs::add(&mut slabs, head));
            // Under the lock, so that whoever looks at all objects finds one that is out with the marks of one.
            slabs.take_up_to(params, 1, |place| found = Some((place, check::on_alloc(cache, place, size))));
        }
        match found {
            Some((place, true)) => return Some(place.object(params)),
            Some(_) => {}
            None => new_slab = Some(slabs::new_slab(cache, gfp)?),
        }
    }
}

/// Frees to `cache`, whose place is `slot`: on the fast path if the object is of this cache.
///
/// # Safety
/// As `CacheHandle::free`.
#[inline(always)]
pub(super) unsafe fn free_to(cache: &'static Cache, slot: usize, object: NonNull<u8>) {
    // SAFETY: by the contract of this function.
    if !unsafe { cpu_list::try_free(object.as_ptr(), Some(cpu_list::list_of(slot))) } {
        free_to_slow(object, cache);
    }
}

#[cold]
#[inline(never)]
fn free_to_slow(object: NonNull<u8>, cache: &'static Cache) {
    let _reported = free_slow(object, Some(cache));
}

/// A pointer that nothing here gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFree;

/// Frees what the fast path did not: finds out what `object` is, and reports what it cannot be. `Ok(false)`: not of a slab, but a large kmalloc.
///
/// Context: any.
#[cold]
#[inline(never)]
pub(in crate::mm) fn free_slow(object: NonNull<u8>, expected: Option<&'static Cache>) -> Result<bool, InvalidFree> {
    let desc = page::of_virt(VirtAddr::from_ptr(object.as_ptr()));
    let Some(cache) = desc.and_then(cpu_list::cache_of) else {
        if expected.is_none() && desc.is_some_and(|desc| desc.kind() == PageKind::LargeKmalloc) {
            return Ok(false);
        }
        report::invalid_pointer(expected, object, desc);
        return Err(InvalidFree);
    };
    if expected.is_some_and(|expected| !core::ptr::eq(expected, cache)) {
        report::wrong_cache(cache, expected.map_or("", |expected| expected.name()), object);
        return Err(InvalidFree);
    }
    if cache.is_slow() {
        return free_checked(cache, object);
    }
    if Place::of(cache.params(), object).is_none() {
        report::bad_free(cache, object, PutError::NotAnObject);
        return Err(InvalidFree);
    }
    let pushed = push(cache, object).or_else(|| {
        slabs::put_back(cache, cache.params().batch);
        push(cache, object)
    });
    match pushed {
        Some(Ok(())) => Ok(true),
        Some(Err(error)) => {
            report::bad_free(cache, object, error);
            Err(InvalidFree)
        }
        None => free_checked(cache, object),
    }
}

/// Gives an object to this core's list; `None`: there is no room. The look at the head and the push are one section: an interrupt between them could
/// free the same object.
fn push(cache: &'static Cache, object: NonNull<u8>) -> Option<Result<(), PutError>> {
    let mut list = OwnList::new(cache.slot());
    list.reopen();
    if list.is_head(object) {
        return Some(Err(PutError::AlreadyFree));
    }
    if list.room() == 0 {
        return None;
    }
    // SAFETY: the caller of `kfree` gives it away; it begins an object of this cache, and the list has room.
    unsafe { list.push(object) };
    Some(Ok(()))
}

/// Puts one object back to its slab, with every check that the cache asks for.
fn free_checked(cache: &'static Cache, object: NonNull<u8>) -> Result<bool, InvalidFree> {
    let params = cache.params();
    let result = match Place::of(params, object) {
        None => Err(PutError::NotAnObject),
        Some(place) => {
            let mut slabs = cache.slabs.lock();
            if !slabs.is_taken(params, place) {
                Err(PutError::AlreadyFree)
            } else {
                // The look and the fill are under the lock: two cores that free the same object must not both find it out.
                check::on_free(cache, place);
                slabs.put(params, place).map(|()| slabs.take_surplus(params, params.max_empty))
            }
        }
    };
    match result {
        Ok(surplus) => {
            surplus.release();
            Ok(true)
        }
        Err(error) => {
            report::bad_free(cache, object, error);
            Err(InvalidFree)
        }
    }
}

/// Bytes that the holder of `object` may use, if it is one of a cache. Context: any; the caller holds the object.
pub(in crate::mm) fn object_size(object: NonNull<u8>) -> Option<usize> {
    let params = page::of_virt(VirtAddr::from_ptr(object.as_ptr())).and_then(cpu_list::cache_of)?.params();
    Some(Place::of(params, object).map_or(params.layout.object_size, |place| check::usable_size(params, place)))
}

/// The holder of `object` needs `size` bytes of it from here on. Context: any; the caller holds the object, whose usable size is not less.
pub(in crate::mm) fn shrink_object(object: NonNull<u8>, size: usize) {
    let cache = page::of_virt(VirtAddr::from_ptr(object.as_ptr())).and_then(cpu_list::cache_of);
    if let Some(cache) = cache.filter(|cache| cache.is_slow())
        && let Some(place) = Place::of(cache.params(), object)
    {
        let _looked_at_by_nobody = cache.slabs.lock();
        check::resize(cache.params(), place, size);
    }
}
