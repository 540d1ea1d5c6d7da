//! The deadlines of a periodic tick.
//!
//! Each deadline is computed from the last deadline, never from "now": the time a handler took to run does not add up. A period that is
//! no whole number of ticks (54 MHz at 1024 Hz) keeps the remainder and pays it back a tick at a time, so that after any number of
//! periods the deadline is exact to one tick. A core that was held up skips the missed deadlines and is told how many there were.

/// The schedule of one core's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Counter value of the next deadline.
    deadline: u64,
    /// Whole ticks of a period.
    period: u64,
    /// What `period` lacks, in parts of `rate_hz`.
    remainder: u64,
    /// What deadlines so far are behind the exact time, in parts of `rate_hz`; always below it.
    owed: u64,
    rate_hz: u64,
}

impl Tick {
    /// A tick of `rate_hz` on a counter of `frequency_hz`, whose first deadline is one period after `now`.
    ///
    /// # Panics
    /// `rate_hz` is 0 or above `frequency_hz`.
    ///
    /// Context: any.
    #[must_use]
    pub const fn new(now: u64, frequency_hz: u64, rate_hz: u64) -> Tick {
        assert!(rate_hz > 0 && rate_hz <= frequency_hz, "a period is at least one tick");
        let (period, remainder) = (frequency_hz / rate_hz, frequency_hz % rate_hz);
        let mut tick = Tick { deadline: now, period, remainder, owed: 0, rate_hz };
        tick.step();
        tick
    }

    /// The counter value at which the next tick is due.
    ///
    /// Context: any.
    #[must_use]
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Moves the deadline past `now` and returns how many periods have ended: 1 as a rule, 0 if called early, more after a delay.
    ///
    /// Context: any; the tick's own core, irqs masked.
    pub const fn advance(&mut self, now: u64) -> u64 {
        if now < self.deadline {
            return 0;
        }
        // A long delay (a debugger) is skipped by whole seconds, in which deadlines repeat exactly, so the loop below is bounded.
        let second = self.period * self.rate_hz + self.remainder;
        let seconds = (now - self.deadline) / second;
        self.deadline += seconds * second;
        let mut ended = seconds * self.rate_hz;
        while self.deadline <= now {
            self.step();
            ended += 1;
        }
        ended
    }

    const fn step(&mut self) {
        self.deadline += self.period;
        self.owed += self.remainder;
        if self.owed >= self.rate_hz {
            self.owed -= self.rate_hz;
            self.deadline += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn late_handlers_do_not_move_the_deadlines() {
        let mut tick = Tick::new(1000, 54_000_000, 250);
        for n in 1..=1000 {
            assert_eq!(tick.deadline(), 1000 + n * 216_000);
            assert_eq!(tick.advance(tick.deadline() + n % 200), 1);
        }
    }

    #[test]
    fn early_is_none_and_late_is_many() {
        let mut tick = Tick::new(0, 1_000_000, 1000);
        assert_eq!(tick.advance(999), 0);
        assert_eq!(tick.advance(1000), 1);
        assert_eq!(tick.advance(5999), 4);
        assert_eq!(tick.deadline(), 6000);
        assert_eq!(tick.advance(3_600_000_000), 3_600_000 - 5);
        assert_eq!(tick.deadline(), 3_600_001_000);
    }

    proptest! {
        /// Against the exact rational time: deadline n is n * frequency / rate, rounded down.
        #[test]
        fn no_drift(
            start in 0u64..1 << 60,
            hz in 1_000_000u64..1_000_000_000,
            rate in 1u64..20_000,
            delays in prop::collection::vec(0u64..1 << 36, 1..50),
        ) {
            let mut tick = Tick::new(start, hz, rate);
            let mut periods = 1u128;
            for delay in delays {
                let now = tick.deadline() + delay;
                let ended = tick.advance(now);
                periods += u128::from(ended);
                prop_assert!(ended >= 1 && tick.deadline() > now);
                let exact = u128::from(start) + periods * u128::from(hz) / u128::from(rate);
                prop_assert_eq!(u128::from(tick.deadline()), exact);
            }
        }
    }
}
