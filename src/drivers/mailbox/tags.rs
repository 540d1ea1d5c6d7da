//! The properties that can be asked for, by name and with their units.
//!
//! Source: Raspberry Pi firmware wiki, "Mailbox property interface"; tag numbers beside the names below.

use super::throttled::Throttled;
use super::{Mailbox, MailboxError};
use crate::platform::board::BoardRevision;

const FIRMWARE_REVISION: u32 = 0x0000_0001;
const BOARD_REVISION: u32 = 0x0001_0002;
const MAC_ADDRESS: u32 = 0x0001_0003;
const BOARD_SERIAL: u32 = 0x0001_0004;
const ARM_MEMORY: u32 = 0x0001_0005;
const VC_MEMORY: u32 = 0x0001_0006;
const POWER_STATE: u32 = 0x0002_0001;
const CLOCK_RATE: u32 = 0x0003_0002;
const MAX_CLOCK_RATE: u32 = 0x0003_0004;
const TEMPERATURE: u32 = 0x0003_0006;
const MAX_TEMPERATURE: u32 = 0x0003_000a;
const GET_THROTTLED: u32 = 0x0003_0046;
const CLOCK_RATE_MEASURED: u32 = 0x0003_0047;
const COMMAND_LINE: u32 = 0x0005_0001;

/// The only sensor that the temperature tags know.
const SOC_SENSOR: u32 = 0;

/// A clock that the firmware runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Clock {
    /// The first SD controller.
    Emmc = 1,
    /// The PL011.
    Uart = 2,
    /// The four cores.
    Arm = 3,
    /// The VideoCore, its L2 cache, and the mini UART.
    Core = 4,
    /// The SD card's controller of the Pi 4.
    Emmc2 = 12,
}

/// A device whose power the firmware switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum PowerDevice {
    /// The SD card.
    SdCard = 0,
    /// The PL011.
    Uart0 = 1,
}

/// A range of physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First byte.
    pub base: u32,
    /// Bytes.
    pub size_bytes: u32,
}

/// Context of all methods here: as [`Mailbox::call`].
impl Mailbox {
    /// Date of the firmware's build, as a Unix time.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn firmware_revision(&mut self) -> Result<u32, MailboxError> {
        self.call(FIRMWARE_REVISION, &[]).map(|[revision]| revision)
    }

    /// Model, memory and processor of the board.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn board_revision(&mut self) -> Result<BoardRevision, MailboxError> {
        self.call(BOARD_REVISION, &[]).map(|[code]| BoardRevision::new(code))
    }

    /// Serial number of the board.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn board_serial(&mut self) -> Result<u64, MailboxError> {
        self.call(BOARD_SERIAL, &[]).map(|[low, high]| u64::from(low) | u64::from(high) << 32)
    }

    /// Ethernet address of the board.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn mac_address(&mut self) -> Result<[u8; 6], MailboxError> {
        let mut bytes = [0; 8];
        // Six bytes, no multiple of a word: the length check is for the words they are in.
        let [low, high] = self.call_padded(MAC_ADDRESS, 6)?;
        bytes[..4].copy_from_slice(&low.to_le_bytes());
        bytes[4..].copy_from_slice(&high.to_le_bytes());
        let [a, b, c, d, e, f, ..] = bytes;
        Ok([a, b, c, d, e, f])
    }

    /// The memory below 1 GiB that the firmware leaves to the cores.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn arm_memory(&mut self) -> Result<MemoryRange, MailboxError> {
        self.call(ARM_MEMORY, &[]).map(|[base, size_bytes]| MemoryRange { base, size_bytes })
    }

    /// The memory that the VideoCore keeps for itself.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn vc_memory(&mut self) -> Result<MemoryRange, MailboxError> {
        self.call(VC_MEMORY, &[]).map(|[base, size_bytes]| MemoryRange { base, size_bytes })
    }

    /// Temperature of the chip in thousandths of a degree Celsius.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn temperature_millicelsius(&mut self) -> Result<u32, MailboxError> {
        self.call(TEMPERATURE, &[SOC_SENSOR]).map(|[_, temperature]| temperature)
    }

    /// The temperature above which the firmware throttles, in thousandths of a degree.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn max_temperature_millicelsius(&mut self) -> Result<u32, MailboxError> {
        self.call(MAX_TEMPERATURE, &[SOC_SENSOR]).map(|[_, temperature]| temperature)
    }

    /// The rate a clock is set to, in Hz; 0 if it is off or not there.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn clock_rate_hz(&mut self, clock: Clock) -> Result<u32, MailboxError> {
        self.call(CLOCK_RATE, &[clock as u32]).map(|[_, hz]| hz)
    }

    /// The rate a clock was measured to have, in Hz. QEMU does not answer.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn measured_clock_rate_hz(&mut self, clock: Clock) -> Result<u32, MailboxError> {
        self.call(CLOCK_RATE_MEASURED, &[clock as u32]).map(|[_, hz]| hz)
    }

    /// The highest rate a clock can be set to, in Hz.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn max_clock_rate_hz(&mut self, clock: Clock) -> Result<u32, MailboxError> {
        self.call(MAX_CLOCK_RATE, &[clock as u32]).map(|[_, hz]| hz)
    }

    /// Whether the cores are, or were, held back. The sticky flags are left set.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn throttled(&mut self) -> Result<Throttled, MailboxError> {
        // The value is a mask of sticky flags to clear: none.
        self.call(GET_THROTTLED, &[0]).map(|[flags]| Throttled::from_bits_retain(flags))
    }

    /// Whether a device has power; `None` if there is no such device.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub fn is_powered(&mut self, device: PowerDevice) -> Result<Option<bool>, MailboxError> {
        const ON: u32 = 1 << 0;
        const ABSENT: u32 = 1 << 1;
        let [_, state] = self.call(POWER_STATE, &[device as u32])?;
        Ok((state & ABSENT == 0).then_some(state & ON != 0))
    }

    /// Copies the kernel's command line to `text` and returns its length; it ends before the first NUL.
    ///
    /// # Errors
    /// See [`MailboxError`]; `TooLong` also if `text` is too small.
    pub fn command_line(&mut self, text: &mut [u8]) -> Result<usize, MailboxError> {
        self.call_text(COMMAND_LINE, text)
    }
}
