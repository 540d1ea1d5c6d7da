//! The state word under loom: two cores ask and run, one cancels. Never two runs at once, no request lost, none begun after a finished cancel.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use std::prelude::v1::*;

/// A thing with the word, and a "list" that holds it or not.
struct Item {
    state: RunState,
    is_on_list: AtomicBool,
    runs: UnsafeCell<u32>,
    wanted: UnsafeCell<u32>,
}

// SAFETY: loom reports every unordered access to the cells.
unsafe impl Sync for Item {}
// SAFETY: as above.
unsafe impl Send for Item {}

impl Item {
    fn new() -> Arc<Self> {
        let state = RunState::new();
        Arc::new(Self { state, is_on_list: AtomicBool::new(false), runs: UnsafeCell::new(0), wanted: UnsafeCell::new(0) })
    }

    fn link(&self) {
        assert!(!self.is_on_list.swap(true, Ordering::AcqRel), "linked twice");
    }

    fn ask(&self) {
        if self.state.ask() == Some(true) {
            self.link();
        }
    }

    /// What a core does with its list: takes the item off if it is there, and runs it.
    fn serve(&self, end: fn(&RunState) -> bool) {
        if self.is_on_list.swap(false, Ordering::AcqRel) && self.state.begin() {
            // SAFETY: loom checks that nobody else is here.
            self.runs.with_mut(|runs| unsafe { *runs += 1 });
            if end(&self.state) {
                self.link();
            }
        }
    }
}

#[test]
fn two_cores_that_ask_and_serve_never_run_it_at_once_and_lose_no_request() {
    loom::model(|| {
        let item = Item::new();
        let other = {
            let item = Arc::clone(&item);
            thread::spawn(move || {
                item.ask();
                item.serve(RunState::end);
            })
        };
        item.ask();
        item.serve(RunState::end);
        other.join().expect("the other core does not panic");
        item.serve(RunState::end);
        assert!(item.state.is_idle() && !item.state.is_asked());
        // SAFETY: the other core is done.
        let runs = item.runs.with(|runs| unsafe { *runs });
        assert!((1..=2).contains(&runs), "{runs} runs");
    });
}

/// `wanted` is written before each request, also one that finds the first still waiting: the run must see it.
#[test]
fn a_run_sees_what_was_written_before_any_of_its_requests() {
    loom::model(|| {
        let item = Item::new();
        item.ask();
        let server = {
            let item = Arc::clone(&item);
            thread::spawn(move || {
                if item.is_on_list.swap(false, Ordering::AcqRel) && item.state.begin() {
                    let is_asked_again = item.state.is_asked();
                    if item.state.end() {
                        item.link();
                    }
                    return is_asked_again;
                }
                false
            })
        };
        // SAFETY: nobody reads it before the request below.
        item.wanted.with_mut(|wanted| unsafe { *wanted = 1 });
        item.ask();
        server.join().expect("the other core does not panic");
        if item.is_on_list.load(Ordering::Acquire) {
            item.serve(RunState::end);
        }
        assert!(item.state.is_idle() && !item.state.is_asked());
    });
}

/// Cancelling and waiting: once idle is seen nothing runs any more, and what ran is visible.
#[test]
fn after_a_cancel_that_found_it_idle_nothing_runs() {
    loom::model(|| {
        let item = Item::new();
        item.ask();
        let server = {
            let item = Arc::clone(&item);
            thread::spawn(move || item.serve(RunState::end))
        };
        item.state.cancel();
        while !item.state.is_idle() {
            thread::yield_now();
        }
        // SAFETY: idle and not asked for: no run is under way or to come, which loom checks.
        let runs = item.runs.with(|runs| unsafe { *runs });
        assert!(runs <= 1);
        server.join().expect("the other core does not panic");
    });
}

/// A broken twin: an end that forgets to look whether it was asked for again.
#[test]
#[should_panic(expected = "a request was lost")]
fn an_end_that_does_not_look_loses_a_request() {
    loom::model(|| {
        let item = Item::new();
        item.ask();
        let server = {
            let item = Arc::clone(&item);
            thread::spawn(move || {
                item.serve(|state| {
                    state.update(|word| word & !RUNNING);
                    false
                });
            })
        };
        let asked = item.state.ask();
        if asked == Some(true) {
            item.link();
        }
        server.join().expect("the other core does not panic");
        item.serve(RunState::end);
        assert!(!item.state.is_asked(), "a request was lost");
    });
}
