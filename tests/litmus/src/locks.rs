//! Lock algorithms: a critical section that counts. Two threads in it at once, or one that does not see what the other did, lose a count.

use tetra::sync::SeqCount;
use tetra::sync::atomic::AtomicU64;
use tetra::sync::raw::{RawLock, RawRwLock, TicketLock};

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

/// Counts as a writer, returns the count before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rw_write_section(lock: &RawRwLock, count: &AtomicU64) -> u64 {
    lock.write();
    let before = count.read();
    count.set(before + 1);
    // SAFETY: Entered above.
    unsafe { lock.unlock_write() };
    before
}

/// Looks at the count twice as a reader, returns the sum: odd if it changed in between.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rw_read_section(lock: &RawRwLock, count: &AtomicU64) -> u64 {
    lock.read();
    let (first, second) = (count.read(), count.read());
    // SAFETY: Entered above.
    unsafe { lock.unlock_read() };
    first + second
}

/// Writes 1 to both words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn seq_write(count: &SeqCount, first: &AtomicU64, second: &AtomicU64) -> u64 {
    let begun = count.write_begin();
    first.set(1);
    second.set(1);
    count.write_end(begun);
    0
}

/// Reads both words once: their sum, or 9 if a writer came between.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn seq_read(count: &SeqCount, first: &AtomicU64, second: &AtomicU64) -> u64 {
    let begun = count.begin();
    let sum = first.read() + second.read();
    if count.retry(begun) { 9 } else { sum }
}
