//! The firmware's throttling flags: is the core's clock held back, and why; now, and at any time since boot.
//!
//! Source: Raspberry Pi documentation, `vcgencmd get_throttled`.

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// Throttling flags. The upper half is sticky until the next boot.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Throttled: u32 {
        /// The supply is below 4.63 V.
        const UNDER_VOLTAGE = 1 << 0;
        /// The Arm frequency is capped.
        const FREQUENCY_CAPPED = 1 << 1;
        /// The Arm frequency is held down.
        const THROTTLED = 1 << 2;
        /// The soft temperature limit is active.
        const SOFT_TEMPERATURE_LIMIT = 1 << 3;
        /// The supply was too low.
        const UNDER_VOLTAGE_OCCURRED = 1 << 16;
        /// The frequency was capped.
        const FREQUENCY_CAPPED_OCCURRED = 1 << 17;
        /// The frequency was held down.
        const THROTTLED_OCCURRED = 1 << 18;
        /// The soft temperature limit was active.
        const SOFT_TEMPERATURE_LIMIT_OCCURRED = 1 << 19;
    }
}

const WORDS: [(Throttled, &str); 8] = [
    (Throttled::UNDER_VOLTAGE, "under-voltage now"),
    (Throttled::FREQUENCY_CAPPED, "frequency capped now"),
    (Throttled::THROTTLED, "throttled now"),
    (Throttled::SOFT_TEMPERATURE_LIMIT, "soft temperature limit now"),
    (Throttled::UNDER_VOLTAGE_OCCURRED, "under-voltage since boot"),
    (Throttled::FREQUENCY_CAPPED_OCCURRED, "frequency capped since boot"),
    (Throttled::THROTTLED_OCCURRED, "throttled since boot"),
    (Throttled::SOFT_TEMPERATURE_LIMIT_OCCURRED, "soft temperature limit since boot"),
];

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (*self & Throttled::all()).is_empty() {
            return f.write_str("never throttled");
        }
        let mut separator = "";
        for (_, words) in WORDS.iter().filter(|(flag, _)| self.contains(*flag)) {
            write!(f, "{separator}{words}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(Throttled::from_bits_retain(0).to_string(), "never throttled");
        assert_eq!(Throttled::from_bits_retain(1 << 8).to_string(), "never throttled");
        let text = Throttled::from_bits_retain(0x5_0005).to_string();
        assert_eq!(text, "under-voltage now, throttled now, under-voltage since boot, throttled since boot");
        let all = WORDS.iter().fold(Throttled::empty(), |all, (flag, _)| all | *flag);
        assert_eq!(all, Throttled::all());
    }
}
