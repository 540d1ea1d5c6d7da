//! Wake-ups, and everything else that puts a thread in a run queue.
//!
//! # Why no wake-up is lost
//! The sleeper stores its state, passes a full barrier, looks at its condition, and calls `schedule` if it does not hold. The waker makes the condition
//! true, passes a full barrier, and looks at the state. So the waker sees the state, or the sleeper sees the condition (`cpu::task`). If the waker sees
//! the state, there are two cases, told apart under the run queue's lock, under which `schedule` leaves it:
//! - the thread is still counted by its queue: its state becomes RUNNING, and `schedule` will keep it;
//! - it has left: the waker waits until it is off its core (`on_cpu`) and queues it.
//!
//! The thread's lock is held throughout, so two wakers never queue one thread twice. The model in `wake_model` checks this order by order; its twins
//! without a barrier, or with the look at the state outside the lock, lose a wake-up.
//!
//! Neighbours: `switch` (the sleeper's half), `balance` (which core).

use super::blocking;
use super::features::{self, Feature};
use super::kthread;
use super::preempt;
use super::priority::Priority;
use super::run_queue::{CORE, Core, RunQueue, resched_cpu, with_queue_of};
use super::switch::{self, contributes_to_load};
use super::thread::{self, Life, Thread, current};
use crate::arch;
use crate::cpu::task::TaskState;
use crate::cpu::{self, IrqGuard, IrqsOff, PreemptGuard, latency};
use crate::upcalls;
use crate::util::errno::Errno;
use core::sync::atomic::{Ordering, fence};

