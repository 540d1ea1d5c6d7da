//! The shrinker of all slab caches: what they keep for the next burst goes back when memory is short.
//!
//! Counting empties this core's lists first, so that slabs whose last objects lie there count as free. The lists of other cores are not asked: that would
//! take an interrupt of each, and the thread that reclaims may be the one that they wait for. Whoever creates or destroys a cache keeps the caches from
//! being walked; then there is nothing to give, rather than a wait.
//!
//! Neighbours: `mm::shrinker` calls it, `slabs` knows which slabs are free.

use super::{CACHES, CREATION, Cache, FREE, cpu_list};
use crate::mm::gfp::GfpFlags;
use crate::mm::shrinker::Shrinker;
use core::sync::atomic::Ordering::Acquire;

/// Gives free slabs of all caches back. Registered when `kmalloc` stands.
pub static SLABS: Shrinker = Shrinker::new("slabs", GfpFlags::empty(), count, scan);

/// All caches that may have slabs. Context: `CREATION` is held.
pub(super) fn used() -> impl Iterator<Item = &'static Cache> {
    CACHES.iter().filter(|cache| cache.state.load(Acquire) != FREE)
}

/// Pages of free slabs. Context: thread.
fn count() -> usize {
    let Some(_creation) = CREATION.try_lock() else { return 0 };
    used()
        .map(|cache| {
            cpu_list::drain(cache.slot());
            cache.slabs.lock().nr_empty_pages(cache.params())
        })
        .sum()
}

/// Gives back about `wanted` pages; says how many it were. Context: thread.
fn scan(wanted: usize) -> usize {
    let Some(_creation) = CREATION.try_lock() else { return 0 };
    let mut freed = 0;
    for cache in used() {
        if freed >= wanted {
            break;
        }
        freed += super::slabs::release_empty(cache, 0);
    }
    freed
}
