//! The serial port: ARM PrimeCell UART (PL011), eight bits, no parity, one stop bit.
//!
//! Received characters come out as typed events, so that a break (SysRq) and a lost character cannot be mistaken for data. Transmission
//! has three forms: polled ([`Pl011::write_byte`]), as much as fits ([`Pl011::try_write_byte`], for a transmit interrupt), and the
//! lock-free [`PanicPort`]. Receive level and receive timeout interrupt together: the first under load, the second for the last few
//! characters typed.
//!
//! The transmit interrupt is an edge made when the FIFO *drains through* its level (DDI 0183G §2.8.3): enabling it on an empty FIFO
//! raises nothing. So the order is: fill the FIFO, then enable, and disable when there is nothing more to send.
//!
//! The clock is the firmware's. `config.txt` pins it (`init_uart_clock`); the mailbox tells it; the caller passes it in.
//!
//! Source: ARM DDI 0183G; BCM2711 ARM Peripherals §11 (no IrDA, no DMA, 16-entry FIFOs as in revision r1p5).

mod baud;
mod panic_port;
mod registers;

use arrayvec::ArrayVec;
use tock_registers::LocalRegisterCopy;
use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

use super::mmio::Mmio;
use registers::{ALL_INTERRUPTS, CR, DR, FBRD, FR, IBRD, IFLS, INTERRUPT, LCR_H, Registers};

pub use baud::{BaudError, Divisor};
pub use panic_port::PanicPort;

/// Polls that the driver waits for the transmitter before it takes it as stuck; about 20 character times on the Pi, see
/// [`PanicPort::panic_putc`].
const MAX_POLLS: u32 = 20_000;
/// Entries of each FIFO.
pub const FIFO_DEPTH: usize = 16;
/// Characters received before the set-up that are kept.
const EARLY_MAX: usize = 256;

/// What came in, or went wrong, on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxEvent {
    /// A character.
    Byte(u8),
    /// The line was held low for longer than a character: the sender's attention signal.
    Break,
    /// A character without a stop bit, as received.
    FramingError(u8),
    /// A character with wrong parity, as received.
    ParityError(u8),
    /// A good character, but the FIFO was full and one or more characters were lost around it.
    Overrun(u8),
}

impl RxEvent {
    /// Reads an event out of a value of the data register.
    ///
    /// A break also reads as a framing error with data 0, so it is looked at first (§3.3.1). An overrun comes last: the character that
    /// carries it is itself as good as its other bits say.
    ///
    /// Context: any.
    #[must_use]
    pub fn decode(data: u32) -> RxEvent {
        let data = LocalRegisterCopy::<u32, DR::Register>::new(data);
        let byte = data.read(DR::DATA) as u8;
        if data.is_set(DR::BE) {
            RxEvent::Break
        } else if data.is_set(DR::FE) {
            RxEvent::FramingError(byte)
        } else if data.is_set(DR::PE) {
            RxEvent::ParityError(byte)
        } else if data.is_set(DR::OE) {
            RxEvent::Overrun(byte)
        } else {
            RxEvent::Byte(byte)
        }
    }
}

/// Interrupt causes that were pending and are now acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes {
    /// Something is to be read: characters, or an error.
    pub receive: bool,
    /// There is room to send.
    pub transmit: bool,
}

/// The transmitter did not take a character in time: no clock, or the UART is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxStuck;

/// What the audit looks at. See [`super::audit::uart_clock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSnapshot {
    /// `IBRD` and `FBRD` as one number of 64ths.
    pub divisor_64ths: u32,
    /// UART, transmitter and receiver are on.
    pub is_enabled: bool,
    /// The FIFOs are on.
    pub has_fifo: bool,
}

/// Takes the next event out of the receive FIFO.
#[inline]
fn received(registers: &Registers) -> Option<RxEvent> {
    if registers.fr.is_set(FR::RXFE) { None } else { Some(RxEvent::decode(registers.dr.get())) }
}

/// A serial port.
///
/// Its methods take `&mut self`: testing for room and writing are two accesses, and the interrupt mask has no set and clear pair.
pub struct Pl011 {
    registers: Mmio<Registers>,
}

impl Pl011 {
    /// Takes the UART.
    ///
    /// # Safety
    /// `base` is the virtual address of a PL011, mapped as device memory for ever, and no one else drives it but a [`PanicPort`].
    #[must_use]
    pub const unsafe fn new(base: usize) -> Pl011 {
        // SAFETY: the caller's promise.
        Pl011 { registers: unsafe { Mmio::new(base) } }
    }

