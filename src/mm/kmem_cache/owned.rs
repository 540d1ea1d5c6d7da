//! What a thread has allocated and nobody has freed, as far as caches keep who allocated (`slub_debug=U`, `STORE_USER`): what is lost when it dies.
//!
//! An object may have been handed to somebody else, who will free it yet; the tracks do not know. So this is an upper bound, by name.

use super::track::{self, Which};
use super::{CREATION, reclaim};
use crate::mm::slab_layout::SlabFlags;
use core::ptr::NonNull;

/// Calls `f` with cache, object and size of each object that thread `pid` allocated and that is in use. Nothing is said of caches that do not keep it, or
/// while a cache is made or destroyed.
///
/// Context: any without a slab's lock, which is held, irqs off, while `f` runs.
pub fn for_each_of(pid: u32, mut f: impl FnMut(&'static str, NonNull<u8>, usize)) {
    let Some(_creation) = CREATION.try_lock() else { return };
    for cache in reclaim::used().filter(|cache| cache.params().flags.contains(SlabFlags::STORE_USER)) {
        let params = cache.params();
        cache.slabs.lock().for_each_taken(params, usize::MAX, |place| {
            if track::load(params, place, Which::Alloc).is_some_and(|track| track.pid() == pid) {
                f(params.name, place.object(params), params.layout.object_size);
            }
        });
    }
}
