//! The wait queue: threads that sleep until a condition holds, and wakers that say when to look.
//!
//! The condition is a closure of the waiter; the queue knows nothing of it. That is the whole difference to a completion or a semaphore, whose event is
//! counted: here the waker changes some state of its own, and then wakes. No wake-up is lost whatever the order, since the call enters the queue, sets
//! the thread's state and only then looks; Linux's `prepare_to_wait` and `finish_wait` are inside and cannot be called wrongly. Rejected: giving these
//! two to users, as every driver that forgets the second look hangs once a month.
//!
//! Waking an empty queue is a barrier and a load: wakers need not ask first.
//!
//! # Memory ordering
//! What the waker wrote before `wake_up` is visible to a waiter that it woke. The pair of barriers is told in `wait_room`.
//!
//! ```no_run
//! use core::sync::atomic::{AtomicBool, Ordering};
//! use tetra::sync::WaitQueue;
//!
//! static DATA_CAME: WaitQueue = WaitQueue::new();
//! static HAS_DATA: AtomicBool = AtomicBool::new(false);
//!
//! // the thread that needs the data
//! DATA_CAME.wait_event(|| HAS_DATA.load(Ordering::Acquire));
//! // the handler that brings it
//! HAS_DATA.store(true, Ordering::Release);
//! DATA_CAME.wake_up();
//! ```
//!
//! Neighbours: `wait_room` has the queue; `completion` when the event happens once; `condvar` when the condition lies under a mutex.

use super::wait_room::{Kind, Sleep, WaitError, WaitRoom, might_sleep};
use core::fmt;
use core::time::Duration;

/// Threads that wait for conditions: Linux's `wait_queue_head_t`.
#[doc(alias("wait_queue_head_t", "DECLARE_WAIT_QUEUE_HEAD", "init_waitqueue_head"))]
pub struct WaitQueue {
    room: WaitRoom,
}

impl WaitQueue {
    /// A queue where nobody waits.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::WaitQueue;
    /// static DATA_CAME: WaitQueue = WaitQueue::new();
    /// assert!(!DATA_CAME.has_sleeper());
    /// ```
    pub const fn new() -> Self {
        Self { room: WaitRoom::new() }
    }

    /// Sleeps until `condition` holds: Linux's `wait_event`. The condition is looked at before the first sleep and after each wake-up.
    ///
    /// Context: thread, may sleep; `condition` must not sleep.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// CAME.wait_event(|| NR_BLOCKS.dec_if_positive().is_some()); // who looks takes a block as well
    /// assert_eq!(NR_BLOCKS.read(), 0);
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event(&self, condition: impl FnMut() -> bool) {
        // Nothing but the condition ends a deep sleep.
        let _ = self.wait(Sleep::DEEP, Kind::Shared, condition);
    }

