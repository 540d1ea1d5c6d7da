//! How objects lie in a slab: size, alignment, red zones and user tracking, pages a slab, where its map is.
//!
//! ```text
//! slab    | object 0 | object 1 | ... | object n-1 | waste | map, if n > 64 |
//! object  | left red zone | object ... padding to 8 | right red zone | last allocation | last free | padding |
//! ```
//! Zones and tracks are there only if the cache asks for them. The map stands behind the objects, so powers of two stay aligned to their size. Pure
//! arithmetic. Neighbours: `slab` (the map), `slub_debug` (what zones and tracks hold), `kmem_cache`.

use super::addr::{Order, PAGE_SIZE};
use crate::util::errno::Errno;
use core::fmt;

/// Smallest object and alignment: a word, which holds the link while the object is free.
pub const MIN_ALIGN: usize = 8;
/// Line of the Cortex-A72's data caches.
pub const CACHE_LINE: usize = 64;
/// Objects whose map fits the page descriptor.
const OBJECTS_IN_WORD: usize = 64;
/// A slab has at least so many objects, if `LARGE_ORDER` allows it.
const MIN_OBJECTS: usize = 8;
/// Slabs of small objects do not grow beyond: larger blocks become rare as memory fragments.
const LARGE_ORDER: usize = 3;
/// Frames kept of an allocation and of a free.
pub const TRACK_FRAMES: usize = 8;
/// Words of a track: frames, then core and thread, then time.
pub const TRACK_WORDS: usize = TRACK_FRAMES + 2;

bitflags::bitflags! {
    /// What a cache is asked to do. Linux's names; the letters are those of `slub_debug=`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct SlabFlags: u32 {
        /// F: every free is checked against the slab's map, objects against their surroundings.
        const CONSISTENCY_CHECKS = 1 << 0;
        /// Z: bytes before and behind each object that nobody may write.
        const RED_ZONE = 1 << 1;
        /// P: free objects are filled with a pattern, which is compared when they are given out.
        const POISON = 1 << 2;
        /// U: who allocated and who freed, with backtraces.
        const STORE_USER = 1 << 3;
        /// Objects do not share a cache line with a neighbour unless several fit one.
        const HWCACHE_ALIGN = 1 << 4;
        /// Panic if the cache cannot be created.
        const PANIC = 1 << 5;
        /// Objects below 1 GiB.
        const CACHE_DMA = 1 << 6;

        /// What takes a cache off the fast path.
        const DEBUG_FLAGS = Self::CONSISTENCY_CHECKS.bits() | Self::RED_ZONE.bits() | Self::POISON.bits() | Self::STORE_USER.bits();
    }
}

/// Why a cache cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The size is 0, or no slab can hold such an object.
    BadSize,
    /// The alignment is no power of two, or more than a page.
    BadAlign,
    /// All places for caches are taken.
    TooManyCaches,
}

impl From<CreateError> for Errno {
    fn from(error: CreateError) -> Errno {
        match error {
            CreateError::BadSize | CreateError::BadAlign => Errno::EINVAL,
            CreateError::TooManyCaches => Errno::ENFILE,
        }
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSize => "the object size is 0 or larger than a slab can be",
            Self::BadAlign => "the alignment is no power of two up to a page",
            Self::TooManyCaches => "all places for caches are taken",
        })
    }
}

/// The places of everything in a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabLayout {
    /// Bytes of an object, as asked for.
    pub object_size: usize,
    /// The same, up to a whole word.
    pub padded_size: usize,
    /// Bytes before an object that nobody may write.
    pub red_left: usize,
    /// Bytes behind the padding that nobody may write.
    pub red_right: usize,
    /// Bytes from one object to the next.
    pub stride: usize,
    /// Pages of a slab, as an order.
    pub order: Order,
    /// Objects in a slab.
    pub nr_objects: usize,
    /// Words of the map at the slab's end; 0: it is in the page descriptor.
    pub map_words: usize,
}

impl SlabLayout {
    /// Lays objects of `size` bytes out. An alignment of 0 leaves the choice to the layout.
    ///
    /// # Errors
    /// `BadSize`, `BadAlign`.
    pub const fn new(size: usize, align: usize, flags: SlabFlags) -> Result<Self, CreateError> {
        if size == 0 || size > Order::MAX.size_bytes() / 2 {
            return Err(CreateError::BadSize);
        }
        if align > PAGE_SIZE || (align != 0 && !align.is_power_of_two()) {
            return Err(CreateError::BadAlign);
        }
        let align = effective_align(size, align, flags);
        let padded_size = size.next_multiple_of(MIN_ALIGN);
        let (red_left, red_right) = if flags.contains(SlabFlags::RED_ZONE) { (align, MIN_ALIGN) } else { (0, 0) };
        let tracks = if flags.contains(SlabFlags::STORE_USER) { 2 * TRACK_WORDS * size_of::<u64>() } else { 0 };
        let stride = (red_left + padded_size + red_right + tracks).next_multiple_of(align);
        let Some(order) = choose_order(stride) else { return Err(CreateError::BadSize) };
        let (nr_objects, map_words) = count_objects(order.size_bytes(), stride);
        Ok(Self { object_size: size, padded_size, red_left, red_right, stride, order, nr_objects, map_words })
    }