/// Wakes `thread` if it sleeps in one of `states`. True if it did; then it has been queued, or has not left yet and will not.
///
/// Context: any. Full barrier before the look at the state: what the caller wrote is visible to the thread if it sleeps on.
pub fn try_to_wake_up(thread: &Thread, states: TaskState) -> bool {
    let thread = thread.as_static();
    // The section's end is where this core reschedules, if the woken thread is more urgent than the caller.
    let _pinned = PreemptGuard::new();
    // Two locks are taken, and irqs masked once.
    let masked = IrqGuard::new();
    let irqs_off = masked.irqs_off();
    let _awake = thread.lock().lock_irqs_off(irqs_off);
    let state = thread.task().state_for_waker();
    if !state.intersects(states) {
        return false;
    }
    // Acquire on the state, above: the thread was counted before it set this state, so `false` here means that it has left since.
    if thread.on_rq.load(Ordering::Acquire) && is_kept(thread) {
        return true;
    }
    // It has left: to sleep, or for good. Its block cannot get another owner before this thread's lock is free.
    if !thread.is_in(Life::Alive) {
        return false;
    }

    // What it sleeps in may be another sleep than the one seen above; this one stays, since it left.
    let state = thread.state();
    if !state.intersects(states) {
        return false;
    }

    wait_until_off_cpu(thread);
    if contributes_to_load(state) {
        // This core's count, which it alone writes, with irqs masked: a load and a store are enough. So for the wake-ups below.
        let nr_uninterruptible = &CORE.this().nr_uninterruptible;
        nr_uninterruptible.store(nr_uninterruptible.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }
    thread.task().set_state(TaskState::RUNNING);
    if latency::is_on() {
        thread.woken_at.store(arch::counter::now(), Ordering::Relaxed);
    }
    enqueue(thread, select_cpu(thread), irqs_off);
    let nr_wakeups = &CORE.this().nr_wakeups;
    nr_wakeups.store(nr_wakeups.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    true
}

/// Waits until the registers of `thread` are saved. Bounded: its core is between its choice and its switch, with irqs off.
fn wait_until_off_cpu(thread: &Thread) {
    // Pairs with `clear` in `switch::finish`.
    while !thread.on_cpu.is_clear() {
        // A panic may have stopped that core there.
        upcalls::answer_attention();
        arch::relax();
    }
}

/// Linux's `wake_up_process`: ends any sleep that an event can end.
///
/// Context: any. True if the thread slept.
pub fn wake_up_process(thread: &Thread) -> bool {
    try_to_wake_up(thread, TaskState::NORMAL)
}

/// The thread has not left its queue: it shall not.
fn is_kept(thread: &Thread) -> bool {
    with_queue_of(thread, |_, _, _| {
        let is_counted = thread.on_rq.load(Ordering::Relaxed);
        if is_counted {
            thread.task().set_state(TaskState::RUNNING);
        }
        is_counted
    })
}

/// Starts a NEW thread, whose registers are set. Context: any.
pub(super) fn start(thread: &'static Thread) -> bool {
    let _pinned = PreemptGuard::new();
    let masked = IrqGuard::new();
    let _mine = thread.lock().lock_irqs_off(masked.irqs_off());
    if !thread.is_in(Life::New) {
        return false;
    }
    thread.set_life(Life::Alive);
    thread.task().set_state(TaskState::RUNNING);
    enqueue(thread, select_cpu(thread), masked.irqs_off());
    true
}

/// Has the run queue of core `cpu` count and list the thread. Context: under the thread's lock, the thread off its core and in no queue.
#[inline]
fn enqueue(thread: &'static Thread, cpu: usize, irqs_off: IrqsOff<'_>) {
    let core = CORE.on(cpu);
    let mut queue = core.queue.lock_irqs_off(irqs_off);
    thread.cpu.store(cpu as u8, Ordering::Relaxed);
    thread.on_rq.store(true, Ordering::Relaxed);
    list(cpu, core, &mut queue, thread);
}

/// Lists the thread and sees to it that the core looks, if it should.
#[inline]
pub(super) fn list(cpu: usize, core: &Core, queue: &mut RunQueue, thread: &'static Thread) {
    queue.list(core, thread);
    let running = core.urgency.load(Ordering::Relaxed);
    let urgency = thread.priority.load(Ordering::Relaxed) + 1;
    let is_idle = running == super::run_queue::IDLE_URGENCY;
    if is_idle || (urgency > running && features::is_on(Feature::WakeupPreempt)) {
        resched_cpu(cpu);
    }
}

/// Where a thread that becomes ready goes: where it was if that core idles, else to any core that does, else where it was, else where it comes first.
#[inline]
fn select_cpu(thread: &Thread) -> usize {
    let last = thread.cpu();
    // The one core on which it may run, and has been: that runs.
    if thread.affinity() == 1 << last { last } else { select_among(thread, last) }
}

/// The same for a thread that may have a choice.
#[inline(never)]
fn select_among(thread: &Thread, last: usize) -> usize {
    let allowed = allowed_cpus(thread);
    let is_allowed = |cpu: usize| allowed & (1 << cpu) != 0;
    let urgency = |cpu: usize| CORE.on(cpu).urgency.load(Ordering::Relaxed);
    let is_free = |cpu: usize| is_allowed(cpu) && urgency(cpu) == 0 && CORE.on(cpu).nr_ready.load(Ordering::Relaxed) == 0;
    if is_free(last) {
        return last;
    }
    cpu::online().find(|cpu| is_free(*cpu)).unwrap_or_else(|| {
        let first = if is_allowed(last) { last } else { allowed.trailing_zeros() as usize };
        let mine = thread.priority.load(Ordering::Relaxed) + 1;
        if urgency(first) < mine {
            return first;
        }
        cpu::online().filter(|cpu| is_allowed(*cpu)).find(|cpu| urgency(*cpu) < mine).unwrap_or(first)
    })
}

/// The cores that run and that the thread may run on; if it may on none, all.
fn allowed_cpus(thread: &Thread) -> u32 {
    let online = cpu::online_mask();
    match thread.affinity() & online {
        0 => online,
        allowed => allowed,
    }
}

/// Puts a thread that is counted and not listed, off its core, in the queue of a core that it may run on. Context: irqs masked.
pub(super) fn move_away(thread: &'static Thread) {
    move_to(thread, select_cpu(thread));
}

/// The same, to core `cpu` if its affinity still allows that.
pub(super) fn move_to(thread: &'static Thread, cpu: usize) {
    let mut cpu = cpu;
    loop {
        // Under the lock of the queue that counted it so far: who holds that one may rely on the number.
        with_queue_of(thread, |_, _, _| thread.cpu.store(cpu as u8, Ordering::Relaxed));
        let core = CORE.on(cpu);
        let mut queue = core.queue.lock();
        // Its affinity may have changed between the choice and the lock; who changes it later finds it listed.
        if allowed_cpus(thread) & (1 << cpu) != 0 {
            list(cpu, core, &mut queue, thread);
            return;
        }
        cpu = select_cpu(thread);
    }
}

/// Lets `thread` run on the cores of `mask` only: Linux's `set_cpus_allowed`. If it runs on another one now, it leaves it at once.
///
/// Context: thread, irqs on; any context for another thread.
///
/// # Errors
/// `EINVAL` if none of the cores runs, or the thread is an idle thread or bound to its core for good (`Builder::bind`).
pub fn set_affinity(thread: &Thread, mask: u32) -> Result<(), Errno> {
    let mask = mask & thread::ALL_CPUS;
    if mask & cpu::online_mask() == 0 || thread.is_idle() || kthread::is_bound(thread) {
        return Err(Errno::EINVAL);
    }
    settle_affinity(thread.as_static(), mask);
    // Where sections do not end with a switch, the caller itself has to go.
    if !preempt::IS_FULL && core::ptr::eq(thread, current()) && !cpu::is_atomic() {
        switch::preempt_schedule();
    }
    Ok(())
}

fn settle_affinity(thread: &'static Thread, mask: u32) {
    let _pinned = PreemptGuard::new();
    let _settled = thread.lock().lock();
    let must_move = with_queue_of(thread, |cpu, core, queue| {
        thread.affinity.store(mask, Ordering::Relaxed);
        let is_misplaced = mask & (1 << cpu) == 0 && thread.on_rq.load(Ordering::Relaxed);
        if !is_misplaced {
            return false;
        }
        if !thread.is_listed.load(Ordering::Relaxed) {
            // It runs there, or is being moved: its core's next choice moves it.
            resched_cpu(cpu);
            return false;
        }
        // A listed thread may be on its way off the core; that does not take the queue's lock again.
        wait_until_off_cpu(thread);
        queue.unlist(core, thread);
        true
    });
    if must_move {
        move_away(thread);
    }
}

/// Gives `thread` a priority of its own. What is lent to it counts if it is more urgent. If it waits for a mutex, the owner becomes as urgent at once;
/// what was lent before stays lent until the mutex is given back.
///
/// Context: any.
pub fn set_priority(thread: &Thread, priority: Priority) {
    let _pinned = PreemptGuard::new();
    let settled = thread.lock().lock();
    thread.own_priority.store(priority.number(), Ordering::Relaxed);
    requeue(thread);
    drop(settled);
    blocking::lend_along(thread.task(), thread);
}

/// One more lock of `owner` is waited for: it runs with the priority of `lender` at least until `end_lending` was called as often.
///
/// Context: any. Under the thread's lock, so that who lends and who takes back do not pass each other.
pub(super) fn begin_lending(owner: &Thread, lender: &Thread) {
    let _pinned = PreemptGuard::new();
    let _settled = owner.lock().lock();
    owner.nr_lending.store(owner.nr_lending.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    lend_more(owner, lender);
}

/// One more waiter. Without effect if nobody waits for `owner` any more. Context: any.
pub(super) fn raise_lending(owner: &Thread, lender: &Thread) {
    let _pinned = PreemptGuard::new();
    let _settled = owner.lock().lock();
    if owner.nr_lending.load(Ordering::Relaxed) != 0 {
        lend_more(owner, lender);
    }
}

/// One lock less is waited for. Context: any.
pub(super) fn end_lending(owner: &Thread) {
    let _pinned = PreemptGuard::new();
    let _settled = owner.lock().lock();
    let left = owner.nr_lending.load(Ordering::Relaxed).saturating_sub(1);
    owner.nr_lending.store(left, Ordering::Relaxed);
    if left == 0 {
        owner.lent_priority.store(0, Ordering::Relaxed);
        requeue(owner);
    }
}

/// Context: under the owner's lock. The barrier is the one that `blocking::lend_along` speaks of.
fn lend_more(owner: &Thread, lender: &Thread) {
    fence(Ordering::SeqCst);
    // One more than the number; 0: nothing is lent.
    let lent = lender.priority().number() + 1;
    if lent > owner.lent_priority.load(Ordering::Relaxed) {
        owner.lent_priority.store(lent, Ordering::Relaxed);
        requeue(owner);
    }
}

/// Takes over the priority that follows from own and lent: in its list if it is in one.
fn requeue(thread: &Thread) {
    let thread = thread.as_static();
    with_queue_of(thread, |cpu, core, queue| {
        let own = thread.own_priority.load(Ordering::Relaxed);
        let lent = thread.lent_priority.load(Ordering::Relaxed);
        let new = own.max(lent.saturating_sub(1));
        if new == thread.priority.load(Ordering::Relaxed) {
            // As before: it keeps its place among its equals.
            return;
        }
        let is_listed = thread.is_listed.load(Ordering::Relaxed);
        if is_listed {
            queue.unlist(core, thread);
        }
        thread.priority.store(new, Ordering::Relaxed);
        if is_listed {
            list(cpu, core, queue, thread);
        } else if thread.on_rq.load(Ordering::Relaxed) && thread.is_on_cpu() {
            // Its core takes the new urgency over when it chooses.
            resched_cpu(cpu);
        }
    });
}

/// Calls `f` with where a backtrace of `thread` begins, while it is kept from running; `None` if it runs now, or died.
///
/// Context: any; `f` runs with irqs off and a run queue locked, so it must not wake anybody.
pub fn with_position<R>(thread: &Thread, f: impl FnOnce(Option<(usize, usize)>) -> R) -> R {
    let _asleep = thread.lock().lock();
    with_queue_of(thread, |_, _, _| f(position_at_rest(thread)))
}

/// Where a backtrace of `thread` begins, if it is off its core and alive. Context: its lock and its run queue's are held.
fn position_at_rest(thread: &Thread) -> Option<(usize, usize)> {
    // What a dead thread ran on last is in use by others.
    let is_dead = thread.oops_number().is_some();
    let is_at_rest = thread.on_cpu.is_clear() && !core::ptr::eq(thread, current()) && !is_dead;
    is_at_rest.then(|| {
        // SAFETY: off its core (acquired), and kept off: waking it takes its lock, choosing it the queue's.
        unsafe { &*thread.context.get() }.position()
    })
}

/// Locks that the answer needs are held, maybe by a core that will not give them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl From<Busy> for Errno {
    fn from(_: Busy) -> Self {
        Errno::EBUSY
    }
}

/// As [`with_position`], for reports on a kernel that stands still: waits for no lock, and gives up after some tries.
///
/// Context: any; `f` runs with irqs off and a run queue locked, so it must not wake anybody.
///
/// # Errors
/// `Busy` if the thread or its run queue was locked each time.
pub fn try_with_position<R>(thread: &Thread, f: impl FnOnce(Option<(usize, usize)>) -> R) -> Result<R, Busy> {
    /// A holder that is well is gone after a few of these, even if its emulated core is not run just now.
    const TRIES: u32 = 100_000;
    for _ in 0..TRIES {
        if let Some(_asleep) = thread.lock().try_lock() {
            let cpu = thread.cpu();
            if let Some(_queue) = CORE.on(cpu).queue.try_lock()
                && thread.cpu() == cpu
            {
                return Ok(f(position_at_rest(thread)));
            }
        }
        arch::relax();
    }
    Err(Busy)
}
