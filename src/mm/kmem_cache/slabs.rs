//! The slabs of a cache, by how full they are: three lists through the page descriptors, under the cache's lock.
//!
//! Allocation takes from partial slabs before free ones, so that free ones can go back. Full slabs are in a list too, which SLUB spares itself: it costs
//! two links a slab and lets `destroy` name every object that is left. A slab's head page holds the links, the cache's number (each page does)
//! and the map, if that is one word.

use super::{Cache, Params, Usage, check, cpu_list, report, slow};
use crate::mm::addr::{LINEAR_BASE, Order, PAGE_SIZE, Pfn};
use crate::mm::gfp::GfpFlags;
use crate::mm::page::{self, NIL, PageDesc, PageKind};
use crate::mm::page_alloc;
use crate::mm::slab::{PutError, SlabMap};
use crate::mm::slab_layout::SlabFlags;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

/// Free slabs that a cache keeps, in bytes: a burst of this size comes and goes without the page allocator.
const MAX_EMPTY_BYTES: usize = 64 << 10;

/// How many free slabs of `slab_bytes` are kept.
pub(super) const fn max_empty(slab_bytes: usize) -> usize {
    if slab_bytes > MAX_EMPTY_BYTES { 1 } else { MAX_EMPTY_BYTES / slab_bytes }
}

/// A list of slabs by their head pages.
struct SlabList {
    first: u32,
    len: usize,
}

impl SlabList {
    const fn new() -> Self {
        Self { first: NIL, len: 0 }
    }

    fn push(&mut self, pfn: Pfn) {
        let head = desc_of(pfn);
        head.set_prev(NIL);
        head.set_next(self.first);
        if self.first != NIL {
            desc_of(Pfn::new(self.first as usize)).set_prev(pfn.value() as u32);
        }
        self.first = pfn.value() as u32;
        self.len += 1;
    }

    fn remove(&mut self, pfn: Pfn) {
        let (prev, next) = (desc_of(pfn).prev(), desc_of(pfn).next());
        if prev == NIL {
            self.first = next;
        } else {
            desc_of(Pfn::new(prev as usize)).set_next(next);
        }
        if next != NIL {
            desc_of(Pfn::new(next as usize)).set_prev(prev);
        }
        self.len -= 1;
    }

    fn first(&self) -> Option<Pfn> {
        (self.first != NIL).then(|| Pfn::new(self.first as usize))
    }

    fn iter(&self) -> impl Iterator<Item = Pfn> {
        core::iter::successors(self.first(), |pfn| {
            let next = desc_of(*pfn).next();
            (next != NIL).then(|| Pfn::new(next as usize))
        })
    }
}

fn desc_of(pfn: Pfn) -> &'static PageDesc {
    page::desc(pfn).expect("a slab's pages are RAM")
}

/// What a cache has of slabs.
pub(super) struct Slabs {
    partial: SlabList,
    full: SlabList,
    empty: SlabList,
}

/// A place in a slab.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub head: Pfn,
    pub index: usize,
}

impl Place {
    /// The slab and the object that begins at `object`.
    #[inline]
    pub fn of(params: &Params, object: NonNull<u8>) -> Option<Self> {
        let head = head_of(params, object);
        let index = params.layout.index_at(object.as_ptr() as usize - address_of(head))?;
        Some(Self { head, index })
    }

    /// Where the object begins.
    pub fn object(self, params: &Params) -> NonNull<u8> {
        let address = address_of(self.head) + params.layout.offset_of(self.index);
        NonNull::new(address as *mut u8).expect("the linear map does not begin at 0")
    }
}

/// The head page of the slab around an address: blocks are aligned to their size.
#[inline]
pub(super) fn head_of(params: &Params, address: NonNull<u8>) -> Pfn {
    let pfn = (address.as_ptr() as usize - LINEAR_BASE) / PAGE_SIZE;
    Pfn::new(pfn & !(params.layout.order.nr_pages() - 1))
}

/// Address of a page in the linear map.
pub(super) fn address_of(pfn: Pfn) -> usize {
    LINEAR_BASE + pfn.value() * PAGE_SIZE
}

