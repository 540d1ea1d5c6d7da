//! Messages that must not flood the log: once only, and so many in a time.
//!
//! Both are a few words in a static at the call site, without a lock. Where two cores race at the edge of an interval one message more or less gets
//! through; the count of what was held back stays exact.

use super::level::Level;
use super::write;
use crate::arch;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Seconds of an interval of the `_ratelimited` macros, as in Linux.
pub const RATELIMIT_INTERVAL_S: u64 = 5;
/// Messages in an interval of the `_ratelimited` macros, as in Linux.
pub const RATELIMIT_BURST: u32 = 10;

/// Lets the first caller through, and no other.
#[derive(Debug, Default)]
pub struct OnceFlag {
    is_done: AtomicBool,
}

impl OnceFlag {
    /// A flag that nobody has passed.
    #[must_use]
    pub const fn new() -> Self {
        Self { is_done: AtomicBool::new(false) }
    }

    /// True for the first caller of all.
    ///
    /// Context: any.
    #[inline]
    pub fn is_first(&self) -> bool {
        !self.is_done.load(Ordering::Relaxed) && !self.is_done.swap(true, Ordering::Relaxed)
    }
}

/// Lets a burst of callers through in each interval, and says in the next how many it held back.
#[derive(Debug)]
pub struct RateLimit {
    interval_s: u64,
    burst: u32,
    /// The counter when the interval began; 0 before the first.
    began: AtomicU64,
    passed: AtomicU32,
    held_back: AtomicU32,
}

impl RateLimit {
    /// The limit of the `_ratelimited` macros.
    #[must_use]
    pub const fn new() -> Self {
        Self::of(RATELIMIT_INTERVAL_S, RATELIMIT_BURST)
    }

    /// A limit of `burst` callers in `interval_s` seconds.
    #[must_use]
    pub const fn of(interval_s: u64, burst: u32) -> Self {
        Self { interval_s, burst, began: AtomicU64::new(0), passed: AtomicU32::new(0), held_back: AtomicU32::new(0) }
    }

    /// True if the caller may speak. The first of an interval also logs, under the name `what`, how many were held back in the one before.
    ///
    /// Context: any.
    pub fn allows(&self, what: &str) -> bool {
        let (may_speak, held_back) = self.count_at(arch::counter::now());
        if held_back > 0 {
            write::emit(Level::Warning, what, format_args!(": {held_back} messages held back"));
        }
        may_speak
    }

    /// Counts a caller at the time `now`: whether it may speak, and how many were held back before the interval that it began.
    fn count_at(&self, now: u64) -> (bool, u32) {
        let began = self.began.load(Ordering::Relaxed);
        let is_over = began == 0 || now.wrapping_sub(began) >= self.interval_s * arch::counter::frequency_hz();
        let begins = is_over && self.began.compare_exchange(began, now.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let held_back = if begins {
            self.passed.store(0, Ordering::Relaxed);
            self.held_back.swap(0, Ordering::Relaxed)
        } else {
            0
        };
        let may_speak = self.passed.load(Ordering::Relaxed) < self.burst && self.passed.fetch_add(1, Ordering::Relaxed) < self.burst;
        if !may_speak {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        (may_speak, held_back)
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_is_once() {
        let flag = OnceFlag::new();
        assert_eq!([flag.is_first(), flag.is_first(), flag.is_first()], [true, false, false]);
    }

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let limit = RateLimit::of(1, 3);
        let second = arch::counter::frequency_hz();
        let passed = (0..10).filter(|i| limit.count_at(1000 + i) == (true, 0)).count();
        assert_eq!(passed, 3);
        assert_eq!(limit.count_at(1000 + second - 1), (false, 0), "the interval is not over");
        assert_eq!(limit.count_at(1000 + second), (true, 8), "seven of the ten and the one after");
        assert_eq!(limit.count_at(1000 + second), (true, 0));
    }
}
