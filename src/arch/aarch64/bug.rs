//! The breakpoint instructions behind `BUG!` and `WARN_ON!`: what the failing side of a check costs is one instruction that calls nothing.
//!
//! BRK takes an exception to the vectors, which save all registers by themselves. So the code around a check keeps its registers where they are, and a
//! function that is a leaf stays one; a call, however cold, would make it save what the call may change. The site's description is in X0.
//! Rejected: a table that is searched by address, as Linux has. Its entries would keep every function with a check in the link.
//!
//! Source: Arm ARM C6.2.40 (BRK), D24.2.36 (ESR_EL1, class 0x3c: the immediate is in the syndrome).

use core::arch::asm;

/// Immediate of a warning: the handler goes on behind it.
pub const BRK_WARN: u16 = 0x801;
/// Immediate of a bug: nothing goes on. Linux's number.
pub const BRK_BUG: u16 = 0x800;
/// Bytes of the instruction.
pub const BRK_SIZE: u64 = 4;

/// Reports a warning with the description at address `site`, and comes back.
///
/// Context: any.
#[inline(always)]
pub fn trap_warn(site: usize) {
    // SAFETY: the handler keeps all registers and the flags, and returns behind the instruction.
    unsafe { asm!("brk #{}", const BRK_WARN, in("x0") site, options(nostack, preserves_flags)) };
}

/// Reports a bug with the description at address `site`; the thread or the kernel ends.
///
/// Context: any.
#[inline(always)]
pub fn trap_bug(site: usize) -> ! {
    // SAFETY: the handler does not return.
    unsafe { asm!("brk #{}", const BRK_BUG, in("x0") site, options(noreturn)) };
}
