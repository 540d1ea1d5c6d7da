//! The place where threads wait: a queue of notes on their own stacks, under a spinlock. What every sleeping lock is made of.
//!
//! There are two ways to wait, told apart by who decides that the wait is over:
//! - [`WaitRoom::wait_for_turn`]: whoever gives something back hands it to the first waiter, which is out of the queue when it wakes. Nobody who comes
//!   later is quicker, so nobody starves. For what is counted or owned (mutex, semaphores, completion).
//! - [`WaitRoom::wait_for_condition`]: the waker only says "look", the waiter looks by itself and enters the queue anew if it was for nothing. For wait
//!   queues, whose waker does not know the condition.
//!
//! A note is in the queue as long as its thread's frame stands, since both calls take it out before they return; that is why the queue needs no memory
//! of its own. Rejected: links in the thread's block, which allow one wait at a time (a condition may be looked at while queued).
//!
//! # Invariants
//! 1. Links and `is_queued` of a note are touched under the room's lock alone.
//! 2. A note in the queue lies in a frame that stands. Who takes it out for its thread sets `is_called` last, and touches it no more. A thread that dies
//!    while it waits leaves its note: its stack stands for ever (`sched::death`), and who would call it passes it over.
//!
//! # Memory ordering
//! `is_called` is stored with release and loaded with acquire: what the giver did comes before what the waiter does next. The sleep itself is the
//! pattern of `cpu::task`: state, full barrier, look; the waker's barrier is in `sched::wake`. [`WaitRoom::is_empty`] is the look of a waker that takes no
//! lock: its full barrier stands between the condition, which it made true, and the number of waiters; a waiter counts itself before the barrier behind
//! which it looks at the condition.

use super::IrqSpinLock;
use super::atomic::{AtomicBool, AtomicU32};
use crate::cpu::task::{self, TaskState};
use crate::cpu::{self, PreemptGuard, Task};
use crate::upcalls;
use crate::util::errno::Errno;
use core::cell::Cell;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{Ordering, fence};
use core::time::Duration;

/// What ends a sleep beside the event that is waited for.
///
/// Calls that may not wait at all pass it by reference: by value it would lie on the stack of the way that does not wait, which must make room for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleep {
    state: TaskState,
    timeout: Option<Duration>,
}

impl Sleep {
    /// Nothing.
    pub const DEEP: Self = Self { state: TaskState::UNINTERRUPTIBLE, timeout: None };
    /// Any signal.
    pub const INTERRUPTIBLE: Self = Self { state: TaskState::INTERRUPTIBLE, timeout: None };
    /// A fatal signal.
    pub const KILLABLE: Self = Self { state: TaskState::KILLABLE, timeout: None };

    /// A signal has come that ends it. Context: the thread that sleeps.
    pub fn is_ended(self) -> bool {
        upcalls::is_signal_pending(self.state)
    }

    /// This much time, too; never less.
    pub const fn at_most(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }
}

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// A signal came.
    Interrupted,
    /// The time is over.
    TimedOut,
}

impl From<WaitError> for Errno {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Interrupted => Errno::ERESTARTSYS,
            WaitError::TimedOut => Errno::ETIMEDOUT,
        }
    }
}

/// Reports a caller that must not sleep. Context: thread, irqs on, no section counted; without `debug` nothing is checked.
#[inline]
#[track_caller]
pub(super) fn might_sleep() {
    if cfg!(any(feature = "debug", feature = "preempt_voluntary")) {
        upcalls::might_sleep(Location::caller());
    }
}

/// Reports a handler that tries for a lock which belongs to a thread: the thread that it interrupted would be taken for the owner.
#[inline(always)]
#[track_caller]
pub(super) fn must_be_thread(what: &'static str) {
    if cfg!(feature = "debug") && !cpu::in_task() {
        is_handler(what, Location::caller());
    }
}

#[cold]
#[inline(never)]
fn is_handler(what: &'static str, place: &'static Location<'static>) {
    upcalls::bug_report(format_args!("a handler tries for a {what}, which only threads own: use a spinlock or a semaphore"), place);
}

/// What a waiter is to those who call: wakers of a wait queue call one exclusive waiter at a time, a rw-semaphore lets readers in together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Called alone.
    Exclusive,
    /// Called with others of its kind.
    Shared,
}

/// The note of a thread that waits.
struct Note {
    task: &'static Task,
    kind: Kind,
    is_called: AtomicBool,
    is_queued: Cell<bool>,
    next: Cell<*const Note>,
    prev: Cell<*const Note>,
}

impl Note {
    fn new(kind: Kind) -> Self {
        let nobody = || Cell::new(ptr::null());
        let is_called = AtomicBool::new(false);
        // Loom's cell is made at its first access, which must come before others see it.
        #[cfg(loom)]
        let _made = is_called.read();
        Self { task: cpu::current(), kind, is_called, is_queued: Cell::new(false), next: nobody(), prev: nobody() }
    }

