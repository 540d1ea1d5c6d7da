//! Baud rate divisor of a PL011.
//!
//! The UART samples 16 times a bit, and divides its clock by a 16.6 fixed-point number: clock / (16 * baud). In 64ths that is
//! 4 * clock / baud, so one rounded integer division gives both registers. Source: ARM DDI 0183G §3.3.5, §3.3.6.

use core::fmt;

use crate::util::errno::Errno;

/// Why a baud rate cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaudError {
    /// The rate is 0.
    Zero,
    /// The clock is below 16 times the rate (as a clock of 0 is).
    ClockTooSlow,
    /// The divisor would exceed 65535.
    ClockTooFast,
}

impl From<BaudError> for Errno {
    fn from(_: BaudError) -> Errno {
        Errno::EDOM
    }
}

impl fmt::Display for BaudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BaudError::Zero => "baud rate is 0",
            BaudError::ClockTooSlow => "UART clock too slow for the baud rate",
            BaudError::ClockTooFast => "UART clock too fast for the baud rate",
        })
    }
}

/// A divisor in 64ths.
///
/// # Invariants
/// From 64 (1.0) to 65535 * 64, the range that the two registers can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divisor(u32);

impl Divisor {
    const MIN: u64 = 64;
    const MAX: u64 = 65535 * 64;

    /// The divisor nearest to what `baud` needs at `clock_hz`.
    ///
    /// # Errors
    /// [`BaudError`], by the limit that is exceeded.
    ///
    /// Context: any.
    pub const fn new(clock_hz: u32, baud: u32) -> Result<Divisor, BaudError> {
        if baud == 0 {
            return Err(BaudError::Zero);
        }
        match (4 * clock_hz as u64 + baud as u64 / 2) / baud as u64 {
            ..Self::MIN => Err(BaudError::ClockTooSlow),
            // INVARIANT: the range of the type, so it fits 32 bits as well.
            divisor @ Self::MIN..=Self::MAX => Ok(Divisor(divisor as u32)),
            _ => Err(BaudError::ClockTooFast),
        }
    }

    /// The divisor that the registers hold; `None` if they hold none.
    #[must_use]
    pub const fn from_64ths(divisor: u32) -> Option<Divisor> {
        match divisor as u64 {
            // INVARIANT: the range of the type.
            Self::MIN..=Self::MAX => Some(Divisor(divisor)),
            _ => None,
        }
    }

    /// Value of `IBRD`.
    #[must_use]
    pub const fn integer(self) -> u32 {
        self.0 / 64
    }

    /// Value of `FBRD`.
    #[must_use]
    pub const fn fraction(self) -> u32 {
        self.0 % 64
    }

    /// The rate that comes out at `clock_hz`.
    #[must_use]
    pub const fn actual_baud(self, clock_hz: u32) -> u32 {
        ((4 * clock_hz as u64 + self.0 as u64 / 2) / self.0 as u64) as u32
    }

    /// How far the rate at `clock_hz` is from `baud`, in parts per million. Receivers stand about 20,000 (2 %).
    #[must_use]
    pub const fn error_ppm(self, clock_hz: u32, baud: u32) -> u64 {
        // actual / baud = 4 * clock / (divisor * baud), compared without rounding the rate first.
        let (actual, wanted) = (4 * clock_hz as u128, self.0 as u128 * baud as u128);
        match (actual.abs_diff(wanted) * 1_000_000).checked_div(wanted) {
            Some(error) => error as u64,
            None => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_divisors() {
        let parts = |clock, baud| Divisor::new(clock, baud).map(|d| (d.integer(), d.fraction()));
        assert_eq!(parts(48_000_000, 115_200), Ok((26, 3)));
        assert_eq!(parts(3_000_000, 115_200), Ok((1, 40)));
        // The manual's example (DDI 0183G §3.3.6): 4 MHz, 230400 baud, 1 + 5/64.
        assert_eq!(parts(4_000_000, 230_400), Ok((1, 5)));
        assert_eq!(parts(48_000_000, 921_600), Ok((3, 16)));
    }

    #[test]
    fn limits() {
        assert_eq!(Divisor::new(48_000_000, 0), Err(BaudError::Zero));
        assert_eq!(Divisor::new(0, 9600), Err(BaudError::ClockTooSlow));
        assert_eq!(Divisor::new(1_000_000, 115_200), Err(BaudError::ClockTooSlow));
        assert_eq!(Divisor::new(u32::MAX, 300), Err(BaudError::ClockTooFast));
        assert_eq!(Divisor::new(16 * 65535, 1).map(|d| (d.integer(), d.fraction())), Ok((65535, 0)));
        assert_eq!(Divisor::new(16 * 65535 + 1, 1), Err(BaudError::ClockTooFast));
    }

    proptest! {
        #[test]
        fn is_the_nearest(clock: u32, baud in 1u32..4_000_000) {
            let Ok(divisor) = Divisor::new(clock, baud) else { return Ok(()) };
            prop_assert!((1..=65535).contains(&divisor.integer()) && divisor.fraction() < 64);
            let distance = |d: u64| (d * u64::from(baud)).abs_diff(4 * u64::from(clock));
            let d = u64::from(divisor.0);
            prop_assert!(distance(d) <= distance(d + 1) && distance(d) <= distance(d - 1));
            prop_assert!(divisor.error_ppm(clock, baud) <= 1_000_000 / 128 + 1);
        }
    }
}
