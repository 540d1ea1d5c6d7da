//! General purpose pins: function, level, pull, and events that interrupt.
//!
//! A pin has one owner: [`Gpio::claim`] gives out a [`Pin`], and dropping it makes the pin an input without events and free again. Levels are
//! set and cleared by registers of their own, so pins never disturb each other there; the function, pull and detection registers are
//! shared by up to 32 pins and are changed under one lock.
//!
//! What interrupts: each bank of pins (0-27, 28-45, 46-57) has a level-triggered line, up while one of its event bits is set. The
//! handler asks [`Gpio::take_events`], which clears what it returns. An event of a *level* detection sets again at once while the level
//! lasts: such a pin must have its detection disabled by the handler and enabled again by the thread that served the device.
//!
//! Source: BCM2711 ARM Peripherals §5; interrupt lines §6.2.4 and the device tree. QEMU's model has function, level and pull
//! registers, but detects no events.

mod pin;
pub(super) mod registers;

use tock_registers::interfaces::{Readable, Writeable};

use super::mmio::Mmio;
use crate::sync::IrqSpinLock;
use registers::Registers;
use tock_registers::registers::ReadWrite;

pub use pin::{Detect, Function, GpioError, PinNumber, PinSet, Pull};

/// Transmit and receive pin of the console, header pins 8 and 10.
pub const CONSOLE_PINS: [PinNumber; 2] = [PinNumber::of(14), PinNumber::of(15)];
/// The function that connects them to the PL011.
pub const CONSOLE_FUNCTION: Function = Function::Alt0;

/// All other pins that can carry the PL011's signals, and the function by which they do (§5.3). The firmware uses 30-33 to reach the
/// Bluetooth chip; two receive pins at once would disturb each other.
const OTHER_PL011_PINS: [(PinNumber, Function); 10] = [
    (PinNumber::of(16), Function::Alt3),
    (PinNumber::of(17), Function::Alt3),
    (PinNumber::of(30), Function::Alt3),
    (PinNumber::of(31), Function::Alt3),
    (PinNumber::of(32), Function::Alt3),
    (PinNumber::of(33), Function::Alt3),
    (PinNumber::of(36), Function::Alt2),
    (PinNumber::of(37), Function::Alt2),
    (PinNumber::of(38), Function::Alt2),
    (PinNumber::of(39), Function::Alt2),
];

/// What the audit looks at. See [`super::audit::uart_pins`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsolePinSnapshot {
    /// Functions of the two console pins.
    pub console: [Function; 2],
    /// Other pins that are connected to the PL011 as well.
    pub others: PinSet,
}

/// The GPIO block.
pub struct Gpio {
    registers: Mmio<Registers>,
    /// The claimed pins. The lock also serialises the read-modify-write of every shared register. Taken in any context up to hardirq;
    /// innermost, nothing is called under it.
    claimed: IrqSpinLock<PinSet>,
}

// SAFETY: GPSET, GPCLR and GPEDS are write-one-to-act, GPLEV is read only, and all other registers are written under `claimed`. So
// concurrent use loses no update.
unsafe impl Sync for Gpio {}

