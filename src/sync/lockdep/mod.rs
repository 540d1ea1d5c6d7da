//! The lock order validator: finds deadlocks that have not happened.
//!
//! It watches in which order locks are taken, in which contexts and with which interrupts on, and reports the first order that could make cores wait
//! for each other for ever, although this time they did not. One report, then it is off: behind the first finding nothing is certain.
//!
//! | to find | look in |
//! |---|---|
//! | the rules | [`validator`] |
//! | the order graph and its search; interrupts as nodes; readers | [`graph`] |
//! | what a class was seen doing with interrupts | [`usage`] |
//! | the short way of what was checked before | [`known`] |
//! | what a lock's context is | [`context`] |
//! | the running kernel's graph; on, off, figures | [`live`] |
//! | the words of a report | [`report`] |
//! | 300 made-up programs and what must be said of each | [`selftest`] |
//!
//! Everything but `live` is pure: the graph is a value, so the self-test has a fresh one for each case, on a PC and in the kernel. What is behind feature
//! `lockdep` is not there without it; the hooks in `meta` are then empty. `docs/lockdep.md` shows how to read a report.

pub mod context;
pub mod graph;
pub mod known;
pub mod live;
#[cfg(all(test, not(loom)))]
mod model_test;
pub mod report;
pub mod selftest;
pub mod usage;
pub mod validator;

pub use live::{check_no_locks_held, is_on};
