//! Tokens under loom, with two threads: what was done before a give is seen after the take that got it, whether the taker had to wait or not.
//!
//! Word, room and hand-over are the kernel's own; a sleep is a yield here, which `is_called` ends, as loom has no scheduler (`sched::wake_model` has that
//! half). As semaphore (one token, two threads that take and give) and as completion (none, one gives). Each order that the code argues for has a twin
//! without it.

use super::*;
use crate::arch;
use crate::cpu::Task;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Both threads: only a wake-up, which is none here, would tell them apart.
static TASK: Task = Task::new();

/// Which part is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Whole,
    /// A token is given by a plain operation.
    GiveRelaxed,
    /// A token is taken by a plain operation.
    TakeRelaxed,
    /// A token is looked at, and not taken.
    LookedAt,
}

struct World {
    tokens: Tokens,
    data: UnsafeCell<u32>,
}

// SAFETY: loom reports every unordered access to the data.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    /// Loom's cells are made here, before threads share them.
    fn new(count: u32) -> Arc<Self> {
        let world = Self { tokens: Tokens::new(count), data: UnsafeCell::new(0) };
        let _made = (world.tokens.count(), world.tokens.room.with(|waiters| waiters.is_empty()));
        Arc::new(world)
    }

    fn take(&self, twin: Twin) {
        // SAFETY: a static.
        unsafe { arch::set_current((&raw const TASK).addr()) };
        let is_got = match twin {
            Twin::TakeRelaxed => self.tokens.word.dec_if_positive_relaxed().is_some(),
            Twin::LookedAt => self.tokens.word.read() > 0,
            _ => false,
        };
        if !is_got {
            self.tokens.take(&Sleep::DEEP).expect("nothing ends a deep sleep but a token");
        }
    }

    fn give(&self, twin: Twin) {
        let is_given = twin == Twin::GiveRelaxed && self.tokens.word.inc_unless_negative_relaxed().is_some();
        if !is_given {
            self.tokens.give();
        }
    }

    fn add(&self) {
        // SAFETY: loom checks the access.
        self.data.with_mut(|data| unsafe { *data += 1 });
    }
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// One token, which both threads take and give.
fn semaphore(twin: Twin) {
    explore(move || {
        let world = World::new(1);
        let section = move |world: &World| {
            world.take(twin);
            world.add();
            world.give(twin);
        };
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || section(&world))
        };
        section(&world);
        other.join().expect("the other thread does not panic");
        // SAFETY: both threads are done.
        assert_eq!((world.data.with(|data| unsafe { *data }), world.tokens.count()), (2, Some(1)));
    });
}

/// One thread does something and gives, the other waits for that.
fn completion(twin: Twin) {
    explore(move || {
        let world = World::new(0);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                world.add();
                world.give(twin);
            })
        };
        world.take(twin);
        world.add();
        other.join().expect("the other thread does not panic");
        assert_eq!(world.tokens.count(), Some(0));
    });
}

#[test]
fn a_semaphore_of_one_excludes() {
    semaphore(Twin::Whole);
}

#[test]
fn what_came_before_a_completion_is_seen() {
    completion(Twin::Whole);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_give_passes_nothing_on() {
    semaphore(Twin::GiveRelaxed);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_complete_passes_nothing_on() {
    completion(Twin::GiveRelaxed);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_take_sees_nothing() {
    completion(Twin::TakeRelaxed);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_token_that_is_looked_at_and_not_taken_is_had_twice() {
    semaphore(Twin::LookedAt);
}
