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
use super::run_queue::{CORE, Core, IDLE_URGENCY, Parting, need_resched};
use super::signal;
use super::switch_point;
use super::thread::{Life, Thread, current};
use super::thread_table::idle_of;
use super::wake;
use crate::arch::{counter, switch};
use crate::cpu::task::TaskState;
use crate::cpu::{self, IrqsOff, irq_guard, latency};
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
    let me = current();
    if me.task().lock_depth() != 0 {
        return schedule_without_bkl();
    }
    enter();
    // SAFETY: `enter` masked irqs, and no depth is counted.
    let looks_again = unsafe { switch_threads(me, Why::Called) };
    leave();
    if looks_again && preempt::IS_FULL {
        preempt_schedule();
    }
}

/// Step 2. With irqs on no section that keeps them off is counted (the invariant of `irq_guard`).
#[inline(always)]
fn enter() {
    if cpu::preempt_count() != 0 || !irq_guard::enter_outermost() {
        scheduling_while_atomic();
    }
}

/// Step 7.
#[inline(always)]
fn leave() {
    // SAFETY: a switch happens in the section of `enter`, the last thread's or this one's own, or in that of an exception, and leaves no guard behind.
    unsafe { irq_guard::leave_outermost() };
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
        enter();
        // SAFETY: as in `schedule`.
        unsafe { switch_away(Why::Preempted) };
        leave();
    }
}

/// An interrupt is about to return to a thread while something more urgent waits. Context: on the thread's stack, irqs masked by the exception, which is
/// level one.
pub fn preempt_schedule_irq() {
    check_context();
    // SAFETY: the exception masked irqs, and nothing is counted beside (`check_context`).
    while unsafe { switch_away(Why::Preempted) } && need_resched() {}
}

/// `switch_threads` where it need not be fast, once for all.
///
/// # Safety
/// As for `switch_threads`.
#[inline(never)]
unsafe fn switch_away(why: Why) -> bool {
    // SAFETY: the caller's contract is this one's.
    unsafe { switch_threads(current(), why) }
}

/// Steps 3 to 6 for the running thread, `prev`. True if this core was given a thread in the end: then it shall look whether that comes first.
///
/// # Safety
/// Irqs are masked, and no depth is counted.
#[inline(always)]
unsafe fn switch_threads(prev: &'static Thread, why: Why) -> bool {
    // SAFETY: by the contract; they stay masked until this function has ended.
    let irqs_off = unsafe { IrqsOff::assume() };
    let cpu = cpu::id();
    // No section is counted, so the core is in none.
    rcu::on_switch(cpu);
    let core = CORE.this();
    let next = choose(cpu, core, prev, why, irqs_off);
    if !preempt::IS_FULL {
        switch_point::pass();
    }
    if core::ptr::eq(prev, next) {
        return false;
    }

    account(core, prev, next, why);
    tracepoint::hit_with(Event::SchedSwitch, || [u64::from(prev.pid()), u64::from(next.pid())]);
    let (save, load) = (prev.context.get(), next.context.get());
    // SAFETY: irqs are masked and the depths are 0, by the contract. `next` was listed, so it is off its core or this one is just leaving it (idle), and
    // it is listed no more, so no other core takes it. `prev` is not loaded before `finish` clears its `on_cpu`.
    let before = unsafe { switch::switch(save, load, &raw const *next.task() as usize, &raw const *prev as usize) };
    // SAFETY: what the thread before us gave: a block of the static table.
    finish(unsafe { &*(before as *const Thread) })
}

/// An interrupt's way out finds no depth.
#[inline]
fn check_context() {
    if cpu::preempt_count() != 0 || irq_guard::extra_depth() != 0 {
        scheduling_while_atomic();
    }
}

#[cold]
#[inline(never)]
fn scheduling_while_atomic() -> ! {
    let (count, extra) = (cpu::preempt_count(), irq_guard::extra_depth());
    let irqs = if crate::arch::irq::is_masked() { "off" } else { "on" };
    panic!(
        "scheduling while atomic: {} has count {count:#x}, irqs {irqs} and {extra} irq-off sections around that; a guard is held over a sleep",
        current()
    );
}

