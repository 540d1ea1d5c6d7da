//! What is made once and then read for ever: `spin`'s `Once` and `Lazy`, waiting as this kernel waits.
//!
//! Two cores that come at once: one makes the value, the other spins until it is there, and answers meanwhile what a panic wants of it. So the one that
//! makes it must not be held up: make it before threads run, or with preemption off, and never in a handler that may have interrupted the maker.
//! Reading a value that is there is one load-acquire and a branch, in any context.
//!
//! # Memory ordering
//! The maker's store of "done" is a release; every reader's look at it is an acquire: whoever gets the value sees all of it.
//!
//! ```
//! use tetra::sync::{Lazy, Once};
//! static BOARD: Once<&str> = Once::new();
//! static NAME_LEN: Lazy<usize> = Lazy::new(|| BOARD.get().map_or(0, |name| name.len()));
//! BOARD.call_once(|| "Raspberry Pi 4");
//! assert_eq!(*BOARD.call_once(|| "another"), "Raspberry Pi 4");
//! assert_eq!(*NAME_LEN, 14);
//! ```

use crate::arch;
use crate::upcalls;
use spin::RelaxStrategy;

/// How a core waits for another that makes a value: it answers attention, and yields.
#[derive(Debug)]
pub enum Attentive {}

impl RelaxStrategy for Attentive {
    #[inline]
    fn relax() {
        upcalls::answer_attention();
        arch::relax();
    }
}

/// A value that the first caller makes. Context of `call_once`: head of this file; of `get`: any.
pub type Once<T> = spin::once::Once<T, Attentive>;

/// A value that the first access makes. Context of the first access: head of this file; of later ones: any.
pub type Lazy<T, F = fn() -> T> = spin::lazylock::LazyLock<T, F, Attentive>;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    #[test]
    fn the_value_is_made_once_and_all_see_it() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        static VALUE: Lazy<[u32; 16]> = Lazy::new(|| {
            thread::yield_now();
            [MADE.fetch_add(1, Ordering::Relaxed) + 7; 16]
        });
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(*VALUE, [7; 16]));
            }
        });
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
    }
}