/// Calls `f` with the map of the slab at `head`. Context: the cache's lock, or a slab that nobody else knows.
fn with_map<R>(params: &Params, head: Pfn, f: impl FnOnce(SlabMap<'_>) -> R) -> R {
    let nr_objects = params.layout.nr_objects;
    if params.layout.map_words > 0 {
        let map = (address_of(head) + params.layout.map_offset()) as *mut u64;
        // SAFETY: the words behind the objects, part of none; who has the slab to itself (the lock) has them.
        let words = unsafe { core::slice::from_raw_parts_mut(map, params.layout.map_words) };
        return f(SlabMap::open(words, nr_objects));
    }
    let data = &desc_of(head).data;
    let mut word = [data.load(Relaxed)];
    let result = f(SlabMap::open(&mut word, nr_objects));
    data.store(word[0], Relaxed);
    result
}

impl Slabs {
    pub const fn new() -> Self {
        Self { partial: SlabList::new(), full: SlabList::new(), empty: SlabList::new() }
    }

    /// Takes up to `max` objects.
    pub fn take_up_to(&mut self, params: &Params, max: usize, mut give: impl FnMut(Place)) -> usize {
        let mut taken = 0;
        while taken < max {
            let Some(head) = self.partial.first().or_else(|| self.claim_empty()) else { break };
            let (here, is_full) = with_map(params, head, |mut map| {
                let here = map.take_up_to(max - taken, |index| give(Place { head, index }));
                (here, map.is_full())
            });
            taken += here;
            if is_full {
                self.partial.remove(head);
                self.full.push(head);
            }
        }
        taken
    }

    /// Makes a free slab a partial one, from which is taken next.
    fn claim_empty(&mut self) -> Option<Pfn> {
        let head = self.empty.first()?;
        self.empty.remove(head);
        self.partial.push(head);
        Some(head)
    }

    /// Whether an object is out.
    pub fn is_taken(&self, params: &Params, place: Place) -> bool {
        with_map(params, place.head, |map| map.is_taken(place.index))
    }

    /// Puts an object back.
    pub fn put(&mut self, params: &Params, place: Place) -> Result<(), PutError> {
        let (was_full, is_unused) = with_map(params, place.head, |mut map| {
            let was_full = map.is_full();
            map.put(place.index).map(|()| (was_full, map.is_unused()))
        })?;
        if was_full {
            self.full.remove(place.head);
            self.partial.push(place.head);
        }
        if is_unused {
            self.partial.remove(place.head);
            self.empty.push(place.head);
        }
        Ok(())
    }

    /// Pages of free slabs.
    pub fn nr_empty_pages(&self, params: &Params) -> usize {
        self.empty.len * params.layout.order.nr_pages()
    }

    /// Takes all free slabs but `keep` away. They are decided about in the same section as the last put: behind it the cache may be gone, if
    /// it was destroyed and this was its last object.
    pub fn take_surplus(&mut self, params: &Params, keep: usize) -> Surplus {
        let mut slabs = SlabList::new();
        while let Some(head) = self.surplus(keep) {
            slabs.push(head);
        }
        Surplus { slabs, order: params.layout.order }
    }

    /// Takes a free slab away if there are more than `keep`.
    fn surplus(&mut self, keep: usize) -> Option<Pfn> {
        let head = self.empty.first().filter(|_| self.empty.len > keep)?;
        self.empty.remove(head);
        Some(head)
    }

    pub fn usage(&mut self, params: &Params) -> Usage {
        let in_partial: usize = self.partial.iter().map(|head| with_map(params, head, |map| map.nr_free())).sum();
        let per_slab = params.layout.nr_objects;
        let (active_slabs, nr_slabs) = (self.partial.len + self.full.len, self.partial.len + self.full.len + self.empty.len);
        Usage {
            active_objects: active_slabs * per_slab - in_partial,
            nr_objects: nr_slabs * per_slab,
            stride: params.layout.stride,
            objects_per_slab: per_slab,
            pages_per_slab: params.layout.order.nr_pages(),
            active_slabs,
            nr_slabs,
        }
    }

    /// Calls `f` with each object, and whether it is out.
    pub fn for_each_object(&mut self, params: &Params, mut f: impl FnMut(Place, bool)) {
        for head in self.full.iter().chain(self.partial.iter()).chain(self.empty.iter()) {
            with_map(params, head, |map| (0..params.layout.nr_objects).for_each(|index| f(Place { head, index }, map.is_taken(index))));
        }
    }

    /// Calls `f` with each object that is out, at most `max`.
    pub fn for_each_taken(&mut self, params: &Params, max: usize, mut f: impl FnMut(Place)) {
        let mut left = max;
        for head in self.full.iter().chain(self.partial.iter()) {
            with_map(params, head, |map| {
                for index in map.taken().take(left) {
                    f(Place { head, index });
                    left -= 1;
                }
            });
        }
    }
}

/// Gets pages and makes a slab of them, all objects free.
pub(super) fn new_slab(cache: &Cache, gfp: GfpFlags) -> Option<Pfn> {
    let params = cache.params();
    let zone = if params.flags.contains(SlabFlags::CACHE_DMA) { GfpFlags::DMA } else { GfpFlags::empty() };
    // The slab serves others too, so the cache names the zone and not the request.
    let unfit = GfpFlags::ZERO | GfpFlags::DMA | GfpFlags::DMA32;
    let head = page_alloc::alloc_pages((slow::fit_for_here(gfp) - unfit) | zone, params.layout.order).ok()?;
    desc_of(head).set_kind(PageKind::Slab);
    for page in 0..params.layout.order.nr_pages() {
        desc_of(Pfn::new(head.value() + page)).set_slab(Some(cache.slot()));
    }
    let nr_objects = params.layout.nr_objects;
    match params.layout.map_words {
        0 => {
            let mut word = [0];
            SlabMap::format(&mut word, nr_objects);
            desc_of(head).data.store(word[0], Relaxed);
        }
        nr_words => {
            let map = (address_of(head) + params.layout.map_offset()) as *mut u64;
            // SAFETY: within the pages allocated above, which nobody else knows.
            let words = unsafe { core::slice::from_raw_parts_mut(map, nr_words) };
            SlabMap::format(words, nr_objects);
        }
    }
    for index in 0..nr_objects {
        let place = Place { head, index };
        check::init_object(params, place);
    }
    Some(head)
}

/// Adds a new slab. Context: the cache's lock is not held.
pub(super) fn add(slabs: &mut Slabs, head: Pfn) {
    slabs.empty.push(head);
}

/// Slabs that are nobody's any more, on their way to the page allocator.
#[must_use]
pub(super) struct Surplus {
    slabs: SlabList,
    order: Order,
}

impl Surplus {
    /// Gives the pages back; says how many. Context: the cache's lock is not held, and the cache need not exist any more.
    pub fn release(mut self) -> usize {
        let mut nr_pages = 0;
        while let Some(head) = self.slabs.first() {
            self.slabs.remove(head);
            release(self.order, head);
            nr_pages += self.order.nr_pages();
        }
        nr_pages
    }
}

/// Gives a slab's pages back.
fn release(order: Order, head: Pfn) {
    for page in 0..order.nr_pages() {
        desc_of(Pfn::new(head.value() + page)).set_slab(None);
    }
    desc_of(head).set_kind(PageKind::Allocated);
    // SAFETY: `new_slab` allocated them with this order; no object is out and no list has the slab.
    unsafe { page_alloc::free_pages(head, order) };
}

/// Gives all free slabs but `keep` back; says how many pages. Context: the cache's lock is not held, and the cache is held.
pub(super) fn release_empty(cache: &Cache, keep: usize) -> usize {
    // A statement of its own: the lock is not held while the pages go back.
    let surplus = cache.slabs.lock().take_surplus(cache.params(), keep);
    surplus.release()
}

/// What was wrong with a list that went back.
enum Wrong {
    Object(NonNull<u8>, PutError),
    List(cpu_list::BrokenList),
}

/// Moves up to `max` objects of this core's list to the slabs, and surplus slabs to the page allocator.
///
/// An object that was freed twice with another between makes the list a circle. So no more is taken than the list can hold, and at an object that
/// is free already the list is cut: what is behind it cannot be told from what is in front.
///
/// Context: any; the cache's lock is not held.
pub(super) fn put_back(cache: &Cache, max: usize) {
    let (wrong, surplus) = {
        let params = cache.params();
        let mut list = cpu_list::OwnList::new(cache.slot());
        let mut slabs = cache.slabs.lock();
        let wrong = put_list(params, &mut list, &mut slabs, max);
        (wrong, slabs.take_surplus(params, params.max_empty))
    };
    match wrong {
        Some(Wrong::Object(object, error)) => report::bad_free(cache, object, error),
        Some(Wrong::List(broken)) => report::broken_list(cache, &broken),
        None => {}
    }
    surplus.release();
}

/// The part under the lock; the first thing that was wrong.
fn put_list(params: &Params, list: &mut cpu_list::OwnList, slabs: &mut Slabs, max: usize) -> Option<Wrong> {
    let mut wrong = None;
    for _ in 0..max.min(list.len()) {
        let object = match list.pop() {
            Ok(None) => return wrong,
            Ok(Some(object)) => object,
            Err(broken) => return wrong.or(Some(Wrong::List(broken))),
        };
        let place = Place::of(params, object);
        match place.map_or(Err(PutError::NotAnObject), |place| slabs.put(params, place)) {
            Ok(()) => {}
            Err(error) => {
                wrong = wrong.or(Some(Wrong::Object(object, error)));
                if error == PutError::AlreadyFree {
                    list.cut();
                    return wrong;
                }
            }
        }
    }
    // As many as it can hold were taken, and still there is one: a circle whose second round was given out meanwhile.
    if list.len() == 0
        && let Some(object) = list.head()
    {
        list.cut();
        return wrong.or(Some(Wrong::Object(object, PutError::AlreadyFree)));
    }
    wrong
}
