//! The size classes of `kmalloc`: 8 bytes to 8 KiB by powers of two, with 96 and 192 between.
//!
//! 96 and 192 are what Linux found to pay for themselves: much of what kernels allocate is a little over 64 and over 128. Classes that are powers of
//! two are aligned to their size, the other two to 32 and 64. Finer steps waste less in a class and more in half-empty slabs.

use super::addr::PAGE_SIZE;

/// Classes.
pub const NR_CLASSES: usize = 13;
/// The largest class; what is larger comes from the page allocator.
pub const MAX_CLASS_SIZE: usize = 8192;
/// Up to here the class is looked up in a table.
const MAX_SMALL: usize = 192;

/// Size of each class, ascending.
pub const SIZES: [usize; NR_CLASSES] = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192];

/// Class of each multiple of 8 up to `MAX_SMALL`; entry 0 serves size 0.
const SMALL: [u8; MAX_SMALL / 8 + 1] = small_table();
/// The class of 256 bytes, and log2 of that size.
const CLASS_256: usize = 7;
const SHIFT_256: usize = 8;

const fn small_table() -> [u8; MAX_SMALL / 8 + 1] {
    let mut table = [0; MAX_SMALL / 8 + 1];
    let mut entry = 1;
    while entry < table.len() {
        let mut class = 0;
        while SIZES[class] < entry * 8 {
            class += 1;
        }
        table[entry] = class as u8;
        entry += 1;
    }
    table
}

/// The class that serves `size` bytes, or `None` if that is more than the largest. Size 0 has the smallest class.
///
/// A constant where `size` is one.
#[inline(always)]
pub const fn class_of(size: usize) -> Option<usize> {
    if size <= MAX_SMALL {
        let class = SMALL[size.div_ceil(8)] as usize;
        // SAFETY: `small_table` found it among the classes. Said, since where the size is no constant the compiler cannot see it.
        unsafe { core::hint::assert_unchecked(class < NR_CLASSES) };
        Some(class)
    } else if size <= MAX_CLASS_SIZE {
        let shift = usize::BITS as usize - (size - 1).leading_zeros() as usize;
        Some(if shift <= SHIFT_256 { CLASS_256 } else { CLASS_256 + shift - SHIFT_256 })
    } else {
        None
    }
}

/// The alignment that objects of a class of `size` bytes have.
pub const fn align_of_class(size: usize) -> usize {
    1 << size.trailing_zeros()
}

/// The size to ask for, so that an object of `size` bytes is aligned to `align`: classes that are powers of two are aligned to their size.
#[inline]
pub const fn size_for_align(size: usize, align: usize) -> usize {
    if align <= 8 {
        return size;
    }
    let mut larger = if size > align { size } else { align };
    if align > PAGE_SIZE && larger <= MAX_CLASS_SIZE {
        // Slabs promise a page at most (`slub_debug` puts red zones between); blocks of pages are aligned to their size.
        larger = MAX_CLASS_SIZE + 1;
    }
    match larger.checked_next_power_of_two() {
        Some(size) => size,
        None => usize::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_class_that_fits_serves() {
        for size in 0..=MAX_CLASS_SIZE {
            let expected = SIZES.iter().position(|class| *class >= size);
            assert_eq!(class_of(size), expected, "{size} bytes");
        }
        assert_eq!(class_of(MAX_CLASS_SIZE + 1), None);
        assert_eq!(class_of(usize::MAX), None);
    }

    #[test]
    fn powers_of_two_are_aligned_to_their_size() {
        assert!(SIZES.iter().filter(|size| size.is_power_of_two()).all(|size| align_of_class(*size) == *size));
        assert_eq!((align_of_class(96), align_of_class(192)), (32, 64));
    }

    #[test]
    fn more_than_a_page_of_alignment_comes_from_pages() {
        for (size, align) in [(1, 8192), (8192, 8192), (5000, 8192), (100, 16384)] {
            let asked = size_for_align(size, align);
            assert!(class_of(asked).is_none() && asked.next_power_of_two() >= align.max(size), "{size} bytes at {align}");
        }
    }

    #[test]
    fn alignment_is_met_by_the_class() {
        for align in (0..13).map(|shift| 1 << shift) {
            for size in 1..5000 {
                let class = class_of(size_for_align(size, align)).expect("below 8 KiB");
                assert!(SIZES[class] >= size && align_of_class(SIZES[class]) >= align, "{size} bytes at {align}");
            }
        }
    }
}
