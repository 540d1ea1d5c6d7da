//! Lock statistics: how often the locks of a class are taken and waited for, how long they are waited for and held, and where the waits happen.
//!
//! | to find | look in |
//! |---|---|
//! | the counters and their arithmetic | here |
//! | the call sites that wait most | [`sites`] |
//! | the running kernel's counters | [`live`] |
//!
//! Each core counts for itself, in lines that no other core writes, so that counting does not make the contention that it counts. A core's own interrupts
//! count into the same cells: additions are atomic, and that is all they are.
//!
//! # Memory ordering
//! None. A sum that is read while others count is one between before and after; a minimum may belong to an acquisition that is not counted yet.
//!
//! What is behind feature `lock_stat` is not there without it. Neighbours: `lock_watch` calls, `init::commands` shows.

pub mod live;
pub mod sites;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Times of one kind, counted by one core.
#[derive(Debug)]
pub struct Times {
    count: AtomicU64,
    total: AtomicU64,
    /// The shortest, inverted: 0 is none yet, so that a fresh cell is all zeroes.
    not_min: AtomicU64,
    max: AtomicU64,
}

impl Times {
    /// None.
    pub const fn new() -> Self {
        Self { count: AtomicU64::new(0), total: AtomicU64::new(0), not_min: AtomicU64::new(0), max: AtomicU64::new(0) }
    }

    /// Counts one of `ticks`. Context: any.
    #[inline]
    pub fn add(&self, ticks: u64) {
        self.count.fetch_add(1, Relaxed);
        self.total.fetch_add(ticks, Relaxed);
        if self.max.load(Relaxed) < ticks {
            self.max.fetch_max(ticks, Relaxed);
        }
        if self.not_min.load(Relaxed) < !ticks {
            self.not_min.fetch_max(!ticks, Relaxed);
        }
    }

    /// Forgets all. What is counted meanwhile may be forgotten in part.
    pub fn clear(&self) {
        [&self.count, &self.total, &self.not_min, &self.max].into_iter().for_each(|cell| cell.store(0, Relaxed));
    }

    /// Adds what is here to `sum`.
    pub fn add_to(&self, sum: &mut Sum) {
        sum.count += self.count.load(Relaxed);
        sum.total += self.total.load(Relaxed);
        sum.max = sum.max.max(self.max.load(Relaxed));
        let not_min = self.not_min.load(Relaxed);
        if not_min != 0 {
            sum.min = Some(sum.min.map_or(!not_min, |min| min.min(!not_min)));
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

/// Times of one kind, of all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Together, in ticks.
    pub total: u64,
    /// The shortest; `None` if there is none.
    pub min: Option<u64>,
    /// The longest.
    pub max: u64,
}

impl Sum {
    /// The mean; 0 of none.
    pub fn mean(&self) -> u64 {
        self.total.checked_div(self.count).unwrap_or(0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn cores_add_up_and_a_minimum_of_nothing_is_none() {
        let cores = [Times::new(), Times::new(), Times::new()];
        [7, 3].into_iter().for_each(|ticks| cores[0].add(ticks));
        cores[2].add(20);
        let sum = |cores: &[Times]| {
            let mut sum = Sum::default();
            cores.iter().for_each(|times| times.add_to(&mut sum));
            sum
        };
        assert_eq!(sum(&cores), Sum { count: 3, total: 30, min: Some(3), max: 20 });
        assert_eq!((sum(&cores).mean(), sum(&cores[1..2]).mean()), (10, 0));
        cores.iter().for_each(Times::clear);
        assert_eq!(sum(&cores), Sum::default());
        cores[1].add(0);
        assert_eq!(sum(&cores).min, Some(0));
    }
}
