//! Conversion between counter ticks and nanoseconds: one multiplication each way.
//!
//! A division costs 20 cycles and more, and `ticks * 1_000_000_000` overflows 64 bits after minutes. So the ratio is kept as a fixed-point
//! number and the product taken in 128 bits, two instructions on AArch64. 54 bits of fraction leave an error below one nanosecond for
//! ten years of a 54 MHz counter, and fit every counter from 1 MHz to 1 GHz. Both ratios are rounded up, which makes the pair safe for
//! deadlines: a deadline converted to ticks and reached reads as reached when converted back.

use core::fmt;

use crate::util::errno::Errno;

/// Nanoseconds in a second.
const NS_PER_SEC: u64 = 1_000_000_000;
/// Bits of fraction of nanoseconds per tick.
const NS_SHIFT: u32 = 54;
/// Bits of fraction of ticks per nanosecond, a number below one.
const TICKS_SHIFT: u32 = 64;

/// The frequency is outside [`TickScale::MIN_HZ`] to [`TickScale::MAX_HZ`]; 0 means that the firmware did not set `CNTFRQ_EL0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrequency(pub u64);

impl From<BadFrequency> for Errno {
    fn from(_: BadFrequency) -> Errno {
        Errno::ERANGE
    }
}

impl fmt::Display for BadFrequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counter frequency of {} Hz is out of range", self.0)
    }
}

/// The two ratios of one counter frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickScale {
    /// Nanoseconds per tick, rounded up, with [`NS_SHIFT`] bits of fraction.
    ns_per_tick: u64,
    /// Ticks per nanosecond, rounded up, with [`TICKS_SHIFT`] bits of fraction.
    ticks_per_ns: u64,
}

impl TickScale {
    /// The slowest counter that fits.
    pub const MIN_HZ: u64 = 1_000_000;
    /// The fastest counter that fits.
    pub const MAX_HZ: u64 = NS_PER_SEC - 1;

    /// The ratios for a counter of `frequency_hz`.
    ///
    /// # Errors
    /// [`BadFrequency`] outside the range.
    ///
    /// Context: any.
    pub const fn new(frequency_hz: u64) -> Result<TickScale, BadFrequency> {
        if frequency_hz < Self::MIN_HZ || frequency_hz > Self::MAX_HZ {
            return Err(BadFrequency(frequency_hz));
        }
        let ns_per_tick = ((NS_PER_SEC as u128) << NS_SHIFT).div_ceil(frequency_hz as u128);
        let ticks_per_ns = ((frequency_hz as u128) << TICKS_SHIFT).div_ceil(NS_PER_SEC as u128);
        Ok(TickScale { ns_per_tick: ns_per_tick as u64, ticks_per_ns: ticks_per_ns as u64 })
    }

    #[cfg(target_os = "none")]
    /// The two ratios, to be kept apart: nanoseconds per tick, ticks per nanosecond.
    pub(super) const fn to_parts(self) -> (u64, u64) {
        (self.ns_per_tick, self.ticks_per_ns)
    }

    #[cfg(target_os = "none")]
    /// What `to_parts` took apart.
    #[inline(always)]
    pub(super) const fn from_parts(ns_per_tick: u64, ticks_per_ns: u64) -> Self {
        Self { ns_per_tick, ticks_per_ns }
    }

    /// Nanoseconds that `ticks` took; at most one more than the exact value rounded down, for ten years of ticks. The result wraps after
    /// 584 years, as any nanosecond count in 64 bits does; saturating would cost every clock read three instructions.
    ///
    /// Context: any.
    #[inline]
    #[must_use]
    pub const fn ticks_to_ns(&self, ticks: u64) -> u64 {
        let product = ticks as u128 * self.ns_per_tick as u128;
        (product >> NS_SHIFT) as u64
    }