    /// Bytes of a slab.
    pub const fn slab_bytes(&self) -> usize {
        self.order.size_bytes()
    }

    /// Where object `index` begins, from the slab's beginning.
    #[inline(always)]
    pub const fn offset_of(&self, index: usize) -> usize {
        index * self.stride + self.red_left
    }

    /// The object that begins at `offset` of the slab.
    #[inline]
    pub const fn index_at(&self, offset: usize) -> Option<usize> {
        let Some(offset) = offset.checked_sub(self.red_left) else { return None };
        let index = offset / self.stride;
        if offset == index * self.stride && index < self.nr_objects { Some(index) } else { None }
    }

    /// The object in whose stride `offset` of the slab lies.
    pub const fn index_around(&self, offset: usize) -> Option<usize> {
        let index = offset / self.stride;
        if index < self.nr_objects { Some(index) } else { None }
    }

    /// Where the map begins, if it is in the slab.
    pub const fn map_offset(&self) -> usize {
        self.slab_bytes() - self.map_words * size_of::<u64>()
    }

    /// Where the track of the last allocation (0) or free (1) begins, from the object's beginning.
    pub const fn track_offset(&self, which: usize) -> usize {
        self.padded_size + self.red_right + which * TRACK_WORDS * size_of::<u64>()
    }
}

const fn effective_align(size: usize, align: usize, flags: SlabFlags) -> usize {
    let mut effective = if align > MIN_ALIGN { align } else { MIN_ALIGN };
    if flags.contains(SlabFlags::HWCACHE_ALIGN) {
        let mut line = CACHE_LINE;
        while size <= line / 2 {
            line /= 2;
        }
        if line > effective {
            effective = line;
        }
    }
    effective
}

/// The smallest order with enough objects and little waste; the smallest that holds one object, if none does.
const fn choose_order(stride: usize) -> Option<Order> {
    const MAX_WASTE: usize = 8;
    let mut value = 0;
    while value <= LARGE_ORDER {
        let Some(order) = Order::new(value) else { return None };
        let bytes = order.size_bytes();
        let nr = bytes / stride;
        let has_enough = nr >= MIN_OBJECTS || (value == LARGE_ORDER && nr > 0);
        if has_enough && (bytes - nr * stride) * MAX_WASTE <= bytes {
            return Some(order);
        }
        value += 1;
    }
    Order::for_bytes(stride)
}

/// Objects and words of the map in a slab of `bytes`.
const fn count_objects(bytes: usize, stride: usize) -> (usize, usize) {
    let nr = bytes / stride;
    if nr <= OBJECTS_IN_WORD {
        return (nr, 0);
    }
    let words = nr.div_ceil(OBJECTS_IN_WORD);
    ((bytes - words * size_of::<u64>()) / stride, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::size_class::{SIZES, align_of_class};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_overlaps(size in 1..70_000_usize, shift in 0..13_u32, bits in 0..32_u32) {
            let layout = SlabLayout::new(size, 1 << shift, SlabFlags::from_bits_truncate(bits)).unwrap();
            prop_assert!(layout.nr_objects > 0 && layout.stride.is_multiple_of(1 << shift) && layout.red_left.is_multiple_of(1 << shift));
            prop_assert!(layout.nr_objects * layout.stride <= layout.map_offset());
            let nr_bits = layout.map_words.max(1) * 64;
            prop_assert!(layout.nr_objects <= nr_bits);
            prop_assert!(layout.red_left + layout.padded_size + layout.red_right <= layout.stride);
            for index in [0, layout.nr_objects - 1] {
                let offset = layout.offset_of(index);
                prop_assert_eq!(layout.index_at(offset), Some(index));
                prop_assert_eq!(layout.index_at(offset + 1), None);
                prop_assert_eq!(layout.index_around(offset + size - 1), Some(index));
            }
            prop_assert_eq!(layout.index_at(layout.offset_of(layout.nr_objects)), None);
        }
    }

    #[test]
    fn classes_fill_their_slabs() {
        for size in SIZES {
            let layout = SlabLayout::new(size, align_of_class(size).min(PAGE_SIZE), SlabFlags::empty()).unwrap();
            assert_eq!(layout.stride, size);
            let used = layout.nr_objects * layout.stride;
            assert!(used * 100 >= layout.slab_bytes() * 98, "{size}: {used} of {}", layout.slab_bytes());
        }
    }

    #[test]
    fn bad_requests_are_refused() {
        let new = |size, align| SlabLayout::new(size, align, SlabFlags::empty());
        assert_eq!(new(0, 8), Err(CreateError::BadSize));
        assert_eq!(new(usize::MAX, 8), Err(CreateError::BadSize));
        assert_eq!(new(8, 3), Err(CreateError::BadAlign));
        assert_eq!(new(8, 8192), Err(CreateError::BadAlign));
    }

    #[test]
    fn cache_lines_are_not_shared_by_large_objects() {
        let stride = |size| SlabLayout::new(size, 0, SlabFlags::HWCACHE_ALIGN).unwrap().stride;
        assert_eq!((stride(8), stride(20), stride(33), stride(100)), (8, 32, 64, 128));
    }
}
