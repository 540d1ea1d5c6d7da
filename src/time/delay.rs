//! Short waits that spin. Longer ones sleep.

use super::clock;
use crate::arch::{self, counter};
use crate::upcalls;
use core::time::Duration;

/// Waits at least `us` microseconds, spinning. For waits shorter than a tick; longer ones should sleep.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::time::{udelay, ktime_get};
/// let begun = ktime_get();
/// udelay(5);
/// assert!(ktime_get() - begun >= core::time::Duration::from_micros(5));
/// ```
pub fn udelay(us: u64) {
    spin_for(Duration::from_micros(us));
}

/// Waits at least `ns` nanoseconds, spinning.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::time::{ndelay, ktime_get};
/// let begun = ktime_get();
/// ndelay(5);
/// assert!(ktime_get() - begun >= core::time::Duration::from_nanos(5));
/// ```
pub fn ndelay(ns: u64) {
    spin_for(Duration::from_nanos(ns));
}

/// Waits at least `ms` milliseconds, spinning: where nothing else may run, such as in a panic.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::time::{mdelay, ktime_get};
/// let begun = ktime_get();
/// mdelay(5);
/// assert!(ktime_get() - begun >= core::time::Duration::from_millis(5));
/// ```
pub fn mdelay(ms: u64) {
    spin_for(Duration::from_millis(ms));
}

fn spin_for(time: Duration) {
    let ticks = clock::ticks_that_last(time);
    let start = counter::now();
    // The first tick may be nearly over already: one more, so that nothing ends early.
    while counter::now().wrapping_sub(start) <= ticks {
        upcalls::answer_attention();
        arch::relax();
    }
}
