//! Each core's lists of free objects: the fast path of every allocation.
//!
//! One list a cache, at a constant offset from TPIDR_EL1: the address of the first object, and how many more it may take. Objects are linked through
//! their first words (`free_link`). A list is touched by its own core with irqs masked, and by nobody else; so plain loads and stores do, and
//! pairs of words are one LDP or STP. Rejected: LDXR and STXR with irqs on (two instructions fewer, but a thread that migrates between reading
//! TPIDR_EL1 and LDXR meets the ABA problem on another core's list) and arrays of pointers (a second cache line a free).
//!
//! Two tests are saved by what the lists end in. An empty list's head is the address of a word that is no link, so an allocation that finds nothing
//! and one that finds damage fail alike, and the slow path tells them apart. And the first list is nobody's and always full: where the descriptor of a page
//! that is no slab leads `kfree`.
//!
//! # Invariants
//! 1. `head` is the address of a free object, whose first word is a link, and so on to `end`; or a user has written after free.
//! 2. `room` plus the length of the list is the cache's capacity; 0 and an empty list for a cache that is slow, and for a list that is closed.

use super::{CACHES, Cache, LIVE, slabs};
use crate::arch::{self, irq};
use crate::cpu::IrqGuard;
use crate::cpu::local::{NR_SLAB_CACHES, OwnWords, SLAB_WORDS, local, local_of};
use crate::mm::addr::{LINEAR_BASE, PAGE_SHIFT};
use crate::mm::free_link::{LinkKey, OFFSET_BITS};
use crate::mm::page::PageDesc;
use core::hint::cold_path;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct FreeList {
    head: u64,
    room: u64,
}

/// What `CoreLocal::slabs` holds.
#[repr(C)]
struct CpuSlabs {
    key: LinkKey,
    /// Copies of what `page` has in statics: one LDP.
    descs: *const PageDesc,
    nr_pages: usize,
    /// What an empty list's head is.
    end: u64,
    /// Nobody's list, which is always closed, and then one for each cache.
    lists: [FreeList; NR_LISTS],
}

const NR_LISTS: usize = 1 + NR_SLAB_CACHES;

/// The list of the cache at place `slot`: what `PageDesc::slab_list` of its pages says.
#[inline(always)]
pub(super) const fn list_of(slot: usize) -> usize {
    slot + 1
}

/// What lists end in before there are pages.
static NOTHING: u64 = 0;

const _: () = assert!(size_of::<CpuSlabs>() == SLAB_WORDS * size_of::<usize>());

/// A list's end is not what a list ends in: somebody wrote to a free object.
#[derive(Clone, Copy, Debug)]
pub(super) struct BrokenList {
    /// The object whose first word is no link.
    pub object: NonNull<u8>,
    /// That word.
    pub word: u64,
    /// Objects that are out of reach now.
    pub nr_lost: usize,
}

/// How many objects of `stride` bytes a core's list holds, and how many move at a time.
pub(super) const fn capacity_and_batch(stride: usize) -> (usize, usize) {
    match stride {
        0..=512 => (128, 64),
        513..=1024 => (64, 32),
        1025..=4096 => (16, 8),
        _ => (8, 4),
    }
}

fn slabs_in(words: &OwnWords<SLAB_WORDS>) -> *mut CpuSlabs {
    words.as_ptr().cast()
}

/// This core's lists.
///
/// # Safety
/// Irqs are masked as long as the answer is used, and it is the only one.
#[inline(always)]
unsafe fn own<'a>() -> &'a mut CpuSlabs {
    // SAFETY: the words have this layout (assertion above); this core alone touches them and by the contract nothing on it comes in between.
    unsafe { &mut *local().slabs.as_ptr().cast::<CpuSlabs>() }
}

/// Where in the linear map an address is.
#[inline(always)]
fn offset_of(object: *mut u8) -> u64 {
    // XOR and not a subtraction: what is not in the linear map becomes larger than every page number.
    (object as usize ^ LINEAR_BASE) as u64
}

fn address_of(object: NonNull<u8>) -> u64 {
    object.as_ptr() as u64
}

/// The object at a list's head that is not its end.
///
/// # Safety
/// `head` is not 0, as no address of the linear map is.
#[inline(always)]
unsafe fn object_at(head: u64) -> NonNull<u8> {
    // SAFETY: by the contract of this function.
    unsafe { NonNull::new_unchecked(head as *mut u8) }
}

