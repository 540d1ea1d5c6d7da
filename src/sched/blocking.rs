//! What the sleeping locks ask of the scheduler: to sleep, to wake, to lend urgency, and what becomes of the locks of a thread that ends.
//!
//! `sync` lies below this layer, so each call is an upcall (`upcalls`), of a few instructions and on the path that waits anyway.
//!
//! # The dead owner
//! A thread that ends by a fault, or forgot a guard, gives nothing back. Its block is then kept for ever, so that the address in a mutex's word names the
//! dead and never a new thread, and whoever waits for it is woken to find that out. That costs a block of the table (not its use: faults are rare).
//! Rejected: a list of held mutexes in each thread, which every uncontended lock and unlock would pay for.
//!
//! # Memory ordering
//! A waiter stores whom it waits for, passes the full barrier of `set_current_state`, and asks whether that thread is over; the dying thread says that it
//! is over, passes a full barrier, and looks who waits for it. One of the two sees the other.
//!
//! Neighbours: `sync::wait_room`, `sync::raw_mutex`; `wake` and `timeout` do the work.

use super::features::{self, Feature};
use super::run_queue::need_resched;
use super::signal;
use super::thread::{self, Life, Thread, ThreadRef, current};
use super::thread_table::of_task;
use super::{preempt, switch, timeout, wake};
use crate::cpu::Task;
use crate::cpu::task::TaskState;
use core::mem;
use core::panic::Location;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

/// Owners of owners that a waiter's urgency reaches. A longer chain is cut, as a ring is.
const MAX_CHAIN: usize = 8;

#[unsafe(no_mangle)]
fn tetra_schedule() {
    switch::schedule();
}

#[unsafe(no_mangle)]
fn tetra_schedule_timeout(timeout: Duration) -> Duration {
    timeout::schedule_timeout(timeout)
}

#[unsafe(no_mangle)]
fn tetra_wake_task(task: &'static Task) -> bool {
    wake::try_to_wake_up(of_task(task), TaskState::NORMAL)
}

#[unsafe(no_mangle)]
fn tetra_is_signal_pending(state: TaskState) -> bool {
    signal::pending_in_state(current(), state)
}

#[unsafe(no_mangle)]
fn tetra_might_sleep(place: &'static Location<'static>) {
    preempt::might_sleep_at(place);
}

#[unsafe(no_mangle)]
fn tetra_may_spin_on(owner: &'static Task) -> bool {
    features::is_on(Feature::MutexSpin) && of_task(owner).is_on_cpu() && !need_resched()
}

#[unsafe(no_mangle)]
fn tetra_is_over(task: &'static Task) -> bool {
    of_task(task).is_in(Life::Over)
}

#[unsafe(no_mangle)]
fn tetra_begin_lending(owner: &'static Task, lender: &'static Task) {
    wake::begin_lending(of_task(owner), of_task(lender).priority());
    lend_along(owner, of_task(lender));
}

#[unsafe(no_mangle)]
fn tetra_raise_lending(owner: &'static Task, lender: &'static Task) {
    wake::raise_lending(of_task(owner), of_task(lender).priority());
    lend_along(owner, of_task(lender));
}

#[unsafe(no_mangle)]
fn tetra_end_lending(owner: &'static Task) {
    wake::end_lending(of_task(owner));
}

/// The owner may itself wait for a mutex: then that one's owner must come first, and so on.
fn lend_along(owner: &'static Task, lender: &Thread) {
    let owners = core::iter::successors(owner.waits_for(), |owner| owner.waits_for());
    for owner in owners.take(MAX_CHAIN) {
        wake::raise_lending(of_task(owner), lender.priority());
    }
}

#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
#[unsafe(no_mangle)]
fn tetra_held_locks() -> Option<&'static crate::sync::held_locks::HeldLocks> {
    crate::cpu::task::try_current().map(|task| &of_task(task).held_locks)
}

/// The running thread ends: whatever it still holds stays held, and those who wait for it learn that. Context: thread, irqs on.
pub(super) fn give_up_locks() {
    if holds_locks() {
        // The block is never used again.
        mem::forget(ThreadRef::current());
        current().set_life(Life::Over);
        fence(Ordering::SeqCst);
        wake_who_waits_for(current().task());
    }
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    current().held_locks.clear();
}

/// The running thread has leaked a guard. Known only where held locks are noted.
fn holds_locks() -> bool {
    #[cfg(feature = "lockdep")]
    return !crate::sync::lockdep::check_no_locks_held();
    #[cfg(not(feature = "lockdep"))]
    false
}

fn wake_who_waits_for(dead: &'static Task) {
    for thread in thread::all() {
        if thread.task().waits_for().is_some_and(|owner| core::ptr::eq(owner, dead)) {
            wake::try_to_wake_up(&thread, TaskState::NORMAL);
        }
    }
}
