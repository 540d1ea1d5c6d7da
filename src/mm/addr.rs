//! Addresses, page frame numbers and orders as types of their own.
//!
//! A physical address, a virtual address, a frame number and a count of pages are all 64-bit integers, and mixing two of them up is
//! the commonest mistake of a memory manager: so each is a newtype, and only the named conversions lead from one to the other.
//! Arithmetic is checked in every build; an address that wraps round is always a bug or hostile input, never a wish.
//!
//! # The kernel's address space
//! 39 bits of TTBR1, 4 KiB granule:
//!
//! | from | what |
//! |---|---|
//! | [`LINEAR_BASE`] | linear map: physical address `p` at `LINEAR_BASE + p`, up to [`LINEAR_SIZE`] |
//! | above it | vmalloc and device windows |
//! | [`IMAGE_BASE`] | top 2 GiB: the kernel image, linked at `IMAGE_BASE` + its load address |
//!
//! Neighbours: `arch::layout` decides the addresses; `memblock` and `platform` use these types first. Source: Arm ARM (DDI 0487) D8, address sizes and regions.

use core::fmt;
use core::ops::{Add, Sub};

use crate::arch::layout;

/// log2 of the page size.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes of a page: the 4 KiB granule.
pub const PAGE_SIZE: usize = 1 << PAGE_SHIFT;

/// Start of the linear map: the lowest address that TTBR1 translates with 39 bits.
pub const LINEAR_BASE: usize = layout::LINEAR_BASE;
/// Bytes of the linear map: 8 GiB, where the RAM of the largest Pi 4 ends.
pub const LINEAR_SIZE: usize = 8 << 30;
/// Start of the image window: physical address 0 as the image sees it. The image itself is linked at `IMAGE_BASE + 0x80000`.
pub const IMAGE_BASE: usize = 0xffff_ffff_8000_0000;

#[cfg(target_os = "none")]
const _: () = assert!(IMAGE_BASE == layout::IMAGE_OFFSET, "the linker script moved the image");

