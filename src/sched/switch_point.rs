//! When each core last came to a place where its threads can be switched: what the soft lockup detector goes by.
//!
//! | build | such a place is |
//! |---|---|
//! | full preemption | the end of the last section, or of an interrupt, that does waiting work: the detector asks for some |
//! | `preempt_voluntary`, `preempt_none` | a switch, or `cond_resched` |
//!
//! Rejected: Linux's thread of highest priority on each core, which has to be switched to and back to prove that it can be; here the core proves that it
//! could switch. Only when it was asked: else passing such a place costs a load and a branch.
//!
//! # Memory ordering
//! A time and a flag that stand alone, relaxed: written by their core, read by it and the time as a hint by others.
//!
//! Neighbours: `debug::detectors` (asks and judges), `irq::exit`, `switch`, `preempt` (note).

use crate::arch::{count, counter};
use crate::per_cpu;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

per_cpu! {
    /// The counter at this core's last switch point.
    static LAST: AtomicU64 = AtomicU64::new(0);
    /// The detector asks for the next one.
    static IS_ASKED: AtomicBool = AtomicBool::new(false);
}

/// Asks this core to note its next switch point. Context: hardirq.
pub(crate) fn ask() {
    IS_ASKED.this().store(true, Ordering::Relaxed);
    // What comes next to count 0 finds the mark.
    count::mark_work();
}

/// This core is at a switch point: notes it if that was asked for. Context: any, not migrating.
#[inline]
pub(crate) fn pass() {
    let is_asked = IS_ASKED.this();
    if is_asked.load(Ordering::Relaxed) {
        is_asked.store(false, Ordering::Relaxed);
        touch_softlockup_watchdog();
    }
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
