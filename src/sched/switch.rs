//! The story of a context switch.
//!
//! 1. **Why.** A thread sleeps or yields ([`schedule`]; the big kernel lock it gives back first, and takes again when it returns), or something more
//!    urgent is ready and the thread is preempted: where its last section ends (`preempt_schedule`) or where an interrupt returns to it
//!    (`preempt_schedule_irq`).
//! 2. **Irqs go off**, to exactly one level, and no depth may be counted: a guard that the thread held would otherwise belong to the next one. Both are
//!    asserted in every build, since what breaks them is a bug that corrupts quietly.
//! 3. **The thread leaves the run queue if it sleeps.** Under the queue's lock: its state says so, and no signal ends such a sleep. A waker that looks
//!    from now on queues it anew; one that looked before made its state RUNNING, and it stays. A *preempted* thread stays whatever its state says: it
//!    was on its way to its condition, and must get there.
//! 4. **The next is chosen**: the most urgent in the queue; if there is none, one from another core (`balance`); if there is none, the idle thread.
//! 5. **The registers change** (`arch::switch`). From here on we are the next thread, on its stack, in the frame in which it once got here.
//! 6. **The last one is let go** ([`finish`]): its `on_cpu` is cleared. Only now may another core run it, since only now its registers are saved and its
//!    stack is still. If it is over, its reference to itself goes, and with the last reference its block and stack.
//! 7. **Irqs go on.**
//!
//! The queue's lock is given back before the switch, so no lock is held by one thread and released by another. What keeps others off the half-switched
//! thread is `on_cpu` alone: wakers wait for it, the balancer passes over threads that have it set.
//!
//! # Memory ordering
//! `on_cpu` is cleared with release after the switch, and loaded with acquire by who queues or moves the thread: its saved registers are visible to the
//! core that loads them. The same pair orders all that a thread did on one core before what it does on the next.

use super::balance;
use super::preempt;
use super::run_queue::{CORE, Core, IDLE_URGENCY, need_resched};
use super::signal;
use super::switch_point;
use super::thread::{Life, Thread, current};
use super::thread_table::idle_of;
use super::wake;
use crate::arch::{self, counter, switch};
use crate::cpu::task::TaskState;
use crate::cpu::{self, IrqGuard, irq_guard, latency};
use crate::debug::tracepoint::{self, Event};
use crate::irq::softirq;
use crate::sync::{bkl, rcu};
use core::sync::atomic::Ordering;

/// Ticks of a time slice: equals take turns after so many.
pub(super) const SLICE_TICKS: u8 = 4;

/// Why a thread leaves its core.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It called: it sleeps if its state says so, else its equals come first.
    Called,
    /// Something else came first.
    Preempted,
}

/// Gives the core to the next thread; comes back when this one is woken, or chosen again.
///
/// The caller has set its state with `set_current_state` and found its condition false; with state RUNNING this is `yield_now`.
///
/// Context: thread, irqs on, no depth counted.
///
/// # Panics
/// If it is called with irqs off or in a preemption-off section: the guard would belong to the next thread.
pub fn schedule() {
    if current().task().lock_depth() != 0 {
        return schedule_without_bkl();
    }
    let irqs_off = IrqGuard::new();
    switch_threads(Why::Called);
    drop(irqs_off);
    // The switch may have given this very core a thread back.
    if preempt::IS_FULL {
        preempt_schedule();
    }
}

/// The big kernel lock is not held over a sleep.
#[cold]
#[inline(never)]
fn schedule_without_bkl() {
    let depth = bkl::release_for_sleep();
    schedule();
    bkl::take_again(depth);
}

/// Lets the threads of the same priority go first. With none ready it comes back at once, unless the scheduler is wanted: by RCU, where sections are
/// not told apart, or by whoever has asked this core to choose anew.
///
/// Context: thread, irqs on.
#[inline]
pub fn yield_now() {
    if CORE.this().nr_ready.load(Ordering::Relaxed) != 0 || need_resched() {
        schedule();
    } else if !preempt::IS_FULL {
        switch_point::pass();
    }
}

