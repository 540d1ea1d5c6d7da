//! What a cache says when its users did wrong.
//!
//! ```text
//! BUG: slab kmalloc-64: Poison overwritten at object 0xffffff8001234040 +8: 0x0 instead of 0x6b
//!   at ..., cpu1, thread ..., and the backtrace of the one who noticed
//! slab: Allocated: cpu=1 pid=0 age=3 ms, with a backtrace
//! slab: Freed: cpu=2 pid=0 age=1 ms, with a backtrace
//! slab: the object's bytes
//! ```
//! Every report is counted, of its cache and in all: tests compare exact numbers.

use super::check::Damage;
use super::cpu_list::BrokenList;
use super::slabs::Place;
use super::track::{self, Which};
use super::{Cache, Params};
use crate::debug::taint::{Taint, add_taint};
use crate::log::{Level, emit, hex_dump};
use crate::mm::page::PageDesc;
use crate::mm::slab::PutError;
use crate::upcalls;
use core::fmt;
use core::panic::Location;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Bytes of an object that a report shows.
const MAX_DUMP: usize = 64;
/// Live objects that a report lists.
const MAX_LISTED: usize = 8;

static NR_REPORTS: AtomicU32 = AtomicU32::new(0);

/// Reports of all caches since boot. Context: any.
pub fn nr_reports() -> u32 {
    NR_REPORTS.load(Relaxed)
}

/// Counts a report that belongs to no cache.
pub(super) fn count() {
    NR_REPORTS.fetch_add(1, Relaxed);
}

#[track_caller]
fn bug(cache: Option<&Cache>, what: fmt::Arguments<'_>) {
    upcalls::bug_report(what, Location::caller());
    count();
    if let Some(cache) = cache {
        cache.nr_errors.fetch_add(1, Relaxed);
    }
}

/// An object cannot be freed: it is free, or none begins there.
#[cold]
pub(super) fn bad_free(cache: &Cache, object: NonNull<u8>, error: PutError) {
    let name = cache.name();
    match error {
        PutError::AlreadyFree => {
            bug(Some(cache), format_args!("slab {name}: double free: object {object:p} is free already; left as it is"))
        }
        PutError::NotAnObject => {
            let params = cache.params();
            let start = super::slabs::address_of(super::slabs::head_of(params, object));
            let offset = object.as_ptr() as usize - start;
            let what = format_args!(
                "slab {name}: invalid free: no object begins at {object:p} (slab {start:#x} + {offset:#x}); nothing was freed"
            );
            bug(Some(cache), what);
        }
    }
    if let Some(place) = Place::of(cache.params(), object) {
        history(cache.params(), place);
    }
}

/// The address is of no cache, and no large kmalloc.
#[cold]
pub(super) fn invalid_pointer(expected: Option<&Cache>, object: NonNull<u8>, desc: Option<&'static PageDesc>) {
    let name = expected.map_or("kfree", |cache| cache.name());
    match desc {
        None => bug(expected, format_args!("slab {name}: invalid free: {object:p} is no address of the linear map; nothing was freed")),
        Some(desc) => {
            let kind = desc.kind();
            bug(
                expected,
                format_args!("slab {name}: invalid free: {object:p} lies in a page that is {kind:?}, not of a slab; nothing was freed"),
            );
        }
    }
}

/// The object is of another cache.
#[cold]
pub(super) fn wrong_cache(owner: &Cache, expected: &str, object: NonNull<u8>) {
    let name = owner.name();
    bug(Some(owner), format_args!("slab {expected}: wrong cache: object {object:p} is one of {name}; nothing was freed"));
}

/// Somebody wrote to a free object in a core's list.
#[cold]
pub(super) fn broken_list(cache: &Cache, broken: &BrokenList) {
    let (name, BrokenList { object, word, nr_lost }) = (cache.name(), *broken);
    bug(
        Some(cache),
        format_args!(
            "slab {name}: free pointer of object {object:p} overwritten with {word:#x}: written after free; {nr_lost} objects are not used again"
        ),
    );
}

/// Bytes around or in an object are not what they must be.
#[cold]
pub(super) fn damage(cache: &Cache, place: Place, damage: &Damage) {
    let (params, Damage { what, offset, found, expected }) = (cache.params(), *damage);
    let (name, object) = (params.name, place.object(params));
    bug(Some(cache), format_args!("slab {name}: {what} at object {object:p} {offset:+}: {found:#04x} instead of {expected:#04x}"));
    add_taint(Taint::BadPage);
    history(params, place);
    let len = params.layout.object_size.min(MAX_DUMP);
    // SAFETY: an object that is free or being freed; its bytes are initialised by poison, or by whoever used it.
    let bytes = unsafe { core::slice::from_raw_parts(object.as_ptr(), len) };
    hex_dump(Level::Err, "slab: ", bytes);
}

/// Who allocated and freed it last, if the cache keeps that.
fn history(params: &Params, place: Place) {
    for (which, verb) in [(Which::Alloc, "Allocated"), (Which::Free, "Freed")] {
        if let Some(track) = track::load(params, place, which) {
            emit(Level::Err, "", format_args!("slab: {verb}: {track}"));
        }
    }
}

/// A cache is destroyed while objects are out.
#[cold]
pub(super) fn live_objects(cache: &Cache, nr_objects: usize) {
    let params = cache.params();
    let name = params.name;
    bug(
        Some(cache),
        format_args!("slab {name}: destroyed with {nr_objects} objects in use; they stay valid, the cache stays until they are freed"),
    );
    let mut listed = [None; MAX_LISTED];
    let mut nr_listed = 0;
    cache.slabs.lock().for_each_taken(params, MAX_LISTED, |place| {
        listed[nr_listed] = Some(place);
        nr_listed += 1;
    });
    for place in listed.into_iter().flatten() {
        emit(Level::Err, "", format_args!("slab: object {:p}", place.object(params)));
        history(params, place);
    }
}
