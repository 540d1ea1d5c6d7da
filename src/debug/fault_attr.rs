//! `FaultAttr`: which calls of an operation are to fail, for tests of what their callers do then.
//!
//! The knobs are Linux's (`fault-injection.rst`): `probability` in percent, every `interval`-th chance only, at most `times` failures (-1: no limit),
//! none before `space` units were used up; and `nth`, the n-th call from now, once, whatever else is set: counting it up visits each
//! place that allocates. `caller=START-END` limits all of it to calls with a return address in that range, `task=PID` to those of one thread, outside of
//! handlers: so that a count is not spent by others.
//!
//! The sequence is pseudo-random from a seed, so a failure that was found is found again.
//!
//! Neighbours: mm has one for each kind of allocation (`failslab`, `fail_page_alloc`, `fail_vmalloc`).

use crate::cpu;
use crate::util::cmdline::parse_number;
use crate::util::errno::Errno;
use core::fmt;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Which calls fail. Every word stands alone; a change takes effect word by word.
#[derive(Debug)]
pub struct FaultAttr {
    probability: AtomicU64,
    interval: AtomicU64,
    times: AtomicI64,
    space: AtomicU64,
    nth: AtomicU64,
    caller_start: AtomicU64,
    caller_end: AtomicU64,
    /// The only thread that is meant; 0: all.
    task: AtomicU64,
    seed: AtomicU64,
    /// Chances seen, for `interval`.
    chances: AtomicU64,
    failed: AtomicU64,
}

impl FaultAttr {
    /// Nothing fails.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self {
            probability: AtomicU64::new(0),
            interval: AtomicU64::new(1),
            times: AtomicI64::new(-1),
            space: AtomicU64::new(0),
            nth: AtomicU64::new(0),
            caller_start: AtomicU64::new(0),
            caller_end: AtomicU64::new(u64::MAX),
            task: AtomicU64::new(0),
            seed: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            chances: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Whether any call can fail. Context: any.
    #[inline]
    pub fn is_armed(&self) -> bool {
        self.nth.load(Relaxed) != 0 || (self.probability.load(Relaxed) != 0 && self.times.load(Relaxed) != 0)
    }

    /// Calls that were made to fail. Context: any.
    pub fn nr_failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Whether this call, of `size` units, is to fail; `callers` are its return addresses, asked for only where a range is set.
    ///
    /// Context: any.
    pub fn should_fail<I: Iterator<Item = usize>>(&self, size: u64, callers: impl FnOnce() -> I) -> bool {
        if !self.is_armed() || !self.is_meant(callers) {
            return false;
        }
        let fails = self.is_nth() || self.is_by_chance(size);
        if fails {
            self.failed.fetch_add(1, Relaxed);
        }
        fails
    }

    fn is_meant<I: Iterator<Item = usize>>(&self, callers: impl FnOnce() -> I) -> bool {
        let task = self.task.load(Relaxed);
        let is_of_task = || cpu::in_task() && cpu::task::try_current().is_some_and(|current| u64::from(current.pid()) == task);
        if task != 0 && !is_of_task() {
            return false;
        }
        let range = self.caller_start.load(Relaxed)..self.caller_end.load(Relaxed);
        range == (0..u64::MAX) || callers().any(|address| range.contains(&(address as u64)))
    }

    fn is_nth(&self) -> bool {
        self.nth.fetch_update(Relaxed, Relaxed, |nth| nth.checked_sub(1)) == Ok(1)
    }

    fn is_by_chance(&self, size: u64) -> bool {
        if self.space.fetch_update(Relaxed, Relaxed, |space| (space > size).then(|| space - size)).is_ok() {
            return false;
        }
        let chance = self.chances.fetch_add(1, Relaxed) + 1;
        if !chance.is_multiple_of(self.interval.load(Relaxed).max(1)) || self.random() % 100 >= self.probability.load(Relaxed) {
            return false;
        }
        // -1 stays; 0 is used up.
        self.times.fetch_update(Relaxed, Relaxed, |times| if times > 0 { Some(times - 1) } else { (times < 0).then_some(times) }).is_ok()
    }

