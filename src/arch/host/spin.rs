//! What a spinning lock's contended path needs, on a PC: yielding, and an ordinary call.

/// Lets another thread run; under loom this is what makes a spin loop finite.
///
/// # Safety
/// As on the target: `word` is valid for reads and accessed atomically only. It is not looked at.
pub unsafe fn wait_for_change(_word: *const u32, _seen: u32) {
    super::relax();
}

/// Calls `f(subject, token)`.
pub fn call_keeping_registers(f: extern "C" fn(*const (), usize), subject: *const (), token: usize) {
    f(subject, token);
}
