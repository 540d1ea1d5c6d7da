//! What hands things over: a taker gets one for each that was given, and does not wait for what is there.

use super::subject::Subject;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use tetra::sync::{Completion, Condvar, Mutex, Semaphore, WaitQueue};

/// How long a taker waits for what was given before that counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

static EVENTS: Completion = Completion::new();
static PLACES: Semaphore = Semaphore::new(0);
static STOCK: AtomicU64 = AtomicU64::new(0);
static CAME: WaitQueue = WaitQueue::new();
static GOODS: Mutex<u64> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

/// Takes one from the stock if there is one.
pub fn take_from(stock: &AtomicU64) -> bool {
    stock.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// All that hands over.
pub static ALL: &[Subject] = &[
    Subject::hand_over("completion", || EVENTS.complete(), || EVENTS.wait_timeout(PATIENCE).is_ok()),
    Subject::hand_over("semaphore_up", || PLACES.up(), || PLACES.down_timeout(PATIENCE).is_ok()),
    Subject::hand_over(
        "wait_queue",
        || {
            STOCK.fetch_add(1, Ordering::Relaxed);
            CAME.wake_up();
        },
        || CAME.wait_event_timeout(PATIENCE, || take_from(&STOCK)).is_ok(),
    ),
    // It has no timeout: a notification that is lost is a guest that hangs, which the runner reports.
    Subject::hand_over(
        "condvar",
        || {
            *GOODS.lock() += 1;
            CHANGED.notify_one();
        },
        || {
            *CHANGED.wait_while(GOODS.lock(), |goods| *goods == 0) -= 1;
            true
        },
    ),
];
