//! The system counter: one clock for all cores, running in every state.
//!
//! The *virtual* counter, since the tick comes from the virtual timer: a kernel that was entered at EL1 cannot set the offset between the two, nor
//! count on being allowed to use the physical timer. Source: Arm ARM D12.1.

use core::arch::asm;

/// Ticks since the counter started, the same on all cores.
///
/// Context: any. The ISB keeps the read from being done early, out of program order (Arm ARM D12.2.2).
#[inline(always)]
pub fn now() -> u64 {
    let ticks;
    // SAFETY: reading the counter has no side effect; boot let EL1 read it.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// The same without the ISB: the read may be done some instructions early. For sums over long times, where that does not show.
///
/// Context: any.
#[inline(always)]
pub fn now_relaxed() -> u64 {
    let ticks;
    // SAFETY: as in `now`.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags)) };
    ticks
}

/// Ticks a second: 54 MHz on the board, 62.5 MHz on QEMU. Never 0: a firmware that left 0 is taken for the board's crystal.
#[inline]
pub fn frequency_hz() -> u64 {
    const PI4_CRYSTAL_HZ: u64 = 54_000_000;
    let hz: u64;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hz, options(pure, nomem, nostack, preserves_flags)) };
    if hz == 0 { PI4_CRYSTAL_HZ } else { hz }
}
