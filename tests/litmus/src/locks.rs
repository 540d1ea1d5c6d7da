//! Lock algorithms: a critical section that counts. Two threads in it at once, or one that does not see what the other did, lose a count.

use tetra::sync::atomic::AtomicU64;
use tetra::sync::raw::{RawLock, TicketLock};

/// Counts under the lock, returns the count before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ticket_section(lock: &TicketLock, count: &AtomicU64) -> u64 {
    let token = lock.lock();
    let before = count.read();
    count.set(before + 1);
    // SAFETY: Locked above, by the call that gave the token.
    unsafe { lock.unlock(token) };
    before
}

/// Counts under the lock if it is free, returns the count before, or 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ticket_try_section(lock: &TicketLock, count: &AtomicU64) -> u64 {
    let Some(token) = lock.try_lock() else { return 9 };
    let before = count.read();
    count.set(before + 1);
    // SAFETY: Locked above, by the call that gave the token.
    unsafe { lock.unlock(token) };
    before
}
