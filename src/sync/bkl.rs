//! The big kernel lock: one lock for everything, which a thread may take again and which it loses while it sleeps.
//!
//! What kernels began with on several cores, here to be learned from: it makes code safe that was written for one core, and nothing faster. A thread
//! takes it as often as it likes; the last `unlock_kernel` gives it back. Over a sleep, of whatever kind, the scheduler gives it back and takes it again,
//! so it never stands in a ring of locks; but what it protects may have changed behind every call that sleeps. Preemption leaves it
//! where it is; a `yield_now` that finds another thread ready is a sleep.
//! `lockdep` does not watch it: it may be taken in any order with sleeping locks, just because it is lost when one of them is waited for.
//!
//! ```no_run
//! use tetra::sync::bkl::{kernel_locked, lock_kernel, unlock_kernel};
//!
//! lock_kernel();
//! lock_kernel();
//! unlock_kernel();
//! assert!(kernel_locked());
//! unlock_kernel();
//! ```
//!
//! # Memory ordering
//! As a mutex: all before it is given back, by a call or a sleep, happens before all after it is taken next.
//!
//! Neighbours: `raw_mutex` is the lock; the depth lies in the thread's block (`cpu::task`); `sched::switch` calls [`release_for_sleep`].

use super::raw_mutex::{LockError, RawMutex};
use super::wait_room::{Sleep, might_sleep};
use crate::cpu;
use crate::upcalls;
use core::panic::Location;

static LOCK: RawMutex = RawMutex::new();

/// Takes the big kernel lock, or takes it once more.
///
/// Context: thread, may sleep. Acquire, the first time.
///
/// # Panics
/// If its owner has ended by a fault; who can go on then asks with `lock_kernel_killable`.
///
/// # Examples
/// ```no_run
/// use tetra::sync::bkl::{kernel_locked, lock_kernel, unlock_kernel};
/// lock_kernel();
/// lock_kernel(); // its owner may
/// unlock_kernel();
/// assert!(kernel_locked());
/// # unlock_kernel();
/// ```
#[track_caller]
pub fn lock_kernel() {
    might_sleep();
    let me = cpu::current();
    let depth = me.lock_depth();
    if depth == 0 {
        take();
    }
    me.set_lock_depth(depth + 1);
}

/// Gives it back as often as it was taken: the last time others get it. Without it, that is reported and nothing happens.
///
/// Context: thread. Release, the last time.
///
/// # Examples
/// ```no_run
/// use tetra::sync::bkl::{kernel_locked, lock_kernel, unlock_kernel};
/// lock_kernel();
/// unlock_kernel();
/// assert!(!kernel_locked());
/// ```
#[track_caller]
pub fn unlock_kernel() {
    let me = cpu::current();
    match me.lock_depth() {
        0 => upcalls::bug_report(format_args!("unlock_kernel by {me}, which does not hold the big kernel lock"), Location::caller()),
        1 => {
            me.set_lock_depth(0);
            LOCK.unlock_unwatched();
        }
        depth => me.set_lock_depth(depth - 1),
    }
}

/// The running thread holds it. Context: thread.
///
/// # Examples
/// ```no_run
/// use tetra::sync::bkl::{kernel_locked, lock_kernel};
/// assert!(!kernel_locked());
/// lock_kernel();
/// assert!(kernel_locked());
/// ```
pub fn kernel_locked() -> bool {
    cpu::current().lock_depth() != 0
}

/// As `lock_kernel`, for who can go on without it.
///
/// Context: thread, may sleep. Acquire, the first time.
///
/// # Errors
/// `Interrupted` (`EINTR`) by a fatal signal; `OwnerDead` (`EOWNERDEAD`) if its owner has ended by a fault: nobody gets it any more.
///
/// # Examples
/// ```no_run
/// use tetra::sync::bkl::{lock_kernel_killable, unlock_kernel};
/// if lock_kernel_killable().is_ok() {
///     unlock_kernel();
/// }
/// ```
#[track_caller]
pub fn lock_kernel_killable() -> Result<(), LockError> {
    might_sleep();
    let me = cpu::current();
    let depth = me.lock_depth();
    if depth == 0 {
        LOCK.lock_unwatched(&Sleep::KILLABLE)?;
    }
    me.set_lock_depth(depth + 1);
    Ok(())
}

fn take() {
    let taken = LOCK.lock_unwatched(&Sleep::DEEP);
    assert!(taken.is_ok(), "the owner of the big kernel lock has ended with it");
}

/// The running thread, which holds it, is about to sleep: gives it back whatever the depth. What `take_again` needs.
///
/// Context: thread, from the scheduler; the thread's state stays as it is.
#[cold]
pub(crate) fn release_for_sleep() -> u32 {
    let me = cpu::current();
    let depth = me.lock_depth();
    me.set_lock_depth(0);
    LOCK.unlock_unwatched();
    depth
}

/// The sleep is over: takes it as before. Context: thread, from the scheduler; may sleep again.
#[cold]
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no scheduler"))]
pub(crate) fn take_again(depth: u32) {
    let me = cpu::current();
    // The sleep may be one for a mutex, and not be over.
    let waits_for = me.waits_for();
    take();
    me.set_waits_for(waits_for);
    me.set_lock_depth(depth);
}

/// The running thread ends: with the lock it would keep it for ever, so that is reported, and it is given back. Context: thread.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no scheduler"))]
pub(crate) fn give_back_at_end() {
    let me = cpu::current();
    if me.lock_depth() != 0 {
        upcalls::bug_report(format_args!("{me} ends with the big kernel lock; it is given back"), Location::caller());
        release_for_sleep();
    }
}
