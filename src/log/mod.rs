//! The log: messages with a level, kept in per-core rings, shown on consoles and by `dmesg`.
//!
//! ```text
//! pr_info!  printk!  log::info!        write.rs, text_writer.rs   format in place into
//!         |                            ring.rs, record.rs         this core's ring
//!         v
//!   ring 0 .. ring 3                   reader.rs                  merged by time, without a lock
//!         |          \
//!         v           v
//!   consoles          dmesg            console.rs, dmesg.rs, printer.rs
//! ```
//! It works from the first Rust instruction on, in any context and on any core: a fault in the middle of the logger is logged. All state is in statics that
//! begin as zeros. Nothing waits for anything: the oldest messages are given up, and counted.
//!
//! Layer: above `cpu`, below everything that has a lock. What it needs from above (`console_kick`) is in [`crate::upcalls`].

mod atomic;
mod clock;
mod console;
#[cfg(all(feature = "defmt", target_os = "none"))]
pub mod defmt_channel;
mod dmesg;
mod drain_flag;
mod facade;
#[cfg(any(test, all(feature = "defmt", target_os = "none")))]
mod frame_buffer;
mod hexdump;
mod level;
mod limit;
#[macro_use]
mod macros;
#[cfg(all(loom, test))]
mod model;
mod open_line;
mod printer;
mod reader;
mod record;
mod ring;
mod text_writer;
mod threshold;
mod wire;
mod write;

pub use level::*;

pub use self::{
    console::{
        Console, Mode, PanicWriter, drain, flush_in_panic, mode, names as console_names, on_tick, panic_writer,
        register as register_console, retry_at_tick, set_mode,
    },
    dmesg::{Query, clear},
    facade::install as install_facade,
    hexdump::{HexRow, hex_dump},
    limit::{OnceFlag, RateLimit},
    open_line::OpenLine,
    printer::{Prefix, Printer, Style},
    reader::{Lost, Overwritten, Patience, Reader, Record, Step},
    threshold::{console_loglevel, is_shown, raise_for_panic, set_by_argument, set_console_loglevel, set_ignore_loglevel},
    write::emit,
};

use self::atomic::{AtomicU32, AtomicU64};
use self::ring::Ring;
use crate::arch::{self, NR_CPUS};

/// Words of one core's ring: 64 KiB, about a thousand messages.
const RING_WORDS: usize = 8192;

const _: () = assert!(RING_WORDS >= 8 * record::WORDS_MAX as usize, "a few nested writers must fit beside what is kept");

static RINGS: [Ring<RING_WORDS>; NR_CPUS] = [const { new_ring() }; NR_CPUS];

/// An empty ring.
const fn new_ring<const WORDS: usize>() -> Ring<WORDS> {
    Ring::of_zeros(AtomicU64::new(0), AtomicU32::new(0), [const { AtomicU64::new(0) }; WORDS])
}

/// The ring that this core writes. The caller is pinned.
#[inline(always)]
fn ring_of_this_core() -> &'static Ring<RING_WORDS> {
    &RINGS[arch::cpu_id() % NR_CPUS] // never out of bounds: the logger does not panic
}

#[cfg(test)]
mod tests;
