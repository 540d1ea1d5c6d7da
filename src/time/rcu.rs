//! What RCU needs of the layers above it: its softirq, interrupts between cores, and the timer that looks for stalls.
//!
//! `sync::rcu` has all the rest; each function here is an upcall of it.

use super::HrTimer;
use crate::irq::ipi::{self, Sgi};
use crate::irq::softirq::{self, Softirq};
use crate::sched;
use crate::sync::rcu;
use core::time::Duration;

static STALL_TIMER: HrTimer<()> = HrTimer::new((), |timer| {
    if let Some(after) = rcu::on_timer() {
        timer.start_pinned(after);
    }
});

/// Gives the RCU softirq its function. Context: boot, once.
pub(super) fn init() {
    softirq::open(Softirq::Rcu, rcu::run_callbacks);
}

/// Upcall of sync::rcu: has this core look through its callbacks. Context: any.
#[unsafe(no_mangle)]
fn tetra_rcu_raise() {
    softirq::raise(Softirq::Rcu);
}

/// Upcall of sync::rcu: kicks the cores in `mask`. Context: any.
#[unsafe(no_mangle)]
fn tetra_rcu_kick(mask: u32) {
    ipi::send(Sgi::Rcu, mask);
}

/// Upcall of sync::rcu: looks for a stall when `after` has passed. Context: any.
#[unsafe(no_mangle)]
fn tetra_rcu_watch(after: Duration) {
    STALL_TIMER.start(after);
}

/// Upcall of sync::rcu: has the running thread pass the scheduler soon. Context: any, preemption off.
#[unsafe(no_mangle)]
fn tetra_resched() {
    sched::resched_this_cpu();
}
