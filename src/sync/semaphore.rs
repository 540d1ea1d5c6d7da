//! The counting semaphore: so many may pass at once; `down` takes a place, `up` gives one.
//!
//! It has no owner: any thread, or a handler, may give what another took. So it lends no urgency and finds no misuse; where one thread both takes and
//! gives, a mutex is better. Linux's `DECLARE_MUTEX` is a semaphore of 1, `init_MUTEX_LOCKED` one of 0. Since it has no owner, `lockdep` does not watch it:
//! a place that one thread takes and another gives back has no holder whose order could be wrong.
//!
//! ```no_run
//! use tetra::sync::Semaphore;
//!
//! static BUFFERS: Semaphore = Semaphore::new(2);
//! BUFFERS.down();
//! assert!(BUFFERS.try_down()); // Linux's `down_trylock` returns 0 here
//! assert!(!BUFFERS.try_down());
//! BUFFERS.up();
//! ```
//!
//! # Memory ordering
//! What was before an `up` comes before what follows the `down` that got its place (`tokens`).

use super::tokens::Tokens;
use super::wait_room::{Sleep, WaitError, might_sleep};
use crate::util::errno::Errno;
use core::fmt;
use core::time::Duration;

/// A counting semaphore: Linux's `struct semaphore`.
#[doc(alias("DECLARE_SEMAPHORE_GENERIC", "DECLARE_MUTEX", "sema_init", "init_MUTEX", "init_MUTEX_LOCKED"))]
pub struct Semaphore {
    places: Tokens,
}

/// Why `down` came back without a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownError {
    /// A signal came.
    Interrupted,
    /// The time is over.
    TimedOut,
}

impl From<DownError> for Errno {
    fn from(error: DownError) -> Self {
        match error {
            DownError::Interrupted => Errno::EINTR,
            DownError::TimedOut => Errno::ETIME,
        }
    }
}

impl From<WaitError> for DownError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Interrupted => Self::Interrupted,
            WaitError::TimedOut => Self::TimedOut,
        }
    }
}

impl Semaphore {
    /// A semaphore with `count` places.
    ///
    /// # Panics
    /// If there are more than `i32::MAX`; in a static, at compile time.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// static BUFFERS: Semaphore = Semaphore::new(2);
    /// assert_eq!(BUFFERS.count(), 2);
    /// ```
    pub const fn new(count: u32) -> Self {
        Self { places: Tokens::new(count) }
    }

    /// Takes a place; sleeps until it can.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// let buffers = Semaphore::new(2);
    /// buffers.down();
    /// assert_eq!(buffers.count(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn down(&self) {
        might_sleep();
        self.places.take_for_sure();
    }

    /// Takes a place; a signal ends the wait.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`).
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{DownError, Semaphore};
    /// fn use_buffer(free: &Semaphore) -> Result<(), DownError> {
    ///     free.down_interruptible()?; // a signal: no place was taken
    ///     free.up();
    ///     Ok(())
    /// }
    /// assert_eq!(use_buffer(&Semaphore::new(2)), Ok(()));
    /// ```
    #[inline]
    #[track_caller]
    pub fn down_interruptible(&self) -> Result<(), DownError> {
        might_sleep();
        Ok(self.places.take(&Sleep::INTERRUPTIBLE)?)
    }

    /// Takes a place; a fatal signal ends the wait.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`).
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// let buffers = Semaphore::new(2);
    /// assert_eq!(buffers.down_killable(), Ok(())); // a place is free: no wait that a signal could end
    /// assert_eq!(buffers.count(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn down_killable(&self) -> Result<(), DownError> {
        might_sleep();
        Ok(self.places.take(&Sleep::KILLABLE)?)
    }

    /// Takes a place, or waits at most `timeout` for one, never less.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `TimedOut` (`ETIME`).
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::{DownError, Semaphore};
    /// let buffers = Semaphore::new(0);
    /// assert_eq!(buffers.down_timeout(Duration::from_millis(10)), Err(DownError::TimedOut));
    /// ```
    #[inline]
    #[track_caller]
    pub fn down_timeout(&self, timeout: Duration) -> Result<(), DownError> {
        might_sleep();
        Ok(self.places.take(&Sleep::DEEP.at_most(timeout))?)
    }

    /// Takes a place if there is one: the reverse of Linux's `down_trylock`, which returns 0 then.
    ///
    /// Context: any, also hardirq. Acquire on success.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// let buffers = Semaphore::new(1);
    /// assert!(buffers.try_down());
    /// assert!(!buffers.try_down());
    /// ```
    #[doc(alias = "down_trylock")]
    #[inline]
    pub fn try_down(&self) -> bool {
        self.places.try_take()
    }

    /// Gives a place, to who has waited longest if somebody waits.
    ///
    /// Context: any, also hardirq. Release.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// let event = Semaphore::new(0);
    /// event.up(); // in a handler, say
    /// assert!(event.try_down());
    /// ```
    #[inline]
    pub fn up(&self) {
        self.places.give();
    }

    /// Free places. Stale on return. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::Semaphore;
    /// assert_eq!(Semaphore::new(2).count(), 2);
    /// ```
    pub fn count(&self) -> u32 {
        self.places.count().unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("count", &self.count()).finish()
    }
}
