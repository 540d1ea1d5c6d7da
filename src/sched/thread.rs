//! The thread's block, and references to threads. `thread_table` has the blocks.
//!
//! # Life of a block
//! | references | state | who |
//! |---|---|---|
//! | 0 | DEAD, in the list of free blocks | nobody |
//! | 1 or more | NEW, then alive | the thread itself has one, each [`ThreadRef`] one |
//! | 1 or more | DEAD | the thread's own reference went when it was off its core; a join still holds one |
//! | 1, for ever | DEAD | it died of a fault: one reference is never given back (`death`) |
//!
//! # Memory ordering
//! The count is a `refcount` (release down, acquire at 0): every use comes before the next owner's `reset`. `on_cpu` is the hand-over of the saved
//! registers and the stack: stored with release when the thread is off its core (`switch`), loaded with acquire by whoever wants to run it elsewhere
//! (`wake`, `balance`).

use super::on_cpu::OnCpu;
use super::priority::Priority;
use super::queue::Node;
use super::signal::Signals;
use super::thread_table::{self, ThreadId};
use crate::arch::switch::Context;
use crate::cpu::task::{Name, TaskState};
use crate::cpu::{self, NR_CPUS, Task};
use crate::sync::IrqSpinLock;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
use crate::sync::held_locks::HeldLocks;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

pub use super::thread_table::{all, find, last_pid, nr_threads};

/// More than can be in use at once: a count that wrapped would free a stack under its thread.
const MAX_REFS: u32 = 1 << 30;
/// All cores.
pub const ALL_CPUS: u32 = (1 << NR_CPUS) - 1;

/// Where in its life a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Life {
    /// It will not run again, or nobody owns the block. What an unused block has: zero.
    Over,
    /// Made, not started: its registers are set.
    New,
    /// Started. It may be woken.
    Alive,
}

/// A thread: the head that all layers know, and what the scheduler keeps.
#[repr(C, align(64))]
pub struct Thread {
    pub(super) task: Task,
    /// The registers while it does not run: written by the core that switches it out, read by the one that switches it in.
    pub(super) context: UnsafeCell<Context>,
    pub(super) refs: AtomicU32,
    /// Running or ready: some run queue counts it. Written under that queue's lock.
    pub(super) on_rq: AtomicBool,
    /// In a list of its run queue. Written under that queue's lock.
    pub(super) is_listed: AtomicBool,
    /// Whether it was started, and whether it is over: [`Life`]. Apart from `state`, which any code may set: what becomes of stack and registers must not
    /// hang on that.
    pub(super) life: AtomicU8,
    /// Its registers and stack are in use by a core.
    pub(super) on_cpu: OnCpu,
    /// The core whose run queue it is in, or was last.
    pub(super) cpu: AtomicU8,
    /// Its neighbours in a list of its run queue: touched under that queue's lock.
    next: AtomicPtr<Thread>,
    prev: AtomicPtr<Thread>,
    /// What it was given.
    pub(super) own_priority: AtomicU8,
    /// What a waiter lends it.
    pub(super) lent_priority: AtomicU8,
    /// Locks of this thread that others wait for: with the last one what is lent goes. Written under the thread's lock.
    pub(super) nr_lending: AtomicU32,
    /// The list it is in, or will be put in: written under its run queue's lock.
    pub(super) priority: AtomicU8,
    /// Cores it may run on.
    pub(super) affinity: AtomicU32,
    /// Ticks left of its time slice. Written by its core.
    pub(super) slice: AtomicU8,
    pub(super) kthread_flags: AtomicU32,
    /// The oops that it died of; 0: none.
    pub(super) oops: AtomicU32,
    pub(super) signals: Signals,
    /// Who waits in `join` or `park`.
    pub(super) watcher: super::rcuwait::RcuWait,
    /// When it last came on or off a core, in counter ticks.
    pub(super) switched_at: AtomicU64,
    /// The counter when it was queued by a wake-up, while `cpu::latency` measures; 0: it was not, or runs since.
    pub(super) woken_at: AtomicU64,
    /// A timer ends its sleep at this moment of the monotonic clock; 0: none. Written by the thread itself.
    pub(super) sleeps_until: AtomicU64,
    /// Counter ticks that it has run.
    pub(super) run_time: AtomicU64,
    /// Switches out because it slept or yielded, and because something else came first.
    pub(super) nr_voluntary: AtomicU64,
    pub(super) nr_involuntary: AtomicU64,
    /// The locks that it holds, for the checks: with it and not with a core, since who holds a sleeping lock may move.
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    pub(super) held_locks: HeldLocks,
}

