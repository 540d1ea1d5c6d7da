//! The shell's terminal on the serial console.

use super::port::Console;
use crate::drivers::serial;
use core::time::Duration;

/// The serial console as a terminal.
#[derive(Debug)]
pub struct SerialTerminal;

impl Console for SerialTerminal {
    fn try_read(&self) -> Option<u8> {
        serial::try_read()
    }

    fn write_bytes(&self, bytes: &[u8]) {
        serial::write_raw(bytes);
    }

    fn write_packet(&self, packet: &[u8]) {
        serial::write_packet(packet);
    }

    fn wait_for_input(&self, timeout: Option<Duration>) {
        serial::wait_for_input(timeout);
    }
}
