//! What the scheduler keeps for each core: its run queue, what it runs, and whether it should run something else.
//!
//! # Who writes what
//! | field | written | read |
//! |---|---|---|
//! | `queue` | under its lock, by any core | likewise |
//! | `urgency`, `nr_ready` | under that lock | by anyone, as a hint |
//! | `need_resched` | set by anyone, cleared by the core when it chooses | by the core |
//! | `parting` | by the core, from its choice to the end of the switch | by the core |
//!
//! Order of locks: a thread's lock, then one run queue's; never two run queues' at once, so there is no order among them.
//!
//! # Memory ordering
//! `need_resched` is set with release after the thread was queued, under the queue's lock; the core clears it under the same lock before it looks.

use super::queue::ReadyQueue;
use super::thread::Thread;
use crate::arch::count;
use crate::cpu;
use crate::irq::ipi::{self, Sgi};
use crate::per_cpu;
use crate::sync::IrqSpinLock;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// The urgency of a core that idles: below any thread's.
pub(super) const IDLE_URGENCY: u8 = 0;

/// One core's part.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Core {
    pub queue: IrqSpinLock<RunQueue>,
    /// Priority of what runs, plus one; 0: idle.
    pub urgency: AtomicU8,
    pub need_resched: AtomicBool,
    /// What becomes of the thread that this core is just leaving: [`Parting`]. Written when it chooses, read when it has switched, before it takes
    /// interrupts again.
    pub parting: AtomicU8,
    /// Threads in the lists: ready, and not running.
    pub nr_ready: AtomicU32,
    /// Threads that went to sleep uninterruptibly here, less those that were woken here. The sum over all cores counts.
    pub nr_uninterruptible: AtomicI32,
    pub nr_switches: AtomicU64,
    /// Wake-ups that were made here and queued a thread.
    pub nr_wakeups: AtomicU64,
    /// Threads that this core took from others.
    pub nr_pulled: AtomicU64,
}

/// What becomes of a thread that leaves its core.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Parting {
    /// It is listed here, or sleeps.
    Nothing,
    /// It may not stay on this core: it is listed on another.
    Moves,
    /// It is over: its reference to itself goes.
    IsOver,
}

/// The lists of one core, under its lock.
#[derive(Debug)]
pub(super) struct RunQueue {
    ready: ReadyQueue<&'static Thread>,
}

per_cpu! {
    /// The scheduler's data of each core.
    pub(super) near static CORE: Core = Core {
        queue: IrqSpinLock::new(RunQueue { ready: ReadyQueue::new() }),
        urgency: AtomicU8::new(IDLE_URGENCY),
        need_resched: AtomicBool::new(false),
        parting: AtomicU8::new(Parting::Nothing as u8),
        nr_ready: AtomicU32::new(0),
        nr_uninterruptible: AtomicI32::new(0),
        nr_switches: AtomicU64::new(0),
        nr_wakeups: AtomicU64::new(0),
        nr_pulled: AtomicU64::new(0),
    };
}

impl RunQueue {
    /// Lists a thread that this queue counts, behind its equals.
    #[inline]
    pub fn list(&mut self, core: &Core, thread: &'static Thread) {
        self.ready.push_back(thread, thread.priority.load(Ordering::Relaxed));
        thread.is_listed.store(true, Ordering::Relaxed);
        add(&core.nr_ready, 1);
    }

    /// Takes a listed thread out.
    #[inline]
    pub fn unlist(&mut self, core: &Core, thread: &'static Thread) {
        self.ready.remove(thread, thread.priority.load(Ordering::Relaxed));
        thread.is_listed.store(false, Ordering::Relaxed);
        add(&core.nr_ready, u32::MAX);
    }

    /// Takes the most urgent thread.
    #[inline]
    pub fn pop(&mut self, core: &Core) -> Option<&'static Thread> {
        let thread = self.ready.pop()?;
        thread.is_listed.store(false, Ordering::Relaxed);
        add(&core.nr_ready, u32::MAX);
        Some(thread)
    }

    /// Lists a thread that this queue counts, behind its equals or before them, and takes the most urgent one, which may be the same: there are as many
    /// as before.
    #[inline]
    pub fn list_and_pop(&mut self, thread: &'static Thread, at_front: bool) -> &'static Thread {
        let priority = thread.priority.load(Ordering::Relaxed);
        let next = if at_front { self.ready.push_front_and_pop(thread, priority) } else { self.ready.push_back_and_pop(thread, priority) };
        thread.is_listed.store(true, Ordering::Relaxed);
        // Behind the other: it may be the same.
        next.is_listed.store(false, Ordering::Relaxed);
        next
    }

    /// The first thread that satisfies `fits`, most urgent first.
    pub fn find(&self, fits: impl Fn(&'static Thread) -> bool) -> Option<&'static Thread> {
        self.ready.find(fits).map(|(thread, _)| thread)
    }
}

/// Adds to a count that is written under the queue's lock alone, so a load and a store are enough.
#[inline]
fn add(count: &AtomicU32, by: u32) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// Calls `f` with the core whose run queue counts `thread` and that queue, locked. Which one that is changes only under the lock.
pub(super) fn with_queue_of<R>(thread: &Thread, f: impl FnOnce(usize, &Core, &mut RunQueue) -> R) -> R {
    loop {
        let cpu = thread.cpu();
        let core = CORE.on(cpu);
        let mut queue = core.queue.lock();
        // Acquire: pairs with the release of who moved the thread here, under the queue's lock that it left.
        if usize::from(thread.cpu.load(Ordering::Acquire)) == cpu {
            return f(cpu, core, &mut queue);
        }
    }
}

/// Makes core `cpu` choose anew, as soon as it may.
///
/// Context: any, preemption off. On the caller's own core it happens where the last section ends; if irqs are off there, by an SGI to itself.
pub(super) fn resched_cpu(cpu: usize) {
    // Release: what was queued before.
    let is_known = CORE.on(cpu).need_resched.swap(true, Ordering::Release);
    if cpu == cpu::id() {
        count::mark_work();
    } else if !is_known {
        ipi::send(Sgi::Reschedule, 1 << cpu);
    }
}

/// Makes this core choose anew, as soon as it may. Context: any, preemption off.
pub(crate) fn resched_this_cpu() {
    resched_cpu(cpu::id());
}

/// Something more urgent waits for this core.
#[inline]
pub fn need_resched() -> bool {
    CORE.this().need_resched.load(Ordering::Acquire)
}

/// The SGI has come: marks the interrupted thread's word, so that the way out finds the work. Context: hardirq.
pub fn on_reschedule_ipi() {
    if need_resched() {
        count::mark_work();
    }
}
