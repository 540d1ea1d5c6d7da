//! The commands and views of the machine itself: cores, memory map, interrupts, firmware, log, and how to end it.

mod end;
mod hardware;
mod log;
mod symbols;
mod threads;
mod time;
