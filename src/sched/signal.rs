//! Signals, as far as waits need them: a bit that is sent, ends a sleep that permits it, and is read by the thread that it was sent to.
//!
//! There is no user space to run handlers, so a signal acts only where the thread looks: an interruptible wait returns `ERESTARTSYS`, a killable one does
//! so for `KILL` alone, and a thread's loop asks `signal_pending`. Nothing ends a kernel thread from outside: it holds locks that only it can give back.
//!
//! # Memory ordering
//! `send` sets the bit, then wakes; a waiter sets its state, then looks at the bit (`switch` does, too). Both have full barriers in between, as for any
//! condition (`cpu::task`).

use super::thread::{self, Thread};
use super::wake;
use crate::cpu::task::TaskState;
use crate::util::errno::Errno;
use core::sync::atomic::{AtomicU32, Ordering};

/// A signal, by Linux's name and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Hang-up: by custom, read your configuration again.
    Hup = 1,
    /// Interrupt from the keyboard.
    Int = 2,
    /// End at once; ends killable waits, too.
    Kill = 9,
    /// For the thread's own use.
    Usr1 = 10,
    /// For the thread's own use.
    Usr2 = 12,
    /// End in good order.
    Term = 15,
}

/// All signals and their names.
pub const SIGNALS: [(Signal, &str); 6] = [
    (Signal::Hup, "HUP"),
    (Signal::Int, "INT"),
    (Signal::Kill, "KILL"),
    (Signal::Usr1, "USR1"),
    (Signal::Usr2, "USR2"),
    (Signal::Term, "TERM"),
];

impl Signal {
    /// The signal called `text`: `9`, `KILL`, `SIGKILL`, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.get(..3).filter(|start| start.eq_ignore_ascii_case("SIG")).map_or(text, |_| &text[3..]);
        let found = SIGNALS.iter().find(|(signal, known)| known.eq_ignore_ascii_case(name) || name.parse() == Ok(*signal as u8));
        found.map(|(signal, _)| *signal)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

const KILL_MASK: u32 = Signal::Kill.bit();

/// The signals that were sent to a thread and not taken yet.
#[derive(Debug)]
pub(super) struct Signals(AtomicU32);

impl Signals {
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn pending(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends `signal` to `thread`: Linux's `send_sig`. Wakes it from an interruptible sleep, and for `KILL` from a killable one.
///
/// Context: any.
pub fn send(thread: &Thread, signal: Signal) {
    thread.signals.0.fetch_or(signal.bit(), Ordering::Release);
    let woken = if signal == Signal::Kill { TaskState::INTERRUPTIBLE | TaskState::WAKEKILL } else { TaskState::INTERRUPTIBLE };
    wake::try_to_wake_up(thread, woken);
}

/// Whether a signal waits for the running thread. Context: thread.
pub fn signal_pending() -> bool {
    thread::current().signals.pending() != 0
}

/// Whether the running thread shall end. Context: thread.
pub fn fatal_signal_pending() -> bool {
    thread::current().signals.pending() & KILL_MASK != 0
}

/// Whether a signal ends a sleep of `thread` in `state`: the look that `switch` takes before it lets the thread go.
#[inline]
pub(super) fn pending_in_state(thread: &Thread, state: TaskState) -> bool {
    if !state.intersects(TaskState::INTERRUPTIBLE.union(TaskState::WAKEKILL)) {
        return false;
    }
    let pending = thread.signals.pending();
    if state.contains(TaskState::INTERRUPTIBLE) { pending != 0 } else { pending & KILL_MASK != 0 }
}

/// What an interruptible wait returns when a signal waits.
///
/// # Errors
/// `ERESTARTSYS` if a signal waits that ends a sleep in `state`.
pub fn check_signals(state: TaskState) -> Result<(), Errno> {
    if pending_in_state(thread::current(), state) { Err(Errno::ERESTARTSYS) } else { Ok(()) }
}

/// Takes the signals that wait for the running thread: they are pending no more. Context: thread.
pub fn flush_signals() -> impl Iterator<Item = Signal> {
    let taken = thread::current().signals.0.swap(0, Ordering::Acquire);
    SIGNALS.into_iter().map(|(signal, _)| signal).filter(move |signal| taken & signal.bit() != 0)
}
