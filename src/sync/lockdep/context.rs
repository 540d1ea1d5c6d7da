//! The context in which a lock is taken, as far as an interrupt's lock could get in its way.
//!
//! A value and not a query, so that the validator is pure: the kernel asks the count word and DAIF (`now`), the self-test makes them up.

use crate::arch;
use crate::cpu;

/// What kind of code takes a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A thread.
    Thread,
    /// A bottom half.
    Softirq,
    /// An interrupt's handler.
    Hardirq,
}

/// Where code runs and who may interrupt it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// What runs.
    pub level: Level,
    /// A hardware interrupt may come.
    pub hardirqs_on: bool,
    /// A bottom half may come.
    pub softirqs_on: bool,
    /// Nothing forbids to sleep.
    pub may_sleep: bool,
}

impl Context {
    /// A thread that everything may interrupt.
    pub const THREAD: Self = Self { level: Level::Thread, hardirqs_on: true, softirqs_on: true, may_sleep: true };
    /// A thread with interrupts off.
    pub const IRQS_OFF: Self = Self { level: Level::Thread, hardirqs_on: false, softirqs_on: false, may_sleep: false };
    /// A bottom half: other bottom halves wait, interrupts do not.
    pub const SOFTIRQ: Self = Self { level: Level::Softirq, hardirqs_on: true, softirqs_on: false, may_sleep: false };
    /// A handler: interrupts are masked.
    pub const HARDIRQ: Self = Self { level: Level::Hardirq, hardirqs_on: false, softirqs_on: false, may_sleep: false };

    /// That of the caller. Context: any.
    pub fn now() -> Self {
        let level = if cpu::in_hardirq() {
            Level::Hardirq
        } else if cpu::context::in_serving_softirq() {
            Level::Softirq
        } else {
            Level::Thread
        };
        let hardirqs_on = !arch::irq::is_masked();
        Self { level, hardirqs_on, softirqs_on: hardirqs_on && !cpu::in_softirq(), may_sleep: !cpu::is_atomic() }
    }
}
