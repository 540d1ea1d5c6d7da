//! The head of a thread's block: what every layer may know of a thread, and `current`.
//!
//! TPIDR_EL0 names the running thread's block, so `current` is one instruction, and constant for a thread wherever it runs. The rest of the block
//! (`sched::thread`) lies behind this head and belongs to the scheduler. Blocks live in one static table and are never freed, only used again, so a
//! stale reference can name the wrong thread but never dangles: reports follow it in any state of the machine. That is why all fields are atomics.
//!
//! # Memory ordering
//! The state word is one half of every wait: the waiter stores its state, then looks at its condition; the waker makes the condition true, then looks
//! at the state. `set_current_state` and `sched::wake` each have a full barrier in between, so at least one of the two sees the other (the
//! store-buffering pattern, Arm ARM B2.3): no wake-up falls between.

use crate::arch;
use core::fmt;
use core::ptr;
use core::str;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

bitflags::bitflags! {
    /// What a thread does: Linux's bits and names. Empty: it runs or is ready to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct TaskState: u32 {
        /// Sleeps until woken or signalled.
        const INTERRUPTIBLE = 1 << 0;
        /// Sleeps until woken.
        const UNINTERRUPTIBLE = 1 << 1;
        /// Parked by `kthread::park`.
        const PARKED = 1 << 6;
        /// Over, and about to leave its core for the last time.
        const DEAD = 1 << 7;
        /// With `UNINTERRUPTIBLE`: a fatal signal ends the sleep.
        const WAKEKILL = 1 << 8;
        /// With `UNINTERRUPTIBLE`: this sleep is no load.
        const NOLOAD = 1 << 10;
        /// Made, and not started yet.
        const NEW = 1 << 11;

        /// Sleeps until woken or killed.
        const KILLABLE = Self::UNINTERRUPTIBLE.bits() | Self::WAKEKILL.bits();
        /// Sleeps for want of work, which is no load.
        const IDLE = Self::UNINTERRUPTIBLE.bits() | Self::NOLOAD.bits();
        /// What an ordinary wake-up ends.
        const NORMAL = Self::INTERRUPTIBLE.bits() | Self::UNINTERRUPTIBLE.bits();
    }
}

impl TaskState {
    /// Running, or ready to run.
    pub const RUNNING: Self = Self::empty();

    /// Linux's letter in `ps`: R S D I P, Z for a thread that is over and not joined; N for one that was not started.
    pub fn letter(self) -> char {
        match self {
            state if state.is_empty() => 'R',
            state if state.contains(Self::IDLE) => 'I',
            state if state.intersects(Self::INTERRUPTIBLE) => 'S',
            state if state.intersects(Self::UNINTERRUPTIBLE) => 'D',
            state if state.intersects(Self::PARKED) => 'P',
            state if state.intersects(Self::DEAD) => 'Z',
            _ => 'N',
        }
    }
}

/// Bytes of a thread's name, as Linux's `comm`.
pub const NAME_LEN: usize = 16;

/// A thread's name: a copy, so it does not change under its reader.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name([u8; NAME_LEN]);

impl Name {
    /// The first bytes of `text` that fit, cut between characters.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; NAME_LEN];
        let len = text.floor_char_boundary(NAME_LEN);
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self(bytes)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        // Two names may be mixed by a reader without a reference; the mixture need not be UTF-8.
        str::from_utf8(&self.0[..len]).unwrap_or("?")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A thread, as reports and `current` know it.
#[derive(Debug)]
#[repr(C)]
pub struct Task {
    /// Written by the thread itself, and by a waker that holds the thread's lock.
    state: AtomicU32,
    pid: AtomicU32,
    name: [AtomicU64; 2],
    /// The owner of the mutex that the thread waits for: along these a waiter's urgency is handed on. A hint: written by the waiter, and under that
    /// mutex's lock when the owner changes.
    waits_for: AtomicPtr<Task>,
    /// Address of the sleeping lock that the thread waits for; 0: none. Written by the thread itself.
    waits_on: AtomicUsize,
    /// How often the thread holds the big kernel lock. Written by the thread itself.
    lock_depth: AtomicU32,
}

impl Task {
    /// A block that no thread uses yet: zero, so that a table of them takes no room in the image.
    pub const fn new() -> Self {
        Self {
            state: AtomicU32::new(0),
            pid: AtomicU32::new(0),
            name: [const { AtomicU64::new(0) }; 2],
            waits_for: AtomicPtr::new(ptr::null_mut()),
            waits_on: AtomicUsize::new(0),
            lock_depth: AtomicU32::new(0),
        }
    }

    /// Number, unique as long as the thread lives; idle threads have 0, as in Linux.
    ///
    /// Context: any.
    #[inline]
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Name, for reports. Context: any.
    pub fn name(&self) -> Name {
        let mut bytes = [0; NAME_LEN];
        for (half, word) in bytes.chunks_exact_mut(8).zip(&self.name) {
            half.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
        }
        Name(bytes)
    }

    /// Names the thread anew. Context: any.
    pub fn set_name(&self, name: Name) {
        for (half, word) in name.0.chunks_exact(8).zip(&self.name) {
            word.store(u64::from_ne_bytes(half.try_into().expect("8 bytes each")), Ordering::Relaxed);
        }
    }