    /// Sets the rate, eight bits without parity, FIFOs and the receive interrupts; the transmit interrupt is left off.
    ///
    /// The order is the manual's (§3.3.8 and §3.3.7): let the transmitter finish, disable, flush the FIFO by turning it off, divisor,
    /// then line control, whose write makes the divisor take effect, then enable.
    ///
    /// Gives what was received before: a script's first characters may be there already, and a change of FEN empties the FIFO. So it is read
    /// immediately before each change.
    ///
    /// Context: any; waits up to some tens of milliseconds for characters that the firmware still sends.
    pub fn init(&mut self, divisor: Divisor) -> ArrayVec<RxEvent, EARLY_MAX> {
        // If it is stuck, there is nothing to wait for, and the new setting may help.
        let _ = self.flush();
        let r = &*self.registers;
        r.imsc.set(0);
        r.cr.set(0);
        let mut early = ArrayVec::new();
        early.extend(core::iter::from_fn(|| received(r)).take(FIFO_DEPTH));
        r.lcr_h.set(0);
        r.icr.set(ALL_INTERRUPTS);
        r.ecr.set(0);
        r.dmacr.set(0);
        r.ibrd.write(IBRD::DIVINT.val(divisor.integer()));
        r.fbrd.write(FBRD::DIVFRAC.val(divisor.fraction()));
        // Under an emulator each read lets in the next character of what was typed or piped ahead.
        early.extend(core::iter::from_fn(|| received(r)).take(EARLY_MAX - FIFO_DEPTH));
        r.lcr_h.write(LCR_H::WLEN::EightBits + LCR_H::FEN::SET);
        // Early to refill, late to collect: the transmitter never runs dry, and typed characters come by the timeout.
        r.ifls.write(IFLS::TXIFLSEL::OneEighth + IFLS::RXIFLSEL::Half);
        r.imsc.write(receive_interrupts());
        r.cr.write(CR::UARTEN::SET + CR::TXE::SET + CR::RXE::SET);
        early
    }

    /// Sends a byte if there is room. Returns whether it was taken.
    ///
    /// Context: any.
    #[inline]
    pub fn try_write_byte(&mut self, byte: u8) -> bool {
        let has_room = !self.registers.fr.is_set(FR::TXFF);
        if has_room {
            self.registers.dr.set(u32::from(byte));
        }
        has_room
    }

    /// Sends a byte, waiting for room.
    ///
    /// # Errors
    /// [`TxStuck`] if none comes within about 20 character times; the byte is dropped.
    ///
    /// Context: any; spins.
    pub fn write_byte(&mut self, byte: u8) -> Result<(), TxStuck> {
        if poll(MAX_POLLS, || self.try_write_byte(byte)) { Ok(()) } else { Err(TxStuck) }
    }

    /// Waits until all that was written has left the UART.
    ///
    /// # Errors
    /// [`TxStuck`] if it does not.
    ///
    /// Context: any; spins, up to the time of a full FIFO.
    pub fn flush(&mut self) -> Result<(), TxStuck> {
        let flags = &self.registers.fr;
        let has_left = || flags.is_set(FR::TXFE) && !flags.is_set(FR::BUSY);
        if poll(FIFO_DEPTH as u32 * MAX_POLLS, has_left) { Ok(()) } else { Err(TxStuck) }
    }

    /// Takes the next event out of the receive FIFO.
    ///
    /// Context: any.
    #[inline]
    pub fn read_event(&mut self) -> Option<RxEvent> {
        received(&self.registers)
    }

    /// Acknowledges what interrupted, and says what is to be done: read until [`Pl011::read_event`] is `None`, or refill.
    ///
    /// Acknowledging comes before the work, so that what arrives during it interrupts again.
    ///
    /// Context: hardirq.
    pub fn take_causes(&mut self) -> Causes {
        let pending = self.registers.mis.extract();
        self.registers.icr.set(pending.get());
        Causes { receive: pending.any_matching_bits_set(receive_interrupts()), transmit: pending.is_set(INTERRUPT::TX) }
    }

    /// Lets the UART interrupt when the transmit FIFO has nearly drained. Fill the FIFO first, see the head of the file.
    ///
    /// Context: any.
    pub fn enable_tx_interrupt(&mut self) {
        self.registers.imsc.modify(INTERRUPT::TX::SET);
    }

    /// Ends the transmit interrupts.
    ///
    /// Context: any.
    pub fn disable_tx_interrupt(&mut self) {
        self.registers.imsc.modify(INTERRUPT::TX::CLEAR);
    }

    /// Stops the receive interrupts while there is no room for what arrives: the FIFO fills, and a sender that looks at RTS, or an emulator,
    /// holds the rest back.
    ///
    /// Context: any.
    pub fn pause_receive(&mut self) {
        let mask = self.registers.imsc.get();
        self.registers.imsc.set(mask & !receive_interrupts().value);
    }

    /// Ends a [`Pl011::pause_receive`].
    ///
    /// Context: any.
    pub fn resume_receive(&mut self) {
        let mask = self.registers.imsc.get();
        self.registers.imsc.set(mask | receive_interrupts().value);
    }

