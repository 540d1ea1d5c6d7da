//! Rows of the log: a message into this core's ring, no console told.
//!
//! With the feature `defmt` the same call writes an encoded frame, and the row has another name.

use super::bench;
use crate::log::{Mode, set_mode};
use crate::sync::atomic::AtomicU32;

/// Two numbers that the compiler does not know.
type Numbers = [AtomicU32; 2];

#[cfg(not(feature = "defmt"))]
bench! {
    "log.printk_format", numbers: Numbers = [AtomicU32::new(42), AtomicU32::new(0xbeef)] =>
        printk!(KERN_DEBUG "bench: message {} value {:x}", numbers[0].read(), numbers[1].read());
        before set_mode(Mode::Silent); after set_mode(Mode::Deferred);
    "log.printk_constant", _unused: () = () => printk!(KERN_DEBUG "bench: constant message text here");
        before set_mode(Mode::Silent); after set_mode(Mode::Deferred);
}

#[cfg(feature = "defmt")]
bench! {
    "log.defmt_format", numbers: Numbers = [AtomicU32::new(42), AtomicU32::new(0xbeef)] =>
        printk!(KERN_DEBUG "bench: message {} value {:x}", numbers[0].read(), numbers[1].read());
        before set_mode(Mode::Silent); after set_mode(Mode::Deferred);
    "log.defmt_constant", _unused: () = () => printk!(KERN_DEBUG "bench: constant message text here");
        before set_mode(Mode::Silent); after set_mode(Mode::Deferred);
}
