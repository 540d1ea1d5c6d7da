//! Sleeps that end by themselves: a timer on the sleeper's own stack wakes it.
//!
//! The timer is cancelled, and waited for, before the function returns, so it never outlives the frame in which it lies. Nothing fires early.
//! Neighbours: `switch`, `wake`, `time::timer` and `time::hrtimer`.

use super::switch::schedule;
use super::thread::{Thread, current};
use super::wake;
use crate::cpu::task::{TaskState, set_current_state};
use crate::time::{self, HrTimer, Ktime, Timer};
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::time::Duration;

/// Sleeps in the state that the caller has set, until it is woken or `timeout` has passed: Linux's `schedule_timeout`. What is left of the timeout; zero:
/// it passed. By jiffies: up to two ticks late.
///
/// Context: thread, irqs on, no section counted.
pub fn schedule_timeout(timeout: Duration) -> Duration {
    let deadline = time::ktime_get() + timeout;
    let alarm = pin!(Timer::new(current(), |alarm| wake_sleeper(alarm.data())));
    alarm.as_ref().start_pinned(timeout);
    schedule_until(deadline)
}

/// As `schedule_timeout`, by a high-resolution timer: Linux's `schedule_hrtimeout`.
///
/// Context: thread, irqs on, no section counted.
pub fn schedule_hrtimeout(timeout: Duration) -> Duration {
    let deadline = time::ktime_get() + timeout;
    let alarm = pin!(HrTimer::new(current(), |alarm| wake_sleeper(alarm.data())));
    alarm.as_ref().start_pinned(timeout);
    schedule_until(deadline)
}

/// Sleeps while an alarm is armed for `deadline`, which the hung task detector is told: such a sleep ends. What is left of it.
fn schedule_until(deadline: Ktime) -> Duration {
    let sleeps_until = &current().sleeps_until;
    sleeps_until.store(deadline.as_ns(), Ordering::Relaxed);
    schedule();
    sleeps_until.store(0, Ordering::Relaxed);
    deadline - time::ktime_get()
}

fn wake_sleeper(thread: &Thread) {
    wake::try_to_wake_up(thread, TaskState::NORMAL);
}

/// Sleeps for at least `millis` milliseconds, whatever wake-ups and signals come: Linux's `msleep`.
///
/// Context: thread, may sleep.
#[track_caller]
pub fn msleep(millis: u64) {
    super::might_sleep();
    sleep_for(Duration::from_millis(millis), schedule_timeout);
}

/// Sleeps for at least `min` microseconds, about as exactly as interrupts are taken: Linux's `usleep_range`. `max` says how late it may be; here it need not be
/// made use of.
///
/// Context: thread, may sleep.
///
/// # Panics
/// If `max` is below `min`.
#[track_caller]
pub fn usleep_range(min: u64, max: u64) {
    assert!(min <= max, "usleep_range from {min} to {max}: the range is empty");
    super::might_sleep();
    sleep_for(Duration::from_micros(min), schedule_hrtimeout);
}

/// Upcall of mm: sleeps for about a tick. Boot, idle threads and whoever may not sleep pause instead.
#[unsafe(no_mangle)]
fn tetra_wait_a_tick() {
    if crate::cpu::online_mask() == 0 || crate::cpu::is_atomic() || current().is_idle() {
        crate::arch::relax();
    } else {
        sleep_for(Duration::from_millis(1), schedule_timeout);
    }
}

fn sleep_for(time: Duration, sleep: fn(Duration) -> Duration) {
    let mut left = time;
    while !left.is_zero() {
        set_current_state(TaskState::UNINTERRUPTIBLE);
        left = sleep(left);
    }
}
