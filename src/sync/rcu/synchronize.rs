//! Waiting for a grace period: `synchronize_rcu`, and its twin that is in a hurry.
//!
//! A thread takes a snapshot, asks for grace periods up to it, and sleeps in a wait queue that each end of a grace period wakes. Going to sleep is a
//! quiescent state of its own core, so with the other cores asleep the grace period is over before the thread has left. Rejected: a callback that completes
//! a completion (Linux's `wait_rcu_gp`): it would wait for the softirq as well.
//!
//! Before threads run, the boot core waits in place: it is in no section, says so itself, and other cores can only be asleep or on their way there.
//!
//! # Memory ordering
//! Full barrier on either side: what the caller did before is seen by every section that begins after it returned, and what sections that were there
//! before did comes before what the caller does next (`grace_period`, (a) to (d)).

use super::hooks::{self, GRACE_PERIODS};
use crate::arch;
use crate::cpu::{self, IrqGuard};
use crate::sync::WaitQueue;
use crate::sync::atomic::AtomicU64;
use crate::sync::barrier::smp_mb;

/// Threads that wait for the end of a grace period.
static WAITERS: WaitQueue = WaitQueue::new();
/// Calls in a hurry, for the view.
static NR_EXPEDITED: AtomicU64 = AtomicU64::new(0);

/// Waits until all read sections that run now are over: Linux's `synchronize_rcu`. What the caller has taken out of sight is its own then.
///
/// Context: thread, may sleep; outside of read sections, or it would wait for itself. At boot, before threads run, it does not sleep. Some 10 ms when
/// other cores are busy. Full barrier on either side.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, RcuBox};
/// use tetra::sync::rcu::{Rcu, rcu_read_lock};
///
/// static LIMIT: Rcu<u32> = Rcu::empty();
///
/// let old = LIMIT.replace(RcuBox::new(10, GfpFlags::KERNEL)?);
/// // Readers may have either limit in hand. When this returns, none has the old one.
/// let mine = old.map(|old| old.synchronize());
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn synchronize_rcu() {
    wait(false);
}

/// The same in a hurry: cores that are awake are interrupted, and report at once or where their section ends. Cores that sleep are left alone. Linux's
/// `synchronize_rcu_expedited`. For what a user waits for; it costs every busy core an interrupt.
///
/// Context and order: as `synchronize_rcu`.
///
/// # Examples
/// ```
/// use tetra::sync::rcu::{nr_expedited, synchronize_rcu_expedited};
/// let before = nr_expedited();
/// synchronize_rcu_expedited(); // all sections that ran at the call are over
/// assert_eq!(nr_expedited(), before + 1);
/// ```
#[track_caller]
pub fn synchronize_rcu_expedited() {
    NR_EXPEDITED.inc();
    wait(true);
}

#[track_caller]
fn wait(is_expedited: bool) {
    if super::read::wait_for_host_sections().is_some() {
        return;
    }
    let snapshot = GRACE_PERIODS.snapshot();
    if is_boot() {
        return wait_at_boot(snapshot);
    }
    if is_expedited || super::is_strict() {
        hooks::hurry(snapshot);
    }
    hooks::need(snapshot);
    // This says so if the caller must not sleep.
    WAITERS.wait_event(|| GRACE_PERIODS.is_done(snapshot));
    smp_mb();
}

/// Threads do not run yet: the caller is what will become the idle thread, which never waits later on.
fn is_boot() -> bool {
    cpu::task::try_current().is_none_or(|task| task.pid() == 0)
}

/// # Panics
/// In a section, or in a handler that interrupted the idle thread: the caller could be the reader that it waits for.
fn wait_at_boot(snapshot: u64) {
    assert!(cpu::preempt_count() == 0, "synchronize_rcu in a read section, with preemption off, or in a handler");
    hooks::need(snapshot);
    while !GRACE_PERIODS.is_done(snapshot) {
        let irqs_off = IrqGuard::new();
        hooks::on_wait_at_boot();
        drop(irqs_off);
        arch::relax();
    }
    smp_mb();
}

/// A grace period has ended. Context: any.
pub(super) fn wake() {
    WAITERS.wake_up_all();
}

/// How often `synchronize_rcu_expedited` was called. Context: any.
pub fn nr_expedited() -> u64 {
    NR_EXPEDITED.read()
}
