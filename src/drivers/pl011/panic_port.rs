//! Output of last resort: a PL011 without its driver.
//!
//! A panic can strike while any core holds the console's lock, or in the driver itself. So this type shares no state with [`super::Pl011`]:
//! it looks at the hardware only, may be created anywhere any number of times, and waits a bounded time. What it prints may mix with
//! what another core prints; nothing worse.

use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

use super::registers::{ALL_INTERRUPTS, CR, FR, Registers};
use crate::drivers::mmio::Mmio;

/// Polls of a full FIFO before a character is given up. A poll takes about 0.1 us or more on the Pi and a character 87 us at 115200
/// baud, so this outlasts a character some twenty times over; a UART with a stopped clock costs 2 ms a character.
const MAX_POLLS: u32 = 20_000;

/// A way to print that needs no lock, no memory and no initialization.
pub struct PanicPort {
    registers: Mmio<Registers>,
}

impl PanicPort {
    /// A port to the UART at `base`.
    ///
    /// # Safety
    /// `base` is the virtual address of a PL011, mapped as device memory as long as the value is used. Others may drive it as well.
    #[must_use]
    pub const unsafe fn new(base: usize) -> PanicPort {
        // SAFETY: the caller's promise.
        PanicPort { registers: unsafe { Mmio::new(base) } }
    }

    /// Makes sure that the transmitter runs and that the UART no longer interrupts; leaves baud rate and line control alone.
    ///
    /// Context: any.
    pub fn take_over(&self) {
        self.registers.imsc.set(0);
        self.registers.icr.set(ALL_INTERRUPTS);
        self.registers.cr.modify(CR::UARTEN::SET + CR::TXE::SET);
    }

    /// Sends one byte, or drops it if the UART does not move.
    ///
    /// Context: any; waits a bounded time.
    pub fn panic_putc(&self, byte: u8) {
        for _ in 0..MAX_POLLS {
            if !self.registers.fr.is_set(FR::TXFF) {
                self.registers.dr.set(u32::from(byte));
                return;
            }
        }
    }

    /// Waits until the last character has left, for a bounded time: after this a reset loses nothing.
    ///
    /// Context: any.
    pub fn flush(&self) {
        // A FIFO holds 16 characters.
        for _ in 0..16 * MAX_POLLS {
            if self.registers.fr.is_set(FR::TXFE) && !self.registers.fr.is_set(FR::BUSY) {
                return;
            }
        }
    }
}

impl core::fmt::Write for PanicPort {
    /// Sends text, with a carriage return before each line feed.
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.panic_putc(b'\r');
            }
            self.panic_putc(byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::fake::FakeRegisters;
    use core::fmt::Write;

    fn fake() -> (FakeRegisters, PanicPort) {
        let block = FakeRegisters::new(0x1000);
        // SAFETY: leaked memory of the right size, aligned to a page.
        (block, unsafe { PanicPort::new(block.base()) })
    }

    #[test]
    fn gives_up_on_a_uart_that_does_not_move() {
        let (block, mut port) = fake();
        block.write(0x018, 1 << 5 | 1 << 3);
        writeln!(port, "x").unwrap();
        port.flush();
        assert_eq!(block.read(0x000), 0);
    }

    #[test]
    fn takes_over_without_touching_the_rate() {
        let (block, mut port) = fake();
        block.write(0x024, 26);
        block.write(0x038, 0x50);
        block.write(0x030, 1 << 9);
        port.take_over();
        write!(port, "!").unwrap();
        assert_eq!((block.read(0x038), block.read(0x030), block.read(0x024)), (0, 1 << 9 | 1 << 8 | 1, 26));
        assert_eq!(block.read(0x000), u32::from(b'!'));
    }
}
