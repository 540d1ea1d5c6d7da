//! What an operation's value costs its user: nothing, or the branch that a condition is for.
//!
//! A value that nobody looks at would not be computed; one that is returned would have to be moved to X0, which inlined code need not do. So a number is
//! said to be used in the register where it is, and a condition is branched on: `if lock.try_lock()` is what it is made for.

use crate::arch;

/// A value that an operation in the table may have.
pub trait Outcome {
    /// Uses the value at no more cost than its user would have.
    fn observe(self);
}

impl Outcome for () {
    #[inline(always)]
    fn observe(self) {}
}

impl Outcome for bool {
    #[inline(always)]
    fn observe(self) {
        arch::observe_branch(self);
    }
}

impl Outcome for u32 {
    #[inline(always)]
    fn observe(self) {
        arch::observe_u32(self);
    }
}

impl Outcome for u64 {
    #[inline(always)]
    fn observe(self) {
        arch::observe(self);
    }
}

impl Outcome for usize {
    #[inline(always)]
    fn observe(self) {
        arch::observe(self as u64);
    }
}

impl<T> Outcome for *mut T {
    #[inline(always)]
    fn observe(self) {
        arch::observe(self as u64);
    }
}
