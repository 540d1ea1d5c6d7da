//! What a spinning lock's contended path needs of the processor: to sleep until a word changes, and to be called without a cost to the path
//! that never waits.
//!
//! Sources: Arm ARM D1.6.1 (event register: set by SEV, by an exception return, and when this core's exclusive monitor is cleared), B2.9
//! (monitors), AAPCS64 6.1.1 (registers).

use core::arch::{asm, global_asm};
use core::hint::cold_path;

/// Sleeps until `*word` may differ from `seen`, or an event or interrupt comes. Returns at once if it differs already.
///
/// LDXR arms this core's monitor for the line; the store that changes it clears the monitor, which is an event; so a store between the load
/// and WFE is not missed, and a waiter does not hammer the line. Orders nothing: the caller loads again with the order that it needs.
///
/// Context: any. Whoever wants a sleeper to look elsewhere (a panic) sends an event, which stays pending if it comes before the WFE.
///
/// # Safety
/// `word` is aligned, valid for reads, and accessed atomically only.
#[inline]
pub unsafe fn wait_for_change(word: *const u32, seen: u32) {
    // SAFETY: loads one word, for which the caller vouches, and sleeps; no other effect.
    unsafe {
        asm!(
            "ldxr {now:w}, [{word}]",
            "cmp {now:w}, {seen:w}",
            "b.ne 2f",
            "wfe",
            "2:",
            word = in(reg) word,
            seen = in(reg) seen,
            now = out(reg) _,
            options(nostack),
        );
    }
}

/// A contended path, as a type, so that its address is part of the instruction that calls it and takes up no register before.
pub trait OutOfLine {
    /// The path itself, for a `subject` and a `token` of the caller's.
    extern "C" fn run(subject: *const (), token: usize);
}

/// Calls `F::run(subject, token)` such that registers survive: an ordinary call would make the caller keep whatever it still needs in saved
/// registers, and so spill on the way that does not call. The arguments are moved here and not by the compiler, which would move them early.
///
/// Context: that of `F::run`.
#[inline(always)]
pub fn call_out_of_line<F: OutOfLine>(subject: *const (), token: usize) {
    cold_path();
    // SAFETY: the routine keeps every register but those that are declared; x18 is the count word, changed by `run` as by any call. Not
    // `nostack`: the routine pushes.
    unsafe {
        asm!(
            "mov x16, {subject}",
            "mov x17, {token}",
            "adrp x15, {run}",
            "add x15, x15, :lo12:{run}",
            "bl call_keeping_registers",
            subject = in(reg) subject,
            token = in(reg) token,
            run = sym F::run,
            out("x15") _,
            out("x16") _,
            out("x17") _,
            out("x30") _,
        );
    }
}

global_asm!(
    r#"
    .pushsection .text.call_keeping_registers, "ax", %progbits
    .balign 16
    .globl call_keeping_registers
    .type call_keeping_registers, %function
call_keeping_registers:                     // x15 function, x16 and x17 its arguments; with a frame record for backtraces
    stp     x29, x30, [sp, #-144]!
    mov     x29, sp
    stp     x0, x1, [sp, #16]
    stp     x2, x3, [sp, #32]
    stp     x4, x5, [sp, #48]
    stp     x6, x7, [sp, #64]
    stp     x8, x9, [sp, #80]
    stp     x10, x11, [sp, #96]
    stp     x12, x13, [sp, #112]
    str     x14, [sp, #128]
    mov     x0, x16
    mov     x1, x17
    blr     x15
    ldr     x14, [sp, #128]
    ldp     x12, x13, [sp, #112]
    ldp     x10, x11, [sp, #96]
    ldp     x8, x9, [sp, #80]
    ldp     x6, x7, [sp, #64]
    ldp     x4, x5, [sp, #48]
    ldp     x2, x3, [sp, #32]
    ldp     x0, x1, [sp, #16]
    ldp     x29, x30, [sp], #144
    ret
    .size call_keeping_registers, . - call_keeping_registers
    .popsection
"#
);
