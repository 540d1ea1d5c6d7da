//! A count of tokens that threads take and wait for: what semaphore and completion are made of.
//!
//! A word alone on the way that does not wait; a room behind it. As long as threads wait there is no token, since what is given back goes to the first
//! of them, in its hand: who comes later finds none. Rejected: a counter beside a wait queue, where the woken and the newcomer race and the woken can
//! lose for ever.
//!
//! # State of `word`
//! | value | meaning | who sets it |
//! |---|---|---|
//! | above 0 | so many tokens | give, without the lock |
//! | 0 | none, nobody waits | take, without the lock; the last waiter, under it |
//! | [`AWAITED`] | none, somebody waits | the first waiter, under the lock; stays until the lock's holder changes it |
//! | [`UNLIMITED`] | a token for everybody, for ever | `give_all`, under the lock; who gives to `i32::MAX`, by the same addition |
//!
//! # Memory ordering
//! Take: acquire. Give: release, or the room's lock and the hand-over (`wait_room`) when somebody waits. What was before a give comes before what is
//! after the take that got it.

use super::atomic::AtomicI32;
use super::wait_room::{Kind, Sleep, WaitError, WaitRoom, Waiters};
use crate::arch::spin;
use core::ptr;

#[cfg(all(test, loom))]
mod model;

/// Somebody waits.
const AWAITED: i32 = -1;
/// There is a token for whoever comes.
const UNLIMITED: i32 = i32::MIN;

/// Tokens and those who wait for one.
#[repr(C)]
pub(super) struct Tokens {
    /// First: LDXR has no offset, so any other place costs an addition.
    word: AtomicI32,
    room: WaitRoom,
}

impl Tokens {
    /// So many tokens.
    ///
    /// # Panics
    /// If there are more than `i32::MAX`; in a constant, at compile time.
    pub const fn new(count: u32) -> Self {
        assert!(count <= i32::MAX as u32, "a count above i32::MAX");
        Self { word: AtomicI32::new(count as i32), room: WaitRoom::new() }
    }

    /// Takes a token if there is one. Context: any.
    #[inline(always)]
    pub fn try_take(&self) -> bool {
        self.word.dec_if_positive_acquire().is_some() || self.is_unlimited()
    }

    /// Takes a token, or waits for one.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// Why the wait ended.
    #[inline(always)]
    pub fn take(&self, sleep: &Sleep) -> Result<(), WaitError> {
        if self.word.dec_if_positive_acquire().is_some() { Ok(()) } else { self.take_slow(sleep) }
    }

    /// Takes a token, or waits for one until it has it. Whoever finds one pays nothing for the way that waits: that one keeps all registers.
    ///
    /// Context: thread, may sleep.
    #[inline(always)]
    pub fn take_for_sure(&self) {
        if self.word.dec_if_positive_acquire().is_none() {
            spin::call_out_of_line::<TakeDeep>(ptr::from_ref(self).cast(), 0);
        }
    }

    /// Gives a token back, or to who has waited longest. The one above `i32::MAX` makes them [`UNLIMITED`]. Context: any.
    #[inline(always)]
    pub fn give(&self) {
        if self.word.inc_unless_negative_release().is_none() {
            self.give_slow();
        }
    }

    #[inline]
    fn is_unlimited(&self) -> bool {
        self.word.load_acquire() == UNLIMITED
    }

    #[cold]
    #[inline(never)]
    fn take_slow(&self, sleep: &Sleep) -> Result<(), WaitError> {
        if self.is_unlimited() {
            return Ok(());
        }
        let waited = self.room.wait_for_turn(*sleep, Kind::Exclusive, |_| self.enter(), |waiters| self.leave(waiters), || false);
        // Nothing is hopeless here, so an error has a reason.
        waited.map_err(|why| why.unwrap_or(WaitError::Interrupted))
    }

    /// Takes a token after all, or says that somebody waits. Context: under the room's lock.
    fn enter(&self) -> bool {
        let mut word = self.word.read();
        loop {
            let new = match word {
                UNLIMITED => return self.is_unlimited(),
                AWAITED => return false,
                0 => AWAITED,
                tokens => tokens - 1,
            };
            if self.word.try_cmpxchg_acquire(&mut word, new) {
                return new != AWAITED;
            }
        }
    }

    /// A waiter has gone without a token. Context: under the room's lock.
    fn leave(&self, waiters: &mut Waiters) {
        // The word stands at `AWAITED`: only the lock's holder changes that.
        if waiters.is_empty() {
            self.word.set(0);
        }
    }

    #[cold]
    #[inline(never)]
    fn give_slow(&self) {
        self.room.with(|waiters| {
            if waiters.pass_over_dead() != 0 {
                self.leave(waiters);
            }
            if waiters.is_empty() {
                // The last waiter has just gone, or there are tokens for all.
                self.word.inc_unless_negative_release();
                return;
            }
            waiters.call_first();
            self.leave(waiters);
        });
    }

    /// Gives a token to everybody, now and later, until `reset`. Context: any.
    pub fn give_all(&self) {
        self.room.with(|waiters| {
            self.word.xchg_release(UNLIMITED);
            while !waiters.is_empty() {
                waiters.call_first();
            }
        });
    }

    /// Takes all tokens away. Who waits goes on waiting. Context: any.
    pub fn reset(&self) {
        self.room.with(|waiters| {
            // Between the lock's holder and who gives or takes without it: whichever comes first.
            self.word.xchg_release(if waiters.is_empty() { 0 } else { AWAITED });
        });
    }

    /// How many tokens there are; `None`: as many as anybody wants. Stale on return. Context: any.
    #[inline]
    pub fn count(&self) -> Option<u32> {
        match self.word.load_acquire() {
            UNLIMITED => None,
            word => Some(word.max(0) as u32),
        }
    }
}

/// The way of `take_for_sure` that waits.
struct TakeDeep;

impl spin::OutOfLine for TakeDeep {
    extern "C" fn run(tokens: *const (), _: usize) {
        // SAFETY: `take_for_sure` passes a borrow of its own tokens, which outlives the call.
        let tokens = unsafe { &*tokens.cast::<Tokens>() };
        // Nothing but a token ends a deep sleep.
        let _ = tokens.take_slow(&Sleep::DEEP);
    }
}
