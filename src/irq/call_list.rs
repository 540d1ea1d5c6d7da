//! The list of calls that wait for one core: others push, the core takes all.
//!
//! Push-only and take-all, so there is no ABA: a pointer that was seen as the head and comes back as the head is still the head of a whole list. A call
//! lives with its sender, who waits until it is done; so a push allocates nothing and cannot fail. Rejected: a mailbox of one place a pair of cores, whose
//! sender has to wait for the call before its own.
//!
//! # Invariants
//! 1. A call is on one list at most: from `push` until its `done` is set.
//! 2. `next` is written by the pusher before the push and by the taker after the take.
//!
//! # Memory ordering
//! The push is a release compare-exchange and the take an acquire exchange: the taker sees the call's fields and what was written before. Pushes of several
//! senders continue one release sequence. `done` is stored with release and loaded with acquire: who finds it set sees all that the call did. `make verify`
//! runs these as compiled; `model` under loom.

use core::marker::PhantomPinned;
use core::ptr::{self, NonNull};
#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A call of `what`, on its sender's stack or in a static.
pub(super) struct Call<T> {
    next: AtomicPtr<Call<T>>,
    done: AtomicBool,
    what: T,
    _pinned: PhantomPinned,
}

/// Defines the constructors, which are constants but in a model.
macro_rules! constructors {
    ($($constant:ident)?) => {
        impl<T> Call<T> {
            /// A call that is to be pushed.
            pub $($constant)? fn new(what: T) -> Self {
                Self { next: AtomicPtr::new(ptr::null_mut()), done: AtomicBool::new(false), what, _pinned: PhantomPinned }
            }

            /// A call that `claim` makes ready for each push.
            #[cfg(not(loom))]
            pub $($constant)? fn idle(what: T) -> Self {
                Self { next: AtomicPtr::new(ptr::null_mut()), done: AtomicBool::new(true), what, _pinned: PhantomPinned }
            }
        }

        impl<T> CallList<T> {
            /// No call waits.
            pub $($constant)? fn new() -> Self {
                Self { newest: AtomicPtr::new(ptr::null_mut()) }
            }
        }
    };
}

#[cfg(not(loom))]
constructors!(const);
#[cfg(loom)]
constructors!();

impl<T> Call<T> {
    /// It has run. Acquire: then what it did is visible. Context: any.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Makes a call that is done ready for another push. False if it is not done. Acquire, as `is_done`.
    ///
    /// Context: any.
    #[cfg(not(loom))]
    pub fn claim(&self) -> bool {
        self.done.swap(false, Ordering::Acquire)
    }
}

/// Calls that wait, newest first.
pub(super) struct CallList<T> {
    newest: AtomicPtr<Call<T>>,
}

impl<T> CallList<T> {
    /// Puts a call on the list.
    ///
    /// Context: any, any core. Release.
    ///
    /// # Safety
    /// `call` is not done, is on no list, and lives where it is until it is done.
    #[inline]
    pub unsafe fn push(&self, call: NonNull<Call<T>>) {
        let mut newest = self.newest.load(Ordering::Relaxed);
        loop {
            // SAFETY: it lives, by the contract, and nobody else has it yet.
            unsafe { call.as_ref() }.next.store(newest, Ordering::Relaxed);
            match self.newest.compare_exchange_weak(newest, call.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Takes all calls and does what they ask, oldest first; each is done as soon as `run` returns.
    ///
    /// Context: the list's own core. Acquire before, release after each.
    #[inline]
    pub fn run_all(&self, run: impl Fn(&T)) {
        let mut oldest = turned_round(self.newest.swap(ptr::null_mut(), Ordering::Acquire));
        while !oldest.is_null() {
            // SAFETY: a call lives until it is done, below; `next` is read before that.
            let call = unsafe { &*oldest };
            oldest = call.next.load(Ordering::Relaxed);
            run(&call.what);
            call.done.store(true, Ordering::Release);
        }
    }
}

/// The list from its other end.
#[inline(always)]
fn turned_round<T>(mut newest: *mut Call<T>) -> *mut Call<T> {
    let mut oldest = ptr::null_mut();
    while !newest.is_null() {
        // SAFETY: a call that was taken and has not run lives.
        let call = unsafe { &*newest };
        let next = call.next.load(Ordering::Relaxed);
        call.next.store(oldest, Ordering::Relaxed);
        oldest = newest;
        newest = next;
    }
    oldest
}

// By its path, as tests/litmus compiles this file from another place.
#[cfg(all(test, loom))]
#[path = "call_list/model.rs"]
mod model;