/// A thread left its last section while something more urgent waits. Context: thread, irqs on.
pub fn preempt_schedule() {
    while need_resched() {
        let irqs_off = IrqGuard::new();
        switch_threads(Why::Preempted);
        drop(irqs_off);
    }
}

/// An interrupt is about to return to a thread while something more urgent waits. Context: on the thread's stack, irqs masked by the exception, which is
/// level one.
pub fn preempt_schedule_irq() {
    switch_threads(Why::Preempted);
}

fn switch_threads(why: Why) {
    check_context();
    let cpu = cpu::id();
    // No section is counted, so the core is in none.
    rcu::on_switch(cpu);
    let (core, prev) = (CORE.this(), current());
    let next = choose(cpu, core, prev, why);
    if !preempt::IS_FULL {
        switch_point::pass();
    }
    if core::ptr::eq(prev, next) {
        return;
    }

    account(core, prev, next, why);
    tracepoint::hit(Event::SchedSwitch, u64::from(prev.pid()), u64::from(next.pid()));
    let (save, load) = (prev.context.get(), next.context.get());
    // SAFETY: irqs are masked and the depths are 0 (`check_context`). `next` was listed, so it is off its core or this one is just leaving it (idle), and
    // it is listed no more, so no other core takes it. `prev` is not loaded before `finish` clears its `on_cpu`.
    let before = unsafe { switch::switch(save, load, &raw const *next.task() as usize, &raw const *prev as usize) };
    // SAFETY: what the thread before us gave: a block of the static table.
    finish(unsafe { &*(before as *const Thread) });
}

#[inline]
fn check_context() {
    if cfg!(feature = "debug") {
        assert!(arch::irq::is_masked(), "threads are switched with irqs on");
    }
    let (count, extra) = (cpu::preempt_count(), irq_guard::extra_depth());
    if count != 0 || extra != 0 {
        scheduling_while_atomic(count, extra);
    }
}

#[cold]
#[inline(never)]
fn scheduling_while_atomic(count: u32, extra: u32) -> ! {
    panic!(
        "scheduling while atomic: {} has count {count:#x} and {extra} irq-off sections around it; a guard is held over a sleep",
        current()
    );
}

