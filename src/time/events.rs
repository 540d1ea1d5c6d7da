//! Arming, cancelling and expiry of timers on all cores: what the wheel's timers and the high-resolution ones have in common.
//!
//! Each core has a queue under a lock of its own. A timer belongs to the queue that its `cpu` names, and is guarded by that queue's lock; arming moves it
//! to the core that arms, unless its function is running: then it stays, so that it never runs on two cores. Before a function is called the lock is
//! dropped and the queue notes who is running; so the function may arm, cancel and take other locks, and who waits for the end of it looks at that note.
//!
//! | a timer is | node `is_queued` | queue's `running` |
//! |---|---|---|
//! | idle | false | another or nobody |
//! | armed | true | another or nobody |
//! | running | false | this one |
//! | running, and armed again | true | this one |
//!
//! Cancel against expiry: both take the lock. If the cancel is first the timer never runs; if expiry was first, `running` says so until the function has
//! returned, and after that nobody touches the node.
//!
//! # Memory ordering
//! The locks give it: arming happens before the function, and the function before a `cancel_sync` that has waited for it. `cpu` is read without the
//! lock only to know which lock to take, and read again under it.
//!
//! Rejected: one queue for all cores (one lock for every timeout), and a state word in the timer instead of the note (two words to keep in step).

use super::node::{NO_CPU, Node, Queue};
use super::timer_list::TimerList;
use crate::arch::{self, NR_CPUS};
use crate::cpu;
use crate::sync::{IrqSpinLock, LocalIrqDisabled, LockGuard};
use crate::upcalls;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

/// One core's queue, and whose function it runs.
struct Base<Q> {
    queue: Q,
    running: AtomicPtr<Node>,
}

type BaseGuard<'a, Q> = LockGuard<'a, Base<Q>, crate::sync::raw::DefaultLock, LocalIrqDisabled, LocalIrqDisabled>;

/// The queues of all cores.
pub(super) struct Events<Q> {
    bases: [IrqSpinLock<Base<Q>>; NR_CPUS],
    /// The complement of a time before which nothing is due on each core: so 0 means never, and the queues, tens of KiB, take no room in the image.
    /// Written under the core's lock; read without it to see whether to look.
    not_next_due: [AtomicU64; NR_CPUS],
}

impl<Q: Queue> Events<Q> {
    /// Empty queues.
    pub(super) const fn new() -> Self {
        Self {
            bases: [const { IrqSpinLock::new(Base { queue: Q::EMPTY, running: AtomicPtr::new(ptr::null_mut()) }) }; NR_CPUS],
            not_next_due: [const { AtomicU64::new(0) }; NR_CPUS],
        }
    }

    /// A time before which nothing is due on core `cpu`; `u64::MAX`: nothing is armed. Context: any.
    #[inline]
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: nothing is programmed"))]
    pub(super) fn next_due(&self, cpu: usize) -> u64 {
        !self.not_next_due[cpu].load(Relaxed)
    }

    /// Arms `node` for `key`, whether it was armed or not. True if it was.
    ///
    /// Context: any.
    ///
    /// # Safety
    /// The node lives unmoved until a `cancel_sync` that is not followed by another arming has returned.
    #[inline]
    pub(super) unsafe fn arm(&self, node: NonNull<Node>, key: u64, now: u64) -> bool {
        // SAFETY: the caller's promise.
        let node_ref = unsafe { node.as_ref() };
        let _irqs_off = cpu::IrqGuard::new();
        let here = cpu::id();
        let mut was_armed = false;
        loop {
            // A new timer begins here, so that cores which arm theirs for the first time do not meet at one queue's lock.
            let _ = node_ref.cpu.compare_exchange(NO_CPU, here, Relaxed, Relaxed);
            let Some((mut base, at)) = self.lock_base(node_ref) else { continue };
            was_armed |= dequeue(&mut base, node);
            if at == here || ptr::eq(base.running.load(Relaxed), node_ref) {
                node_ref.key.store(key, Relaxed);
                node_ref.is_queued.store(true, Relaxed);
                // SAFETY: it is in no queue, and lives, as the caller promises, until it was taken out.
                unsafe { base.queue.insert(node, now) };
                let not_first = &self.not_next_due[at];
                not_first.store(not_first.load(Relaxed).max(!key), Relaxed);
                return was_armed;
            }
            // Ours from here on, unless another core takes it first.
            node_ref.cpu.store(here, Relaxed);
        }
    }

    /// Disarms `node`. True if it was armed. Its function may be running still.
    ///
    /// Context: any.
    #[inline]
    pub(super) fn cancel(&self, node: &Node) -> bool {
        let Some((mut base, _)) = self.lock_base(node) else { return false };
        dequeue(&mut base, NonNull::from(node))
    }

    /// Disarms `node` and waits until its function does not run. True if it was armed, maybe by that function itself.
    ///
    /// Context: any but the function itself, and what has interrupted it.
    ///
    /// # Panics
    /// If the function runs on this very core: the wait could not end.
    pub(super) fn cancel_sync(&self, node: &Node) -> bool {
        let mut was_armed = false;
        loop {
            let Some((mut base, at)) = self.lock_base(node) else { return was_armed };
            was_armed |= dequeue(&mut base, NonNull::from(node));
            if !ptr::eq(base.running.load(Relaxed), node) {
                return was_armed;
            }
            drop(base);
            assert!(
                at != cpu::id() || cpu::preempt_count() == 0,
                "a timer's function, or what interrupted it, waits for its own end: use cancel"
            );
            upcalls::answer_attention();
            arch::relax();
        }
    }

