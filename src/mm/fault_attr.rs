//! Fault injection: which allocation is made to fail, by probability, interval, count, or its number from now.
//!
//! Linux's `failslab`, `fail_page_alloc` and their attributes. `nth` is what tests use: fail the n-th allocation from now, run the code under test, and
//! go on with n + 1 until nothing failed any more; so each allocation site has failed once. An attribute that is not armed costs the fast path
//! nothing: arming takes the cores' lists away, and only the slow path asks.
//!
//! # Memory ordering
//! None: each field stands alone. `nth` and `times` count exactly (read-modify-write), whatever core allocates.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

/// When to fail: one for each place that can be made to.
#[derive(Debug)]
pub struct FaultAttr {
    name: &'static str,
    is_armed: AtomicBool,
    /// Percent of the calls that fail.
    probability: AtomicU32,
    /// Only each such call is a candidate; 0 and 1: each.
    interval: AtomicU32,
    /// Failures left; -1: without end.
    times: AtomicI32,
    /// Calls until the one that fails, counted down; 0: not in use.
    nth: AtomicU32,
    calls: AtomicU32,
    failures: AtomicU32,
    seed: AtomicU64,
}

/// Failures of `kmalloc` and of slab caches.
pub static FAILSLAB: FaultAttr = FaultAttr::new("failslab");

/// How an attribute is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRule {
    /// Percent of the calls that fail.
    pub probability: u32,
    /// Only each such call is a candidate; 0 and 1: each.
    pub interval: u32,
    /// Failures left; -1: without end.
    pub times: i32,
    /// The call from now that fails; 0: the fields above decide.
    pub nth: u32,
}

impl FaultRule {
    /// The `nth` call from now, and no other.
    pub const fn nth(nth: u32) -> Self {
        Self { probability: 0, interval: 1, times: 1, nth }
    }

    /// Linux's `interval,probability,space,times`; space is read and not used.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',').map(|field| field.trim().parse::<i32>().ok());
        let mut field = || fields.next().flatten();
        let (interval, probability, _space, times) = (field()?, field()?, field()?, field()?);
        let (interval, probability) = (u32::try_from(interval).ok()?, u32::try_from(probability).ok()?);
        (probability <= 100 && fields.next().is_none()).then_some(Self { probability, interval, times, nth: 0 })
    }
}

impl FaultAttr {
    /// Never fails, until it is armed.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_armed: AtomicBool::new(false),
            probability: AtomicU32::new(0),
            interval: AtomicU32::new(1),
            times: AtomicI32::new(0),
            nth: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            seed: AtomicU64::new(0x7465_7472_6121_0003),
        }
    }

    /// Its name, as in the boot argument. Context: any.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether calls are looked at. Context: any.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.is_armed.load(Relaxed)
    }

    /// Failures since it was armed. Context: any.
    pub fn nr_failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Sets the rule, and the counters to 0; `None`: never fail. The caller sees to it that calls come by here.
    ///
    /// Context: any.
    pub fn set(&self, rule: Option<FaultRule>) {
        self.is_armed.store(false, Relaxed);
        let Some(rule) = rule else { return };
        self.probability.store(rule.probability, Relaxed);
        self.interval.store(rule.interval.max(1), Relaxed);
        self.times.store(rule.times, Relaxed);
        self.nth.store(rule.nth, Relaxed);
        self.calls.store(0, Relaxed);
        self.failures.store(0, Relaxed);
        self.is_armed.store(true, Relaxed);
    }

    /// Whether this call is to fail. `_what` is for a future rule by name.
    ///
    /// Context: any.
    pub fn should_fail(&self, _what: &str) -> bool {
        if !self.is_armed() {
            return false;
        }
        let fails = match self.nth.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(left) => left == 1,
            Err(_) => self.is_chosen(),
        };
        if fails {
            self.failures.fetch_add(1, Relaxed);
        }
        fails
    }

    fn is_chosen(&self) -> bool {
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        if !call.is_multiple_of(self.interval.load(Relaxed)) || self.random() % 100 >= self.probability.load(Relaxed) {
            return false;
        }
        let step = |left: i32| if left > 0 { Some(left - 1) } else { None };
        self.times.load(Relaxed) < 0 || self.times.try_update(Relaxed, Relaxed, step).is_ok()
    }

    /// Xorshift64 (Marsaglia, "Xorshift RNGs", 2003). Two cores that draw at once may draw the same, which does not matter.
    fn random(&self) -> u32 {
        let mut seed = self.seed.load(Relaxed);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        self.seed.store(seed, Relaxed);
        (seed >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn outcomes(attr: &FaultAttr, calls: usize) -> Vec<usize> {
        (1..=calls).filter(|_| attr.should_fail("")).collect()
    }

    #[test]
    fn the_nth_call_fails_and_no_other() {
        let attr = FaultAttr::new("test");
        assert_eq!(outcomes(&attr, 5), []);
        attr.set(Some(FaultRule::nth(3)));
        assert_eq!((outcomes(&attr, 10), attr.nr_failures()), (vec![3], 1));
        attr.set(None);
        assert!(!attr.is_armed());
    }

    #[test]
    fn interval_and_times_bound_the_failures() {
        let attr = FaultAttr::new("test");
        attr.set(Some(FaultRule { probability: 100, interval: 4, times: 2, nth: 0 }));
        assert_eq!(outcomes(&attr, 40), [4, 8]);
        attr.set(Some(FaultRule { probability: 100, interval: 0, times: -1, nth: 0 }));
        assert_eq!(outcomes(&attr, 3), [1, 2, 3]);
    }

    #[test]
    fn reads_linux_form() {
        let rule = FaultRule { probability: 10, interval: 3, times: -1, nth: 0 };
        assert_eq!(FaultRule::parse("3,10,0,-1"), Some(rule));
        for wrong in ["", "1,2,3", "1,101,0,1", "1,2,3,4,5", "a,b,c,d", "-1,1,0,1"] {
            assert_eq!(FaultRule::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn probability_is_met_roughly() {
        let attr = FaultAttr::new("test");
        attr.set(Some(FaultRule { probability: 10, interval: 1, times: -1, nth: 0 }));
        let failed = outcomes(&attr, 10_000).len();
        assert!((800..1200).contains(&failed), "{failed} of 10000 at 10 %");
    }
}
