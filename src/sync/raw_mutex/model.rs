//! The mutex under loom, with two threads: nobody else is inside, and each sees what the one before did, by the word alone, over the room's lock and
//! handed over.
//!
//! A sleep is a yield here, which `is_called` ends (`sched::wake_model` has the scheduler's half). Nobody spins: `upcalls::may_spin_on` knows of no owner
//! that runs.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

static TASKS: [Task; 2] = [const { Task::new() }; 2];

/// Which part is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Whole,
    /// The word is freed by a plain exchange.
    UnlockRelaxed,
    /// The word is taken by a plain exchange.
    LockRelaxed,
    /// The first thread frees the word whoever waits.
    UnlockBlind,
}

struct World {
    mutex: RawMutex,
    data: UnsafeCell<u32>,
}

// SAFETY: loom reports every unordered access to the data.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    /// Loom's cells are made here, before threads share them.
    fn new() -> Arc<Self> {
        let world = Self { mutex: RawMutex::new(), data: UnsafeCell::new(0) };
        let _made = (world.mutex.is_locked(), world.mutex.room.with(|waiters| waiters.is_empty()));
        Arc::new(world)
    }

    fn section(&self, who: usize, twin: Twin) {
        // SAFETY: a static.
        unsafe { arch::set_current((&raw const TASKS[who]).addr()) };
        let word = &self.mutex.word;
        let is_got = twin == Twin::LockRelaxed && word.cmpxchg_zero_relaxed(arch::current()).is_ok();
        if !is_got {
            self.mutex.lock_unwatched(&Sleep::DEEP).expect("nobody dies or signals");
        }
        // SAFETY: loom checks the access.
        self.data.with_mut(|data| unsafe { *data += 1 });
        match twin {
            Twin::UnlockRelaxed if word.cmpxchg_relaxed(arch::current(), 0).is_ok() => {}
            Twin::UnlockBlind if who == 0 => word.store_release(0),
            _ => self.mutex.unlock_unwatched(),
        }
    }
}

fn model(twin: Twin) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let world = World::new();
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.section(1, twin))
        };
        world.section(0, twin);
        if twin == Twin::UnlockBlind {
            // The other would wait for ever: it is enough to see that it was not called.
            assert!(world.mutex.room.with(|waiters| waiters.is_empty()), "a waiter was left behind");
        }
        other.join().expect("the other thread does not panic");
        assert!(!world.mutex.is_locked());
        // SAFETY: both threads are done.
        assert_eq!(world.data.with(|data| unsafe { *data }), 2);
    });
}

#[test]
fn a_mutex_excludes_and_is_handed_over() {
    model(Twin::Whole);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_unlock_passes_nothing_on() {
    model(Twin::UnlockRelaxed);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_lock_sees_nothing() {
    model(Twin::LockRelaxed);
}

#[test]
#[should_panic(expected = "a waiter was left behind")]
fn an_unlock_that_does_not_look_leaves_a_waiter_behind() {
    model(Twin::UnlockBlind);
}
