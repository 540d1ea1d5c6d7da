//! Verdicts of the boot audit on the devices: pure functions from what was read to `ok` or a warning.
//!
//! The drivers take snapshots, these functions judge them, and the table of the audit prints what they say. So each rule that a real Pi must
//! obey (and that QEMU would never break) is tested on a PC with the values of a bad board.
//!
//! Context: any, throughout. Neighbours: the snapshot types of the drivers. Source: each driver's head.

use core::fmt;

use super::gicv2::{DEFAULT_PRIORITY, GroupSnapshot};
use super::gpio::{CONSOLE_FUNCTION, ConsolePinSnapshot, PinSet};
use super::mailbox::{MailboxError, Throttled};
use super::pl011::{Divisor, LineSnapshot};
use crate::platform::board::BoardRevision;

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be, or not known.
    Warn(Reason),
}

/// Why a check warns. Prints as one line without the name of the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The firmware did not tell.
    NotKnown(MailboxError),
    /// The UART, its transmitter or its receiver is off.
    UartOff,
    /// The UART's FIFOs are off.
    NoFifo,
    /// The divisor does not make the wanted rate out of the clock.
    BaudOff {
        /// Deviation in parts per million.
        error_ppm: u64,
        /// The rate that comes out.
        actual_baud: u32,
    },
    /// The divisor is no divisor.
    BadDivisor,
    /// Header pins 8 and 10 are not the PL011's.
    ConsolePinsElsewhere,
    /// Pins beside the console's are connected to the PL011.
    PinsShared(PinSet),
    /// Lines belong to the secure side, and this software cannot use them.
    SecureLines,
    /// The GIC shows the secure view: this is not the non-secure state.
    SecureView,
    /// The priority mask lets nothing through.
    AllMasked,
    /// The counter's frequency is neither the Pi's nor QEMU's.
    CounterFrequency(u64),
    /// The board is not one with a BCM2711.
    OtherBoard(BoardRevision),
    /// The board has another memory size than the kernel found.
    MemoryDiffers {
        /// By the board's revision code.
        board_bytes: u64,
        /// By the kernel's map, the VideoCore's share included.
        found_bytes: u64,
    },
    /// Throttled, now or before.
    Throttled(Throttled),
    /// Hot.
    Temperature {
        /// Now.
        millicelsius: u32,
        /// Where the firmware begins to throttle.
        limit_millicelsius: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::NotKnown(error) => write!(f, "not known: {error}"),
            Reason::UartOff => f.write_str("the UART is off"),
            Reason::NoFifo => f.write_str("the UART's FIFOs are off"),
            Reason::BaudOff { error_ppm, actual_baud } => {
                write!(f, "the line runs at {actual_baud} baud, {}.{} % off", error_ppm / 10_000, error_ppm / 1_000 % 10)
            }
            Reason::BadDivisor => f.write_str("the baud rate divisor is invalid"),
            Reason::ConsolePinsElsewhere => f.write_str("GPIO14 and GPIO15 are not connected to the PL011"),
            Reason::PinsShared(pins) => {
                f.write_str("also connected to the PL011:")?;
                pins.into_iter().try_for_each(|pin| write!(f, " {pin}"))
            }
            Reason::SecureLines => f.write_str("interrupts are in group 0 and belong to the secure side"),
            Reason::SecureView => f.write_str("the GIC shows its secure view"),
            Reason::AllMasked => f.write_str("the priority mask lets no interrupt through"),
            Reason::CounterFrequency(hz) => write!(f, "CNTFRQ says {hz} Hz, neither 54 MHz (Pi 4) nor 62.5 MHz (QEMU)"),
            Reason::OtherBoard(board) => write!(f, "{board}: not a board with a BCM2711"),
            Reason::MemoryDiffers { board_bytes, found_bytes } => {
                write!(f, "the board has {} MiB, the memory map {} MiB", board_bytes >> 20, found_bytes >> 20)
            }
            Reason::Throttled(flags) => write!(f, "{flags}"),
            Reason::Temperature { millicelsius, limit_millicelsius } => {
                write!(f, "{} C, the firmware throttles at {} C", millicelsius / 1000, limit_millicelsius / 1000)
            }
        }
    }
}

