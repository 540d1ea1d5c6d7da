//! The state word of something that is asked to run and then runs once, on one core at a time: a tasklet or a piece of work.
//!
//! | bit | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `ASKED` | it shall run | `ask` | `begin`, `cancel` |
//! | `LINKED` | it is on a list, and whoever takes it off must call `begin` | `ask`, `enable`, `end` | `begin` |
//! | `RUNNING` | its function runs | `begin` | `end` |
//! | from `DISABLED_ONE` up | how often it is disabled | `disable` | `enable` |
//!
//! Invariants: 1. `LINKED` and `RUNNING` exclude each other, so it never runs on two cores. 2. `ASKED`, not disabled and not running means `LINKED`, so no
//! request is lost. The call that sets `LINKED` answers true, and its caller must link.
//!
//! Rejected: Linux's two bits and a spin of the second core that meets a running tasklet, which puts it back on its list and raises the softirq again
//! until the first is done; here the request waits in the word.
//!
//! # Memory ordering
//! Every change is an acquire-release read-modify-write of the one word. `ask` before `begin`: the function sees what was written before it was asked
//! for, also if it had been asked for already. `end` before the next `begin`, and before a wait that finds it idle: what the function wrote is visible.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};

const ASKED: u32 = 1 << 0;
const LINKED: u32 = 1 << 1;
const RUNNING: u32 = 1 << 2;
const DISABLED_ONE: u32 = 1 << 8;

/// The word; see the head of the file. All calls: any context; none waits.
#[derive(Debug)]
pub struct RunState(AtomicU32);

impl RunState {
    /// Idle and enabled.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Idle and enabled.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Asks for a run. `None`: it was asked for already; `Some(true)`: the caller must link it; `Some(false)`: it runs or is disabled, and will be linked.
    #[inline]
    pub fn ask(&self) -> Option<bool> {
        let old = self.update(|word| link_if_ready(word | ASKED));
        (old & ASKED == 0).then(|| link_if_ready(old | ASKED) & LINKED != old & LINKED)
    }

    /// It was taken off its list. True: run it, then call `end`; false: the request was taken back, or it is disabled.
    #[inline]
    pub fn begin(&self) -> bool {
        let begun = |word: u32| if may_run(word) { word & !(ASKED | LINKED) | RUNNING } else { word & !LINKED };
        may_run(self.update(begun))
    }

    /// Its function has returned. True: it was asked for meanwhile, and the caller must link it.
    #[inline]
    pub fn end(&self) -> bool {
        let old = self.update(|word| link_if_ready(word & !RUNNING));
        link_if_ready(old & !RUNNING) & LINKED != 0
    }

    /// Takes a request back. True if there was one. It may be linked or running still: wait for `is_idle`.
    pub fn cancel(&self) -> bool {
        self.update(|word| word & !ASKED) & ASKED != 0
    }

    /// Keeps it from beginning until as many `enable`s.
    pub fn disable(&self) {
        self.update(|word| word + DISABLED_ONE);
    }

    /// Undoes one `disable`. True: it was asked for meanwhile, and the caller must link it.
    ///
    /// # Panics
    /// If it is not disabled.
    pub fn enable(&self) -> bool {
        let old = self.update(|word| {
            assert!(word >= DISABLED_ONE, "enabled without having been disabled");
            link_if_ready(word - DISABLED_ONE)
        });
        link_if_ready(old - DISABLED_ONE) & LINKED != old & LINKED
    }

    /// It neither runs nor stands on a list: nobody but its owner will touch it.
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) & (LINKED | RUNNING) == 0
    }

    /// Its function runs.
    pub fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) & RUNNING != 0
    }

    /// It has been asked for and has not begun.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Acquire) & ASKED != 0
    }

    /// Applies `change` and gives the word before it.
    #[inline(always)]
    fn update(&self, change: impl Fn(u32) -> u32) -> u32 {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            // A change that changes nothing is stored as well: it passes on what this core wrote before (see `ask` above).
            match self.0.compare_exchange_weak(old, change(old), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return old,
                Err(now) => old = now,
            }
        }
    }
}

impl Default for RunState {
    fn default() -> Self {
        Self::new()
    }
}

fn may_run(word: u32) -> bool {
    word & ASKED != 0 && word < DISABLED_ONE
}

/// Invariant 2.
#[inline(always)]
fn link_if_ready(word: u32) -> u32 {
    if may_run(word) && word & RUNNING == 0 { word | LINKED } else { word }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_request_runs_once() {
        let state = RunState::new();
        assert_eq!((state.ask(), state.ask()), (Some(true), None));
        assert!(state.begin() && state.is_running() && !state.is_asked());
        assert!(!state.end() && state.is_idle());
    }

    #[test]
    fn a_request_while_it_runs_is_linked_at_the_end() {
        let state = RunState::new();
        assert!(state.ask() == Some(true) && state.begin());
        assert_eq!((state.ask(), state.ask()), (Some(false), None));
        assert!(state.end() && !state.is_idle() && state.begin() && !state.end());
    }

    #[test]
    fn a_disabled_one_waits_for_its_last_enable() {
        let state = RunState::new();
        state.disable();
        state.disable();
        assert_eq!(state.ask(), Some(false));
        assert!(!state.enable() && state.is_idle() && state.enable() && state.begin() && !state.end());
    }

    #[test]
    fn disabled_on_its_list_it_is_taken_off_and_linked_again() {
        let state = RunState::new();
        assert_eq!(state.ask(), Some(true));
        state.disable();
        assert!(!state.begin() && state.is_idle() && state.is_asked());
        assert!(state.enable() && state.begin() && !state.end());
    }

    #[test]
    fn enabled_before_it_was_taken_off_it_is_not_linked_twice() {
        let state = RunState::new();
        assert_eq!(state.ask(), Some(true));
        state.disable();
        assert!(!state.enable() && state.begin() && !state.end());
    }

    #[test]
    fn cancelled_on_its_list_it_does_not_run() {
        let state = RunState::new();
        assert!(state.ask() == Some(true) && state.cancel() && !state.cancel() && !state.is_idle());
        assert!(!state.begin() && state.is_idle());
    }

    #[test]
    fn asked_again_after_a_cancel_it_stays_on_the_one_list() {
        let state = RunState::new();
        assert!(state.ask() == Some(true) && state.cancel());
        assert_eq!(state.ask(), Some(false));
        assert!(state.begin() && !state.end());
    }

    #[test]
    #[should_panic(expected = "without having been disabled")]
    fn an_enable_too_many_is_refused() {
        RunState::new().enable();
    }
}

// By its path, as tests/litmus compiles this file from another place.
#[cfg(all(test, loom))]
#[path = "run_state/model.rs"]
mod model;
