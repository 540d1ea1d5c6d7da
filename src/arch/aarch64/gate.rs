//! Exclusive loops whose condition is one bit of the word: the doors of the reader-writer lock.
//!
//! A bit test needs no constant in a register and no compare, and taking the whole word stores the zero register: with a layout made for it
//! (`sync::raw::rw`) a writer enters in four instructions and a reader in five, where a general compare-and-exchange takes seven.
//!
//! # Memory ordering
//! Acquire on success (LDAXR): what follows comes after the load. Nothing on failure. Rules of `atomic.rs` hold here as well: nothing but
//! data processing between load and store, no CLREX on the way out.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

/// Subtracts one if bit `BIT` is set. True if it did.
///
/// Context: any.
#[inline(always)]
pub fn dec_if_bit<const BIT: u32>(cell: &AtomicU32) -> bool {
    // SAFETY: the cell is a live, aligned word that is accessed atomically only; the loop touches nothing else. All results are early-clobber,
    // since the status register of a store-exclusive must be neither its address nor its data.
    unsafe {
        asm!(
            "2: ldaxr {old:w}, [{cell}]",
            "tbz {old:w}, #{bit}, {fail}",
            "sub {new:w}, {old:w}, #1",
            "stxr {status:w}, {new:w}, [{cell}]",
            "cbnz {status:w}, 2b",
            cell = in(reg) cell.as_ptr(),
            bit = const BIT,
            old = out(reg) _,
            new = out(reg) _,
            status = out(reg) _,
            fail = label { return false },
            options(nostack, preserves_flags),
        );
    }
    true
}

/// Stores 0 if bit `BIT` is set. True if it did.
///
/// Context: any.
#[inline(always)]
pub fn clear_if_bit<const BIT: u32>(cell: &AtomicU32) -> bool {
    // SAFETY: as in `dec_if_bit`.
    unsafe {
        asm!(
            "2: ldaxr {old:w}, [{cell}]",
            "tbz {old:w}, #{bit}, {fail}",
            "stxr {status:w}, wzr, [{cell}]",
            "cbnz {status:w}, 2b",
            cell = in(reg) cell.as_ptr(),
            bit = const BIT,
            old = out(reg) _,
            status = out(reg) _,
            fail = label { return false },
            options(nostack, preserves_flags),
        );
    }
    true
}