/// Step 3 and 4.
#[inline(always)]
fn choose(cpu: usize, core: &Core, prev: &'static Thread, why: Why, irqs_off: IrqsOff<'_>) -> &'static Thread {
    let mut queue = core.queue.lock_irqs_off(irqs_off);
    core.need_resched.store(false, Ordering::Relaxed);
    let next = if why == Why::Called && goes_to_sleep(prev) {
        leave_queue(core, prev);
        queue.pop(core)
    } else if prev.is_idle() {
        queue.pop(core)
    } else if prev.affinity() & (1 << cpu) == 0 {
        // Decided here, under the lock: later nobody can tell whether a thread is listed, since others take it out and in.
        core.parting.store(Parting::Moves as u8, Ordering::Relaxed);
        queue.pop(core)
    } else {
        let is_turn_over = why == Why::Called || prev.slice.load(Ordering::Relaxed) == 0;
        if is_turn_over {
            prev.slice.store(SLICE_TICKS, Ordering::Relaxed);
        }
        Some(queue.list_and_pop(prev, !is_turn_over))
    };
    let Some(next) = next else {
        drop(queue);
        return choose_elsewhere(cpu, core, irqs_off);
    };
    take(core, next);
    next
}

/// The thread that this core runs next, which was just taken out of its list. Context: under the queue's lock, so that nobody takes it for one at rest.
#[inline(always)]
fn take(core: &Core, next: &'static Thread) {
    core.urgency.store(next.priority.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // Relaxed: its registers were acquired with the lock.
    next.on_cpu.set();
}

/// Nothing is ready here: what another core can spare, or the idle thread.
#[cold]
#[inline(never)]
fn choose_elsewhere(cpu: usize, core: &Core, irqs_off: IrqsOff<'_>) -> &'static Thread {
    balance::pull_when_idle(cpu);
    let mut queue = core.queue.lock_irqs_off(irqs_off);
    // What was brought, or came meanwhile, is chosen now.
    core.need_resched.store(false, Ordering::Relaxed);
    match queue.pop(core) {
        Some(next) => {
            take(core, next);
            next
        }
        None => {
            let idle = idle_of(cpu);
            core.urgency.store(IDLE_URGENCY, Ordering::Relaxed);
            idle.on_cpu.set();
            idle
        }
    }
}

/// The running thread goes to sleep, or for good: its queue counts it no more. Context: under the queue's lock.
#[inline(always)]
fn leave_queue(core: &Core, prev: &Thread) {
    assert!(!prev.is_idle(), "an idle thread went to sleep");
    prev.on_rq.store(false, Ordering::Release);
    let state = prev.state();
    if contributes_to_load(state) {
        // Only this core writes its count, with irqs masked: a load and a store are enough.
        core.nr_uninterruptible.store(core.nr_uninterruptible.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    } else if state.contains(TaskState::DEAD) && prev.is_in(Life::Over) {
        core.parting.store(Parting::IsOver as u8, Ordering::Relaxed);
    }
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

#[inline(always)]
fn account(core: &Core, prev: &Thread, next: &Thread, why: Why) {
    let now = counter::now_relaxed();
    let ran = now.wrapping_sub(prev.switched_at.load(Ordering::Relaxed));
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

/// Step 6. True if this core was given a thread. Context: the first thing that a thread does when it runs again, irqs masked.
#[inline(always)]
fn finish(prev: &'static Thread) -> bool {
    // Registers and stack are at rest: from now on the thread may run, sleep and end elsewhere. Pairs with `is_clear` in `wake` and `balance`.
    prev.on_cpu.clear();
    // Softirqs wait for a core, their mark stands in a thread's word: now this one's.
    softirq::mark_if_pending();
    let core = CORE.this();
    let parting = core.parting.load(Ordering::Relaxed);
    parting != Parting::Nothing as u8 && part_with(core, prev)
}

/// The last thread goes to another core, or for ever. Out of line: every switch looks whether it does.
#[cold]
#[inline(never)]
fn part_with(core: &Core, prev: &'static Thread) -> bool {
    let is_over = core.parting.load(Ordering::Relaxed) == Parting::IsOver as u8;
    core.parting.store(Parting::Nothing as u8, Ordering::Relaxed);
    if is_over {
        prev.put();
    } else {
        wake::move_away(prev);
    }
    !is_over
}

/// What a new thread does first: lets the last one go and takes interrupts. Context: on the new thread's stack, irqs masked.
pub(super) fn begin(before: usize) {
    // SAFETY: as in `switch_threads`.
    let looks_again = finish(unsafe { &*(before as *const Thread) });
    leave();
    if looks_again && preempt::IS_FULL {
        preempt_schedule();
    }
}

/// Leaves the core for the last time: as `leave_for_good`, from a stack that the next thread to die will use.
///
/// Context: thread, irqs masked by one level, no depth counted, over, and found asleep by nobody (`death`): so it does not come back.
pub(super) fn leave_masked() -> ! {
    current().task().set_state(TaskState::DEAD);
    check_context();
    // SAFETY: irqs are masked (the context), and nothing is counted beside (`check_context`).
    unsafe { switch_away(Why::Called) };
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
