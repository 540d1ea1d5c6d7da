//! Short waits that spin. Longer ones sleep.

use super::clock;
use crate::arch::{self, counter};
use crate::upcalls;
use core::time::Duration;

/// Waits at least `us` microseconds, spinning. For waits shorter than a tick; longer ones should sleep.
///
/// Context: any.
pub fn udelay(us: u64) {
    spin_for(Duration::from_micros(us));
}

/// Waits at least `ns` nanoseconds, spinning.
///
/// Context: any.
pub fn ndelay(ns: u64) {
    spin_for(Duration::from_nanos(ns));
}

/// Waits at least `ms` milliseconds, spinning: where nothing else may run, such as in a panic.
///
/// Context: any.
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
