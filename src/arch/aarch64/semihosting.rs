//! Semihosting: how a kernel under QEMU or a debugger ends with an exit code.
//!
//! Without a host that answers, HLT is an undefined instruction, so it is tried once at boot under the eyes of the fault handler, and believed
//! ever after. Source: Arm "Semihosting for AArch32 and AArch64" (2.0), SYS_ERRNO and SYS_EXIT_EXTENDED; the exit itself is crate `qemu-exit`.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use qemu_exit::QEMUExit;

static AVAILABLE: AtomicBool = AtomicBool::new(false);
/// Address of the HLT that is being tried; the fault handler steps over it.
static PROBE: AtomicUsize = AtomicUsize::new(0);

/// Finds out whether a host answers.
///
/// Context: thread, at boot, once the vectors stand.
pub fn probe() {
    const SYS_ERRNO: u64 = 0x13;
    let answered: u64;
    // SAFETY: SYS_ERRNO has no argument and no effect. If HLT is undefined, `skip_probe` steps over it and X9 stays 0.
    unsafe {
        asm!(
            "adr x10, 2f",
            "str x10, [{probe}]",
            "mov x9, #0",
            "2: hlt #0xf000",
            "mov x9, #1",
            "3:",
            probe = in(reg) PROBE.as_ptr(),
            inout("x0") SYS_ERRNO => _,
            in("x1") 0u64,
            out("x9") answered,
            out("x10") _,
        );
    }
    PROBE.store(0, Ordering::Relaxed);
    AVAILABLE.store(answered == 1, Ordering::Relaxed);
}

/// If `elr` is the probe's HLT: where to go on.
pub fn skip_probe(elr: u64) -> Option<u64> {
    const HLT_AND_MOV: u64 = 8;
    (elr != 0 && elr == PROBE.load(Ordering::Relaxed) as u64).then_some(elr + HLT_AND_MOV)
}

/// True if a host answered the probe.
pub fn is_available() -> bool {
    AVAILABLE.load(Ordering::Relaxed)
}

/// Ends the machine with `code`, if a host is there to do it. Returns if not.
///
/// Context: any.
pub fn exit(code: u32) {
    if is_available() {
        qemu_exit::AArch64::new().exit(code);
    }
}