    /// Calls the functions of all that are due on this core.
    ///
    /// Context: softirq or hardirq, as the timers' functions are promised; always the same for these queues.
    pub(super) fn run_due(&self, now: u64) {
        let here = cpu::id();
        let mut base = self.bases[here].lock();
        while let Some(node) = base.queue.pop_due(now) {
            // SAFETY: it was in the queue, so it lives, and does until `running` names another: `cancel_sync` waits for that.
            let node_ref = unsafe { node.as_ref() };
            node_ref.is_queued.store(false, Relaxed);
            *base.running.get_mut() = node.as_ptr();
            drop(base);
            // SAFETY: as above; the node was armed with its own `call`.
            unsafe { (node_ref.call)(node) };
            base = self.bases[here].lock();
            *base.running.get_mut() = ptr::null_mut();
        }
        self.not_next_due[here].store(!base.queue.next_due(), Relaxed);
    }

    /// What is armed on core `cpu`. Context: any; irqs are off while the queue is walked.
    #[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: there is no view"))]
    pub(super) fn list(&self, cpu: usize) -> TimerList {
        let mut list = TimerList::default();
        self.bases[cpu].lock().queue.for_each(&mut |node| list.add(node));
        list
    }

    /// The lock of the queue that `node` belongs to, and its core. `None` if the node was never armed.
    #[inline]
    fn lock_base(&self, node: &Node) -> Option<(BaseGuard<'_, Q>, usize)> {
        loop {
            let at = node.cpu.load(Relaxed);
            let base = self.bases.get(at)?.lock();
            if node.cpu.load(Relaxed) == at {
                return Some((base, at));
            }
        }
    }
}

/// Takes `node` out of its queue, whose lock is held, if it is in.
#[inline]
fn dequeue<Q: Queue>(base: &mut Base<Q>, node: NonNull<Node>) -> bool {
    // SAFETY: the caller has a reference to it.
    let node_ref = unsafe { node.as_ref() };
    let was_armed = node_ref.is_queued.load(Relaxed);
    if was_armed {
        node_ref.is_queued.store(false, Relaxed);
        // SAFETY: `is_queued` said that it is in the queue of its core, which this is.
        unsafe { base.queue.remove(node) };
    }
    was_armed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::heap::Heap;
    use crate::time::wheel::Wheel;
    use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::thread;

    /// A timer that notices two runs at once.
    #[repr(C)]
    struct Watched {
        node: Node,
        inside: AtomicBool,
        overlaps: AtomicU32,
        runs: AtomicU32,
    }

    impl Watched {
        const fn new() -> Self {
            let (inside, overlaps, runs) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
            Self { node: Node::new(call, ptr::null_mut()), inside, overlaps, runs }
        }
    }

    unsafe fn call(node: NonNull<Node>) {
        // SAFETY: every node of these tests is the head of a static `Watched`.
        let watched = unsafe { node.cast::<Watched>().as_ref() };
        watched.overlaps.fetch_add(u32::from(watched.inside.swap(true, Ordering::Relaxed)), Ordering::Relaxed);
        thread::yield_now();
        watched.runs.fetch_add(1, Ordering::Relaxed);
        watched.inside.store(false, Ordering::Relaxed);
    }

    /// Four cores arm, cancel and run two timers that they share; the time is the round.
    fn contest<Q: Queue>(events: &'static Events<Q>, timers: &'static [Watched; 2]) {
        thread::scope(|scope| {
            for cpu in 0..NR_CPUS {
                scope.spawn(move || {
                    arch::set_cpu(cpu);
                    for round in 0..3000u64 {
                        let timer = &timers[(round as usize / 3 + cpu) % 2];
                        // SAFETY: a static.
                        unsafe { events.arm(NonNull::from(timer).cast(), round + round % 3, round) };
                        events.run_due(round);
                        if round % 5 == 0 {
                            events.cancel(&timer.node);
                        }
                    }
                });
            }
        });
        for timer in timers {
            events.cancel_sync(&timer.node);
            assert!(!timer.node.is_queued.load(Relaxed) && !timer.inside.load(Ordering::Relaxed));
            assert_eq!(timer.overlaps.load(Ordering::Relaxed), 0);
            assert!(timer.runs.load(Ordering::Relaxed) > 0);
        }
        (0..NR_CPUS).for_each(|cpu| assert_eq!(events.bases[cpu].lock().queue.next_due(), u64::MAX));
    }

    #[test]
    fn cores_that_arm_cancel_and_run_the_same_timers_never_run_one_twice_at_once() {
        static WHEELS: Events<Wheel> = Events::new();
        static HEAPS: Events<Heap> = Events::new();
        static TIMERS: [[Watched; 2]; 2] = [const { [const { Watched::new() }; 2] }; 2];
        contest(&WHEELS, &TIMERS[0]);
        contest(&HEAPS, &TIMERS[1]);
    }

    #[test]
    fn after_cancel_sync_nothing_runs() {
        static HEAPS: Events<Heap> = Events::new();
        static TIMER: Watched = Watched::new();
        static IS_OVER: AtomicBool = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                arch::set_cpu(1);
                while !IS_OVER.load(Ordering::Relaxed) {
                    // SAFETY: a static.
                    unsafe { HEAPS.arm(NonNull::from(&TIMER).cast(), 0, 0) };
                    HEAPS.run_due(1);
                    thread::yield_now();
                }
            });
            for _ in 0..500 {
                HEAPS.cancel_sync(&TIMER.node);
            }
            IS_OVER.store(true, Ordering::Relaxed);
        });
        HEAPS.cancel_sync(&TIMER.node);
        let runs = TIMER.runs.load(Ordering::Relaxed);
        (0..NR_CPUS).for_each(|_| HEAPS.run_due(u64::MAX));
        assert!(runs == TIMER.runs.load(Ordering::Relaxed) && TIMER.overlaps.load(Ordering::Relaxed) == 0);
    }
}