    /// Sleeps until it is called, or something else ends the sleep.
    fn wait_to_be_called(
        &self,
        state: TaskState,
        left: &mut Option<Duration>,
        is_hopeless: impl Fn() -> bool,
    ) -> Result<(), Option<WaitError>> {
        loop {
            task::set_current_state(state);
            if self.is_called.load_acquire() {
                return Ok(());
            }
            if is_hopeless() {
                return Err(None);
            }
            doze(state, left).map_err(Some)?;
        }
    }
}

/// Those who wait, first come first.
pub(super) struct Waiters {
    first: *const Note,
    last: *const Note,
}

// SAFETY: the notes are reached under the room's lock alone (invariant 1), whatever core holds it.
unsafe impl Send for Waiters {}

impl Waiters {
    const NOBODY: Self = Self { first: ptr::null(), last: ptr::null() };

    fn first_note(&self) -> Option<&Note> {
        // SAFETY: null or a queued note, whose frame stands while the lock is held (invariant 2).
        unsafe { self.first.as_ref() }
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// One waits.
    pub fn is_single(&self) -> bool {
        !self.is_empty() && ptr::eq(self.first, self.last)
    }

    /// Who has waited longest, and as what.
    pub fn first(&self) -> Option<(&'static Task, Kind)> {
        self.first_note().map(|note| (note.task, note.kind))
    }

    /// Calls `f` for each, first come first.
    pub fn for_each(&self, mut f: impl FnMut(&'static Task)) {
        let mut at = self.first;
        // SAFETY: as in `first_note`.
        while let Some(note) = unsafe { at.as_ref() } {
            f(note.task);
            at = note.next.get();
        }
    }

    /// Takes those out of the front that have died while they waited: nobody would answer. How many they were. Their frames stand for ever.
    pub fn pass_over_dead(&mut self) -> u32 {
        let mut nr_passed = 0;
        while let Some(note) = self.first_note().filter(|note| upcalls::is_over(note.task)).map(ptr::from_ref) {
            // SAFETY: it is queued.
            unsafe { self.unlink(note) };
            nr_passed += 1;
        }
        nr_passed
    }

    /// Takes the first out of the queue, tells it that its turn has come, and wakes it.
    pub fn call_first(&mut self) {
        let Some(note) = self.first_note() else { return };
        let (task, note) = (note.task, ptr::from_ref(note));
        // SAFETY: it is queued.
        unsafe { self.unlink(note) };
        // SAFETY: its thread stays in the wait until it sees `is_called`, or takes the room's lock.
        unsafe { (*note).is_called.store_release(true) };
        // From here on the note may be gone; the thread's block never is.
        upcalls::wake_task(task);
    }

    /// Puts a note at the end, or at the front.
    ///
    /// # Safety
    /// It is in no queue, and is taken out of this one before its frame goes.
    unsafe fn link(&mut self, note: *const Note, at_front: bool) {
        let (prev, next) = if at_front { (ptr::null(), self.first) } else { (self.last, ptr::null()) };
        // SAFETY: the caller's note, which lives.
        let links = unsafe { &*note };
        links.prev.set(prev);
        links.next.set(next);
        links.is_queued.set(true);
        self.join(prev, note);
        self.join(note, next);
    }

    /// Takes a note out.
    ///
    /// # Safety
    /// It is in this queue.
    unsafe fn unlink(&mut self, note: *const Note) {
        // SAFETY: a queued note lives.
        let links = unsafe { &*note };
        links.is_queued.set(false);
        self.join(links.prev.get(), links.next.get());
    }

    /// Makes `after` follow `before`; null stands for the queue's own end.
    fn join(&mut self, before: *const Note, after: *const Note) {
        // SAFETY: null or a queued note.
        match unsafe { before.as_ref() } {
            Some(before) => before.next.set(after),
            None => self.first = after,
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            Some(after) => after.prev.set(before),
            None => self.last = before,
        }
    }
}

/// The waiters of one lock and the spinlock over them. Order: outside a thread's lock, so wake-ups may happen inside.
pub(super) struct WaitRoom {
    /// How many wait, for a look without the lock. Written under it.
    nr_waiting: AtomicU32,
    waiters: IrqSpinLock<Waiters>,
}

impl WaitRoom {
    /// Nobody waits. The spinlocks of all rooms are one class, of this place; they never nest.
    pub const fn new() -> Self {
        Self { nr_waiting: AtomicU32::new(0), waiters: IrqSpinLock::new(Waiters::NOBODY) }
    }

    /// Nobody waits for what the caller has just made true. Full barrier before the look.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        fence(Ordering::SeqCst);
        self.nr_waiting.read() == 0
    }

    /// Takes the room's lock: for who gives something back. Whoever is woken inside runs when `f` is done, if it is more urgent.
    ///
    /// Context: any.
    pub fn with<R>(&self, f: impl FnOnce(&mut Waiters) -> R) -> R {
        let _reschedules_last = PreemptGuard::new();
        f(&mut self.waiters.lock())
    }

    /// Waits until it is called, unless `enter` finds, under the lock, that it need not. If something else ends the wait, `leave` is called under the
    /// lock, with the thread out of the queue. `is_hopeless` says that nobody will ever call: asked before each sleep, with the state set, and once more
    /// under the lock, since what it saw may have changed hands meanwhile.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// Why the wait ended; `None`: it is hopeless.
    pub fn wait_for_turn(
        &self,
        sleep: Sleep,
        kind: Kind,
        enter: impl FnOnce(&mut Waiters) -> bool,
        leave: impl Fn(&mut Waiters),
        is_hopeless: impl Fn() -> bool,
    ) -> Result<(), Option<WaitError>> {
        let note = Note::new(kind);
        let has_entered = self.with(|waiters| {
            let needs_no_wait = enter(waiters);
            if !needs_no_wait {
                // SAFETY: it is taken out by whoever calls it, or below.
                unsafe { waiters.link(&raw const note, false) };
            }
            needs_no_wait
        });
        if has_entered {
            return Ok(());
        }
        // A wait may stand inside another: the big kernel lock is taken again at the end of any sleep.
        let outer = note.task.waits_on();
        note.task.set_waits_on(ptr::from_ref(self).addr());
        let mut left = sleep.timeout;
        let result = loop {
            let result = note.wait_to_be_called(sleep.state, &mut left, &is_hopeless);
            note.task.set_state(TaskState::RUNNING);
            if result.is_ok() {
                break result;
            }
            let settled = self.with(|waiters| {
                // The turn may have come meanwhile: then it was taken, and is kept.
                if !note.is_queued.get() {
                    return Some(Ok(()));
                }
                if result == Err(None) && !is_hopeless() {
                    return None;
                }
                // SAFETY: it is queued.
                unsafe { waiters.unlink(&raw const note) };
                leave(waiters);
                Some(result)
            });
            if let Some(result) = settled {
                break result;
            }
        };
        note.task.set_waits_on(outer);
        result
    }

    /// Waits until `condition` holds. It is asked with the thread queued and its state set, so it must not sleep.
    ///
    /// Context: thread, may sleep.
    ///
    /// # Errors
    /// Why the wait ended.
    pub fn wait_for_condition(&self, sleep: Sleep, kind: Kind, mut condition: impl FnMut() -> bool) -> Result<(), WaitError> {
        let note = Note::new(kind);
        let mut left = sleep.timeout;
        let result = loop {
            self.enter_anew(&note);
            task::set_current_state(sleep.state);
            if condition() {
                break Ok(());
            }
            if let Err(error) = doze(sleep.state, &mut left) {
                break Err(error);
            }
        };
        note.task.set_state(TaskState::RUNNING);
        let was_called = self.leave(&note);
        if was_called && kind == Kind::Exclusive {
            // A call that is answered is followed by a look behind a new entry. This one came too late for that: it was for one thread, and goes to the
            // next. At worst that one looks for nothing.
            self.call(1);
        }
        result
    }

    /// Calls all that are not exclusive and `nr_exclusive` of those that are. Context: any.
    #[cold]
    pub fn call(&self, nr_exclusive: usize) {
        self.with(|waiters| {
            let mut left = nr_exclusive;
            loop {
                self.nr_waiting.fetch_sub_relaxed(waiters.pass_over_dead());
                let Some((_, kind)) = waiters.first() else { break };
                if kind == Kind::Exclusive {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
                waiters.call_first();
                self.nr_waiting.dec();
            }
        });
    }

    fn enter_anew(&self, note: &Note) {
        self.with(|waiters| {
            if !note.is_queued.get() {
                note.is_called.set(false);
                // SAFETY: it is in no queue; `wait_for_condition` takes it out. Those that are called together stand in front, so that the exclusive ones
                // behind them need not be passed over.
                unsafe { waiters.link(ptr::from_ref(note), note.kind == Kind::Shared) };
                self.nr_waiting.inc();
            }
        });
    }

    /// Takes the note out if it is in. True if it had been called.
    fn leave(&self, note: &Note) -> bool {
        self.with(|waiters| {
            let is_queued = note.is_queued.get();
            if is_queued {
                // SAFETY: it is queued.
                unsafe { waiters.unlink(ptr::from_ref(note)) };
                self.nr_waiting.dec();
            }
            !is_queued
        })
    }
}

/// Sleeps once in `state`, which is set, unless a signal or the time has ended the wait.
fn doze(state: TaskState, left: &mut Option<Duration>) -> Result<(), WaitError> {
    if upcalls::is_signal_pending(state) {
        return Err(WaitError::Interrupted);
    }
    match left {
        None => upcalls::schedule(),
        Some(left) if left.is_zero() => return Err(WaitError::TimedOut),
        Some(left) => *left = upcalls::schedule_timeout(*left),
    }
    Ok(())
}
