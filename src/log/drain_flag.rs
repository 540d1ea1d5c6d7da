//! One drainer at a time, without a lock, and no request left lying.
//!
//! | state | meaning | who sets it |
//! |---|---|---|
//! | `IDLE` | nobody drains | the drainer, when it found nothing more to do |
//! | `BUSY` | somebody drains | who found `IDLE`; the drainer, when it takes up a request |
//! | `AGAIN` | somebody drains, and was asked to look once more | who found `BUSY` |
//!
//! A plain try-flag loses requests: the drainer has looked for the last time and not yet let go when a writer finds the flag taken and leaves. Here the
//! writer leaves a mark in the same word, and the drainer cannot let go over it: of the two read-modify-writes one comes first, and either the drainer sees
//! the mark, or the writer finds `IDLE` and drains itself. A lock would have to be waited for, in interrupts and in a panic too.
//!
//! # Memory ordering
//! `HandOver` of [`super::atomic`]: each change of the word acquires what the one before released, so the drainer sees the record it was asked for, and what the
//! drainer before it left in the state that the flag guards.

use super::atomic::{AtomicU32, Edge, Ordering, edge};

const IDLE: u32 = 0;
const BUSY: u32 = 1;
const AGAIN: u32 = 2;

/// The right to drain one console.
pub(super) struct DrainFlag {
    state: AtomicU32,
}

impl DrainFlag {
    /// A flag of its word, which is zero.
    pub(super) const fn of_zero(state: AtomicU32) -> Self {
        Self { state }
    }

    /// True: the caller drains now, and must then ask [`Self::is_done`]. False: who drains already will look once more.
    ///
    /// Context: any.
    pub(super) fn request(&self) -> bool {
        self.state.swap(AGAIN, edge(Edge::HandOver, Ordering::AcqRel)) == IDLE
    }

    /// Takes up all requests up to now: what they are about is visible to the caller.
    ///
    /// Context: the drainer, before it looks.
    pub(super) fn take_up(&self) {
        self.state.swap(BUSY, edge(Edge::HandOver, Ordering::AcqRel));
    }

    /// True: the caller's right has ended. False: there was a new request, take it up.
    ///
    /// Context: the drainer, after it has found nothing more.
    pub(super) fn is_done(&self) -> bool {
        self.state.compare_exchange(BUSY, IDLE, edge(Edge::HandOver, Ordering::AcqRel), Ordering::Relaxed).is_ok()
    }

    /// Ends the caller's right whatever was asked; it has to see to the rest in another way.
    ///
    /// Context: the drainer.
    pub(super) fn give_up(&self) {
        self.state.swap(IDLE, edge(Edge::HandOver, Ordering::AcqRel));
    }

    /// Whether somebody drains at this moment; in a panic, whether somebody was stopped doing it.
    pub(super) fn is_busy(&self) -> bool {
        self.state.load(Ordering::Relaxed) != IDLE
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_request_during_the_last_look_is_not_lost() {
        let flag = DrainFlag::of_zero(AtomicU32::new(IDLE));
        assert!(flag.request());
        flag.take_up();
        assert!(!flag.request(), "two drainers");
        assert!(!flag.is_done(), "the request was lost");
        flag.take_up();
        assert!(flag.is_done() && !flag.is_busy());
        assert!(flag.request());
        flag.give_up();
        assert!(flag.request());
    }
}
