//! High-resolution timers: to the tick of the counter, their functions in hardirq context. Linux's `hrtimer`.
//!
//! The earliest one of a core programs the compare register of its generic timer, so a deadline is met as closely as interrupts are taken: never
//! early, since nanoseconds become ticks by rounding up. Functions run with irqs masked and must be short; a longer one schedules a tasklet. For
//! timeouts, which mostly do not happen, a [`Timer`](super::Timer) is cheaper to cancel.
//!
//! Neighbours: [`events`](super::events) (races), [`heap`](super::heap) (the queue), [`tick`] (the compare register).

use super::clock::{self, Ktime};
use super::events::Events;
use super::heap::Heap;
use super::node::Node;
use super::tick;
use super::timer_list::TimerList;
use crate::arch::counter;
use crate::cpu::{self, IrqGuard};
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use core::time::Duration;

static HEAPS: Events<Heap> = Events::new();

/// A function with its data that runs in hardirq context when its time has come.
#[repr(C)]
pub struct HrTimer<T: Sync + 'static> {
    node: Node,
    function: fn(Pin<&HrTimer<T>>),
    data: T,
    _pinned: PhantomPinned,
}

impl<T: Sync + 'static> HrTimer<T> {
    /// A timer that is not armed.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::HrTimer;
    /// static NR_LATE: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// assert!(!NR_LATE.is_pending());
    /// ```
    pub const fn new(data: T, function: fn(Pin<&Self>)) -> Self {
        Self { node: Node::new(call::<T>, function as *mut ()), function, data, _pinned: PhantomPinned }
    }

    /// Its data.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// Arms the timer: it fires when `after` has passed. If it was armed, that is forgotten. True if it was.
    ///
    /// Context: any. What was written before is visible to the function.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::HrTimer;
    /// static NR_LATE: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_micros(50));
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
    /// use tetra::time::HrTimer;
    /// static ONCE_MORE: HrTimer<()> = HrTimer::new((), |timer| {
    ///     timer.start_pinned(Duration::from_micros(50)); // from now on: periods drift, see `forward`
    /// });
    /// Pin::static_ref(&ONCE_MORE).start_pinned(Duration::from_micros(50));
    /// ```
    #[inline]
    pub fn start_pinned(self: Pin<&Self>, after: Duration) -> bool {
        self.arm(counter::now().saturating_add(clock::ticks_that_last(after)))
    }

    /// Arms the timer for a moment of the monotonic clock; at once if that has passed. True if it was armed.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use core::pin::Pin;
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::{HrTimer, ktime_get};
    /// static NR_LATE: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// let when = ktime_get() + Duration::from_millis(1);
    /// Pin::static_ref(&NR_LATE).start_at(when);
    /// ```
    pub fn start_at(self: Pin<&Self>, when: Ktime) -> bool {
        // Due after the look at the clock that found the last ones due: a function that arms its timer for the past does not run for ever in one
        // interrupt. `forward` needs no such care, and must not drift by it.
        self.arm(clock::tick_at(when).max(counter::now() + 1))
    }

    /// Arms the timer for a whole number of `interval`s after it was last due, the first that lies ahead: Linux's `hrtimer_forward_now`. A period
    /// that is a whole number of counter ticks does not drift, another by less than a tick each time. Gives the number of intervals; more than 1: some were missed.
    ///
    /// Context: its own function, or any when it is not armed.
    ///
    /// # Panics
    /// If `interval` is 0.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::time::HrTimer;
    /// static EACH_MS: HrTimer<()> = HrTimer::new((), |timer| {
    ///     let nr_periods = timer.forward(Duration::from_millis(1)); // from the last deadline on: no drift
    ///     assert!(nr_periods >= 1);
    /// });
    /// EACH_MS.start(Duration::from_millis(1));
    /// ```
    pub fn forward(self: Pin<&Self>, interval: Duration) -> u64 {
        assert!(!interval.is_zero(), "a timer cannot go forward by nothing");
        let step = clock::ticks_of_period(interval);
        let passed = counter::now().saturating_sub(self.node.key()) / step + 1;
        self.arm(self.node.key().saturating_add(passed.saturating_mul(step)));
        passed
    }

    #[inline]
    fn arm(self: Pin<&Self>, deadline: u64) -> bool {
        let _irqs_off = IrqGuard::new();
        let node = NonNull::from(self.get_ref()).cast();
        // SAFETY: it is pinned, so its drop, which is a `cancel_sync`, comes before its memory is used again; the pointer is made from the whole.
        let was_armed = unsafe { HEAPS.arm(node, deadline, 0) };
        tick::program();
        was_armed
    }

    /// Disarms the timer. True if it was armed. Its function may be running still, on another core.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::HrTimer;
    /// static NR_LATE: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_millis(1));
    /// NR_LATE.cancel();
    /// assert!(!NR_LATE.is_pending());
    /// ```
    #[inline]
    pub fn cancel(&self) -> bool {
        HEAPS.cancel(&self.node)
    }

    /// Disarms the timer and waits until its function does not run. True if it was armed.
    ///
    /// Context: any but its own function; not with a lock held that the function takes.
    ///
    /// # Panics
    /// In its own function.
    ///
    /// # Examples
    /// ```no_run
    /// use core::time::Duration;
    /// use tetra::sync::atomic::AtomicU32;
    /// use tetra::time::HrTimer;
    /// static NR_LATE: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| timer.data().inc());
    /// NR_LATE.start(Duration::from_millis(1));
    /// NR_LATE.cancel_sync(); // the function does not run any more, on any core
    /// ```
    pub fn cancel_sync(&self) -> bool {
        HEAPS.cancel_sync(&self.node)
    }

    /// It is armed. Stale on return. Context: any.
    pub fn is_pending(&self) -> bool {
        self.node.is_queued.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// When it is or was due. Context: any.
    pub fn expires(&self) -> Ktime {
        clock::ktime_at(self.node.key())
    }
}

