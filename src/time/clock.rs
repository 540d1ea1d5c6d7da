//! The clocks: nanoseconds, jiffies and counter ticks, all of them the one system counter in another unit.
//!
//! The counter is the same on all cores and never stops, so no clock here has a state: nothing is updated by a tick, none is late on a core that had
//! interrupts off or no tick, and readers need no sequence lock. Rejected: Linux's jiffies, a word that ticks add to: cheaper to read, and behind by
//! as long as the core that updates it was held up.
//!
//! All begin at 0 with the counter: on the board when power came, under QEMU when the machine began.
//!
//! # Memory ordering
//! A read is not done before what precedes it in the program (ISB, Arm ARM D12.2.2); loads that follow may be done before it. The self-synchronising
//! `CNTVCTSS_EL0` would save the ISB, but needs FEAT_ECV, which the Cortex-A72 has not.
//!
//! Neighbours: [`scale`](super::scale) (the conversion and its error), `arch::counter`.

use super::HZ;
use super::scale::TickScale;
use crate::arch::counter;
use core::ops::{Add, Sub};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

/// A moment of the monotonic clock, in nanoseconds since the counter began. Linux's `ktime_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ktime(u64);

impl Ktime {
    /// The moment so many nanoseconds after the counter began.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the counter began.
    pub const fn as_ns(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Ktime {
    type Output = Self;

    /// The moment `after` later, or the last there is.
    fn add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(ns_of(after)))
    }
}

impl Sub for Ktime {
    type Output = Duration;

    /// The time from `earlier` to this; zero if it is not earlier.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The board's crystal, until `init` has asked the counter.
const PI4: TickScale = match TickScale::new(54_000_000) {
    Ok(scale) => scale,
    Err(_) => panic!("54 MHz is in range"),
};

/// The two ratios of the scale. Written once, at boot, before another core runs.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(PI4.to_parts().0);
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(PI4.to_parts().1);
/// Counter ticks of a jiffy.
static TICKS_PER_JIFFY: AtomicU64 = AtomicU64::new(54_000_000 / HZ);

/// Asks the counter how fast it runs. Context: boot, once, before time is read.
pub fn init() {
    let hz = counter::frequency_hz();
    match TickScale::new(hz) {
        Ok(scale) => {
            NS_PER_TICK.store(scale.to_parts().0, Relaxed);
            TICKS_PER_NS.store(scale.to_parts().1, Relaxed);
            TICKS_PER_JIFFY.store(hz / HZ, Relaxed);
        }
        Err(error) => crate::pr_err!("time: {}: taken for 54 MHz, so all times are wrong. Set CNTFRQ_EL0 in the firmware.", error),
    }
}

#[inline(always)]
fn scale() -> TickScale {
    TickScale::from_parts(NS_PER_TICK.load(Relaxed), TICKS_PER_NS.load(Relaxed))
}

/// The monotonic clock: seven instructions.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::time::{ktime_get, mdelay};
/// let begun = ktime_get();
/// mdelay(2);
/// assert!(ktime_get() - begun >= core::time::Duration::from_millis(2));
/// ```
#[inline(always)]
pub fn ktime_get() -> Ktime {
    // The other ratio is not loaded: an atomic load is made even if nobody uses it.
    Ktime(TickScale::from_parts(NS_PER_TICK.load(Relaxed), 0).ticks_to_ns(counter::now()))
}

/// The raw monotonic clock: the same, as nothing steers the clocks here.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// let begun = tetra::time::ktime_get_raw();
/// assert!(tetra::time::ktime_get_raw() >= begun);
/// ```
#[inline(always)]
pub fn ktime_get_raw() -> Ktime {
    ktime_get()
}

/// The counter itself, for measuring: Linux's `get_cycles`.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// let begun = tetra::time::get_cycles();
/// assert!(tetra::time::get_cycles() >= begun);
/// ```
#[inline(always)]
pub fn get_cycles() -> u64 {
    counter::now()
}

/// Time since the counter began.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// assert!(tetra::time::uptime() > core::time::Duration::ZERO);
/// ```
pub fn uptime() -> Duration {
    Duration::from_nanos(ktime_get().as_ns())
}

/// Jiffies, [`HZ`] a second, since the counter began. Exact at any time, on any core.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::time::{HZ, jiffies};
/// let deadline = jiffies() + 2 * HZ; // two seconds
/// assert!(jiffies() < deadline);
/// ```
#[inline]
pub fn jiffies() -> u64 {
    counter::now() / ticks_per_jiffy()
}

/// Counter ticks of a jiffy.
#[inline]
pub(super) fn ticks_per_jiffy() -> u64 {
    TICKS_PER_JIFFY.load(Relaxed)
}

/// The jiffy in which `after` has surely passed, seen from some moment in jiffy `now`.
#[inline]
pub(super) fn jiffies_after(now: u64, after: Duration) -> u64 {
    const NS_PER_JIFFY: u64 = 1_000_000_000 / HZ;
    // `now` may be nearly over: one more.
    now.saturating_add(ns_of(after).div_ceil(NS_PER_JIFFY)).saturating_add(1)
}

/// Counter ticks that surely last `time`, whenever they begin.
#[inline]
pub(super) fn ticks_that_last(time: Duration) -> u64 {
    // The tick in which they begin may be nearly over; the conversion has one to spare for that.
    scale().ns_to_ticks(ns_of(time))
}

/// Counter ticks between two deadlines that are `interval` apart: rounded up, at least 1.
pub(super) fn ticks_of_period(interval: Duration) -> u64 {
    let (ns, surely) = (ns_of(interval), ticks_that_last(interval));
    // One less will do if it is long enough already: it is, for a whole number of ticks.
    if surely > 1 && scale().ticks_to_ns(surely - 1) >= ns { surely - 1 } else { surely }
}

/// The counter's value at which `when` has surely come.
pub(super) fn tick_at(when: Ktime) -> u64 {
    scale().ns_to_ticks(when.0)
}

/// The moment at which the counter shows `tick`.
pub(super) fn ktime_at(tick: u64) -> Ktime {
    Ktime(scale().ticks_to_ns(tick))
}

/// Nanoseconds; what does not fit 584 years is as good as never.
#[inline]
fn ns_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