// SAFETY: `context` is used by one core at a time, which the `on_cpu` hand-over and the run queue's locks see to; all else is atomic or locked.
unsafe impl Sync for Thread {}

impl Thread {
    /// An unused block: all zero, so that a table of them takes no room in the image.
    pub(super) const fn new() -> Self {
        Self {
            task: Task::new(),
            context: UnsafeCell::new(Context::new()),
            refs: AtomicU32::new(0),
            on_rq: AtomicBool::new(false),
            is_listed: AtomicBool::new(false),
            life: AtomicU8::new(Life::Over as u8),
            on_cpu: OnCpu::new(),
            cpu: AtomicU8::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
            prev: AtomicPtr::new(ptr::null_mut()),
            own_priority: AtomicU8::new(0),
            lent_priority: AtomicU8::new(0),
            nr_lending: AtomicU32::new(0),
            priority: AtomicU8::new(0),
            affinity: AtomicU32::new(0),
            slice: AtomicU8::new(0),
            kthread_flags: AtomicU32::new(0),
            oops: AtomicU32::new(0),
            signals: Signals::new(),
            watcher: super::rcuwait::RcuWait::new(),
            switched_at: AtomicU64::new(0),
            woken_at: AtomicU64::new(0),
            sleeps_until: AtomicU64::new(0),
            run_time: AtomicU64::new(0),
            nr_voluntary: AtomicU64::new(0),
            nr_involuntary: AtomicU64::new(0),
            #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
            held_locks: HeldLocks::new(),
        }
    }

    /// Its place in the table.
    #[inline]
    pub fn id(&self) -> ThreadId {
        thread_table::id_of(self)
    }

    /// The head, for lower layers.
    #[inline]
    pub fn task(&self) -> &'static Task {
        // SAFETY: `new` is called for the blocks of the static table alone (`thread_table`), so each block, and the head in it, lives for ever.
        unsafe { &*ptr::from_ref(&self.task) }
    }

    /// The block: it lives for ever.
    #[inline]
    pub(super) fn as_static(&self) -> &'static Self {
        // SAFETY: as in `task`.
        unsafe { &*ptr::from_ref(self) }
    }

    /// Serialises wake-ups, affinity and priority. Order: outside every run queue's lock.
    #[inline]
    pub(super) fn lock(&self) -> &'static IrqSpinLock<()> {
        thread_table::lock_of(self.id())
    }

    /// Number, unique as long as the thread lives.
    #[inline]
    pub fn pid(&self) -> u32 {
        self.task.pid()
    }

    /// Name.
    pub fn name(&self) -> Name {
        self.task.name()
    }

    /// Where in its life it is. Acquire: a thread that is over has said so before it left its queue.
    #[inline]
    pub(super) fn is_in(&self, life: Life) -> bool {
        self.life.load(Ordering::Acquire) == life as u8
    }

    /// Context: its maker, its starter under its lock, or the thread itself at its end.
    pub(super) fn set_life(&self, life: Life) {
        self.life.store(life as u8, Ordering::Release);
    }

    /// What it does. Stale on return, unless the caller is the thread.
    #[inline]
    pub fn state(&self) -> TaskState {
        self.task.state()
    }

    /// True for the thread that a core runs when nothing else is ready: no other has the number 0, and a number is one load away.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.pid() == 0
    }

    /// The core it runs on, is ready on, or ran on last.
    #[inline]
    pub fn cpu(&self) -> usize {
        usize::from(self.cpu.load(Ordering::Relaxed))
    }

    /// True while a core runs it.
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu.is_set()
    }

    /// Off its core and in no run queue: a thread that was preempted on its way to sleep is not. Context: any; stale on return.
    pub fn is_asleep(&self) -> bool {
        !self.on_rq.load(Ordering::Relaxed) && !self.is_on_cpu()
    }

    /// Cores it may run on.
    #[inline]
    pub fn affinity(&self) -> u32 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// Its priority: what it was given, or what is lent to it, whichever is more urgent.
    #[inline]
    pub fn priority(&self) -> Priority {
        Priority::from_raw(self.priority.load(Ordering::Relaxed))
    }

    /// Counter ticks that it has run, up to its last switch.
    pub fn run_time(&self) -> u64 {
        self.run_time.load(Ordering::Relaxed)
    }

    /// Voluntary and involuntary switches.
    pub fn nr_switches(&self) -> (u64, u64) {
        (self.nr_voluntary.load(Ordering::Relaxed), self.nr_involuntary.load(Ordering::Relaxed))
    }

    /// When it last came on or off a core, in counter ticks: for a sleeping thread, since when it sleeps.
    pub fn switched_at(&self) -> u64 {
        self.switched_at.load(Ordering::Relaxed)
    }

    /// The number of the oops that it died of: then nothing of it will ever change. Context: any.
    pub fn oops_number(&self) -> Option<u32> {
        Some(self.oops.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }

    /// When a timer ends its sleep, whatever else does not: nanoseconds of the monotonic clock; 0: none does.
    ///
    /// Context: any; a hint unless the caller is the thread.
    pub fn sleeps_until_ns(&self) -> u64 {
        self.sleeps_until.load(Ordering::Relaxed)
    }

    /// The locks that it holds. Context: any; a hint unless the caller is the thread.
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    pub fn held_locks(&self) -> &HeldLocks {
        &self.held_locks
    }

    /// Takes one reference more. False if the block has none: it belongs to nobody.
    pub(super) fn try_get(&self) -> bool {
        let mut refs = self.refs.load(Ordering::Relaxed);
        while refs != 0 {
            assert!(refs < MAX_REFS, "too many references to {self}: they are leaked somewhere");
            match self.refs.compare_exchange_weak(refs, refs + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => refs = now,
            }
        }
        false
    }

    /// Gives one reference back; the last one frees block and stack.
    pub(super) fn put(&self) {
        // Release, and acquire at 0: every use of the block comes before its next owner.
        if self.refs.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            thread_table::free_block(self.id());
        }
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").field("task", &self.task).field("cpu", &self.cpu()).finish_non_exhaustive()
    }
}

