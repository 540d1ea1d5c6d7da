//! Memory for the heaps under test: 512 MiB that the kernel was told not to touch.
//!
//! The host boots this image with `mem=512M`; what lies above 1 GiB is RAM that neither the linear map nor any allocator of the kernel knows, and is mapped here.

use tetra::arch::mmu::Attributes;
use tetra::mm::addr::LINEAR_BASE;
use tetra::mm::kernel_map;
use tetra::sync::{Once, SpinLock};

const PHYS: usize = 0x4000_0000;
const SIZE: usize = 512 << 20;
/// The part that is handed out for ever; what is above serves one measurement after the other.
const KEPT: usize = 64 << 20;

static MAPPED: Once<()> = Once::new();
static NEXT: SpinLock<usize> = SpinLock::new(0);

fn base() -> usize {
    let start = LINEAR_BASE + PHYS;
    MAPPED.call_once(|| {
        // SAFETY: addresses of the linear map for RAM that the kernel was told not to use.
        kernel_map::with_mapper(|mapper| unsafe { mapper.map(start, PHYS as u64, SIZE, Attributes::Data) })
            .expect("this image needs the boot argument mem=512M: the memory above is for the heaps that it compares");
    });
    start
}

/// Takes `size` bytes for ever.
///
/// # Panics
/// If there is not so much.
pub fn keep(size: usize) -> *mut u8 {
    let mut next = NEXT.lock();
    let at = *next;
    *next = (at + size).next_multiple_of(64);
    assert!(*next <= KEPT, "the arena's part for rows is used up");
    (base() + at) as *mut u8
}

/// The part for one measurement, and its size. Whoever calls again has done with what it had.
pub fn scratch() -> (*mut u8, usize) {
    ((base() + KEPT) as *mut u8, SIZE - KEPT)
}