/// Deviation of the baud rate that a receiver still tolerates with margin: half of the 4 % that a frame of ten bits allows in theory, for
/// the other side has its own error.
const MAX_BAUD_ERROR_PPM: u64 = 20_000;
/// Warn this much below the throttling temperature.
const TEMPERATURE_MARGIN_MILLICELSIUS: u32 = 5_000;
/// Counter frequencies of the two machines.
const KNOWN_COUNTERS_HZ: [u64; 2] = [54_000_000, 62_500_000];

/// Is the UART on, and does its divisor make `baud` out of the clock that the firmware reports?
#[must_use]
pub fn uart_clock(line: &LineSnapshot, clock_hz: Result<u32, MailboxError>, baud: u32) -> Verdict {
    if !line.is_enabled {
        return Verdict::Warn(Reason::UartOff);
    }
    if !line.has_fifo {
        return Verdict::Warn(Reason::NoFifo);
    }
    let Some(divisor) = Divisor::from_64ths(line.divisor_64ths) else {
        return Verdict::Warn(Reason::BadDivisor);
    };
    let clock_hz = match clock_hz {
        Ok(clock_hz) => clock_hz,
        Err(error) => return Verdict::Warn(Reason::NotKnown(error)),
    };
    let error_ppm = divisor.error_ppm(clock_hz, baud);
    if error_ppm > MAX_BAUD_ERROR_PPM {
        return Verdict::Warn(Reason::BaudOff { error_ppm, actual_baud: divisor.actual_baud(clock_hz) });
    }
    Verdict::Ok
}

/// Is the PL011 on header pins 8 and 10, and nowhere else? (The firmware gives it to the Bluetooth chip on 30-33.)
#[must_use]
pub fn uart_pins(pins: &ConsolePinSnapshot) -> Verdict {
    if pins.console != [CONSOLE_FUNCTION; 2] {
        Verdict::Warn(Reason::ConsolePinsElsewhere)
    } else if !pins.others.is_empty() {
        Verdict::Warn(Reason::PinsShared(pins.others))
    } else {
        Verdict::Ok
    }
}

/// May this core use its interrupts? Without a security extension (QEMU) there are no sides, and the group does not matter.
#[must_use]
pub fn gic_group(group: &GroupSnapshot) -> Verdict {
    if group.has_security_extension && group.group0_word != 0 {
        Verdict::Warn(Reason::SecureView)
    } else if group.sgi_priority != DEFAULT_PRIORITY {
        // Non-secure writes to a line of group 0 are ignored, and it reads as zero (ARM IHI 0048B §4.3.11).
        Verdict::Warn(Reason::SecureLines)
    } else if group.priority_mask <= DEFAULT_PRIORITY {
        Verdict::Warn(Reason::AllMasked)
    } else {
        Verdict::Ok
    }
}

/// Is the counter's frequency that of a machine we know? The register is only as good as the firmware that wrote it.
#[must_use]
pub fn counter_frequency(frequency_hz: u64) -> Verdict {
    if KNOWN_COUNTERS_HZ.contains(&frequency_hz) { Verdict::Ok } else { Verdict::Warn(Reason::CounterFrequency(frequency_hz)) }
}

/// Is it a board with a BCM2711?
#[must_use]
pub fn board(revision: Result<BoardRevision, MailboxError>) -> Verdict {
    match revision {
        Ok(revision) if revision.is_bcm2711() => Verdict::Ok,
        Ok(revision) => Verdict::Warn(Reason::OtherBoard(revision)),
        Err(error) => Verdict::Warn(Reason::NotKnown(error)),
    }
}

