//! What the sleeping locks ask of the scheduler: to sleep, to wake, to lend urgency, and what becomes of the locks of a thread that ends.
//!
//! `sync` lies below this layer, so each call is an upcall (`upcalls`), of a few instructions and on the path that waits anyway.
//!
//! # The dead owner
//! A thread that ends by a fault (`death`), or forgot a guard, gives nothing back. Its block is then kept for ever, so that the address in a lock's word
//! names the dead and never a new thread, and all who wait for locks are woken to find that out. That costs a block of the table (not its use: faults are rare).
//! Rejected: a list of held mutexes in each thread, which every uncontended lock and unlock would pay for.
//!
//! # Memory ordering
//! A waiter stores what it waits for, passes the full barrier of `set_current_state`, and asks whether that thread is over; the dying thread says that it
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
    // Who has the big kernel lock gives it back by sleeping: the owner may spin for that one.
    features::is_on(Feature::MutexSpin) && of_task(owner).is_on_cpu() && !need_resched() && current().task().lock_depth() == 0
}

#[unsafe(no_mangle)]
fn tetra_is_over(task: &'static Task) -> bool {
    of_task(task).is_in(Life::Over)
}

#[unsafe(no_mangle)]
fn tetra_begin_lending(owner: &'static Task, lender: &'static Task) {
    wake::begin_lending(of_task(owner), of_task(lender));
    lend_along(owner, of_task(lender));
}

#[unsafe(no_mangle)]
fn tetra_raise_lending(owner: &'static Task, lender: &'static Task) {
    wake::raise_lending(of_task(owner), of_task(lender));
    lend_along(owner, of_task(lender));
}

#[unsafe(no_mangle)]
fn tetra_is_more_urgent(one: &'static Task, other: &'static Task) -> bool {
    of_task(one).priority() > of_task(other).priority()
}

#[unsafe(no_mangle)]
fn tetra_end_lending(owner: &'static Task) {
    wake::end_lending(of_task(owner));
}

/// `waiter` may wait for a mutex: then its owner must be as urgent as `lender`, and if that one waits, whoever it waits for, and so on.
///
/// Context: any, without a thread's lock.
///
/// # Memory ordering
/// The lender's urgency is stored before the barrier, and whom the waiter waits for is loaded behind it. A waiter stores whom it waits for before the barrier
/// in `wake::begin_lending`, and its urgency is loaded behind that one. So one of the two lends.
pub(super) fn lend_along(waiter: &'static Task, lender: &Thread) {
    fence(Ordering::SeqCst);
    let owners = core::iter::successors(waiter.waits_for(), |owner| owner.waits_for());
    for owner in owners.take(MAX_CHAIN) {
        wake::raise_lending(of_task(owner), lender);
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
        wake_who_waits_for_locks();
    }
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    current().held_locks.clear();
}

/// The running thread has leaked a guard. Known where held locks are noted, and wherever a mutex of the thread is waited for.
fn holds_locks() -> bool {
    #[cfg(feature = "lockdep")]
    let is_noted = !crate::sync::lockdep::check_no_locks_held();
    #[cfg(all(feature = "lock_stat", not(feature = "lockdep")))]
    let is_noted = current().held_locks.iter().next().is_some();
    #[cfg(not(any(feature = "lockdep", feature = "lock_stat")))]
    let is_noted = false;
    is_noted || current().nr_lending.load(Ordering::Relaxed) != 0
}

/// The running thread has said that it is over: has all who wait for a lock look whether it was their owner. Context: any.
pub(super) fn wake_who_waits_for_locks() {
    for thread in thread::all() {
        if thread.task().waits_on() != 0 {
            wake::try_to_wake_up(&thread, TaskState::NORMAL);
        }
    }
}

/// Whether a thread that died has this lock still. Known only where held locks are noted.
#[unsafe(no_mangle)]
fn tetra_is_held_by_dead(lock: usize) -> Option<&'static Task> {
    #[cfg(feature = "lockdep")]
    return super::death::all_dead().find(|dead| dead.held_locks().iter().any(|held| held.lock == lock)).map(|dead| dead.task());
    #[cfg(not(feature = "lockdep"))]
    {
        let _ = lock;
        None
    }
}