    /// The same; a signal ends it. Linux's `wait_event_interruptible`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Interrupted` (`ERESTARTSYS`) if a signal came and the condition does not hold.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// // A condition that holds is worth more than a signal.
    /// assert_eq!(CAME.wait_event_interruptible(|| NR_BLOCKS.read() != 0), Ok(()));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_interruptible(&self, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::INTERRUPTIBLE, Kind::Shared, condition)
    }

    /// The same; a fatal signal ends it. Linux's `wait_event_killable`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `Interrupted` if a fatal signal came and the condition does not hold.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// assert_eq!(CAME.wait_event_killable(|| NR_BLOCKS.read() != 0), Ok(()));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_killable(&self, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::KILLABLE, Kind::Shared, condition)
    }

    /// Sleeps until `condition` holds or `timeout` has passed, never less: Linux's `wait_event_timeout`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `TimedOut` if the time is over and the condition does not hold.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::{WaitError, WaitQueue};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// assert_eq!(CAME.wait_event_timeout(Duration::from_millis(10), || false), Err(WaitError::TimedOut));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_timeout(&self, timeout: Duration, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::DEEP.at_most(timeout), Kind::Shared, condition)
    }

    /// The same; a signal ends it, too. Linux's `wait_event_interruptible_timeout`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// `WaitError`: what ended it.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::{WaitError, WaitQueue};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// let waited = CAME.wait_event_interruptible_timeout(Duration::from_millis(10), || false);
    /// assert!(matches!(waited, Err(WaitError::TimedOut | WaitError::Interrupted)));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_interruptible_timeout(&self, timeout: Duration, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::INTERRUPTIBLE.at_most(timeout), Kind::Shared, condition)
    }

    /// As `wait_event_interruptible`, as a waiter of which one wake-up wakes one: for equal workers on one stock of work. Linux's
    /// `wait_event_interruptible_exclusive`. A waiter that was woken and gives up passes the wake-up on.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// As `wait_event_interruptible`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// // One worker of several: each block wakes one of them.
    /// assert_eq!(CAME.wait_event_interruptible_exclusive(|| NR_BLOCKS.dec_if_positive().is_some()), Ok(()));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_interruptible_exclusive(&self, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::INTERRUPTIBLE, Kind::Exclusive, condition)
    }

    /// As `wait_event_killable`, as an exclusive waiter: Linux's `wait_event_killable_exclusive`.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// As `wait_event_killable`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// assert_eq!(CAME.wait_event_killable_exclusive(|| NR_BLOCKS.dec_if_positive().is_some()), Ok(()));
    /// ```
    #[track_caller]
    #[inline]
    pub fn wait_event_killable_exclusive(&self, condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        self.wait(Sleep::KILLABLE, Kind::Exclusive, condition)
    }

    #[track_caller]
    #[inline]
    fn wait(&self, sleep: Sleep, kind: Kind, mut condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        might_sleep();
        if condition() {
            return Ok(());
        }
        self.room.wait_for_condition(sleep, kind, condition)
    }

    /// Has all that wait look at their conditions, but of the exclusive ones only the first: Linux's `wake_up`.
    ///
    /// Context: any. Full barrier before the look for waiters: the condition must have been made true before.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// NR_BLOCKS.inc(); // first the condition
    /// CAME.wake_up();
    /// CAME.wait_event(|| NR_BLOCKS.read() == 2);
    /// ```
    #[inline]
    pub fn wake_up(&self) {
        self.wake_up_nr(1);
    }

    /// The same for `nr_exclusive` exclusive ones: Linux's `wake_up_nr`. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// NR_BLOCKS.add(2);
    /// CAME.wake_up_nr(2); // two workers for two blocks
    /// CAME.wait_event(|| NR_BLOCKS.read() == 3);
    /// ```
    #[inline]
    pub fn wake_up_nr(&self, nr_exclusive: usize) {
        if !self.room.is_empty() {
            self.room.call(nr_exclusive);
        }
    }

    /// Has all look: Linux's `wake_up_all`. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// NR_BLOCKS.set(u32::MAX); // the end: for every worker
    /// CAME.wake_up_all();
    /// CAME.wait_event(|| NR_BLOCKS.read() == u32::MAX);
    /// ```
    #[inline]
    pub fn wake_up_all(&self) {
        self.wake_up_nr(usize::MAX);
    }

    /// Somebody waits: Linux's `wq_has_sleeper`. Full barrier before the look. Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{WaitQueue, atomic::AtomicU32};
    /// static CAME: WaitQueue = WaitQueue::new();
    /// static NR_BLOCKS: AtomicU32 = AtomicU32::new(1);
    /// NR_BLOCKS.inc();
    /// if CAME.has_sleeper() { // only worth it if asking is cheaper than what comes before the wake-up
    ///     CAME.wake_up();
    /// }
    /// # assert!(!CAME.has_sleeper());
    /// ```
    #[doc(alias("wq_has_sleeper", "waitqueue_active"))]
    #[inline]
    pub fn has_sleeper(&self) -> bool {
        !self.room.is_empty()
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("has_sleeper", &self.has_sleeper()).finish()
    }
}