    /// What is set, for the audit.
    ///
    /// Context: any.
    #[must_use]
    pub fn line_snapshot(&self) -> LineSnapshot {
        let r = &*self.registers;
        LineSnapshot {
            divisor_64ths: r.ibrd.read(IBRD::DIVINT) * 64 + r.fbrd.read(FBRD::DIVFRAC),
            is_enabled: r.cr.matches_all(CR::UARTEN::SET + CR::TXE::SET + CR::RXE::SET),
            has_fifo: r.lcr_h.is_set(LCR_H::FEN),
        }
    }
}

impl core::fmt::Write for Pl011 {
    /// Sends text by polling, with a carriage return before each line feed.
    ///
    /// # Errors
    /// `fmt::Error` if the transmitter is stuck.
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.write_byte(b'\r').map_err(|TxStuck| core::fmt::Error)?;
            }
            self.write_byte(byte).map_err(|TxStuck| core::fmt::Error)?;
        }
        Ok(())
    }
}

/// Everything that a receiver wants to know of: characters, the timeout for the last few, and each error.
fn receive_interrupts() -> FieldValue<u32, INTERRUPT::Register> {
    let errors = INTERRUPT::FE::SET + INTERRUPT::PE::SET + INTERRUPT::BE::SET + INTERRUPT::OE::SET;
    INTERRUPT::RX::SET + INTERRUPT::RT::SET + errors
}

/// Asks `condition` until it holds, `limit` times at most. Returns whether it did.
fn poll(limit: u32, mut condition: impl FnMut() -> bool) -> bool {
    (0..limit).any(|_| condition())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::fake::FakeRegisters;
    use core::fmt::Write;
    use proptest::prelude::*;

    fn fake() -> (FakeRegisters, Pl011) {
        let block = FakeRegisters::new(0x1000);
        block.write(0x018, 1 << 7);
        // SAFETY: leaked memory of the right size, aligned to a page.
        (block, unsafe { Pl011::new(block.base()) })
    }

    #[test]
    fn init_sets_line_and_interrupts() {
        let (block, mut uart) = fake();
        uart.init(Divisor::new(48_000_000, 115_200).unwrap());
        assert_eq!((block.read(0x024), block.read(0x028), block.read(0x02c)), (26, 3, 0x70));
        assert_eq!((block.read(0x030), block.read(0x034), block.read(0x038)), (0x301, 2 << 3, 0x7d0));
        let line = uart.line_snapshot();
        assert_eq!(line, LineSnapshot { divisor_64ths: 26 * 64 + 3, is_enabled: true, has_fifo: true });
    }

    #[test]
    fn transmit_interrupt_is_separate() {
        let (block, mut uart) = fake();
        uart.init(Divisor::new(48_000_000, 115_200).unwrap());
        uart.enable_tx_interrupt();
        assert_eq!(block.read(0x038), 0x7f0);
        uart.disable_tx_interrupt();
        assert_eq!(block.read(0x038), 0x7d0);
    }

    #[test]
    fn causes_are_acknowledged() {
        let (block, mut uart) = fake();
        for (pending, receive, transmit) in [(0x10, true, false), (0x20, false, true), (0x260, true, true), (0, false, false)] {
            block.write(0x040, pending);
            assert_eq!(uart.take_causes(), Causes { receive, transmit });
            assert_eq!(block.read(0x044), pending);
        }
    }

    #[test]
    fn stuck_transmitter_is_an_error() {
        let (block, mut uart) = fake();
        block.write(0x018, 1 << 5 | 1 << 3);
        assert!(!uart.try_write_byte(b'x'));
        assert_eq!((uart.write_byte(b'x'), uart.flush()), (Err(TxStuck), Err(TxStuck)));
        assert!(uart.write_str("x").is_err());
        assert_eq!(block.read(0x000), 0);
    }

    #[test]
    fn events() {
        let (block, mut uart) = fake();
        block.write(0x018, 1 << 4);
        assert_eq!(uart.read_event(), None);
        block.write(0x018, 0);
        let cases = [
            (0x041, RxEvent::Byte(0x41)),
            (0x500, RxEvent::Break),
            (0x1fe, RxEvent::FramingError(0xfe)),
            (0x241, RxEvent::ParityError(0x41)),
            (0x841, RxEvent::Overrun(0x41)),
            (0xd00, RxEvent::Break),
        ];
        for (data, event) in cases {
            block.write(0x000, data);
            assert_eq!(uart.read_event(), Some(event));
        }
    }

    proptest! {
        #[test]
        fn only_clean_data_is_a_byte(data: u32) {
            let is_byte = matches!(RxEvent::decode(data), RxEvent::Byte(_));
            prop_assert_eq!(is_byte, data & 0xf00 == 0);
        }
    }
}
