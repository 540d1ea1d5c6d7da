//! Where a thread may be made to give its core up, and where it may not.
//!
//! | build | a thread is preempted |
//! |---|---|
//! | default: full | wherever no section is counted and irqs are on: by an interrupt's return, or where the last section ends |
//! | `preempt_voluntary` | at `might_sleep` and `cond_resched` |
//! | `preempt_none` | at `cond_resched` |
//!
//! In all of them a thread gives way when it sleeps or yields, and the idle thread at any time.

use super::run_queue::{Core, need_resched, resched_cpu};
use super::switch;
use super::switch_point;
use super::thread::current;
use crate::cpu;
use crate::cpu::task::TaskState;
use crate::debug::backtrace;
use crate::debug::symbols::Named;
use crate::sync::rcu;
use core::panic::Location;
use core::sync::atomic::Ordering;

/// Threads are preempted wherever they may be.
pub const IS_FULL: bool = cfg!(not(any(feature = "preempt_none", feature = "preempt_voluntary")));

/// Says that the caller may sleep from here on; reports a caller that must not, even if it would not have slept this time.
///
/// Context: thread, irqs on, no section counted. In builds without `debug` nothing is checked.
#[inline]
#[track_caller]
pub fn might_sleep() {
    might_sleep_at(Location::caller());
}

/// The same for a caller at `place`.
#[inline]
pub(super) fn might_sleep_at(place: &'static Location<'static>) {
    if cfg!(feature = "debug") {
        if cpu::is_atomic() {
            sleeping_in_atomic_context(place);
        } else if current().task().state() != TaskState::RUNNING {
            sleeping_while_about_to_sleep(place);
        }
    }
    if cfg!(feature = "preempt_voluntary") {
        cond_resched();
    }
}

#[cold]
#[inline(never)]
fn sleeping_in_atomic_context(place: &'static Location<'static>) {
    let (count, irqs) = (cpu::preempt_count(), if crate::arch::irq::is_masked() { "off" } else { "on" });
    let thread = current();
    let context = cpu::context::name();
    crate::pr_err!("BUG: sleeping function called from invalid context at {}", place);
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    for lock in thread.held_locks().iter().filter(|lock| !lock.is_sleeping) {
        crate::pr_err!("BUG: atomic since a spinning lock was taken at {}", lock.at);
    }
    if let Some(section) = rcu::rcu_read_lock_place() {
        crate::pr_err!("BUG: atomic since rcu_read_lock() was called at {}", section);
    }
    if let Some(section) = cpu::context::section_place() {
        crate::pr_err!("BUG: atomic since its first section began at {}", section);
    }
    if let Some(address) = cpu::irq_guard::last_masked_at(cpu::id()).filter(|_| crate::arch::irq::is_masked()) {
        crate::pr_err!("BUG: atomic since interrupts went off at {:#018x} {}", address, Named::exact(address));
    }
    crate::pr_err!("BUG: {} in {}, count {:#x}, irqs {}, called from:", *thread, context, count, irqs);
    print_callers();
}

/// The condition of a wait sleeps itself: its sleep ends with the thread RUNNING, so the wait's own would be none, and turn in a circle.
#[cold]
#[inline(never)]
fn sleeping_while_about_to_sleep(place: &'static Location<'static>) {
    crate::pr_err!("BUG: sleeping function called at {} while the thread is about to sleep already", place);
    crate::pr_err!("BUG: {} looks at the condition of a wait, which must not sleep; called from:", *current());
    print_callers();
}

fn print_callers() {
    for frame in backtrace::Frames::from(backtrace::here()) {
        crate::pr_err!("  {:#018x} {}", frame.address, Named::return_to(frame.address));
    }
}

/// Gives way if something more urgent waits: for long loops, in builds that do not preempt them. True if it did.
///
/// Context: thread, irqs on, no section counted; in one it does nothing.
#[inline]
pub fn cond_resched() -> bool {
    let may_switch = !cpu::is_atomic();
    if !IS_FULL && may_switch {
        switch_point::pass();
    }
    let gives_way = may_switch && need_resched();
    if gives_way {
        switch::preempt_schedule();
    }
    gives_way
}

/// Whether an interrupt of this core may switch threads on its way out. Context: hardirq, no depth counted below it.
pub fn may_preempt_from_irq() -> bool {
    need_resched() && (IS_FULL || current().is_idle())
}

/// Counts the running thread's slice down; when it is over, equals come first. Context: hardirq, on each tick.
pub(super) fn end_slice(core: &Core, cpu: usize) {
    let thread = current();
    if thread.is_idle() {
        return;
    }
    // Only the core that runs the thread writes its slice.
    let left = thread.slice.load(Ordering::Relaxed).saturating_sub(1);
    thread.slice.store(left, Ordering::Relaxed);
    if left == 0 && core.nr_ready.load(Ordering::Relaxed) != 0 {
        resched_cpu(cpu);
    }
}