    /// xorshift64*; two cores may draw the same number, which harms nobody.
    fn random(&self) -> u64 {
        let mut state = self.seed.load(Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.seed.store(state, Relaxed);
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Sets what `text` says: words `probability=10 times=3 nth=7`, or `interval,probability,space,times` as in a boot argument of Linux; `off`
    /// goes back to failing nothing. Context: any.
    ///
    /// # Errors
    /// `EINVAL` at the first word that is not understood; those before it are set.
    pub fn set(&self, text: &str) -> Result<(), Errno> {
        let words = text.split([' ', ',', '\n']).filter(|word| !word.is_empty());
        if text.trim() == "off" {
            self.reset();
            return Ok(());
        }
        const PLACES: [&str; 4] = ["interval", "probability", "space", "times"];
        for (at, word) in words.enumerate() {
            match word.split_once('=') {
                Some((key, value)) => self.set_one(key, value)?,
                None => self.set_one(PLACES.get(at).ok_or(Errno::EINVAL)?, word)?,
            }
        }
        Ok(())
    }

    /// Lets the `nth` call from now fail, whatever else is set. Context: any.
    pub fn set_nth(&self, nth: u64) {
        self.nth.store(nth, Relaxed);
    }

    fn set_one(&self, key: &str, value: &str) -> Result<(), Errno> {
        let number = || parse_number(value).map_err(Errno::from);
        match key {
            "probability" => self.probability.store(number()?.min(100), Relaxed),
            "interval" => self.interval.store(number()?.max(1), Relaxed),
            "space" => self.space.store(number()?, Relaxed),
            "nth" => self.nth.store(number()?, Relaxed),
            "task" => self.task.store(number()?, Relaxed),
            "seed" => self.seed.store(number()?.max(1), Relaxed),
            "times" if value == "-1" => self.times.store(-1, Relaxed),
            "times" => self.times.store(i64::try_from(number()?).map_err(|_| Errno::EINVAL)?, Relaxed),
            "caller" => {
                let (start, end) = value.split_once('-').ok_or(Errno::EINVAL)?;
                self.caller_start.store(parse_number(start)?, Relaxed);
                self.caller_end.store(parse_number(end)?, Relaxed);
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    fn reset(&self) {
        let fresh = Self::new();
        for (word, value) in [
            (&self.probability, &fresh.probability),
            (&self.interval, &fresh.interval),
            (&self.space, &fresh.space),
            (&self.nth, &fresh.nth),
            (&self.caller_start, &fresh.caller_start),
            (&self.caller_end, &fresh.caller_end),
            (&self.task, &fresh.task),
            (&self.chances, &fresh.chances),
        ] {
            word.store(value.load(Relaxed), Relaxed);
        }
        self.times.store(-1, Relaxed);
    }
}

impl fmt::Display for FaultAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |word: &AtomicU64| word.load(Relaxed);
        write!(f, "probability={} interval={} ", get(&self.probability), get(&self.interval))?;
        write!(f, "times={} space={} nth={} ", self.times.load(Relaxed), get(&self.space), get(&self.nth))?;
        write!(f, "task={} ", get(&self.task))?;
        write!(f, "caller={:#x}-{:#x} failed={}", get(&self.caller_start), get(&self.caller_end), self.nr_failed())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn failures(attr: &FaultAttr, calls: usize) -> Vec<usize> {
        (1..=calls).filter(|_| attr.should_fail(1, || [0x1000usize].into_iter())).collect()
    }

    #[test]
    fn nothing_fails_until_asked() {
        let attr = FaultAttr::new();
        assert!(!attr.is_armed() && failures(&attr, 100).is_empty());
    }

    #[test]
    fn the_nth_call_fails_once() {
        let attr = FaultAttr::new();
        attr.set("nth=3").unwrap();
        assert_eq!(failures(&attr, 100), [3]);
        assert!(!attr.is_armed());
    }

    #[test]
    fn interval_times_and_space_are_kept() {
        let attr = FaultAttr::new();
        attr.set("2,100,0,3").unwrap();
        assert_eq!(failures(&attr, 100), [2, 4, 6]);
        attr.set("off").unwrap();
        attr.set("probability=100 space=11 times=2").unwrap();
        assert_eq!(failures(&attr, 100), [11, 12]);
    }

    #[test]
    fn probability_is_about_right_and_repeats_with_the_seed() {
        let attr = FaultAttr::new();
        attr.set("probability=10 seed=77").unwrap();
        let first = failures(&attr, 10_000);
        assert!((800..1200).contains(&first.len()), "{} of 10000", first.len());
        attr.set("seed=77").unwrap();
        assert_eq!(failures(&attr, 10_000), first);
    }

    #[test]
    fn only_callers_in_the_range_fail() {
        let attr = FaultAttr::new();
        attr.set("probability=100 caller=0x2000-0x3000").unwrap();
        assert!(failures(&attr, 10).is_empty());
        attr.set("caller=0x1000-0x1001").unwrap();
        assert_eq!(failures(&attr, 10).len(), 10);
    }

    #[test]
    fn nonsense_is_refused() {
        let attr = FaultAttr::new();
        for text in ["probability=x", "often=1", "1,2,3,4,5", "caller=5", "times=99999999999999999999"] {
            assert!(attr.set(text).is_err(), "{text}");
        }
    }
}
