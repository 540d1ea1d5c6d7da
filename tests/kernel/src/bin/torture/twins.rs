//! Broken twins of the primitives, each with a mistake of logic that torture must catch.
//!
//! A missing barrier would be of no use here: QEMU on a PC does not show it. Those are `make verify`'s and loom's.

use super::subjects::{Subject, take_from};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use tetra::sync::{Completion, Mutex, RwLock, SpinLock, WaitQueue};

/// As long as a lost wake-up may take to be called one.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);

static SPIN: SpinLock<()> = SpinLock::new(());
static RW: RwLock<()> = RwLock::new(());
static MUTEX: Mutex<()> = Mutex::new(());
static EVENTS: Completion = Completion::new();
static GIVEN: AtomicU64 = AtomicU64::new(0);
static STOCK: AtomicU64 = AtomicU64::new(0);
static CAME: WaitQueue = WaitQueue::new();

/// All twins.
pub static ALL: &[Subject] = &[
    Subject::twin(
        "unlocks early",
        |inside| {
            drop(SPIN.lock());
            inside();
        },
        None,
    ),
    Subject::twin(
        "grants twice",
        |inside| {
            let _held = MUTEX.try_lock();
            inside();
        },
        None,
    ),
    Subject::twin(
        "lets readers in beside a writer",
        |inside| {
            let _held = RW.write();
            inside();
        },
        Some(|inside| inside()),
    ),
    // One event in eight is forgotten.
    Subject::hand_over(
        "loses events",
        || {
            if !GIVEN.fetch_add(1, Ordering::Relaxed).is_multiple_of(8) {
                EVENTS.complete();
            }
        },
        || EVENTS.wait_timeout(SHORT_PATIENCE).is_ok(),
    ),
    // The sleeper gives up before it looks once more, as if it had not been woken.
    Subject::hand_over(
        "loses wake-ups",
        || {
            STOCK.fetch_add(1, Ordering::Relaxed);
        },
        || {
            let mut looked = false;
            CAME.wait_event_timeout(SHORT_PATIENCE, || !core::mem::replace(&mut looked, true) && take_from(&STOCK)).is_ok()
        },
    ),
];
