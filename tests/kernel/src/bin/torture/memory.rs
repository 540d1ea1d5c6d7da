//! The allocators: what one gives is its taker's alone until it is given back.

use super::random::Random;
use super::subject::Subject;
use core::mem::MaybeUninit;
use core::slice;
use tetra::mm::addr::Order;
use tetra::mm::slab_layout::SlabFlags;
use tetra::mm::{GfpFlags, KVec, KmemCache, Pages, vmalloc};
use tetra::sched::yield_now;
use tetra::sync::Once;

/// What the cache has.
type Object = [u64; 12];

static CACHE: Once<KmemCache<Object>> = Once::new();

/// All allocators.
pub static ALL: &[Subject] = &[
    Subject::memory("kmalloc", churn_kmalloc),
    Subject::memory("kmem_cache", churn_cache),
    Subject::memory("pages", churn_pages),
    Subject::memory("vmalloc", churn_vmalloc),
];

/// Fills memory with a number, and looks later whether it is still there.
fn is_mine(words: &mut [MaybeUninit<u64>], mark: u64) -> bool {
    words.iter_mut().for_each(|word| {
        word.write(mark);
    });
    yield_now();
    // SAFETY: all were written above.
    words.iter().all(|word| unsafe { word.assume_init_read() } == mark)
}

fn churn_kmalloc(random: &mut Random) -> bool {
    let (len, mark) = (1 + random.below(300) as usize, random.next());
    let Ok(mut words) = KVec::with_capacity(len, GfpFlags::KERNEL) else { return false };
    let is_full = (0..len).all(|_| words.push(mark, GfpFlags::KERNEL).is_ok());
    yield_now();
    is_full && words.iter().all(|word| *word == mark)
}

fn churn_cache(random: &mut Random) -> bool {
    let cache = CACHE.call_once(|| KmemCache::new("torture", SlabFlags::empty()).expect("a cache can be made"));
    let mark = random.next();
    let (first, second) = (cache.alloc([mark; 12], GfpFlags::KERNEL), cache.alloc([!mark; 12], GfpFlags::KERNEL));
    yield_now();
    first.is_ok_and(|words| *words == [mark; 12]) && second.is_ok_and(|words| *words == [!mark; 12])
}

fn churn_pages(random: &mut Random) -> bool {
    let (order, mark) = (random.below(3) as usize, random.next());
    let Some(order) = Order::new(order) else { return false };
    let Ok(mut pages) = Pages::new(GfpFlags::KERNEL, order) else { return false };
    // SAFETY: bytes that may be uninitialized become words that may be.
    let (_, words, _) = unsafe { pages.bytes_mut().align_to_mut::<MaybeUninit<u64>>() };
    is_mine(words, mark)
}

fn churn_vmalloc(random: &mut Random) -> bool {
    let (len, mark) = (512 * (1 + random.below(4) as usize), random.next());
    let Ok(area) = vmalloc::vmalloc(len * size_of::<u64>(), GfpFlags::KERNEL) else { return false };
    // SAFETY: an area of `len` words, nobody else's until it is freed, at the start of a page.
    let words = unsafe { slice::from_raw_parts_mut(area.cast(), len) };
    let is_mine = is_mine(words, mark);
    // SAFETY: allocated above, and not used any more.
    unsafe { vmalloc::vfree(area) };
    is_mine
}
