//! Data cache maintenance by address, to the point of coherency: for what a core with its caches off, the VideoCore or a DMA engine reads or
//! writes. Each waits for its completion (DSB SY).
//!
//! Source: Arm ARM D7.5.9. QEMU models no caches: a call left out here shows on the board only.

use core::arch::asm;

/// Bytes of the smallest data cache line of the system (CTR_EL0.DminLine); 64 on the Cortex-A72.
#[inline]
pub fn line_size() -> usize {
    let ctr: u64;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(pure, nomem, nostack, preserves_flags)) };
    4 << ((ctr >> 16) & 0xf)
}

macro_rules! by_range {
    ($(#[$doc:meta])* $name:ident, $op:literal) => {
        $(#[$doc])*
        ///
        /// Context: any. `addr` and `len` in bytes, virtual; whole lines are affected. An unmapped address faults.
        pub fn $name(addr: usize, len: usize) {
            let line = line_size();
            let mut at = addr & !(line - 1);
            while at < addr + len {
                // SAFETY: writing lines back changes no memory content that is visible to coherent observers.
                unsafe { asm!(concat!("dc ", $op, ", {}"), in(reg) at, options(nostack, preserves_flags)) };
                at += line;
            }
            super::barrier::dsb_sy();
        }
    };
}

by_range!(
    /// Writes dirty lines back: before someone without coherent caches reads.
    clean_to_poc, "cvac");
by_range!(
    /// Writes dirty lines back and drops all: before someone else writes, or when both sides write.
    clean_invalidate_to_poc, "civac");

/// Drops the lines of a buffer, so that the next read sees memory: after someone without coherent caches wrote.
///
/// Partial lines at the ends are cleaned first, since a neighbour's data may share them.
///
/// Context: any. `addr` and `len` in bytes, virtual. An unmapped address faults.
///
/// # Safety
/// The buffer is the caller's, and what the cores wrote to it and no cache has written back may be lost.
pub unsafe fn invalidate_to_poc(addr: usize, len: usize) {
    let line = line_size();
    let end = addr + len;
    if addr & (line - 1) != 0 {
        clean_invalidate_to_poc(addr, 1);
    }
    if end & (line - 1) != 0 {
        clean_invalidate_to_poc(end - 1, 1);
    }
    let mut at = (addr + line - 1) & !(line - 1);
    while at + line <= end {
        // SAFETY: the line lies wholly in the caller's buffer, whose cached content the caller gives up.
        unsafe { asm!("dc ivac, {}", in(reg) at, options(nostack, preserves_flags)) };
        at += line;
    }
    super::barrier::dsb_sy();
}

/// Makes newly written instructions visible to instruction fetch on all cores: clean to the point of unification, then invalidate
/// (Arm ARM B2.7.4.2).
pub fn sync_instructions(addr: usize, len: usize) {
    clean_to_poc(addr, len);
    // SAFETY: dropping instruction cache lines costs time only.
    unsafe { asm!("ic ialluis", "dsb ish", "isb", options(nostack, preserves_flags)) };
}