/// Takes an object from this core's list of the cache at place `slot`; `None` if it is empty, or broken, which the slow path finds out.
///
/// Context: any.
#[inline(always)]
pub(in crate::mm) fn try_alloc(slot: usize) -> Option<NonNull<u8>> {
    if slot >= NR_SLAB_CACHES {
        return None;
    }
    let mask = irq::save();
    // SAFETY: irqs are masked until `restore`.
    let slabs = unsafe { own() };
    // SAFETY: just compared.
    let list = unsafe { slabs.lists.get_unchecked_mut(list_of(slot)) };
    let FreeList { head, room } = *list;
    // Used here, so that both words come by one LDP.
    arch::observe(room);
    // SAFETY: invariant 1: a free object or the list's end, both of which are memory that may be read; any word is a valid `u64`.
    let word = unsafe { (head as *const u64).read() };
    if let Some(next) = slabs.key.decode(head, word) {
        *list = FreeList { head: next, room: room + 1 };
        // SAFETY: what `save` gave; no guard was made since, and the list is not touched any more.
        unsafe { irq::restore(mask) };
        // SAFETY: the end is no link, so this is an object.
        return Some(unsafe { object_at(head) });
    }
    // SAFETY: what `save` gave; no guard was made since, and the list is not touched any more.
    unsafe { irq::restore(mask) };
    None
}

/// Gives an object to this core's list of its cache; with `expected`, only if that is the list. False if that was not possible or something is suspicious:
/// the slow path decides.
///
/// # Safety
/// As `kfree`.
#[inline(always)]
pub(in crate::mm) unsafe fn try_free(object: *mut u8, expected: Option<usize>) -> bool {
    let (own_address, offset) = (object as u64, offset_of(object));
    let mask = irq::save();
    // SAFETY: irqs are masked until `restore`.
    let slabs = unsafe { own() };
    let (descs, nr_pages) = (slabs.descs, slabs.nr_pages);
    // As in `try_alloc`.
    arch::observe(descs as u64);
    // Rotated by the three low bits: an address that is no multiple of 8 is beyond every page, without a comparison of its own.
    let page = (offset.rotate_right(3) >> (PAGE_SHIFT - 3)) as usize;
    if page < nr_pages {
        // SAFETY: `descs` has `nr_pages` descriptors.
        let desc = unsafe { descs.add(page) };
        // SAFETY: they live for ever.
        let list = unsafe { &*desc }.slab_list();
        if expected.is_none_or(|expected| expected == list) {
            // SAFETY: 0 or, in a slab's page, the list of a cache (`slabs::new_slab`).
            let list = unsafe { slabs.lists.get_unchecked_mut(list) };
            // Copied, so that the store to the object does not make the compiler load them again.
            let FreeList { head, room } = *list;
            if head != own_address && room != 0 {
                let link = slabs.key.encode(own_address, head);
                // SAFETY: an object of a slab, at least a word, which the caller gives away.
                unsafe { object.cast::<u64>().write(link) };
                *list = FreeList { head: own_address, room: room - 1 };
                // SAFETY: what `save` gave; no guard was made since, and the list is not touched any more.
                unsafe { irq::restore(mask) };
                return true;
            }
        }
    }
    // SAFETY: what `save` gave; no guard was made since, and the list is not touched any more.
    unsafe { irq::restore(mask) };
    cold_path();
    false
}

/// This core's list of one cache, for the slow paths: irqs are off while it lives.
pub(super) struct OwnList {
    slot: usize,
    _irqs_off: IrqGuard,
}

impl OwnList {
    /// Context: any.
    pub fn new(slot: usize) -> Self {
        assert!(slot < NR_SLAB_CACHES, "there is no cache {slot}");
        Self { slot, _irqs_off: IrqGuard::new() }
    }

    /// Calls `f` with the list, the key and what a list ends in.
    fn with<R>(&mut self, f: impl FnOnce(&mut FreeList, LinkKey, u64) -> R) -> R {
        // SAFETY: irqs are off as long as `self` lives, and the exclusive borrow makes this the only use.
        let slabs = unsafe { own() };
        f(&mut slabs.lists[list_of(self.slot)], slabs.key, slabs.end)
    }

