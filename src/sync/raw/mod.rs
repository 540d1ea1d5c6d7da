//! Lock algorithms: the state, and how to get and give it. No data, no context, no checks: `Lock` and `RwLock` add those.
//!
//! | algorithm | fair | size | for |
//! |---|---|---|---|
//! | [`TicketLock`] | first come, first served | 8 bytes | the default |
//! | [`TasLock`] | no | 8 bytes | labs and benches: what fairness costs, and what its lack does |
//! | [`McsLock`] | first come, first served | 16 bytes and a node a taker | labs and benches: each waiter spins on a line of its own |
//! | [`UniLock`] | nobody waits | 4 bytes | builds for one core (feature `up`) |
//! | [`RawRwLock`] | writers and reading threads in order of arrival | 16 bytes | the reader-writer lock |
//!
//! An algorithm is split in three, so that the way that does not wait is short and the way that does can be watched: `begin` takes a place, `wait`
//! is out of line, `unlock` gives the lock back.

pub mod mcs;
pub mod rw;
pub mod tas;
pub mod ticket;
pub mod uni;

#[cfg(all(test, loom))]
mod model;

pub use mcs::{McsLock, McsNode};
pub use rw::RawRwLock;
pub use tas::TasLock;
pub use ticket::TicketLock;
pub use uni::{UniLock, UniRwLock};

use crate::arch::{self, spin};
use crate::sync::atomic::AtomicU32;
use crate::upcalls;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// The algorithm of `SpinLock` in this build.
#[cfg(not(feature = "up"))]
pub type DefaultLock = TicketLock;
/// The algorithm of `SpinLock` in this build: a mark, as there is one core.
#[cfg(feature = "up")]
pub type DefaultLock = UniLock;

/// The algorithm of `RwLock` in this build.
#[cfg(not(feature = "up"))]
pub type DefaultRwLock = RawRwLock;
/// The algorithm of `RwLock` in this build: a mark, as there is one core.
#[cfg(feature = "up")]
pub type DefaultRwLock = UniRwLock;

/// Mutual exclusion between cores.
///
/// # Safety
/// Between the return of a `lock` (a `begin` that says so, a `wait`, a `try_lock` that succeeded) and the matching `unlock` no other returns. It
/// acquires what the `unlock` before it released: everything before that `unlock` happens before everything after this `lock`.
pub unsafe trait RawLock: Send + Sync + Sized {
    /// A free lock.
    const INIT: Self;

    /// What a taker brings to stand in the queue with; `()` if the algorithm needs nothing.
    type Node;

    /// What the holder needs to give the lock back; travels in the guard.
    type Token: Token;

    /// Takes a place. True: the lock is held. False: it is held after `wait` with the same token, which is owed.
    ///
    /// # Safety
    /// `node` is valid and stays where it is until the `unlock`; if that never comes, until it is dropped, by its own rules.
    unsafe fn begin(&self, node: NonNull<Self::Node>) -> (Self::Token, bool);

    /// Waits in the place that `begin` took; calls `watch` now and then.
    ///
    /// Context: any in which the holder cannot be interrupted or preempted by another taker on the same core.
    fn wait(&self, token: Self::Token, watch: &mut dyn FnMut());

    /// Takes the lock if that needs no waiting.
    ///
    /// # Safety
    /// As for `begin`, if it succeeds.
    unsafe fn try_lock_with(&self, node: NonNull<Self::Node>) -> Option<Self::Token>;

    /// Gives the lock back.
    ///
    /// # Safety
    /// The caller holds the lock by `token`, and gives it back once.
    unsafe fn unlock(&self, token: Self::Token);

    /// Someone holds it. A hint: true or false may be stale on return.
    fn is_locked(&self) -> bool;

    /// Someone waits for it. A hint, as `is_locked`.
    fn is_contended(&self) -> bool;

    /// Takes the lock; spins until it can. Whoever finds it free pays nothing for the way that waits: that one keeps all registers.
    ///
    /// # Safety
    /// As for `begin`.
    #[inline(always)]
    unsafe fn lock_with(&self, node: NonNull<Self::Node>) -> Self::Token {
        // SAFETY: by the contract of this function.
        let (token, is_held) = unsafe { self.begin(node) };
        if !is_held {
            spin::call_out_of_line::<Unwatched<Self>>((&raw const *self).cast(), token.to_word());
        }
        token
    }

    /// Takes the lock; spins until it can.
    #[inline(always)]
    fn lock(&self) -> Self::Token
    where
        Self: RawLock<Node = ()>,
    {
        // SAFETY: a `()` occupies nothing, so it is valid wherever it is said to be.
        unsafe { self.lock_with(NonNull::dangling()) }
    }

    /// Takes the lock if that needs no waiting.
    #[inline(always)]
    fn try_lock(&self) -> Option<Self::Token>
    where
        Self: RawLock<Node = ()>,
    {
        // SAFETY: as in `lock`.
        unsafe { self.try_lock_with(NonNull::dangling()) }
    }
}

/// What proves to an algorithm that the lock is held. Fits one register, for the call that keeps them all.
pub trait Token: Copy {
    /// As a word.
    fn to_word(self) -> usize;
    /// From the word that `to_word` gave.
    fn from_word(word: usize) -> Self;
}

impl Token for () {
    #[inline(always)]
    fn to_word(self) -> usize {
        0
    }

    #[inline(always)]
    fn from_word(_: usize) -> Self {}
}

impl Token for u32 {
    #[inline(always)]
    fn to_word(self) -> usize {
        self as usize
    }

    #[inline(always)]
    fn from_word(word: usize) -> Self {
        word as Self
    }
}

/// The contended path of `lock_with`.
struct Unwatched<R>(PhantomData<R>);

impl<R: RawLock> spin::OutOfLine for Unwatched<R> {
    extern "C" fn run(lock: *const (), token: usize) {
        // SAFETY: `lock_with` passes a borrow of its own lock, which outlives the call.
        let lock = unsafe { &*lock.cast::<R>() };
        lock.wait(R::Token::from_word(token), &mut || ());
    }
}

/// One round of a wait: answers what other cores want of this one, then sleeps until `word` is no longer `seen`, or for a moment if the wait is
/// watched: who reports long waits must look at the clock, and no event comes when nothing happens.
pub(in crate::sync) fn wait_round(word: &AtomicU32, seen: u32, watch: &mut dyn FnMut()) {
    upcalls::answer_attention();
    watch();
    if cfg!(feature = "debug_spinlock") {
        arch::relax();
    } else {
        // SAFETY: an atomic word, borrowed, that nobody accesses otherwise.
        unsafe { spin::wait_for_change((&raw const *word).cast(), seen) };
    }
}
