//! The test-and-set lock: whoever's store-exclusive comes first.
//!
//! The simplest lock there is, and the quickest for one taker; under contention the core whose cache already has the line wins again and again, and
//! a far core can wait for ever. Here to be measured and watched (`bench`, labs), not to be used. Waiters look before they try
//! (test-and-test-and-set), so they share the line while it is held.
//!
//! # State
//! | `word` | meaning |
//! |---|---|
//! | 0 | free |
//! | 1 | held |
//!
//! # Memory ordering
//! `unlock`'s store-release of 0 pairs with the acquiring exchange that finds it.
//!
//! Source: Anderson, "The Performance of Spin Lock Alternatives for Shared-Memory Multiprocessors" (1990).

use super::{RawLock, wait_round};
use crate::sync::atomic::AtomicU32;
use core::ptr::NonNull;

/// An unfair spinlock.
#[derive(Debug)]
#[repr(C)]
pub struct TasLock {
    pub(super) word: AtomicU32,
    /// How many wait: a hint for `is_contended`, touched on the contended path alone.
    waiters: AtomicU32,
}

// SAFETY: only one exchange finds 0 before the next store of 0, which is the holder's. Pairing: head of this file.
unsafe impl RawLock for TasLock {
    const INIT: Self = Self { word: AtomicU32::new(0), waiters: AtomicU32::new(0) };

    type Node = ();
    type Token = ();

    #[inline(always)]
    unsafe fn begin(&self, _: NonNull<()>) -> ((), bool) {
        ((), self.word.cmpxchg_zero_acquire(1).is_ok())
    }

    #[cold]
    fn wait(&self, (): (), watch: &mut dyn FnMut()) {
        self.waiters.inc();
        while self.word.read() != 0 || self.word.cmpxchg_zero_acquire(1).is_err() {
            wait_round(&self.word, 1, watch);
        }
        self.waiters.dec();
    }

    #[inline(always)]
    unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<()> {
        self.word.cmpxchg_zero_acquire(1).is_ok().then_some(())
    }

    #[inline(always)]
    unsafe fn unlock(&self, (): ()) {
        self.word.store_release(0);
    }

    fn is_locked(&self) -> bool {
        self.word.read() != 0
    }

    fn is_contended(&self) -> bool {
        self.waiters.read() != 0
    }
}
