//! Sleeps that end by themselves.
//!
//! A bitmap says which threads sleep with a deadline, and core 0's tick looks at those. Nothing fires early; late by up to a tick.
//! Neighbours: `switch`, `wake`.

use super::switch::schedule;
use super::thread::{self, MAX_THREADS, current};
use super::wake;
use crate::arch::counter;
use crate::cpu::task::{TaskState, set_current_state};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

const NR_WORDS: usize = MAX_THREADS.div_ceil(64);

static SLEEPERS: [AtomicU64; NR_WORDS] = [const { AtomicU64::new(0) }; NR_WORDS];
static NR_SLEEPERS: AtomicU32 = AtomicU32::new(0);

/// Sleeps in the state that the caller has set, until it is woken or `timeout` has passed: Linux's `schedule_timeout`. What is left of the timeout; zero:
/// it passed.
///
/// Context: thread, irqs on, no section counted.
pub fn schedule_timeout(timeout: Duration) -> Duration {
    let hz = counter::frequency_hz();
    let ticks = u64::try_from(timeout.as_nanos() * u128::from(hz) / 1_000_000_000).unwrap_or(u64::MAX / 2).saturating_add(1);
    let deadline = counter::now().saturating_add(ticks);
    let thread = current();
    let (word, bit) = (&SLEEPERS[usize::from(thread.id()) / 64], 1u64 << (thread.id() % 64));
    thread.wake_at.store(deadline, Ordering::Relaxed);
    NR_SLEEPERS.fetch_add(1, Ordering::Relaxed);
    // Release: the deadline before the bit. Pairs with the acquire in `on_tick`.
    word.fetch_or(bit, Ordering::Release);
    schedule();
    word.fetch_and(!bit, Ordering::Relaxed);
    NR_SLEEPERS.fetch_sub(1, Ordering::Relaxed);
    let left = deadline.saturating_sub(counter::now());
    Duration::from_nanos((u128::from(left) * 1_000_000_000 / u128::from(hz)) as u64)
}

/// Sleeps for at least `millis` milliseconds, whatever wake-ups and signals come: Linux's `msleep`.
///
/// Context: thread, may sleep.
#[track_caller]
pub fn msleep(millis: u64) {
    super::might_sleep();
    let mut left = Duration::from_millis(millis);
    while !left.is_zero() {
        set_current_state(TaskState::UNINTERRUPTIBLE);
        left = schedule_timeout(left);
    }
}

/// Wakes whose time has come. Context: hardirq, core 0's tick.
pub(super) fn on_tick() {
    if NR_SLEEPERS.load(Ordering::Relaxed) == 0 {
        return;
    }
    let now = counter::now();
    for (index, word) in SLEEPERS.iter().enumerate() {
        let mut sleepers = word.load(Ordering::Acquire);
        while sleepers != 0 {
            let id = index * 64 + sleepers.trailing_zeros() as usize;
            sleepers &= sleepers - 1;
            let thread = thread::by_id(id as u16);
            if thread.wake_at.load(Ordering::Relaxed) <= now {
                wake::try_to_wake_up(thread, TaskState::NORMAL);
            }
        }
    }
}
