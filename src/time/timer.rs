//! Timers for timeouts: by jiffy, on the wheel, their functions in softirq context. Linux's `timer_list`.
//!
//! A timer is a static or pinned value that holds its own data. It fires once, never early, at most two ticks late on a core that takes its
//! interrupts; its function may arm it again. Most timers are cancelled before that: arming and cancelling are made to be cheap. What needs better
//! than 10 ms is an [`HrTimer`](super::HrTimer).
//!
//! A timer that is dropped is cancelled first, and waited for; pinning makes sure that it is dropped before its memory is used again.
//!
//! Neighbours: [`events`](super::events) (races), [`wheel`](super::wheel) (the queue), [`tick`](super::tick) (raises the softirq).
//!
//! ```no_run
//! use core::time::Duration;
//! use tetra::time::Timer;
//! static WATCH: Timer<()> = Timer::new((), |timer| { timer.start_pinned(Duration::from_secs(1)); });
//! WATCH.start(Duration::from_secs(1));
//! ```

use super::clock;
use super::events::Events;
use super::node::Node;
use super::timer_list::TimerList;
use super::wheel::Wheel;
use crate::cpu;
use crate::irq::softirq::{self, Softirq};
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use core::time::Duration;

static WHEELS: Events<Wheel> = Events::new();

/// A function with its data that runs in softirq context when its time has come.
#[repr(C)]
pub struct Timer<T: Sync + 'static> {
    node: Node,
    function: fn(Pin<&Timer<T>>),
    data: T,
    _pinned: PhantomPinned,
}

impl<T: Sync + 'static> Timer<T> {
    /// A timer that is not armed.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// assert!(!NR_LATE.is_pending());
    /// ```
    pub const fn new(data: T, function: fn(Pin<&Self>)) -> Self {
        Self { node: Node::new(call::<T>, function as *mut ()), function, data, _pinned: PhantomPinned }
    }

    /// Its data.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// assert_eq!(NR_LATE.data().read(), 0);
    /// ```
    pub fn data(&self) -> &T {
        &self.data
    }

    /// Its data, as pinned as the timer is.
    pub fn data_pinned(self: Pin<&Self>) -> Pin<&T> {
        // SAFETY: the data is never moved out of a pinned timer: only shared references to it are given out, and it is dropped in place.
        unsafe { self.map_unchecked(|timer| &timer.data) }
    }

    /// Arms the timer: it fires when `after` has passed, in whole jiffies rounded up. If it was armed, that is forgotten. True if it was.
    ///
    /// Context: any. What was written before is visible to the function.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_secs(1));
    /// NR_LATE.start(Duration::from_secs(2)); // armed anew: fires once, in two seconds
    /// ```
    #[inline]
    pub fn start(&'static self, after: Duration) -> bool {
        Pin::static_ref(self).start_pinned(after)
    }

    /// As `start`, for a timer that is no static, and in its own function.
    ///
    /// # Examples
    /// ```no_run
    /// use core::{pin::Pin, time::Duration};
    /// use tetra::time::Timer;
    /// static EACH_SECOND: Timer<()> = Timer::new((), |timer| {
    ///     timer.start_pinned(Duration::from_secs(1));
    /// });
    /// Pin::static_ref(&EACH_SECOND).start_pinned(Duration::from_secs(1));
    /// ```
    #[inline]
    pub fn start_pinned(self: Pin<&Self>, after: Duration) -> bool {
        let now = clock::jiffies();
        self.arm(clock::jiffies_after(now, after), now)
    }

    /// Arms the timer for the jiffy `expires`, Linux's `mod_timer`: it fires when [`jiffies`](super::jiffies) has reached that. True if it was armed.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use core::pin::Pin;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::{Timer, jiffies};
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// let expires = jiffies() + 100;
    /// Pin::static_ref(&NR_LATE).start_at(expires);
    /// assert_eq!(NR_LATE.expires(), expires);
    /// ```
    #[inline]
    pub fn start_at(self: Pin<&Self>, expires: u64) -> bool {
        self.arm(expires, clock::jiffies())
    }

    #[inline]
    fn arm(self: Pin<&Self>, expires: u64, now: u64) -> bool {
        let node = NonNull::from(self.get_ref()).cast();
        // SAFETY: it is pinned, so its drop, which is a `cancel_sync`, comes before its memory is used again; the pointer is made from the whole.
        unsafe { WHEELS.arm(node, expires, now) }
    }

    /// Disarms the timer: Linux's `timer_delete`. True if it was armed. Its function may be running still, on another core.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_secs(1));
    /// assert!(NR_LATE.cancel()); // the answer came in time
    /// ```
    #[inline]
    pub fn cancel(&self) -> bool {
        WHEELS.cancel(&self.node)
    }

    /// Disarms the timer and waits until its function does not run: Linux's `timer_delete_sync`. True if it was armed.
    ///
    /// Context: any but its own function and handlers; not with a lock held that the function takes.
    ///
    /// # Panics
    /// In its own function, or in a handler that has interrupted it.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_secs(1));
    /// NR_LATE.cancel_sync(); // the function does not run any more, on any core
    /// ```
    pub fn cancel_sync(&self) -> bool {
        WHEELS.cancel_sync(&self.node)
    }

    /// It is armed. Stale on return. Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::Timer;
    /// static NR_LATE: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_secs(1));
    /// assert!(NR_LATE.is_pending());
    /// ```
    pub fn is_pending(&self) -> bool {
        self.node.is_queued.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// The jiffy that it was last armed for. Context: any.
    pub fn expires(&self) -> u64 {
        self.node.key()
    }
}

impl<T: Sync + 'static> Drop for Timer<T> {
    /// Cancels it and waits. Context: as `cancel_sync`.
    fn drop(&mut self) {
        self.cancel_sync();
    }
}

/// Calls the function of the timer that `node` is the head of.
///
/// # Safety
/// `node` was made from the whole of a pinned `Timer<T>` that lives until it neither is armed nor runs.
unsafe fn call<T: Sync + 'static>(node: NonNull<Node>) {
    // SAFETY: the caller's promise; `node` is the first field of a `repr(C)` struct.
    let timer = unsafe { node.cast::<Timer<T>>().as_ref() };
    // SAFETY: it was pinned when it was armed.
    let timer = unsafe { Pin::new_unchecked(timer) };
    (timer.function)(timer);
}

/// Gives the timer softirq its function. Context: boot, once.
pub(super) fn init() {
    softirq::open(Softirq::Timer, || WHEELS.run_due(clock::jiffies()));
}

/// Raises the softirq if a timer of this core is due. Context: hardirq, at each tick.
pub(super) fn on_tick() {
    if next_jiffy(cpu::id()) <= clock::jiffies() {
        softirq::raise(Softirq::Timer);
    }
}

/// A jiffy before which no timer is due on core `cpu`; `u64::MAX`: none is armed. Context: any.
pub fn next_jiffy(cpu: usize) -> u64 {
    WHEELS.next_due(cpu)
}

/// The earliest timers that are armed on core `cpu`; their keys are jiffies. Context: any.
pub fn list(cpu: usize) -> TimerList {
    WHEELS.list(cpu)
}
