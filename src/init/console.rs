//! The serial console, from first light to interrupt driven.
//!
//! It stands early, so that a panic has a way out, but shows the log only when the boot arguments are known: `quiet` means quiet.

use super::firmware;
use crate::drivers::pl011::{Divisor, Pl011};
use crate::drivers::serial;
use crate::platform::{hardware, rpi4};
use crate::{irq, log};

const BAUD: u32 = 115_200;
/// What `config.txt` pins the UART's clock to, and what is assumed when the mailbox does not answer.
const ASSUMED_CLOCK_HZ: u32 = 48_000_000;

/// Connects the PL011 to the header pins and sets it up. The log goes on waiting in the rings until `show`; a panic would show it.
pub fn start() {
    let routed = hardware::gpio().route_console();
    let clock = firmware::mailbox().uart_clock_hz.unwrap_or(ASSUMED_CLOCK_HZ);
    let divisor = Divisor::new(clock, BAUD).or_else(|_| Divisor::new(ASSUMED_CLOCK_HZ, BAUD)).expect("48 MHz divides to 115200 baud");

    let base = hardware::window(&rpi4::UART0);
    // SAFETY: the device window is mapped, and the console is the port's only driver.
    let mut port = unsafe { Pl011::new(base) };
    let typed_early = port.init(divisor);
    // SAFETY: as above.
    unsafe { serial::start(base, port, &typed_early) };
    log::register_console(&serial::CONSOLE);

    match routed {
        // The pins stay the console's for ever.
        Ok(pins) => pins.into_iter().for_each(|pin| pin.leak()),
        Err(error) => pr_warn!("console: {}", error),
    }
}

/// Shows what the log has kept, as far as `loglevel=` and `quiet` want it, and from here on each message as it comes, polled.
pub fn show() {
    log::set_mode(log::Mode::Polled);
}

/// Lets interrupts move the bytes. From here on nobody who logs waits for the wire.
pub fn go_interrupt_driven() {
    let line = rpi4::INTID_UART0;
    hardware::route_to(line, 0);
    match irq::request(line.number(), "ttyAMA0", serial::on_interrupt, 0) {
        Ok(_) => {
            serial::go_interrupt_driven(line.number());
            log::set_mode(log::Mode::Deferred);
        }
        Err(error) => pr_err!("console: {:?}: output stays polled and there is no input", error),
    }
}
