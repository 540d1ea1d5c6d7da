//! The interrupt mask of this core: DAIF.I alone. FIQ, SError and debug are set once, at boot.
//!
//! Raw: nothing here counts. `cpu::IrqGuard` is what the kernel uses; guards of any type drop in any order there.

use core::arch::asm;

const DAIF_I: u64 = 1 << 7;

/// True if this core takes no interrupts now.
#[inline(always)]
pub fn is_masked() -> bool {
    daif() & DAIF_I != 0
}

/// The four mask bits, in PSTATE's places (D = 9, A = 8, I = 7, F = 6).
#[inline(always)]
pub fn daif() -> u64 {
    let daif: u64;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, daif", out(reg) daif, options(nomem, nostack, preserves_flags)) };
    daif
}

/// Masks interrupts. Accesses after it stay after it: the asm clobbers memory.
#[inline(always)]
pub fn mask() {
    // SAFETY: masking is always allowed at EL1; the write is self-synchronising (Arm ARM D1.6.3).
    unsafe { asm!("msr daifset, #2", options(nostack, preserves_flags)) };
}

/// Unmasks interrupts. Accesses before it stay before it.
///
/// # Safety
/// No guard keeps interrupts off on this core, and nothing that a handler touches is in use.
#[inline(always)]
pub unsafe fn unmask() {
    // SAFETY: every handler keeps the procedure call standard and the kernel's invariants; nobody counts on the mask, by the contract.
    unsafe { asm!("msr daifclr, #2", options(nostack, preserves_flags)) };
}

/// Unmasks SError, once the vectors stand: an asynchronous abort is then reported where it happens.
pub fn unmask_serror() {
    // SAFETY: the vector for SError reports and ends; nothing relies on it staying masked.
    unsafe { asm!("msr daifclr, #4", options(nostack, preserves_flags)) };
}

/// Masks interrupts and gives the mask bits as they were, for `restore`.
#[inline(always)]
pub fn save() -> u64 {
    let daif = daif();
    mask();
    daif
}

/// Sets the mask bits as `save` found them.
///
/// # Safety
/// `daif` is what the matching `save` gave on this core; no guard that was made since keeps interrupts off, and nothing that a handler touches is in use.
#[inline(always)]
pub unsafe fn restore(daif: u64) {
    // SAFETY: sections nest by scope, by the contract, so what was unmasked then may be unmasked now.
    unsafe { asm!("msr daif, {}", in(reg) daif, options(nostack, preserves_flags)) };
}