    /// Takes an object; a broken list is cut off and named.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<NonNull<u8>>, BrokenList> {
        let slot = self.slot;
        self.with(|list, key, end| {
            if list.head == end {
                return Ok(None);
            }
            // SAFETY: invariant 1: an address of the linear map.
            let object = unsafe { object_at(list.head) };
            // SAFETY: as in `try_alloc`.
            let word = unsafe { object.cast::<u64>().read() };
            match key.decode(list.head, word) {
                Some(next) => {
                    *list = FreeList { head: next, room: list.room + 1 };
                    Ok(Some(object))
                }
                None => {
                    let nr_lost = (CACHES[slot].params().capacity as u64).saturating_sub(list.room) as usize;
                    *list = FreeList { head: end, room: full_room(slot) };
                    Err(BrokenList { object, word, nr_lost })
                }
            }
        })
    }

    /// Gives an object; the caller has seen to it that there is room.
    ///
    /// # Safety
    /// A free object of this cache, in no list.
    pub unsafe fn push(&mut self, object: NonNull<u8>) {
        self.with(|list, key, _| {
            let link = key.encode(address_of(object), list.head);
            // SAFETY: by the contract: a free object has at least a word, and nobody uses it.
            unsafe { object.cast::<u64>().write(link) };
            *list = FreeList { head: address_of(object), room: list.room.saturating_sub(1) };
        });
    }

    /// Whether `object` is the one that was freed last.
    pub fn is_head(&mut self, object: NonNull<u8>) -> bool {
        self.with(|list, _, _| list.head == address_of(object))
    }

    /// The object that is given out next.
    pub fn head(&mut self) -> Option<NonNull<u8>> {
        let head = self.with(|list, _, end| (list.head != end).then_some(list.head))?;
        // SAFETY: invariant 1: an address of the linear map.
        Some(unsafe { object_at(head) })
    }

    /// Objects in it, if it is open and in order; never less than that.
    pub fn len(&mut self) -> usize {
        let capacity = CACHES[self.slot].params().capacity;
        capacity.saturating_sub(self.room())
    }

    /// Gives all of it up: its objects are out of reach.
    pub fn cut(&mut self) {
        let room = full_room(self.slot);
        self.with(|list, _, end| *list = FreeList { head: end, room });
    }

    /// Opens a list that was closed for somebody who wanted to see every object and does not any more. Who closes lists says so first and
    /// interrupts each core then, so this cannot undo it: irqs are off from the look to the store.
    pub fn reopen(&mut self) {
        let room = full_room(self.slot);
        self.with(|list, _, end| {
            if list.head == end && list.room == 0 {
                list.room = room;
            }
        });
    }

    /// Objects that it may still take.
    pub fn room(&mut self) -> usize {
        self.with(|list, _, _| list.room as usize)
    }
}

/// What an empty list of cache `slot` may take now.
fn full_room(slot: usize) -> u64 {
    let cache = &CACHES[slot];
    let is_open = cache.state.load(Acquire) == LIVE && !super::is_forced_slow();
    if is_open { cache.params().capacity as u64 } else { 0 }
}

/// Gives this core's free objects of cache `slot` back to the slabs. Context: any; the cache is held, or `CREATION` is.
pub(super) fn drain(slot: usize) {
    if CACHES[slot].state.load(Acquire) != super::FREE {
        slabs::put_back(&CACHES[slot], usize::MAX);
    }
}

/// Empties this core's list of `slot`, and opens or closes it as its cache now is. Context: irqs masked.
pub(super) fn reset_own(slot: usize) {
    drain(slot);
    OwnList::new(slot).cut();
}

/// Sets what every core's list of `slot` may take. No object of the cache exists: it is being made, or has just been emptied.
pub(super) fn set_room(slot: usize, room: usize) {
    for cpu in 0..crate::arch::NR_CPUS {
        let slabs = slabs_in(&local_of(cpu).slabs);
        // SAFETY: a core touches these words with irqs masked; this one reads a word that is fixed since `init`.
        let end = unsafe { (*slabs).end };
        // SAFETY: in range (`CACHES[slot]` exists). A core touches this list when it allocates from the cache or frees an object of it, and
        // the cache has no user and no object now; what publishes it (`LIVE`, release) orders this before.
        let list = unsafe { &raw mut (*slabs).lists[list_of(slot)] };
        // SAFETY: as above.
        unsafe { list.write(FreeList { head: end, room: room as u64 }) };
    }
}

/// Makes lists that are empty and closed, for who allocates before `init`. Once, on core 0, before anybody does.
pub(in crate::mm) fn init_early() {
    write_lists(LinkKey::NONE, &[], (&raw const NOTHING) as u64);
}

/// Fills in the words of every core.
pub(super) fn init(seed: u64, descs: &'static [PageDesc]) {
    let key = LinkKey::new(seed);
    // A word of the linear map that is nobody's: page 0 has no holder for whom its descriptor would keep data.
    let end = &descs[0].data;
    end.store(key.no_link(), Relaxed);
    let end = end.as_ptr() as u64;
    assert!((end ^ LINEAR_BASE as u64) >> OFFSET_BITS == 0, "the page descriptors are not in the linear map");
    write_lists(key, descs, end);
}

fn write_lists(key: LinkKey, descs: &'static [PageDesc], end: u64) {
    let lists = [FreeList { head: end, room: 0 }; NR_LISTS];
    for cpu in 0..crate::arch::NR_CPUS {
        let slabs = CpuSlabs { key, descs: descs.as_ptr(), nr_pages: descs.len(), end, lists };
        // SAFETY: boot, on the one core that runs: nobody uses the words.
        unsafe { slabs_in(&local_of(cpu).slabs).write(slabs) };
    }
}

/// The cache of a marked page.
pub(super) fn cache_of(desc: &PageDesc) -> Option<&'static Cache> {
    CACHES.get(desc.slab_slot()?)
}