impl Thread {
    /// What its next owner finds. Context: under its lock, nobody's yet.
    pub(super) fn reset(&self) {
        for counter in [&self.switched_at, &self.woken_at, &self.sleeps_until, &self.run_time, &self.nr_voluntary, &self.nr_involuntary] {
            counter.store(0, Ordering::Relaxed);
        }
        for flag in [&self.on_rq, &self.is_listed] {
            flag.store(false, Ordering::Relaxed);
        }
        self.on_cpu.clear();
        self.lent_priority.store(0, Ordering::Relaxed);
        self.nr_lending.store(0, Ordering::Relaxed);
        self.affinity.store(ALL_CPUS, Ordering::Relaxed);
        self.kthread_flags.store(0, Ordering::Relaxed);
        self.oops.store(0, Ordering::Relaxed);
        self.signals.reset();
    }
}

/// The running thread.
#[inline]
pub fn current() -> &'static Thread {
    let task: *const Task = cpu::current();
    // SAFETY: only blocks of the table are ever made current (`adopt_idle`, `switch`), and the head is their first field.
    unsafe { &*task.cast::<Thread>() }
}

impl Node for &'static Thread {
    #[inline]
    fn next(self) -> Option<Self> {
        link(&self.next)
    }
    #[inline]
    fn prev(self) -> Option<Self> {
        link(&self.prev)
    }
    #[inline]
    fn set_next(self, next: Option<Self>) {
        set_link(&self.next, next);
    }
    #[inline]
    fn set_prev(self, prev: Option<Self>) {
        set_link(&self.prev, prev);
    }
}

#[inline]
fn link(link: &AtomicPtr<Thread>) -> Option<&'static Thread> {
    // SAFETY: null, or what `set_link` stored: a block of the static table.
    unsafe { link.load(Ordering::Relaxed).as_ref() }
}

#[inline]
fn set_link(link: &AtomicPtr<Thread>, to: Option<&'static Thread>) {
    link.store(to.map_or(ptr::null_mut(), |thread| ptr::from_ref(thread).cast_mut()), Ordering::Relaxed);
}

/// A counted reference: the block stays this thread's as long as it lives, even when the thread has ended.
#[derive(Debug)]
pub struct ThreadRef(pub(super) &'static Thread);

impl ThreadRef {
    /// A reference to the running thread. Context: thread.
    pub fn current() -> Self {
        let thread = current();
        let has_got = thread.try_get();
        assert!(has_got, "a running thread holds a reference to itself");
        Self(thread)
    }

    /// Turns the reference into the thread's own.
    pub(super) fn into_own(self) -> &'static Thread {
        core::mem::ManuallyDrop::new(self).0
    }

    /// The block.
    pub(super) fn thread(&self) -> &'static Thread {
        self.0
    }
}

impl Clone for ThreadRef {
    fn clone(&self) -> Self {
        let before = self.0.refs.fetch_add(1, Ordering::Relaxed);
        assert!(before < MAX_REFS, "too many references to {}: they are leaked somewhere", self.0);
        Self(self.0)
    }
}

impl Drop for ThreadRef {
    fn drop(&mut self) {
        self.0.put();
    }
}

impl Deref for ThreadRef {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        self.0
    }
}
