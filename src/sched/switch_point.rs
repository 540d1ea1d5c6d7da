//! When each core last came to a place where its threads can be switched: what the soft lockup detector goes by.
//!
//! | build | such a place is |
//! |---|---|
//! | full preemption | the end of the last section, or of an interrupt, that does waiting work: the detector asks for some |
//! | `preempt_voluntary`, `preempt_none` | a switch, or `cond_resched` |
//!
//! Rejected: Linux's thread of highest priority on each core, which has to be switched to and back to prove that it can be; here the core proves that it
//! could switch, which costs one store each time it is asked.
//!
//! # Memory ordering
//! A time that stands alone, relaxed: written by its core, read by it and as a hint by others.
//!
//! Neighbours: `debug::detectors` (asks and judges), `irq::exit`, `switch`, `preempt` (note).

use crate::arch::counter;
use crate::per_cpu;
use core::sync::atomic::{AtomicU64, Ordering};

per_cpu! {
    /// The counter at this core's last switch point.
    static LAST: AtomicU64 = AtomicU64::new(0);
}

/// Tells the soft lockup detector that this core is well: for what is known to take long with preemption off, as a long report does. Linux's name.
///
/// Context: any.
pub fn touch_softlockup_watchdog() {
    LAST.this().store(counter::now(), Ordering::Relaxed);
}

/// The counter when core `cpu` last could have switched threads, as far as it was asked. Context: any.
pub fn last_of(cpu: usize) -> u64 {
    LAST.on(cpu).load(Ordering::Relaxed)
}