impl<T: Sync + 'static> Drop for HrTimer<T> {
    /// Cancels it and waits. Context: as `cancel_sync`.
    fn drop(&mut self) {
        self.cancel_sync();
    }
}

/// Calls the function of the timer that `node` is the head of.
///
/// # Safety
/// `node` was made from the whole of a pinned `HrTimer<T>` that lives until it neither is armed nor runs.
unsafe fn call<T: Sync + 'static>(node: NonNull<Node>) {
    // SAFETY: the caller's promise; `node` is the first field of a `repr(C)` struct.
    let timer = unsafe { node.cast::<HrTimer<T>>().as_ref() };
    // SAFETY: it was pinned when it was armed.
    let timer = unsafe { Pin::new_unchecked(timer) };
    (timer.function)(timer);
}

/// The earliest timers that are armed on core `cpu`; their keys are [`tick_time`]s. Context: any.
pub fn list(cpu: usize) -> TimerList {
    HEAPS.list(cpu)
}

/// The moment of a key in [`list`]. Context: any.
pub fn tick_time(key: u64) -> Ktime {
    clock::ktime_at(key)
}

/// Runs what is due on this core. Context: hardirq.
pub(super) fn run_due() {
    if next_tick() <= counter::now() {
        HEAPS.run_due(counter::now());
    }
}

/// The tick of the counter before which nothing is due on this core; `u64::MAX`: nothing is armed. Context: irqs masked.
pub(super) fn next_tick() -> u64 {
    HEAPS.next_due(cpu::id())
}

/// A moment before which no timer is due on core `cpu`; `None`: none is armed. Context: any.
pub fn next_event(cpu: usize) -> Option<Ktime> {
    Some(HEAPS.next_due(cpu)).filter(|tick| *tick != u64::MAX).map(clock::ktime_at)
}