    /// Gives the block to a new thread. Context: its maker, the only one that knows of it yet.
    pub fn reset(&self, pid: u32, name: Name, state: TaskState) {
        self.pid.store(pid, Ordering::Relaxed);
        self.set_name(name);
        self.set_waits_for(None);
        self.set_waits_on(0);
        self.set_lock_depth(0);
        self.set_state(state);
    }

    /// The owner of the mutex that the thread waits for. Context: any; a hint.
    #[inline]
    pub fn waits_for(&self) -> Option<&'static Task> {
        // SAFETY: null, or what `set_waits_for` stored: blocks are statics.
        unsafe { self.waits_for.load(Ordering::Acquire).as_ref() }
    }

    /// Address of the sleeping lock that the thread waits for; 0: none. Context: any; a hint.
    #[inline]
    pub fn waits_on(&self) -> usize {
        self.waits_on.load(Ordering::Relaxed)
    }

    /// Notes it. Context: the thread itself, or its maker.
    pub fn set_waits_on(&self, lock: usize) {
        self.waits_on.store(lock, Ordering::Relaxed);
    }

    /// How often the thread holds the big kernel lock. Context: the thread itself; of another, a hint.
    #[inline]
    pub fn lock_depth(&self) -> u32 {
        self.lock_depth.load(Ordering::Relaxed)
    }

    /// Notes that depth. Context: the thread itself, or its maker.
    pub fn set_lock_depth(&self, depth: u32) {
        self.lock_depth.store(depth, Ordering::Relaxed);
    }

    /// Notes whom the thread waits for. Context: the waiter, or who hands the mutex on to another.
    pub fn set_waits_for(&self, owner: Option<&'static Task>) {
        let owner = owner.map_or(ptr::null_mut(), |owner| ptr::from_ref(owner).cast_mut());
        self.waits_for.store(owner, Ordering::Release);
    }

    /// What the thread does. Acquire: what the thread did before it stored this is visible.
    ///
    /// Context: any; stale on return unless the caller is the thread.
    #[inline]
    pub fn state(&self) -> TaskState {
        TaskState::from_bits_retain(self.state.load(Ordering::Acquire))
    }

    /// What the thread does, for who has just made true what the thread may wait for: a full barrier, then the look.
    ///
    /// Context: any. The barrier pairs with the one in `set_current_state`.
    #[inline]
    pub fn state_for_waker(&self) -> TaskState {
        fence(Ordering::SeqCst);
        self.state()
    }

    /// Stores a state, with release. Context: the thread itself, its maker, or a waker under the thread's lock. Waits use `set_current_state`.
    #[inline]
    pub fn set_state(&self, state: TaskState) {
        self.state.store(state.bits(), Ordering::Release);
    }
}

impl Default for Task {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name(), self.pid())
    }
}

/// Says what the running thread is about to wait in; then it looks at its condition, and schedules if that does not hold.
///
/// Context: thread. A full barrier between the store and everything after it; pairs with the one in `sched::wake`.
///
/// # Examples
/// ```no_run
/// use tetra::cpu::task::{TaskState, set_current_state};
/// use tetra::sync::atomic::AtomicBool;
/// static HAS_DATA: AtomicBool = AtomicBool::new(false);
/// set_current_state(TaskState::UNINTERRUPTIBLE);
/// if HAS_DATA.read() {
///     set_current_state(TaskState::RUNNING); // it came before this look: no sleep
/// } // else `sched::schedule()`: who brings it from here on finds the state
/// ```
#[inline]
pub fn set_current_state(state: TaskState) {
    current().set_state(state);
    fence(Ordering::SeqCst);
}

/// The running thread; in a handler, the interrupted one. `None` before the core has adopted its idle thread.
///
/// Context: any.
#[inline]
pub fn try_current() -> Option<&'static Task> {
    let address = arch::current() as *const Task;
    // SAFETY: TPIDR_EL0 is 0 or the address of a task block in a static table, by the contract of `set_current`.
    unsafe { address.as_ref() }
}

/// The running thread; in a handler, the interrupted one.
///
/// # Panics
/// Before this core has adopted its idle thread.
#[inline]
pub fn current() -> &'static Task {
    try_current().expect("a core adopts its idle thread before it runs anything that asks")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(Name::new("kworker/3:1").as_str(), "kworker/3:1");
        assert_eq!(Name::new("0123456789abcdefgh").as_str(), "0123456789abcdef");
        assert_eq!(Name::new("0123456789abcde\u{e9}").as_str(), "0123456789abcde");
        let task = Task::new();
        task.reset(7, Name::new("worker"), TaskState::NEW);
        assert_eq!(task.to_string(), "worker (pid 7)");
    }

    #[test]
    fn letters_are_linuxes() {
        let letters = [
            (TaskState::RUNNING, 'R'),
            (TaskState::INTERRUPTIBLE, 'S'),
            (TaskState::UNINTERRUPTIBLE, 'D'),
            (TaskState::KILLABLE, 'D'),
            (TaskState::IDLE, 'I'),
            (TaskState::PARKED, 'P'),
            (TaskState::DEAD, 'Z'),
        ];
        for (state, letter) in letters {
            assert_eq!(state.letter(), letter, "{state:?}");
        }
    }
}
