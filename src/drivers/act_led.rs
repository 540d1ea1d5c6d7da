//! The green ACT LED: on the Pi 4 it hangs on GPIO42 and lights when the pin is high (device tree, `led-act`).
//!
//! Two ways to it. [`ActLed`] owns the pin and shows the heartbeat. [`PanicLed`] asks no one: it writes the three registers it needs, so
//! that a board without a serial cable still says by a counted blink that, and why, it died.
//!
//! Source: BCM2711 ARM Peripherals §5.2 for the registers. Neighbours: `boot/early_vectors.S` blinks the one code that precedes Rust.

mod blink;

use tock_registers::interfaces::{Readable, Writeable};

use super::gpio::registers::Registers;
use super::gpio::{Function, Gpio, GpioError, Pin, PinNumber};
use super::mmio::Mmio;
use crate::arch::{self, counter};

pub use blink::{BlinkCode, Heartbeat, Phase};

/// The LED's pin.
pub const ACT_LED_PIN: PinNumber = PinNumber::of(42);

/// The LED, owned.
pub struct ActLed<'g> {
    pin: Pin<'g>,
}

impl<'g> ActLed<'g> {
    /// Takes the LED and turns it off.
    ///
    /// # Errors
    /// [`GpioError::Claimed`] if the pin has an owner.
    ///
    /// Context: any.
    pub fn claim(gpio: &'g Gpio) -> Result<ActLed<'g>, GpioError> {
        let pin = gpio.claim(ACT_LED_PIN)?;
        pin.set_low();
        pin.set_function(Function::Output);
        Ok(ActLed { pin })
    }

    /// Shows a phase of a pattern; the caller keeps its time.
    ///
    /// Context: any.
    pub fn show(&self, phase: Phase) {
        if phase.is_lit { self.pin.set_high() } else { self.pin.set_low() }
    }

    /// Whether it is lit.
    ///
    /// Context: any.
    #[must_use]
    pub fn is_lit(&self) -> bool {
        self.pin.is_high()
    }
}

/// The LED in a panic: no lock, no owner.
///
/// It changes the pin's function without the lock of [`Gpio`]. Another core that is in the middle of changing a neighbour of pin 42 (40-49)
/// may lose its change or undo this one; in a panic that is a price worth paying, and each round sets the function again.
pub struct PanicLed {
    registers: Mmio<Registers>,
}

impl PanicLed {
    /// The LED behind the GPIO block at `gpio_base`.
    ///
    /// # Safety
    /// `gpio_base` is the virtual address of a BCM2711's GPIO block, mapped as device memory as long as the value is used. Others may
    /// drive it as well; their settings of pins 40-49 may suffer.
    #[must_use]
    pub const unsafe fn new(gpio_base: usize) -> PanicLed {
        // SAFETY: the caller's promise.
        PanicLed { registers: unsafe { Mmio::new(gpio_base) } }
    }

    /// Blinks one round of `code`, which takes two to four seconds, unless `keep_on`, asked all the while, says that time is up.
    ///
    /// Context: any; irqs masked, or the rhythm suffers.
    pub fn blink(&self, code: BlinkCode, mut keep_on: impl FnMut() -> bool) {
        let (register, shift) = ACT_LED_PIN.locate(10, 3);
        let functions = &self.registers.fsel[register];
        functions.set(functions.get() & !(0b111 << shift) | (Function::Output as u32) << shift);
        for phase in code.round() {
            self.show(phase);
            let start = counter::now();
            let duration = counter::frequency_hz() / 1000 * u64::from(phase.duration_ms);
            while counter::now().wrapping_sub(start) < duration {
                if !keep_on() {
                    return;
                }
                arch::relax();
            }
        }
    }

    fn show(&self, phase: Phase) {
        let (register, shift) = ACT_LED_PIN.locate(32, 1);
        let level = if phase.is_lit { &self.registers.set } else { &self.registers.clr };
        level[register].set(1 << shift);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::fake::FakeRegisters;

    fn fake() -> FakeRegisters {
        FakeRegisters::new(0x1000)
    }

    #[test]
    fn owned_led_follows_its_phases() {
        let block = fake();
        // SAFETY: leaked memory of the right size, aligned to a page.
        let gpio = unsafe { Gpio::new(block.base()) };
        let led = ActLed::claim(&gpio).unwrap();
        assert_eq!((block.read(0x10) >> 6 & 7, block.read(0x2c)), (1, 1 << 10));
        led.show(Heartbeat::new().step());
        assert_eq!(block.read(0x20), 1 << 10);
        assert!(ActLed::claim(&gpio).is_err());
    }

    #[test]
    fn panic_led_blinks_though_the_pin_is_owned_and_stops_when_told() {
        let block = fake();
        // SAFETY: leaked memory of the right size, aligned to a page.
        let gpio = unsafe { Gpio::new(block.base()) };
        let _owner = ActLed::claim(&gpio).unwrap();
        // SAFETY: likewise.
        let led = unsafe { PanicLed::new(block.base()) };
        let mut asked = 0;
        led.blink(BlinkCode::Panic, || {
            asked += 1;
            asked < 3
        });
        assert_eq!((asked, block.read(0x20)), (3, 1 << 10));
    }
}
