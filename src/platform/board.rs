//! The board's revision code: model, memory, manufacturer and PCB revision in 24 bits.
//!
//! The firmware reports it through the mailbox (and the device tree's `linux,revision`). It is the one fact about the size of memory that does not
//! depend on what somebody wrote into a device tree, so the memory map is checked against it.
//!
//! ```text
//! bit  31..24  warranty, overvoltage and OTP: no matter here      15..12  processor
//!      23      new style                                          11..4   model
//!      22..20  memory: 256 MiB << n                               3..0    revision of the circuit board
//!      19..16  manufacturer
//! ```
//!
//! Codes without bit 23 belong to boards before the Pi 2 and cannot occur on the machine this kernel is for.
//! Source: Raspberry Pi documentation, "Raspberry Pi revision codes".

use core::fmt;

/// The smallest memory that the field can say.
const SMALLEST_MEMORY: u64 = 256 << 20;

/// A revision code as the firmware reports it, such as 0xb03115.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct BoardRevision(u32);

/// The chip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Processor {
    Bcm2835,
    Bcm2836,
    Bcm2837,
    Bcm2711,
    Bcm2712,
}

impl BoardRevision {
    /// The code `code`.
    #[must_use]
    pub const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The code as a bare integer.
    #[must_use]
    pub const fn code(self) -> u32 {
        self.0
    }

    /// Whether the fields mean anything: new-style codes only.
    #[must_use]
    pub const fn is_new_style(self) -> bool {
        self.0 & 1 << 23 != 0
    }

    const fn field(self, shift: u32, bits: u32) -> Option<usize> {
        if self.is_new_style() { Some((self.0 >> shift & ((1 << bits) - 1)) as usize) } else { None }
    }

    /// All RAM of the board in bytes, the VideoCore's share included.
    #[must_use]
    pub const fn memory_bytes(self) -> Option<u64> {
        match self.field(20, 3) {
            // 7 has no meaning yet.
            Some(size) if size < 7 => Some(SMALLEST_MEMORY << size),
            _ => None,
        }
    }

    /// Who built the board.
    #[must_use]
    pub const fn manufacturer(self) -> Option<&'static str> {
        match self.field(16, 4) {
            Some(0) => Some("Sony UK"),
            Some(1) => Some("Egoman"),
            Some(2 | 4) => Some("Embest"),
            Some(3) => Some("Sony Japan"),
            Some(5) => Some("Stadium"),
            _ => None,
        }
    }

    /// The chip on the board.
    #[must_use]
    pub const fn processor(self) -> Option<Processor> {
        match self.field(12, 4) {
            Some(0) => Some(Processor::Bcm2835),
            Some(1) => Some(Processor::Bcm2836),
            Some(2) => Some(Processor::Bcm2837),
            Some(3) => Some(Processor::Bcm2711),
            Some(4) => Some(Processor::Bcm2712),
            _ => None,
        }
    }

    /// Whether the chip is the one that this kernel drives.
    #[must_use]
    pub fn is_bcm2711(self) -> bool {
        self.processor() == Some(Processor::Bcm2711)
    }

    /// The name of the model, without "Raspberry Pi".
    #[must_use]
    pub const fn model(self) -> Option<&'static str> {
        match self.field(4, 8) {
            Some(model) => model_name(model),
            None => None,
        }
    }

    /// The minor number of the circuit board's revision: 5 of "Rev 1.5".
    #[must_use]
    pub const fn pcb_revision(self) -> Option<u8> {
        match self.field(0, 4) {
            Some(revision) => Some(revision as u8),
            None => None,
        }
    }
}

const fn model_name(model: usize) -> Option<&'static str> {
    Some(match model {
        0x00 => "Model A",
        0x01 => "Model B",
        0x02 => "Model A+",
        0x03 => "Model B+",
        0x04 => "2 Model B",
        0x05 => "Alpha",
        0x06 => "Compute Module 1",
        0x08 => "3 Model B",
        0x09 => "Zero",
        0x0a => "Compute Module 3",
        0x0c => "Zero W",
        0x0d => "3 Model B+",
        0x0e => "3 Model A+",
        0x10 => "Compute Module 3+",
        0x11 => "4 Model B",
        0x12 => "Zero 2 W",
        0x13 => "400",
        0x14 => "Compute Module 4",
        0x15 => "Compute Module 4S",
        0x17 => "5",
        0x18 => "Compute Module 5",
        0x19 => "500",
        0x1a => "Compute Module 5 Lite",
        _ => return None,
    })
}

impl fmt::Display for BoardRevision {
    /// Prints `Raspberry Pi 4 Model B Rev 1.5, 2 GiB, Sony UK (b03115)`; what the code does not say is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.model() {
            Some(model) => write!(f, "Raspberry Pi {model}")?,
            None => f.write_str("unknown board")?,
        }
        if let Some(revision) = self.pcb_revision() {
            write!(f, " Rev 1.{revision}")?;
        }
        match self.memory_bytes() {
            Some(bytes) if bytes >= 1 << 30 => write!(f, ", {} GiB", bytes >> 30)?,
            Some(bytes) => write!(f, ", {} MiB", bytes >> 20)?,
            None => {}
        }
        if let Some(manufacturer) = self.manufacturer() {
            write!(f, ", {manufacturer}")?;
        }
        write!(f, " ({:x})", self.0)
    }
}

impl fmt::Debug for BoardRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoardRevision({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn published_codes_of_the_pi_4() {
        for (code, text) in [
            (0x00a0_3111, "Raspberry Pi 4 Model B Rev 1.1, 1 GiB, Sony UK (a03111)"),
            (0x00b0_3111, "Raspberry Pi 4 Model B Rev 1.1, 2 GiB, Sony UK (b03111)"),
            (0x00b0_3115, "Raspberry Pi 4 Model B Rev 1.5, 2 GiB, Sony UK (b03115)"),
            (0x00c0_3114, "Raspberry Pi 4 Model B Rev 1.4, 4 GiB, Sony UK (c03114)"),
            (0x00d0_3114, "Raspberry Pi 4 Model B Rev 1.4, 8 GiB, Sony UK (d03114)"),
            (0x00c0_3130, "Raspberry Pi 400 Rev 1.0, 4 GiB, Sony UK (c03130)"),
            (0x00a2_2082, "Raspberry Pi 3 Model B Rev 1.2, 1 GiB, Embest (a22082)"),
        ] {
            assert_eq!(BoardRevision::new(code).to_string(), text);
        }
        assert!(BoardRevision::new(0xb0_3115).is_bcm2711());
        assert!(!BoardRevision::new(0xa2_2082).is_bcm2711());
    }

    #[test]
    fn flag_bits_at_the_top_change_nothing() {
        assert_eq!(BoardRevision::new(0x82b0_3115).memory_bytes(), Some(2 << 30));
    }

    #[test]
    fn old_and_unknown_codes_say_little() {
        assert_eq!(BoardRevision::new(0x10).to_string(), "unknown board (10)");
        assert_eq!(BoardRevision::new(0x10).memory_bytes(), None);
        let all_ones = BoardRevision::new(u32::MAX);
        assert_eq!((all_ones.memory_bytes(), all_ones.model(), all_ones.manufacturer()), (None, None, None));
        assert_eq!(all_ones.to_string(), "unknown board Rev 1.15 (ffffffff)");
    }
}
