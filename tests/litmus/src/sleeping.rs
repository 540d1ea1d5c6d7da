//! What sleeps: the words that decide without a wait, and the two halves of every sleep. Runs that would really wait are discarded.

use core::mem;
use tetra::cpu::Task;
use tetra::cpu::task::{self, TaskState};
use tetra::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};
use tetra::sync::{Completion, Mutex, RwSemaphore, Semaphore, WaitQueue};

/// A datum as the result of a thread.
#[inline(always)]
fn value(cell: &AtomicI32) -> u64 {
    u64::from(cell.read().cast_unsigned())
}

/// Counts under a mutex, returns the count before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mutex_section(mutex: &Mutex<()>, count: &AtomicU64) -> u64 {
    let guard = mutex.lock();
    let before = count.read();
    count.set(before + 1);
    drop(guard);
    before
}

/// Counts under a mutex that is free, returns the count before, or 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mutex_try_section(mutex: &Mutex<()>, count: &AtomicU64) -> u64 {
    let Some(guard) = mutex.try_lock() else { return 9 };
    let before = count.read();
    count.set(before + 1);
    drop(guard);
    before
}

/// Writes as a writer: 1, and 2 before it goes out.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rwsem_write_twice(lock: &RwSemaphore<()>, data: &AtomicU64) -> u64 {
    let guard = lock.write();
    data.set(1);
    data.set(2);
    drop(guard);
    0
}

/// Looks as a reader who stays inside, or returns 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rwsem_reader_enters(lock: &RwSemaphore<()>, data: &AtomicU64) -> u64 {
    let Some(guard) = lock.try_read() else { return 9 };
    mem::forget(guard);
    data.read()
}

/// Looks as a reader and goes out; returns what it saw.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rwsem_read_section(lock: &RwSemaphore<()>, data: &AtomicU64) -> u64 {
    let guard = lock.read();
    let seen = data.read();
    drop(guard);
    seen
}

/// Writes 5 as a writer who stays inside, and returns what was there; or 9.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rwsem_writer_enters(lock: &RwSemaphore<()>, data: &AtomicU64) -> u64 {
    let Some(guard) = lock.try_write() else { return 9 };
    mem::forget(guard);
    let seen = data.read();
    data.set(5);
    seen
}

/// Data, then a place of a semaphore.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_up(data: &AtomicI32, semaphore: &Semaphore) -> u64 {
    data.set(1);
    semaphore.up();
    0
}

/// A place of a semaphore, then data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_down(data: &AtomicI32, semaphore: &Semaphore) -> u64 {
    semaphore.down();
    2 | value(data)
}

/// A place if there is one, then data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_try_down(data: &AtomicI32, semaphore: &Semaphore) -> u64 {
    let is_in = semaphore.try_down();
    u64::from(is_in) << 1 | value(data)
}

/// Data, then the event.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_complete(data: &AtomicI32, completion: &Completion) -> u64 {
    data.set(1);
    completion.complete();
    0
}

/// The event, then data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_wait(data: &AtomicI32, completion: &Completion) -> u64 {
    completion.wait();
    2 | value(data)
}

/// The event if it has come, then data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_is_done(data: &AtomicI32, completion: &Completion) -> u64 {
    u64::from(completion.is_done()) << 1 | value(data)
}

/// A thread about to sleep: its state, then the condition. Returns the condition; it sleeps if that is 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sleeper(condition: &AtomicI32) -> u64 {
    task::set_current_state(TaskState::UNINTERRUPTIBLE);
    value(condition)
}

/// Its waker: the condition, then the state. Returns the state; it wakes nobody if that is 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn waker(condition: &AtomicI32, sleeper: &Task) -> u64 {
    condition.set(1);
    u64::from(sleeper.state_for_waker().bits())
}

/// A thread that enters a wait queue, whose words are `queue`: it is counted, under a lock that is left out here and would only add order; then as
/// `sleeper`. The count is private; that this is its word the test shows by what it finds to be possible.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn queued_sleeper(condition: &AtomicI32, queue: &[AtomicU32; 9]) -> u64 {
    queue[6].set(1);
    task::set_current_state(TaskState::UNINTERRUPTIBLE);
    value(condition)
}

/// Its waker, who looks without a lock whether anybody waits. Returns 1 if somebody does.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn queue_waker(condition: &AtomicI32, queue: &WaitQueue) -> u64 {
    condition.set(1);
    u64::from(queue.has_sleeper())
}
