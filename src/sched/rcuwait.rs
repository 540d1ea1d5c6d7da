//! A place where one thread waits for a condition: Linux's `rcuwait`, without the RCU, since thread blocks never go away.
//!
//! What `join`, `park` and a console's reader need: no queue, no lock. Several threads waiting at once are refused; a wait queue serves those.
//!
//! # Memory ordering
//! Waiter: note itself; state; full barrier (`set_current_state`); condition. Waker: condition; full barrier; who waits. One of the two sees the other.

use super::thread::Life;
use super::{schedule, wake};
use super::{thread, thread_table};
use crate::cpu::Task;
use crate::cpu::task::{TaskState, set_current_state};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering, fence};

/// The thread that a note names has died.
#[cold]
fn is_over(waiter: *mut Task) -> bool {
    // SAFETY: null, or the head of a block of the static table.
    unsafe { waiter.as_ref() }.is_some_and(|task| thread_table::of_task(task).is_in(Life::Over))
}

/// A place for one waiter.
#[derive(Debug)]
pub struct RcuWait {
    waiter: AtomicPtr<Task>,
}

impl RcuWait {
    /// A place where nobody waits.
    #[expect(clippy::new_without_default, reason = "only ever a static or a part of one")]
    pub const fn new() -> Self {
        Self { waiter: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Sleeps in `state` until `condition` holds: Linux's `rcuwait_wait_event`. A signal does not end it; `condition` may look at one.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Panics
    /// If another thread waits here.
    pub fn wait_until(&self, state: TaskState, condition: impl FnMut() -> bool) {
        self.wait_with(state, condition, schedule);
    }

    /// The same, with another way to sleep.
    pub fn wait_with(&self, state: TaskState, mut condition: impl FnMut() -> bool, sleep: impl Fn()) {
        if condition() {
            return;
        }
        super::might_sleep();
        let me = (&raw const *thread::current().task()).cast_mut();
        let replace = |other| self.waiter.compare_exchange(other, me, Ordering::Relaxed, Ordering::Relaxed);
        // Whoever died while it waited has left its note.
        let alone = replace(ptr::null_mut()).or_else(|other| if is_over(other) { replace(other) } else { Err(other) }).is_ok();
        assert!(alone, "two threads wait where one may: use a wait queue");
        loop {
            set_current_state(state);
            if condition() {
                break;
            }
            sleep();
        }
        thread::current().task().set_state(TaskState::RUNNING);
        self.waiter.store(ptr::null_mut(), Ordering::Release);
    }

    /// Wakes the waiter, if there is one: Linux's `rcuwait_wake_up`. The condition must have been made true before.
    ///
    /// Context: any. True if it slept.
    pub fn wake_up(&self) -> bool {
        fence(Ordering::SeqCst);
        let waiter = self.waiter.load(Ordering::Acquire);
        // SAFETY: null, or the head of a block of the static table.
        match unsafe { waiter.as_ref() } {
            Some(task) => wake::try_to_wake_up(thread_table::of_task(task), TaskState::NORMAL | TaskState::PARKED),
            None => false,
        }
    }
}
