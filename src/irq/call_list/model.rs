//! The list under loom: a sender and the core that serves it (a third thread has no end there). The call runs once, sees what its sender wrote, and its sender sees what it did.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::prelude::v1::*;

/// What a call is about: an argument and a result, without any order of their own.
struct Work {
    argument: UnsafeCell<u32>,
    result: UnsafeCell<u32>,
}

impl Work {
    fn call() -> Call<Self> {
        Call::new(Self { argument: UnsafeCell::new(0), result: UnsafeCell::new(0) })
    }

    fn serve(&self) {
        // SAFETY: loom checks the access; a report ends the model.
        let argument = self.argument.with(|argument| unsafe { *argument });
        // SAFETY: as above.
        self.result.with_mut(|result| unsafe { *result += argument });
    }
}

struct Shared {
    list: CallList<Work>,
    calls: [Call<Work>; 2],
}

// SAFETY: loom reports every unordered access to the cells.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Asks for call number `which` by `push`, waits until `is_done`, and looks at the result.
fn ask(shared: &Shared, which: usize, push: fn(&CallList<Work>, NonNull<Call<Work>>), is_done: fn(&Call<Work>) -> bool) {
    let call = &shared.calls[which];
    // SAFETY: the call is its sender's until it is pushed; loom checks.
    call.what.argument.with_mut(|argument| unsafe { *argument = 7 });
    push(&shared.list, NonNull::from(call));
    while !is_done(call) {
        thread::yield_now();
    }
    // SAFETY: it is done; loom checks.
    assert_eq!(call.what.result.with(|result| unsafe { *result }), 7, "a call that ran another number of times than once");
}

fn push(list: &CallList<Work>, call: NonNull<Call<Work>>) {
    // SAFETY: the calls live as long as the model, and each is pushed once.
    unsafe { list.push(call) };
}

/// `nr_senders` push a call each; the core serves until all are done.
fn model(nr_senders: usize, push: fn(&CallList<Work>, NonNull<Call<Work>>), is_done: fn(&Call<Work>) -> bool) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let shared = Arc::new(Shared { list: CallList::new(), calls: [Work::call(), Work::call()] });
        let senders: Vec<_> = (0..nr_senders)
            .map(|which| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || ask(&shared, which, push, is_done))
            })
            .collect();
        while !shared.calls[..nr_senders].iter().all(Call::is_done) {
            shared.list.run_all(Work::serve);
            thread::yield_now();
        }
        senders.into_iter().for_each(|sender| sender.join().expect("a sender does not panic"));
    });
}

#[test]
fn one_call_runs_once_and_both_see_the_others_work() {
    model(1, push, Call::is_done);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_push_without_release() {
    let push: fn(&CallList<Work>, NonNull<Call<Work>>) = |list, call| list.newest.store(call.as_ptr(), Ordering::Relaxed);
    model(1, push, Call::is_done);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_look_without_acquire() {
    model(1, push, |call| call.done.load(Ordering::Relaxed));
}
