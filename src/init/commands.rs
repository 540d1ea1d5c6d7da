//! The commands and views of the machine itself: cores, memory map, interrupts, firmware, log, and how to end it.

mod detectors;
mod end;
mod hardware;
mod latency;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
mod locks;
mod log;
mod memory;
mod oops;
mod rcu;
mod slab;
mod stat;
mod symbols;
mod sysrq;
mod threads;
mod time;
mod top;
#[cfg(feature = "tracepoints")]
mod trace;