/// Does the memory map, with the VideoCore's share and the device window below 4 GiB, add up to what the board has?
///
/// `found_bytes` is all memory the kernel knows of, reserved memory included. A map may be short by what firmware and device window hide
/// (at most 128 MiB), but never too long.
#[must_use]
pub fn board_memory(revision: Result<BoardRevision, MailboxError>, found_bytes: u64) -> Verdict {
    const HIDDEN_BYTES: u64 = 128 << 20;
    match revision.map(BoardRevision::memory_bytes) {
        Ok(Some(board_bytes)) if (board_bytes - HIDDEN_BYTES..=board_bytes).contains(&found_bytes) => Verdict::Ok,
        Ok(Some(board_bytes)) => Verdict::Warn(Reason::MemoryDiffers { board_bytes, found_bytes }),
        Ok(None) => Verdict::Warn(Reason::NotKnown(MailboxError::BadResponse)),
        Err(error) => Verdict::Warn(Reason::NotKnown(error)),
    }
}

/// Has the firmware slowed the cores down, now or since boot?
#[must_use]
pub fn throttling(flags: Result<Throttled, MailboxError>) -> Verdict {
    match flags {
        Ok(flags) if !flags.intersects(Throttled::all()) => Verdict::Ok,
        Ok(flags) => Verdict::Warn(Reason::Throttled(flags)),
        // Firmware that does not know the tag (QEMU) does not throttle either.
        Err(MailboxError::TagNotAnswered) => Verdict::Ok,
        Err(error) => Verdict::Warn(Reason::NotKnown(error)),
    }
}