/// Step 3 and 4.
fn choose(cpu: usize, core: &Core, prev: &'static Thread, why: Why) -> &'static Thread {
    let mut queue = core.queue.lock();
    core.need_resched.store(false, Ordering::Relaxed);
    core.must_move.store(false, Ordering::Relaxed);
    if why == Why::Called && goes_to_sleep(prev) {
        assert!(!prev.is_idle(), "the idle thread of cpu{cpu} went to sleep");
        prev.on_rq.store(false, Ordering::Release);
        if contributes_to_load(prev.state()) {
            // Only this core writes its count, with irqs masked: a load and a store are enough.
            core.nr_uninterruptible.store(core.nr_uninterruptible.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    } else if !prev.is_idle() && prev.affinity() & (1 << cpu) == 0 {
        // Decided here, under the lock: later nobody can tell whether a thread is listed, since others take it out and in.
        core.must_move.store(true, Ordering::Relaxed);
    } else if !prev.is_idle() {
        let is_turn_over = why == Why::Called || prev.slice.load(Ordering::Relaxed) == 0;
        if is_turn_over {
            prev.slice.store(SLICE_TICKS, Ordering::Relaxed);
        }
        queue.list(core, prev, !is_turn_over);
    }

    let mut next = queue.pop(core);
    if next.is_none() {
        drop(queue);
        balance::pull_when_idle(cpu);
        queue = core.queue.lock();
        // What was brought, or came meanwhile, is chosen now.
        core.need_resched.store(false, Ordering::Relaxed);
        next = queue.pop(core);
    }
    let urgency = next.map_or(IDLE_URGENCY, |thread| thread.priority.load(Ordering::Relaxed) + 1);
    core.urgency.store(urgency, Ordering::Relaxed);
    let next = next.unwrap_or_else(|| idle_of(cpu));
    // Under the lock, so that nobody takes a thread that is listed no more for one at rest. Relaxed: its registers were acquired with the lock.
    next.on_cpu.set();
    next
}

/// True if the thread's state, which it set itself, says that it sleeps, and nothing ends the sleep at once.
#[inline]
fn goes_to_sleep(thread: &Thread) -> bool {
    let state = thread.state();
    if state.is_empty() {
        return false;
    }
    if signal::pending_in_state(thread, state) {
        thread.task().set_state(TaskState::RUNNING);
        return false;
    }
    true
}

/// Linux counts sleeps that end soon, as a disk's would, as load.
pub(super) fn contributes_to_load(state: TaskState) -> bool {
    state.contains(TaskState::UNINTERRUPTIBLE) && !state.contains(TaskState::NOLOAD)
}

fn account(core: &Core, prev: &Thread, next: &Thread, why: Why) {
    let now = counter::now_relaxed();
    let ran = now.wrapping_sub(prev.switched_at.load(Ordering::Relaxed));
    if prev.is_idle() {
        core.idle_time.fetch_add(ran, Ordering::Relaxed);
    }
    let switches = if why == Why::Called { &prev.nr_voluntary } else { &prev.nr_involuntary };
    // Only this core writes the counts of a thread that it runs, and its own: a load and a store are enough.
    for (counter, by) in [(&prev.run_time, ran), (switches, 1), (&core.nr_switches, 1)] {
        counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }
    prev.switched_at.store(now, Ordering::Relaxed);
    next.switched_at.store(now, Ordering::Relaxed);
    if latency::is_on() {
        latency::woken_thread_runs(next.woken_at.swap(0, Ordering::Relaxed));
    }
}

/// Step 6. Context: the first thing that a thread does when it runs again, irqs masked.
#[inline(always)]
fn finish(prev: &'static Thread) {
    // Looked at before `on_cpu` is cleared: from then on the thread may run, sleep and end elsewhere.
    let is_over = prev.is_in(Life::Over) && !prev.on_rq.load(Ordering::Relaxed);
    let must_move = CORE.this().must_move.load(Ordering::Relaxed);
    // Registers and stack are at rest. Pairs with `is_clear` in `wake` and `balance`.
    prev.on_cpu.clear();
    // Softirqs wait for a core, their mark stands in a thread's word: now this one's.
    softirq::mark_if_pending();
    if must_move || is_over {
        part_with(prev, must_move, is_over);
    }
}

/// The last thread goes to another core, or for ever. Out of line: every switch looks whether it does.
#[cold]
#[inline(never)]
fn part_with(prev: &'static Thread, must_move: bool, is_over: bool) {
    if must_move {
        wake::move_away(prev);
    }
    if is_over {
        prev.put();
    }
}

/// What a new thread does first: lets the last one go and takes interrupts. Context: on the new thread's stack, irqs masked.
pub(super) fn begin(before: usize) {
    // SAFETY: as in `switch_threads`.
    finish(unsafe { &*(before as *const Thread) });
    latency::irqs_go_on();
    // SAFETY: a switch happens at one level of irqs off (`switch_threads`), which was the last thread's and ends here; a new thread has no guard.
    unsafe { arch::irq::unmask() };
    if preempt::IS_FULL {
        preempt_schedule();
    }
}

/// Leaves the core for the last time: as `leave_for_good`, from a stack that the next thread to die will use.
///
/// Context: thread, irqs masked by one level, no depth counted, over, and found asleep by nobody (`death`): so it does not come back.
pub(super) fn leave_masked() -> ! {
    current().task().set_state(TaskState::DEAD);
    switch_threads(Why::Called);
    unreachable!("a dead thread was switched to");
}

/// Ends the running thread: nothing refers to its stack any more but a join that wants its value. Its block lives until the last reference goes.
///
/// Context: thread, irqs on, no depth counted.
pub(super) fn leave_for_good() -> ! {
    let me = current();
    me.set_life(Life::Over);
    loop {
        // A waker that looked at an earlier state may just make it RUNNING: then this comes back, once.
        me.task().set_state(TaskState::DEAD);
        schedule();
    }
}
