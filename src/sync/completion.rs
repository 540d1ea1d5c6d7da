//! The completion: an event that is counted until somebody has waited for it.
//!
//! `complete` wakes **one** thread, `complete_all` **all** and whoever comes later. An event that comes first is kept for the waiter, so unlike with a
//! wait queue there is no condition to look at, and no order in which the two could miss each other.
//!
//! Both sides borrow the completion, so it outlives them: `complete` may still hold its lock when the waiter has gone on.
//!
//! # Memory ordering
//! What was before `complete` comes before what follows the wait that it ended (`tokens`).
//!
//! ```no_run
//! use tetra::sync::Completion;
//!
//! static DONE: Completion = Completion::new();
//! DONE.complete();
//! DONE.wait(); // does not sleep: the event is there
//! assert!(!DONE.try_wait());
//! ```
//!
//! `lockdep` does not watch it, as Linux's does not any more: who waits holds nothing, and who will complete is not known before it does.
//!
//! Neighbours: `tokens` has the count; `wait_queue` for conditions that can become false again.

use super::tokens::Tokens;
use super::wait_room::{Sleep, WaitError, might_sleep};
use core::fmt;
use core::time::Duration;

/// An event to wait for: Linux's `struct completion`.
#[doc(alias("DECLARE_COMPLETION", "init_completion"))]
pub struct Completion {
    events: Tokens,
}

impl Completion {
    /// Nothing has happened yet.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// static DONE: Completion = Completion::new();
    /// assert!(!DONE.is_done());
    /// ```
    pub const fn new() -> Self {
        Self { events: Tokens::new(0) }
    }

    /// Waits for an event and takes it: Linux's `wait_for_completion`.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// static DONE: Completion = Completion::new();
    /// DONE.complete(); // by whoever does the work
    /// DONE.wait();
    /// assert!(!DONE.is_done()); // the wait took the event
    /// ```
    #[doc(alias = "wait_for_completion")]
    #[inline]
    #[track_caller]
    pub fn wait(&self) {
        might_sleep();
        self.events.take_for_sure();
    }

    /// The same; a signal ends it.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Interrupted` (`ERESTARTSYS`) if a signal came first.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete();
    /// assert_eq!(done.wait_interruptible(), Ok(())); // the event was there: no wait that a signal could end
    /// ```
    #[doc(alias = "wait_for_completion_interruptible")]
    #[inline]
    #[track_caller]
    pub fn wait_interruptible(&self) -> Result<(), WaitError> {
        might_sleep();
        self.events.take(&Sleep::INTERRUPTIBLE)
    }

    /// The same; a fatal signal ends it.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Interrupted` if a fatal signal came first.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete();
    /// assert_eq!(done.wait_killable(), Ok(()));
    /// ```
    #[doc(alias = "wait_for_completion_killable")]
    #[inline]
    #[track_caller]
    pub fn wait_killable(&self) -> Result<(), WaitError> {
        might_sleep();
        self.events.take(&Sleep::KILLABLE)
    }

    /// Waits at most `timeout`, never less unless the event comes.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `TimedOut` if the time is over.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::{Completion, WaitError};
    /// let done = Completion::new();
    /// assert_eq!(done.wait_timeout(Duration::from_millis(10)), Err(WaitError::TimedOut));
    /// ```
    #[doc(alias = "wait_for_completion_timeout")]
    #[inline]
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        might_sleep();
        self.events.take(&Sleep::DEEP.at_most(timeout))
    }

    /// The same; a signal ends it, too.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `WaitError`: what ended it.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::{Completion, WaitError};
    /// let done = Completion::new();
    /// match done.wait_interruptible_timeout(Duration::from_millis(10)) {
    ///     Ok(()) => unreachable!("nobody completes it"),
    ///     Err(why) => assert!(matches!(why, WaitError::TimedOut | WaitError::Interrupted)),
    /// }
    /// ```
    #[doc(alias = "wait_for_completion_interruptible_timeout")]
    #[inline]
    #[track_caller]
    pub fn wait_interruptible_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        might_sleep();
        self.events.take(&Sleep::INTERRUPTIBLE.at_most(timeout))
    }

    /// Takes an event if there is one. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// assert!(!done.try_wait());
    /// done.complete();
    /// assert!(done.try_wait());
    /// ```
    #[doc(alias = "try_wait_for_completion")]
    #[inline]
    pub fn try_wait(&self) -> bool {
        self.events.try_take()
    }

    /// One event: wakes who has waited longest, or is kept for the next.
    ///
    /// Context: any. Release.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete();
    /// done.complete();
    /// assert!(done.try_wait() && done.try_wait()); // each is for one waiter
    /// assert!(!done.try_wait());
    /// ```
    #[inline]
    pub fn complete(&self) {
        self.events.give();
    }

    /// The event for all: wakes everybody, and nobody waits here any more until `reinit`.
    ///
    /// Context: any. Release.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete_all();
    /// done.wait(); // so does everybody, now and later
    /// assert!(done.is_done());
    /// ```
    pub fn complete_all(&self) {
        self.events.give_all();
    }

    /// Forgets all events: Linux's `reinit_completion`. Who waits goes on waiting.
    ///
    /// Context: any; when nobody else is about to complete, or that event may be lost or kept.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete_all();
    /// done.reinit();
    /// assert!(!done.is_done());
    /// ```
    #[doc(alias = "reinit_completion")]
    pub fn reinit(&self) {
        self.events.reset();
    }

    /// An event is there, so a wait would not sleep: Linux's `completion_done`. Stale on return. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Completion;
    /// let done = Completion::new();
    /// done.complete();
    /// assert!(done.is_done()); // looks, and leaves the event
    /// assert!(done.try_wait());
    /// ```
    #[doc(alias = "completion_done")]
    #[inline]
    pub fn is_done(&self) -> bool {
        self.events.count() != Some(0)
    }
}

impl Default for Completion {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("is_done", &self.is_done()).finish()
    }
}
