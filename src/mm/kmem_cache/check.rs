//! What a checked cache writes around and into its objects, and looks at again: red zones, poison, constructors.

use super::slabs::Place;
use super::track::{self, Which};
use super::{Cache, Params, report};
use crate::mm::kmalloc::{zeroes_on_alloc, zeroes_on_free};
use crate::mm::slab_layout::SlabFlags;
use crate::mm::slub_debug::{POISON_END, POISON_FREE, POISON_INUSE, RED_ACTIVE, RED_INACTIVE, first_other};

/// A part of an object's surroundings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Damage {
    /// Of what.
    pub what: &'static str,
    /// First wrong byte, from the object's beginning.
    pub offset: isize,
    /// What it is.
    pub found: u8,
    /// What it must be.
    pub expected: u8,
}

/// The bytes from `offset` of an object.
fn bytes<'a>(params: &Params, place: Place, offset: isize, len: usize) -> &'a mut [u8] {
    let start = place.object(params).as_ptr().wrapping_offset(offset);
    // SAFETY: within the stride of the object (callers give parts of the layout); the object is free, or being given out or freed, so that nobody
    // has a reference into it; red zones and padding are never anybody's.
    unsafe { core::slice::from_raw_parts_mut(start, len) }
}

/// The red zones of an object of which `size` bytes are its user's: padding, and what `kmalloc` was not asked for, are part of them.
fn red_zones(params: &Params, size: usize) -> [(isize, usize); 2] {
    let layout = &params.layout;
    let behind = layout.padded_size - size + layout.red_right;
    [(-(layout.red_left as isize), layout.red_left), (size as isize, behind)]
}

fn fill_red(params: &Params, place: Place, size: usize, value: u8) {
    if params.flags.contains(SlabFlags::RED_ZONE) {
        red_zones(params, size).into_iter().for_each(|(offset, len)| bytes(params, place, offset, len).fill(value));
    }
}

/// Bytes of an object that is out which are its user's: what it asked for, where that is noted and guarded, else all. Context: as `track::load`.
pub(super) fn usable_size(params: &Params, place: Place) -> usize {
    let all = params.layout.object_size;
    let asked = params.flags.contains(SlabFlags::RED_ZONE).then(|| track::load(params, place, Which::Alloc)).flatten();
    asked.map(|track| track.size()).filter(|size| (1..all).contains(size)).unwrap_or(all)
}

/// Makes `size` bytes of an object that is out its user's; what is beyond is guarded again. Context: the object is the caller's.
pub(super) fn resize(params: &Params, place: Place, size: usize) {
    track::set_size(params, place, size);
    fill_red(params, place, usable_size(params, place), RED_ACTIVE);
}

/// A constructed object keeps its state while it is free, so it is not poisoned.
fn is_poisoned(params: &Params) -> bool {
    params.flags.contains(SlabFlags::POISON) && params.constructor.is_none()
}

fn poison(params: &Params, place: Place) {
    if is_poisoned(params) {
        let object = bytes(params, place, 0, params.layout.object_size);
        object.fill(POISON_FREE);
        object[params.layout.object_size - 1] = POISON_END;
    }
}

/// Prepares an object of a new slab. Context: nobody knows the slab.
pub(super) fn init_object(params: &Params, place: Place) {
    if params.capacity > 0 {
        return;
    }
    fill_red(params, place, params.layout.object_size, RED_INACTIVE);
    poison(params, place);
    track::clear(params, place);
    if let Some(constructor) = params.constructor {
        constructor(place.object(params).as_ptr());
    }
}

fn find_red_damage(params: &Params, place: Place, size: usize, expected: u8) -> Option<Damage> {
    if !params.flags.contains(SlabFlags::RED_ZONE) {
        return None;
    }
    let names = ["Left Redzone overwritten", "Right Redzone overwritten"];
    red_zones(params, size).into_iter().zip(names).find_map(|((start, len), what)| {
        let (at, found) = first_other(bytes(params, place, start, len), expected)?;
        Some(Damage { what, offset: start + at as isize, found, expected })
    })
}

fn find_poison_damage(params: &Params, place: Place) -> Option<Damage> {
    if !is_poisoned(params) {
        return None;
    }
    let last = params.layout.object_size - 1;
    let object = bytes(params, place, 0, params.layout.object_size);
    let what = "Poison overwritten";
    match first_other(&object[..last], POISON_FREE) {
        Some((at, found)) => Some(Damage { what, offset: at as isize, found, expected: POISON_FREE }),
        None if object[last] != POISON_END => Some(Damage { what, offset: last as isize, found: object[last], expected: POISON_END }),
        None => None,
    }
}

/// What is wrong with an object that is free.
fn find_damage_of_free(params: &Params, place: Place) -> Option<Damage> {
    find_red_damage(params, place, params.layout.object_size, RED_INACTIVE).or_else(|| find_poison_damage(params, place))
}

/// Looks at an object, out or free, reports damage and mends it, so that it is reported once. True if there was some. Context: its slab is locked.
pub(super) fn look_and_mend(cache: &Cache, place: Place, is_out: bool) -> bool {
    let params = cache.params();
    let size = if is_out { usable_size(params, place) } else { params.layout.object_size };
    let damage = if is_out { find_red_damage(params, place, size, RED_ACTIVE) } else { find_damage_of_free(params, place) };
    let Some(damage) = damage else { return false };
    report::damage(cache, place, &damage);
    fill_red(params, place, size, if is_out { RED_ACTIVE } else { RED_INACTIVE });
    if !is_out {
        poison(params, place);
    }
    true
}

/// Looks at an object that is to be given out for `size` bytes; false: it is damaged, was reported, and stays out of use. Context: its slab is locked.
pub(super) fn on_alloc(cache: &'static Cache, place: Place, size: usize) -> bool {
    let params = cache.params();
    if let Some(damage) = find_damage_of_free(params, place) {
        report::damage(cache, place, &damage);
        // It counts as out from here on: a look at all objects later must not say it again.
        track::set_size(params, place, 0);
        fill_red(params, place, params.layout.object_size, RED_ACTIVE);
        return false;
    }
    let has_constructor = params.constructor.is_some();
    if !has_constructor && zeroes_on_alloc() {
        bytes(params, place, 0, params.layout.object_size).fill(0);
    } else if is_poisoned(params) {
        bytes(params, place, 0, params.layout.object_size).fill(POISON_INUSE);
    }
    track::store(params, place, Which::Alloc, size);
    fill_red(params, place, usable_size(params, place), RED_ACTIVE);
    true
}

/// Looks at an object that comes back, reports what its user did to its surroundings, and makes it a free one. Context: its slab is locked.
pub(super) fn on_free(cache: &'static Cache, place: Place) {
    let params = cache.params();
    if let Some(damage) = find_red_damage(params, place, usable_size(params, place), RED_ACTIVE) {
        report::damage(cache, place, &damage);
    }
    track::store(params, place, Which::Free, params.layout.object_size);
    fill_red(params, place, params.layout.object_size, RED_INACTIVE);
    if params.constructor.is_none() && zeroes_on_free() {
        bytes(params, place, 0, params.layout.object_size).fill(0);
    }
    poison(params, place);
}
