//! Pin numbers, settings of a pin, and sets of pins: pure values.

use core::fmt;

use crate::util::errno::Errno;

/// Why a pin could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpioError {
    /// The BCM2711 has pins 0 to 57.
    NoSuchPin(u8),
    /// Someone else owns it.
    Claimed(PinNumber),
}

impl From<GpioError> for Errno {
    fn from(error: GpioError) -> Errno {
        match error {
            GpioError::NoSuchPin(_) => Errno::ENXIO,
            GpioError::Claimed(_) => Errno::EBUSY,
        }
    }
}

impl fmt::Display for GpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GpioError::NoSuchPin(number) => write!(f, "there is no GPIO{number}"),
            GpioError::Claimed(pin) => write!(f, "{pin} has an owner already"),
        }
    }
}

/// The number of a pin: 0 to 57. Pins 0 to 27 are on the 40-pin header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinNumber(u8);

impl PinNumber {
    /// Number of pins.
    pub const COUNT: u8 = 58;

    /// Pin `number`.
    ///
    /// # Errors
    /// [`GpioError::NoSuchPin`] from 58 up.
    pub const fn new(number: u8) -> Result<PinNumber, GpioError> {
        if number < Self::COUNT { Ok(PinNumber(number)) } else { Err(GpioError::NoSuchPin(number)) }
    }

    /// Pin `number`, for constants.
    ///
    /// # Panics
    /// From 58 up; in a constant that is a compile error.
    #[must_use]
    pub const fn of(number: u8) -> PinNumber {
        assert!(number < Self::COUNT, "the BCM2711 has pins 0 to 57");
        PinNumber(number)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Index among registers that hold `per_register` pins of `width` bits each, and the position of the pin's lowest bit there.
    pub(in crate::drivers) const fn locate(self, per_register: usize, width: usize) -> (usize, usize) {
        (self.0 as usize / per_register, self.0 as usize % per_register * width)
    }
}

impl fmt::Display for PinNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GPIO{}", self.0)
    }
}

impl fmt::Debug for PinNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What drives a pin: software, or a device by one of six assignments (BCM2711 ARM Peripherals §5.2, GPFSEL; §5.3 for the assignments).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Function {
    /// Read by software.
    Input = 0b000,
    /// Driven by software.
    Output = 0b001,
    /// Assignment 0.
    Alt0 = 0b100,
    /// Assignment 1.
    Alt1 = 0b101,
    /// Assignment 2.
    Alt2 = 0b110,
    /// Assignment 3.
    Alt3 = 0b111,
    /// Assignment 4.
    Alt4 = 0b011,
    /// Assignment 5.
    Alt5 = 0b010,
}

impl Function {
    /// The function with these three bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Function {
        match bits & 0b111 {
            0b000 => Function::Input,
            0b001 => Function::Output,
            0b010 => Function::Alt5,
            0b011 => Function::Alt4,
            0b100 => Function::Alt0,
            0b101 => Function::Alt1,
            0b110 => Function::Alt2,
            _ => Function::Alt3,
        }
    }
}

/// The resistor at a pin (§5.2, GPIO_PUP_PDN_CNTRL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pull {
    /// None.
    Off = 0b00,
    /// To 3.3 V.
    Up = 0b01,
    /// To ground.
    Down = 0b10,
}

/// What a pin reports in the event status registers, and interrupts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detect {
    /// Low to high, sampled.
    RisingEdge,
    /// High to low, sampled.
    FallingEdge,
    /// Either way, sampled.
    BothEdges,
    /// High, for as long as it is.
    HighLevel,
    /// Low, for as long as it is.
    LowLevel,
    /// Low to high, without sampling: catches pulses shorter than the sampling clock.
    AsyncRisingEdge,
    /// High to low, without sampling.
    AsyncFallingEdge,
}

/// A set of pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PinSet(u64);

impl PinSet {
    /// The set without pins.
    pub const EMPTY: PinSet = PinSet(0);

    /// The set of the pins whose bits are set in two registers, one for pins 0-31 and one for the rest; bits without a pin are dropped.
    #[must_use]
    pub const fn from_registers(low: u32, high: u32) -> PinSet {
        PinSet((low as u64 | (high as u64) << 32) & ((1 << PinNumber::COUNT) - 1))
    }

    /// The bits for pins 0-31, and for the rest.
    #[must_use]
    pub const fn to_registers(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }

    /// The set with `pin` added.
    #[must_use]
    pub const fn with(self, pin: PinNumber) -> PinSet {
        PinSet(self.0 | 1 << pin.0)
    }

    /// The set with `pin` taken out.
    #[must_use]
    pub const fn without(self, pin: PinNumber) -> PinSet {
        PinSet(self.0 & !(1 << pin.0))
    }

    /// Whether `pin` is in the set.
    #[must_use]
    pub const fn contains(self, pin: PinNumber) -> bool {
        self.0 >> pin.0 & 1 != 0
    }

    /// Whether no pin is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Iterator for PinSet {
    type Item = PinNumber;

    /// Takes the lowest pin out of the set.
    fn next(&mut self) -> Option<PinNumber> {
        let lowest = PinNumber::new(self.0.trailing_zeros() as u8).ok()?;
        *self = self.without(lowest);
        Some(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pins_end_at_57() {
        assert_eq!(PinNumber::new(57).map(PinNumber::get), Ok(57));
        assert_eq!(PinNumber::new(58), Err(GpioError::NoSuchPin(58)));
        assert_eq!(PinNumber::of(42).locate(10, 3), (4, 6));
        assert_eq!(PinNumber::of(57).locate(16, 2), (3, 18));
    }

    #[test]
    fn every_function_reads_back() {
        for bits in 0..8 {
            assert_eq!(Function::from_bits(bits) as u32, bits);
        }
    }

    proptest! {
        #[test]
        fn sets_hold_what_was_put_in(low: u32, high: u32) {
            let set = PinSet::from_registers(low, high);
            let pins: Vec<u8> = set.map(PinNumber::get).collect();
            let expected: Vec<u8> = (0..58).filter(|&n| if n < 32 { low >> n & 1 != 0 } else { high >> (n - 32) & 1 != 0 }).collect();
            prop_assert_eq!(&pins, &expected);
            let again = pins.iter().fold(PinSet::EMPTY, |set, &n| set.with(PinNumber::of(n)));
            prop_assert_eq!(again.to_registers(), [low, high & 0x03ff_ffff]);
        }
    }
}
