//! The reader-writer semaphore under loom, with two threads: a writer is inside alone, and who goes in sees what those who went out did.
//!
//! A sleep is a yield here, which `is_called` ends (`sched::wake_model` has the scheduler's half).

use super::*;
use loom::sync::Arc;
use loom::thread;

static TASKS: [Task; 2] = [const { Task::new() }; 2];

/// Which part is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Whole,
    /// A reader goes out by a plain operation.
    ReaderLeavesRelaxed,
    /// A writer goes out by a plain operation.
    WriterLeavesRelaxed,
    /// A reader goes in without a look at the word.
    ReaderLooksAtNothing,
}

struct World {
    lock: RwSemaphore<()>,
    data: loom::cell::UnsafeCell<u32>,
}

// SAFETY: loom reports every unordered access to the data.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    /// Loom's cells are made here, before threads share them.
    fn new() -> Arc<Self> {
        let world = Self { lock: RwSemaphore::new(()), data: loom::cell::UnsafeCell::new(0) };
        let _made = (world.lock.is_locked(), world.lock.room.with(|waiters| waiters.is_empty()));
        Arc::new(world)
    }

    fn play(who: usize) {
        arch::set_cpu(who);
        // SAFETY: a static.
        unsafe { arch::set_current((&raw const TASKS[who]).addr()) };
    }

    fn write(&self, twin: Twin) {
        let guard = self.lock.write();
        // SAFETY: loom checks the access.
        self.data.with_mut(|data| unsafe { *data += 1 });
        if twin == Twin::WriterLeavesRelaxed && self.lock.word.cmpxchg_relaxed(arch::current(), 0).is_ok() {
            core::mem::forget(guard);
        }
    }

    fn read(&self, twin: Twin) {
        let guard = (twin != Twin::ReaderLooksAtNothing).then(|| self.lock.read());
        // SAFETY: loom checks the access.
        let seen = self.data.with(|data| unsafe { *data });
        assert!(seen < 3);
        if twin == Twin::ReaderLeavesRelaxed && self.lock.word.cmpxchg_relaxed(READER, 0).is_ok() {
            core::mem::forget(guard);
        }
    }
}

/// One thread writes, the other does what `other` says.
fn model(twin: Twin, other: fn(&World, Twin)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let world = World::new();
        let thread = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                World::play(1);
                other(&world, twin);
            })
        };
        World::play(0);
        world.write(twin);
        thread.join().expect("the other thread does not panic");
        assert!(!world.lock.is_locked());
    });
}

#[test]
fn writers_exclude_each_other() {
    model(Twin::Whole, World::write);
}

#[test]
fn a_reader_and_a_writer_exclude_each_other() {
    model(Twin::Whole, World::read);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_reader_that_leaves_plainly_may_not_have_read_yet() {
    model(Twin::ReaderLeavesRelaxed, World::read);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_writer_that_leaves_plainly_may_not_have_written_yet() {
    model(Twin::WriterLeavesRelaxed, World::write);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_reader_that_does_not_look_meets_the_writer() {
    model(Twin::ReaderLooksAtNothing, World::read);
}
