//! Lock algorithms: a critical section that counts. Two threads in it at once, or one that does not see what the other did, lose a count.

use core::ptr::NonNull;
use tetra::sync::atomic::AtomicU64;
use tetra::sync::raw::mcs::McsToken;
use tetra::sync::raw::{McsLock, McsNode, RawLock, RawRwLock, TasLock, TicketLock};
use tetra::sync::{PreemptDisabled, SeqCount, SeqLatch};

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

/// Counts under the lock, returns the count before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tas_section(lock: &TasLock, count: &AtomicU64) -> u64 {
    lock.lock();
    let before = count.read();
    count.set(before + 1);
    // SAFETY: Locked above.
    unsafe { lock.unlock(()) };
    before
}

/// Counts under the lock if it is free, returns the count before, or 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tas_try_section(lock: &TasLock, count: &AtomicU64) -> u64 {
    if lock.try_lock().is_none() {
        return 9;
    }
    let before = count.read();
    count.set(before + 1);
    // SAFETY: Locked above.
    unsafe { lock.unlock(()) };
    before
}

/// Writes as the holder of an MCS lock, by `node`, and gives it back: to a waiter that is linked, or to nobody.
///
/// # Safety
/// `node` heads the queue of `lock`.
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn mcs_leave(lock: &McsLock, node: NonNull<McsNode>, data: &AtomicU64) -> u64 {
    data.set(1);
    // SAFETY: The caller's promise.
    unsafe { lock.unlock(McsToken::of_node(node)) };
    0
}

/// Takes an MCS lock whose queue is empty, and reads under it: 2 for the lock, 1 for the data.
///
/// # Safety
/// `node` is in no queue.
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn mcs_enter_empty(lock: &McsLock, node: NonNull<McsNode>, data: &AtomicU64) -> u64 {
    // SAFETY: The caller's promise. The place is never given back: the test ends with it.
    let (_, is_held) = unsafe { lock.begin(node) };
    if is_held { 2 | data.read() } else { 0 }
}

/// Looks once whether the place in the queue is the first, and reads if so.
///
/// # Safety
/// `node` is queued and lives.
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn mcs_look(node: NonNull<McsNode>, data: &AtomicU64) -> u64 {
    // SAFETY: The caller's promise.
    let token = unsafe { McsToken::of_node(node) };
    if token.is_held() { 2 | data.read() } else { 0 }
}

/// Reads as a reader that is inside, and leaves: returns what it read.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rw_reader_leaves(lock: &RawRwLock, data: &AtomicU64) -> u64 {
    let seen = data.read();
    // SAFETY: The test begins with this reader inside.
    unsafe { lock.unlock_read() };
    seen
}

/// Writes if it can enter as a writer, or returns 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rw_writer_enters(lock: &RawRwLock, data: &AtomicU64) -> u64 {
    if !lock.begin_write() {
        return 9;
    }
    data.set(1);
    0
}

/// Writes if it can enter as the writer that waits at the queue's head, or returns 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rw_head_enters(lock: &RawRwLock, data: &AtomicU64) -> u64 {
    if !lock.try_enter_as_head() {
        return 9;
    }
    data.set(1);
    0
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

/// Writes both words of a latch.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn latch_write(latch: &SeqLatch<[u32; 2], PreemptDisabled>) -> u64 {
    latch.write([1, 1]);
    0
}

/// Reads both words of a latch: their sum, odd if they are of two writes.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn latch_read(latch: &SeqLatch<[u32; 2], PreemptDisabled>) -> u64 {
    let [first, second] = latch.read();
    u64::from(first + second)
}