    /// The least number of ticks that surely takes `ns` nanoseconds: never early, at most one tick late.
    ///
    /// Context: any.
    #[inline]
    #[must_use]
    pub const fn ns_to_ticks(&self, ns: u64) -> u64 {
        // `ns` times a number below one cannot overflow, nor can one more.
        let product = ns as u128 * self.ticks_per_ns as u128;
        (product >> TICKS_SHIFT) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PI_4: TickScale = match TickScale::new(54_000_000) {
        Ok(scale) => scale,
        Err(_) => panic!("54 MHz is in range"),
    };
    const TEN_YEARS_OF_NS: u64 = 10 * 366 * 86_400 * NS_PER_SEC;

    #[test]
    fn known_values() {
        let qemu = TickScale::new(62_500_000).unwrap();
        assert_eq!((qemu.ticks_to_ns(1), qemu.ticks_to_ns(62_500_000), qemu.ticks_to_ns(u64::MAX / 16)), (16, NS_PER_SEC, u64::MAX - 15));
        assert_eq!((PI_4.ticks_to_ns(0), PI_4.ticks_to_ns(54), PI_4.ticks_to_ns(54_000_000)), (0, 1000, NS_PER_SEC));
        assert_eq!(PI_4.ticks_to_ns(54_000_000 * 86_400 * 365), NS_PER_SEC * 86_400 * 365);
        assert_eq!((PI_4.ns_to_ticks(0), PI_4.ns_to_ticks(18), PI_4.ns_to_ticks(19)), (1, 1, 2));
    }

    #[test]
    fn refuses_frequencies_that_do_not_fit() {
        for hz in [0, 1, 999_999, NS_PER_SEC, u64::MAX] {
            assert_eq!(TickScale::new(hz), Err(BadFrequency(hz)));
        }
    }

    #[test]
    fn extremes_do_not_overflow() {
        let fast = TickScale::new(TickScale::MAX_HZ).unwrap();
        assert_eq!(fast.ns_to_ticks(u64::MAX).leading_zeros(), 0);
        assert!(fast.ticks_to_ns(u64::MAX / 2) > u64::MAX / 2);
        let slow = TickScale::new(TickScale::MIN_HZ).unwrap();
        assert_eq!(slow.ticks_to_ns(u64::MAX / 1000), u64::MAX / 1000 * 1000);
    }

    proptest! {
        #[test]
        fn ns_are_exact_to_one(hz in TickScale::MIN_HZ..=TickScale::MAX_HZ, ns in 0..TEN_YEARS_OF_NS) {
            let scale = TickScale::new(hz).unwrap();
            let ticks = (u128::from(ns) * u128::from(hz) / u128::from(NS_PER_SEC)) as u64;
            let exact = (u128::from(ticks) * u128::from(NS_PER_SEC) / u128::from(hz)) as u64;
            // The error grows with the ticks, 2^-54 ns each: one nanosecond in 2^54 ticks.
            let bound = 1 + (ticks >> NS_SHIFT);
            prop_assert!((exact..=exact + bound).contains(&scale.ticks_to_ns(ticks)));
        }

        #[test]
        fn deadlines_are_never_early(hz in TickScale::MIN_HZ..=TickScale::MAX_HZ, ns in 0..TEN_YEARS_OF_NS) {
            let scale = TickScale::new(hz).unwrap();
            let ticks = scale.ns_to_ticks(ns);
            prop_assert!(scale.ticks_to_ns(ticks) >= ns);
            let exact = (u128::from(ns) * u128::from(hz) / u128::from(NS_PER_SEC)) as u64;
            prop_assert!(ticks <= exact + 2);
        }

        #[test]
        fn time_never_runs_backwards(hz in TickScale::MIN_HZ..=TickScale::MAX_HZ, ticks in 0..u64::MAX / 1001) {
            let scale = TickScale::new(hz).unwrap();
            prop_assert!(scale.ticks_to_ns(ticks) <= scale.ticks_to_ns(ticks + 1));
        }
    }
}
