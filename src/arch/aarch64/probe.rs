//! Reading a register of a device that may be absent: the bus error is caught.
//!
//! One load at one known address; the fault handler recognises it and steps over. Source: a read of an absent device on the BCM2711 is an
//! external abort, taken synchronously on the Cortex-A72 for Device memory reads.

use super::exception::ExceptionFrame;
use core::arch::global_asm;

global_asm!(
    ".section .text.probe_read, \"ax\"",
    ".globl probe_read_u32",
    ".type probe_read_u32, %function",
    "probe_read_u32:",
    "    mov x1, x0",
    "    mov x0, #-1",
    ".globl probe_read_load",
    "probe_read_load:",
    "    ldr w0, [x1]",
    ".globl probe_read_after",
    "probe_read_after:",
    "    ret",
    ".size probe_read_u32, . - probe_read_u32",
);

unsafe extern "C" {
    fn probe_read_u32(address: usize) -> u64;
    static probe_read_load: u8;
    static probe_read_after: u8;
}

/// The 32-bit word at `address`, or `None` if reading it faults.
///
/// Context: any.
///
/// # Safety
/// If the address is mapped, reading it must have no unwanted effect.
pub unsafe fn read_u32(address: usize) -> Option<u32> {
    // SAFETY: by the contract of this function; a fault is stepped over by `skip`, which leaves the all-ones answer.
    u32::try_from(unsafe { probe_read_u32(address) }).ok()
}

/// If `frame` is of a probed read that faulted: where to go on.
pub fn skip(frame: &ExceptionFrame) -> Option<u64> {
    let load = &raw const probe_read_load as u64;
    (frame.elr == load).then_some(&raw const probe_read_after as u64)
}
