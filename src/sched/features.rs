//! Decisions of the scheduler that can be switched off, to see what each is good for.

use core::sync::atomic::{AtomicU32, Ordering};

/// A decision that can be switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Feature {
    /// A more urgent thread that is woken takes the core at once, not at the next tick.
    WakeupPreempt = 1 << 0,
    /// A core that runs out of work takes some from another.
    IdlePull = 1 << 1,
    /// Busy cores even their queues out from time to time.
    Balance = 1 << 2,
    /// A mutex's waiter spins while the owner runs.
    MutexSpin = 1 << 3,
}

/// All features, and Linux-like names.
pub const FEATURES: [(Feature, &str); 4] = [
    (Feature::WakeupPreempt, "WAKEUP_PREEMPT"),
    (Feature::IdlePull, "IDLE_PULL"),
    (Feature::Balance, "BALANCE"),
    (Feature::MutexSpin, "MUTEX_SPIN"),
];

static ON: AtomicU32 = AtomicU32::new(u32::MAX);

/// Whether `feature` is on. Context: any.
#[inline]
pub fn is_on(feature: Feature) -> bool {
    ON.load(Ordering::Relaxed) & feature as u32 != 0
}

/// Switches `feature`. Context: any.
pub fn set(feature: Feature, on: bool) {
    if on {
        ON.fetch_or(feature as u32, Ordering::Relaxed);
    } else {
        ON.fetch_and(!(feature as u32), Ordering::Relaxed);
    }
}
