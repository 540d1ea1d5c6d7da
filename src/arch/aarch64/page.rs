//! Whole pages: cleared by DC ZVA, which writes 64 bytes without reading them first.
//!
//! DC ZVA needs an address each, so 64 pairs are the floor; 16 blocks a turn, the loop adds little. Source: Arm ARM C5.3.8. The block is 64
//! bytes, as on every Cortex-A (A72 TRM, DCZID_EL0 = 4).

use core::arch::asm;

/// Fills a page with zeros.
///
/// Context: any.
///
/// # Safety
/// `page` is the address of a page of Normal cacheable memory that the caller may write: on Device memory DC ZVA faults.
#[inline]
pub unsafe fn clear_page(page: *mut u8) {
    // SAFETY: by the contract of this function; a page is four times 1024 bytes, and aligned.
    unsafe { clear_kilobytes(page, 4096) };
}

/// Fills `len` bytes, a multiple of 1024, with zeros.
///
/// Context: any.
///
/// # Safety
/// `at` is aligned to 64 bytes, and the bytes from there on are Normal memory that the caller may write.
#[inline(always)]
pub unsafe fn clear_kilobytes(at: *mut u8, len: usize) {
    let mut at = at;
    for _ in 0..len / 1024 {
        // SAFETY: writes 16 blocks of 64 of the caller's bytes and nothing else.
        unsafe {
            asm!(
                "dc zva, {at}",
                ".rept 15",
                "add {at}, {at}, #64",
                "dc zva, {at}",
                ".endr",
                at = inout(reg) at,
                options(nostack, preserves_flags),
            );
        }
        at = at.wrapping_add(64);
    }
}