impl Gpio {
    /// Takes the block.
    ///
    /// # Safety
    /// `base` is the virtual address of a BCM2711's GPIO block, mapped as device memory for ever, and no one else drives it.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Gpio {
        // SAFETY: the caller's promise.
        let registers = unsafe { Mmio::new(base) };
        Gpio { registers, claimed: IrqSpinLock::new(PinSet::EMPTY) }
    }

    /// Takes ownership of a pin, as it is.
    ///
    /// # Errors
    /// [`GpioError::Claimed`] if it has an owner.
    ///
    /// Context: any.
    pub fn claim(&self, number: PinNumber) -> Result<Pin<'_>, GpioError> {
        let mut claimed = self.claimed.lock();
        if claimed.contains(number) {
            return Err(GpioError::Claimed(number));
        }
        *claimed = claimed.with(number);
        Ok(Pin { gpio: self, number })
    }

    /// Connects the PL011 to header pins 8 and 10, and to nothing else. The receive pin gets a pull-up, so that an open line is idle
    /// and not an endless break.
    ///
    /// # Errors
    /// [`GpioError::Claimed`] if one of the two has an owner.
    ///
    /// Context: any.
    pub fn route_console(&self) -> Result<[Pin<'_>; 2], GpioError> {
        let [tx, rx] = CONSOLE_PINS;
        let (tx, rx) = (self.claim(tx)?, self.claim(rx)?);
        for (pin, function) in OTHER_PL011_PINS {
            if self.function(pin) == function {
                self.write_function(pin, Function::Input);
            }
        }
        tx.set_pull(Pull::Off);
        rx.set_pull(Pull::Up);
        tx.set_function(CONSOLE_FUNCTION);
        rx.set_function(CONSOLE_FUNCTION);
        Ok([tx, rx])
    }

    /// Where the PL011 is connected, for the audit.
    ///
    /// Context: any.
    #[must_use]
    pub fn console_snapshot(&self) -> ConsolePinSnapshot {
        let connected = OTHER_PL011_PINS.iter().filter(|(pin, function)| self.function(*pin) == *function);
        ConsolePinSnapshot {
            console: CONSOLE_PINS.map(|pin| self.function(pin)),
            others: connected.fold(PinSet::EMPTY, |set, (pin, _)| set.with(*pin)),
        }
    }

    /// What drives a pin now, whoever owns it.
    ///
    /// Context: any.
    #[must_use]
    pub fn function(&self, pin: PinNumber) -> Function {
        let (register, shift) = pin.locate(10, 3);
        Function::from_bits(self.registers.fsel[register].get() >> shift)
    }

    /// The levels of all pins, whoever owns them.
    ///
    /// Context: any.
    #[must_use]
    pub fn levels(&self) -> PinSet {
        PinSet::from_registers(self.registers.lev[0].get(), self.registers.lev[1].get())
    }

    /// The pins that are claimed.
    ///
    /// Context: any.
    #[must_use]
    pub fn claimed(&self) -> PinSet {
        *self.claimed.lock()
    }

    /// Returns the pins with an event since the last call, among `pins`, and clears those.
    ///
    /// Context: hardirq; any.
    pub fn take_events(&self, pins: PinSet) -> PinSet {
        let mut taken = [0; 2];
        for ((register, pins), taken) in self.registers.eds.iter().zip(pins.to_registers()).zip(&mut taken) {
            *taken = register.get() & pins;
            if *taken != 0 {
                register.set(*taken);
            }
        }
        PinSet::from_registers(taken[0], taken[1])
    }

    fn write_function(&self, pin: PinNumber, function: Function) {
        let (register, shift) = pin.locate(10, 3);
        self.replace(&self.registers.fsel[register], 0b111 << shift, (function as u32) << shift);
    }

    fn write_pull(&self, pin: PinNumber, pull: Pull) {
        let (register, shift) = pin.locate(16, 2);
        self.replace(&self.registers.pull[register], 0b11 << shift, (pull as u32) << shift);
    }

    /// Sets in each detection register whether it watches `pin`.
    fn write_detect(&self, pin: PinNumber, detect: Option<Detect>) {
        let (index, shift) = pin.locate(32, 1);
        let r = &*self.registers;
        let watches: [(&ReadWrite<u32>, &[Detect]); 6] = [
            (&r.ren[index], &[Detect::RisingEdge, Detect::BothEdges]),
            (&r.fen[index], &[Detect::FallingEdge, Detect::BothEdges]),
            (&r.hen[index], &[Detect::HighLevel]),
            (&r.len[index], &[Detect::LowLevel]),
            (&r.aren[index], &[Detect::AsyncRisingEdge]),
            (&r.afen[index], &[Detect::AsyncFallingEdge]),
        ];
        for (register, kinds) in watches {
            let is_on = detect.is_some_and(|detect| kinds.contains(&detect));
            self.replace(register, 1 << shift, u32::from(is_on) << shift);
        }
    }

    /// Replaces the bits of `mask` in a register that several pins share.
    fn replace(&self, register: &ReadWrite<u32>, mask: u32, bits: u32) {
        let _serialised = self.claimed.lock();
        register.set(register.get() & !mask | bits);
    }
}

/// An owned pin.
///
/// Dropping it stops its events, makes it an input (what it was connected to is released) and frees it.
#[must_use = "a pin that is dropped is free again"]
pub struct Pin<'g> {
    gpio: &'g Gpio,
    number: PinNumber,
}

impl Pin<'_> {
    /// Which pin it is.
    ///
    /// Context: any.
    #[must_use]
    pub const fn number(&self) -> PinNumber {
        self.number
    }

    /// Chooses what drives it.
    ///
    /// Context: any.
    pub fn set_function(&self, function: Function) {
        self.gpio.write_function(self.number, function);
    }

    /// Chooses the resistor at it.
    ///
    /// Context: any.
    pub fn set_pull(&self, pull: Pull) {
        self.gpio.write_pull(self.number, pull);
    }

    /// Drives it high, if it is an output; a level set before is kept until it becomes one.
    ///
    /// Context: any.
    #[inline]
    pub fn set_high(&self) {
        let (register, shift) = self.number.locate(32, 1);
        self.gpio.registers.set[register].set(1 << shift);
    }

    /// Drives it low, if it is an output.
    ///
    /// Context: any.
    #[inline]
    pub fn set_low(&self) {
        let (register, shift) = self.number.locate(32, 1);
        self.gpio.registers.clr[register].set(1 << shift);
    }

    /// Whether the level at it is high.
    ///
    /// Context: any.
    #[inline]
    #[must_use]
    pub fn is_high(&self) -> bool {
        let (register, shift) = self.number.locate(32, 1);
        self.gpio.registers.lev[register].get() >> shift & 1 != 0
    }

    /// Reports what `detect` says, and nothing else; an event from before is forgotten.
    ///
    /// Context: any.
    pub fn enable_detect(&self, detect: Detect) {
        self.gpio.write_detect(self.number, Some(detect));
        let _ = self.take_event();
    }

    /// Reports nothing any more.
    ///
    /// Context: any.
    pub fn disable_detect(&self) {
        self.gpio.write_detect(self.number, None);
        let _ = self.take_event();
    }

    /// Whether it had an event since the last call; clears it.
    ///
    /// Context: hardirq; any.
    #[must_use]
    pub fn take_event(&self) -> bool {
        !self.gpio.take_events(PinSet::EMPTY.with(self.number)).is_empty()
    }

    /// Keeps the pin claimed, and as it is, for ever.
    ///
    /// Context: any.
    pub fn leak(self) {
        core::mem::forget(self);
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.disable_detect();
        self.set_function(Function::Input);
        let mut claimed = self.gpio.claimed.lock();
        *claimed = claimed.without(self.number);
    }
}

#[cfg(test)]
mod tests;