/// Declares what physical and virtual addresses share.
macro_rules! address_type {
    ($name:ident, $int:ty) => {
        impl $name {
            /// The address of value `value`.
            #[must_use]
            pub const fn new(value: $int) -> Self {
                Self(value)
            }

            /// The address as a bare integer.
            #[must_use]
            pub const fn value(self) -> $int {
                self.0
            }

            /// The address `bytes` higher, or `None` where it would wrap.
            #[must_use]
            pub const fn checked_add(self, bytes: $int) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The address `bytes` lower, or `None` where it would wrap.
            #[must_use]
            pub const fn checked_sub(self, bytes: $int) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(rest) => Some(Self(rest)),
                    None => None,
                }
            }

            /// The nearest multiple of `align` at or below this address.
            ///
            /// # Panics
            /// If `align` is not a power of two.
            #[must_use]
            pub const fn align_down(self, align: $int) -> Self {
                assert!(align.is_power_of_two(), "an alignment is a power of two");
                Self(self.0 & !(align - 1))
            }

            /// The nearest multiple of `align` at or above this address, or `None` where it would wrap.
            ///
            /// # Panics
            /// If `align` is not a power of two.
            #[must_use]
            pub const fn align_up(self, align: $int) -> Option<Self> {
                match self.checked_add(align - 1) {
                    Some(top) => Some(top.align_down(align)),
                    None => None,
                }
            }

            /// Whether this address is a multiple of `align`, a power of two.
            #[must_use]
            pub const fn is_aligned(self, align: $int) -> bool {
                self.align_down(align).0 == self.0
            }

            /// The offset within the page.
            #[must_use]
            pub const fn page_offset(self) -> usize {
                self.0 as usize & (PAGE_SIZE - 1)
            }
        }

        impl Add<$int> for $name {
            type Output = Self;

            /// # Panics
            /// If the sum wraps, in every build.
            #[track_caller]
            fn add(self, bytes: $int) -> Self {
                self.checked_add(bytes).expect("address wraps round")
            }
        }

        impl Sub<$int> for $name {
            type Output = Self;

            /// # Panics
            /// If the difference wraps, in every build.
            #[track_caller]
            fn sub(self, bytes: $int) -> Self {
                self.checked_sub(bytes).expect("address wraps round")
            }
        }

        impl Sub for $name {
            type Output = $int;

            /// # Panics
            /// If `other` is the higher address, in every build.
            #[track_caller]
            fn sub(self, other: Self) -> $int {
                self.0.checked_sub(other.0).expect("distance between addresses is negative")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#018x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#018x})"), self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

/// A physical address: what the bus sees. It cannot be dereferenced.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct PhysAddr(u64);

/// A virtual address of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct VirtAddr(usize);

address_type!(PhysAddr, u64);
address_type!(VirtAddr, usize);

impl PhysAddr {
    /// The frame that holds this address.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn((self.0 >> PAGE_SHIFT) as usize)
    }

    /// Where the linear map shows this address, or `None` beyond [`LINEAR_SIZE`]. Whether something is mapped there is another question.
    #[must_use]
    pub const fn to_linear(self) -> Option<VirtAddr> {
        if self.0 < LINEAR_SIZE as u64 { Some(VirtAddr(LINEAR_BASE + self.0 as usize)) } else { None }
    }

    /// Where the image window shows this address, or `None` beyond its 2 GiB.
    #[must_use]
    pub const fn to_image(self) -> Option<VirtAddr> {
        match IMAGE_BASE.checked_add(self.0 as usize) {
            Some(virt) => Some(VirtAddr(virt)),
            None => None,
        }
    }
}

impl VirtAddr {
    /// The address that `pointer` holds.
    #[must_use]
    pub fn from_ptr<T: ?Sized>(pointer: *const T) -> Self {
        Self(pointer.cast::<u8>().expose_provenance())
    }

    /// This address as a pointer. Only the caller knows what may be done with it.
    #[must_use]
    pub fn as_ptr<T>(self) -> *mut T {
        core::ptr::with_exposed_provenance_mut(self.0)
    }

    /// The physical address behind an address of the linear map, or `None` for any other address.
    #[must_use]
    pub const fn linear_to_phys(self) -> Option<PhysAddr> {
        match self.0.checked_sub(LINEAR_BASE) {
            Some(offset) if offset < LINEAR_SIZE => Some(PhysAddr(offset as u64)),
            _ => None,
        }
    }

    /// The physical address behind an address of the kernel image, or `None` for any other address.
    #[must_use]
    pub const fn image_to_phys(self) -> Option<PhysAddr> {
        match self.0.checked_sub(IMAGE_BASE) {
            Some(offset) => Some(PhysAddr(offset as u64)),
            None => None,
        }
    }
}

/// A page frame number: physical address / [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Pfn(usize);

impl Pfn {
    /// Frame number `value`.
    #[must_use]
    pub const fn new(value: usize) -> Self {
        Self(value)
    }

    /// The number as a bare integer.
    #[must_use]
    pub const fn value(self) -> usize {
        self.0
    }

    /// The address of the frame's first byte.
    #[must_use]
    pub const fn phys(self) -> PhysAddr {
        PhysAddr((self.0 as u64) << PAGE_SHIFT)
    }

    /// The frame `nr_pages` further, or `None` where it would wrap.
    #[must_use]
    pub const fn checked_add(self, nr_pages: usize) -> Option<Self> {
        match self.0.checked_add(nr_pages) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Whether a block of `order` may start here.
    #[must_use]
    pub const fn is_aligned(self, order: Order) -> bool {
        self.0.is_multiple_of(order.nr_pages())
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pfn({:#x})", self.0)
    }
}

/// The size of a block of pages as a power of two: 2^order pages, 0 to 10.
///
/// # Invariants
/// The value is at most [`Order::MAX`], so no shift by it can overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// One page.
    pub const ZERO: Order = Order(0);
    /// The largest block: 1024 pages, 4 MiB.
    pub const MAX: Order = Order(10);
    /// How many orders there are.
    pub const COUNT: usize = Order::MAX.0 as usize + 1;

    /// Order `value`, or `None` above [`Order::MAX`].
    #[must_use]
    pub const fn new(value: usize) -> Option<Self> {
        // INVARIANT: compared before it is stored.
        if value < Self::COUNT { Some(Self(value as u8)) } else { None }
    }

    /// The smallest order that holds `bytes`, or `None` if no order does. Zero bytes need one page, as one byte does.
    #[must_use]
    pub const fn for_bytes(bytes: usize) -> Option<Self> {
        let pages = bytes.div_ceil(PAGE_SIZE);
        match pages.checked_next_power_of_two() {
            Some(pages) => Self::new(pages.trailing_zeros() as usize),
            None => None,
        }
    }

    /// The order as a bare integer, for indexing.
    #[must_use]
    pub const fn value(self) -> usize {
        self.0 as usize
    }

    /// Pages of a block of this order.
    #[must_use]
    pub const fn nr_pages(self) -> usize {
        1 << self.0
    }

    /// Bytes of a block of this order.
    #[must_use]
    pub const fn size_bytes(self) -> usize {
        PAGE_SIZE << self.0
    }

    /// The next larger order, or `None` at the top.
    #[must_use]
    pub const fn larger(self) -> Option<Self> {
        Self::new(self.value() + 1)
    }

    /// The next smaller order, or `None` at the bottom.
    #[must_use]
    pub const fn smaller(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::prelude::v1::*;

    #[test]
    fn prints_as_hex() {
        assert_eq!(PhysAddr::new(0x8_0000).to_string(), "0x0000000000080000");
        assert_eq!(format!("{:?}", VirtAddr::new(LINEAR_BASE)), "VirtAddr(0xffffff8000000000)");
        assert_eq!(format!("{:?} {}", Pfn::new(0x80), Order::MAX), "Pfn(0x80) 10");
    }

    #[test]
    fn windows_do_not_overlap_and_convert_back() {
        let image = PhysAddr::new(0x8_0000).to_image().unwrap();
        assert_eq!(image.value(), 0xffff_ffff_8008_0000);
        assert_eq!(image.image_to_phys(), Some(PhysAddr::new(0x8_0000)));
        assert_eq!(image.linear_to_phys(), None);
        assert_eq!(PhysAddr::new(1 << 31).to_image(), None);
        assert_eq!(PhysAddr::new(LINEAR_SIZE as u64).to_linear(), None);
        const { assert!(LINEAR_BASE + LINEAR_SIZE < IMAGE_BASE) };
    }

    #[test]
    fn orders_cover_their_sizes() {
        assert_eq!(Order::for_bytes(0), Some(Order::ZERO));
        assert_eq!(Order::for_bytes(PAGE_SIZE + 1), Order::new(1));
        assert_eq!(Order::for_bytes(4 << 20), Some(Order::MAX));
        assert_eq!(Order::for_bytes((4 << 20) + 1), None);
        assert_eq!(Order::for_bytes(usize::MAX), None);
        assert_eq!((Order::MAX.larger(), Order::ZERO.smaller()), (None, None));
    }

    #[test]
    #[should_panic(expected = "address wraps round")]
    fn wrapping_is_a_bug() {
        let _ = PhysAddr::new(u64::MAX) + 1;
    }

    proptest! {
        #[test]
        fn alignment_brackets_the_address(value: u64, shift in 0u32..40) {
            let (addr, align) = (PhysAddr::new(value), 1u64 << shift);
            let down = addr.align_down(align);
            prop_assert!(down <= addr && addr - down < align && down.is_aligned(align));
            match addr.align_up(align) {
                Some(up) => prop_assert!(up >= addr && up - addr < align && up.is_aligned(align)),
                None => prop_assert!(value > u64::MAX - align),
            }
        }

        #[test]
        fn linear_map_round_trips(value in 0..LINEAR_SIZE as u64) {
            let virt = PhysAddr::new(value).to_linear().unwrap();
            prop_assert_eq!(virt.linear_to_phys(), Some(PhysAddr::new(value)));
        }
    }
}