/// Is the chip well below the temperature at which it is throttled?
#[must_use]
pub fn temperature(millicelsius: Result<u32, MailboxError>, limit: Result<u32, MailboxError>) -> Verdict {
    match (millicelsius, limit) {
        (Ok(now), Ok(limit)) if now.saturating_add(TEMPERATURE_MARGIN_MILLICELSIUS) <= limit => Verdict::Ok,
        (Ok(millicelsius), Ok(limit_millicelsius)) => Verdict::Warn(Reason::Temperature { millicelsius, limit_millicelsius }),
        (Err(error), _) | (_, Err(error)) => Verdict::Warn(Reason::NotKnown(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::gpio::{Function, PinNumber};

    const LINE: LineSnapshot = LineSnapshot { divisor_64ths: 26 * 64 + 3, is_enabled: true, has_fifo: true };
    const GROUP: GroupSnapshot =
        GroupSnapshot { has_security_extension: true, group0_word: 0, sgi_priority: DEFAULT_PRIORITY, priority_mask: 0xf0 };

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Ok => String::from("ok"),
            Verdict::Warn(reason) => reason.to_string(),
        }
    }

    #[test]
    fn uart() {
        assert_eq!(uart_clock(&LINE, Ok(48_000_000), 115_200), Verdict::Ok);
        assert_eq!(reason(uart_clock(&LINE, Ok(50_000_000), 115_200)), "the line runs at 119976 baud, 4.1 % off");
        assert_eq!(uart_clock(&LINE, Err(MailboxError::Timeout), 115_200), Verdict::Warn(Reason::NotKnown(MailboxError::Timeout)));
        assert_eq!(uart_clock(&LineSnapshot { is_enabled: false, ..LINE }, Ok(0), 115_200), Verdict::Warn(Reason::UartOff));
        assert_eq!(uart_clock(&LineSnapshot { has_fifo: false, ..LINE }, Ok(0), 115_200), Verdict::Warn(Reason::NoFifo));
        assert_eq!(uart_clock(&LineSnapshot { divisor_64ths: 0, ..LINE }, Ok(0), 115_200), Verdict::Warn(Reason::BadDivisor));
        assert!(matches!(uart_clock(&LINE, Ok(0), 115_200), Verdict::Warn(Reason::BaudOff { .. })));
        assert!(matches!(uart_clock(&LINE, Ok(48_000_000), 0), Verdict::Warn(Reason::BaudOff { .. })));
    }

    #[test]
    fn pins() {
        let good = ConsolePinSnapshot { console: [Function::Alt0; 2], others: PinSet::EMPTY };
        assert_eq!(uart_pins(&good), Verdict::Ok);
        let bluetooth = PinSet::EMPTY.with(PinNumber::of(32)).with(PinNumber::of(33));
        assert_eq!(reason(uart_pins(&ConsolePinSnapshot { others: bluetooth, ..good })), "also connected to the PL011: GPIO32 GPIO33");
        let mini_uart = ConsolePinSnapshot { console: [Function::Alt5; 2], ..good };
        assert_eq!(uart_pins(&mini_uart), Verdict::Warn(Reason::ConsolePinsElsewhere));
    }

    #[test]
    fn groups() {
        assert_eq!(gic_group(&GROUP), Verdict::Ok);
        let qemu = GroupSnapshot { has_security_extension: false, group0_word: 0, priority_mask: 0xff, ..GROUP };
        assert_eq!(gic_group(&qemu), Verdict::Ok);
        assert_eq!(gic_group(&GroupSnapshot { group0_word: u32::MAX, ..GROUP }), Verdict::Warn(Reason::SecureView));
        assert_eq!(gic_group(&GroupSnapshot { sgi_priority: 0, ..GROUP }), Verdict::Warn(Reason::SecureLines));
        assert_eq!(gic_group(&GroupSnapshot { priority_mask: 0, ..GROUP }), Verdict::Warn(Reason::AllMasked));
    }

    #[test]
    fn counters() {
        assert_eq!(counter_frequency(54_000_000), Verdict::Ok);
        assert_eq!(counter_frequency(62_500_000), Verdict::Ok);
        assert_eq!(counter_frequency(0), Verdict::Warn(Reason::CounterFrequency(0)));
    }

    #[test]
    fn boards_and_their_memory() {
        let pi_4 = |code| Ok(BoardRevision::new(code));
        assert_eq!(board(pi_4(0xb0_3115)), Verdict::Ok);
        assert_eq!(reason(board(pi_4(0xa0_2082))), "Raspberry Pi 3 Model B Rev 1.2, 1 GiB, Sony UK (a02082): not a board with a BCM2711");
        for (code, bytes) in [(0xa0_3111, 1 << 30), (0xb0_3115, 2 << 30), (0xc0_3114, 4 << 30), (0xd0_3114, 8 << 30)] {
            assert_eq!(board_memory(pi_4(code), bytes), Verdict::Ok);
            assert_eq!(board_memory(pi_4(code), bytes - (64 << 20)), Verdict::Ok);
            assert!(matches!(board_memory(pi_4(code), bytes / 2), Verdict::Warn(Reason::MemoryDiffers { .. })));
            assert!(matches!(board_memory(pi_4(code), bytes + 1), Verdict::Warn(Reason::MemoryDiffers { .. })));
        }
        assert!(matches!(board_memory(pi_4(0), 1 << 30), Verdict::Warn(Reason::NotKnown(_))));
    }

    #[test]
    fn heat_and_throttling() {
        assert_eq!(throttling(Ok(Throttled::empty())), Verdict::Ok);
        assert_eq!(throttling(Err(MailboxError::TagNotAnswered)), Verdict::Ok);
        assert_eq!(reason(throttling(Ok(Throttled::from_bits_retain(0x5_0000)))), "under-voltage since boot, throttled since boot");
        assert_eq!(temperature(Ok(45_000), Ok(85_000)), Verdict::Ok);
        assert_eq!(reason(temperature(Ok(81_000), Ok(85_000))), "81 C, the firmware throttles at 85 C");
        assert!(matches!(temperature(Ok(u32::MAX), Ok(85_000)), Verdict::Warn(Reason::Temperature { .. })));
    }
}
