//! What a spinning lock's contended path needs, on a PC: yielding, and an ordinary call.

/// Lets another thread run; under loom this is what makes a spin loop finite.
///
/// # Safety
/// As on the target: `word` is valid for reads and accessed atomically only. It is not looked at.
pub unsafe fn wait_for_change(_word: *const u32, _seen: u32) {
    super::relax();
}

/// A contended path, as a type.
pub trait OutOfLine {
    /// The path itself, for a `subject` and a `token` of the caller's.
    extern "C" fn run(subject: *const (), token: usize);
}

/// Calls `F::run(subject, token)`.
pub fn call_out_of_line<F: OutOfLine>(subject: *const (), token: usize) {
    F::run(subject, token);
}
