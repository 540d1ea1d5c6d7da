//! The log's time: raw counter ticks in the rings, microseconds in what is shown.
//!
//! A division in the writer would cost every message what only the shown ones need.

use crate::arch;

const US_PER_S: u64 = 1_000_000;

/// Microseconds at `ticks` of the counter, which runs since power-on, through the firmware.
pub(super) fn us_of_ticks(ticks: u64) -> u64 {
    us_at(ticks, arch::counter::frequency_hz())
}

/// Exact for any count: whole seconds first, so that nothing overflows. A counter that does not say its frequency is taken to run at 1 MHz.
fn us_at(ticks: u64, frequency_hz: u64) -> u64 {
    let hz = if frequency_hz == 0 { US_PER_S } else { frequency_hz };
    ticks / hz * US_PER_S + ticks % hz * US_PER_S / hz
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_microseconds() {
        assert_eq!(us_at(54_000_000 * 12 + 18_666_612, 54_000_000), 12_345_678);
        assert_eq!(us_at(62_500_000 * 1_000_000, 62_500_000), 1_000_000 * US_PER_S);
        assert_eq!(us_at(u64::MAX, 62_500_000), 295_147_905_179_352_825);
        assert_eq!(us_at(7, 0), 7);
    }
}
