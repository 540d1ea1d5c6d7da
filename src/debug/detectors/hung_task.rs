//! Hung tasks: threads that sleep uninterruptibly and are not woken, found by the thread `khungtaskd`.
//!
//! A thread in state D waits for what must come soon: a lock, a device. Whoever may wait long sleeps interruptibly, or with `TaskState::IDLE`. A sleep that a
//! timer ends (`msleep`, a wait with a timeout) is none, however long, until that timer is due: Linux, which has no note of it, reports those too. A killable sleep is not
//! looked at: `kill` ends it.
//!
//! The report names whom the thread waits for if that is a mutex's owner, whom that one waits for, and says if the chain is a ring: then none of them
//! will ever go on.
//!
//! # Memory ordering
//! Everything is a hint, relaxed: a thread may be woken while it is reported. Its backtrace is taken under the scheduler's locks.

use super::settings::Setting;
use super::ticks;
use crate::arch::counter;
use crate::cpu::Task;
use crate::cpu::task::TaskState;
use crate::debug::panic;
use crate::debug::report_log::Turn;
use crate::debug::show::{self, Seconds};
use crate::log::{KERN_ERR, KERN_NOTICE};
use crate::sched::kthread::Builder;
use crate::sched::thread::{self, Thread};
use crate::sched::thread_table::MAX_THREADS;
use crate::sched::{self, RcuWait};
use crate::time;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;

/// Reports a round: a lock that nobody gives back hangs many, and the first ones tell the story.
const MAX_REPORTS: usize = 10;
/// Threads of a chain of waiters that are named.
const MAX_CHAIN: usize = 8;

/// The sleep of each thread that was reported, by the counter at its beginning.
static REPORTED: [AtomicU64; MAX_THREADS] = [const { AtomicU64::new(0) }; MAX_THREADS];
static NR_REPORTED: AtomicU64 = AtomicU64::new(0);
/// Where the detector's thread sleeps.
static WAITER: RcuWait = RcuWait::new();
static HAS_NEW_TIMEOUT: AtomicBool = AtomicBool::new(false);

/// Hung tasks that were reported so far. Context: any.
pub fn nr_reported() -> u64 {
    NR_REPORTED.load(Relaxed)
}

/// Starts the detector's thread. Context: boot, thread.
pub(super) fn start() {
    match Builder::new("khungtaskd").run(khungtaskd) {
        Ok(thread) => thread.detach(),
        Err(error) => crate::pr_err!("hung_task: no khungtaskd: {:?}: nobody looks for hung tasks", error),
    }
}

/// Has the thread take a new timeout over. Context: any.
pub(super) fn look_again() {
    HAS_NEW_TIMEOUT.store(true, Relaxed);
    WAITER.wake_up();
}

fn khungtaskd() {
    loop {
        let timeout = Setting::HungTaskTimeout.get();
        if timeout != 0 {
            look_at_all(timeout);
        }
        sleep(timeout);
    }
}

/// Until it is time to look again; for ever if the detector is off.
fn sleep(timeout: u32) {
    let is_wanted = || HAS_NEW_TIMEOUT.swap(false, Relaxed);
    if timeout == 0 {
        return WAITER.wait_until(TaskState::IDLE, is_wanted);
    }
    let end = time::uptime() + Duration::from_millis(u64::from(timeout) * 250);
    let left = || end.saturating_sub(time::uptime());
    WAITER.wait_with(
        TaskState::IDLE,
        || left().is_zero() || is_wanted(),
        || {
            sched::schedule_timeout(left());
        },
    );
}

fn look_at_all(timeout: u32) {
    let mut nr_found = 0;
    for thread in thread::all() {
        let Some(since) = hung_since(&thread, timeout) else {
            end_of(&thread);
            continue;
        };
        if REPORTED[usize::from(thread.id())].swap(since, Relaxed) == since {
            continue;
        }
        nr_found += 1;
        NR_REPORTED.fetch_add(1, Relaxed);
        if nr_found <= MAX_REPORTS {
            report(&thread, since, timeout);
        }
    }
    if nr_found > MAX_REPORTS {
        show::line(KERN_ERR, format_args!("hung_task: {} more are blocked as long; `sysrq w` lists them", nr_found - MAX_REPORTS));
    }
    if nr_found > 0 && Setting::HungTaskPanic.is_on() {
        panic::end_kernel(format_args!("{nr_found} hung tasks (hung_task_panic)"));
    }
}

/// Since when `thread` sleeps, if that is longer than it may.
fn hung_since(thread: &Thread, timeout: u32) -> Option<u64> {
    let state = thread.state();
    let is_blocked = state.contains(TaskState::UNINTERRUPTIBLE) && !state.intersects(TaskState::NOLOAD | TaskState::WAKEKILL);
    // A core that runs it, or is just leaving it, has not written the time of this sleep yet.
    if !is_blocked || thread.is_on_cpu() {
        return None;
    }
    let since = thread.switched_at();
    let is_late = counter::now().saturating_sub(since) >= ticks(timeout);
    let alarm = Duration::from_nanos(thread.sleeps_until_ns());
    (is_late && time::uptime() >= alarm + Duration::from_secs(timeout.into())).then_some(since)
}

/// The thread was reported, and is not hung any more.
fn end_of(thread: &Thread) {
    let reported = &REPORTED[usize::from(thread.id())];
    let since = reported.load(Relaxed);
    if since != 0 && thread.switched_at() != since {
        reported.store(0, Relaxed);
        let took = Seconds(thread.switched_at().saturating_sub(since));
        show::line(KERN_NOTICE, format_args!("hung_task: {thread} goes on, it was blocked for {took}"));
    }
}

fn report(thread: &Thread, since: u64, timeout: u32) {
    let _turn = Turn::wait();
    let blocked = Seconds(counter::now().saturating_sub(since));
    show::line(KERN_ERR, format_args!("INFO: task {}:{} blocked for more than {timeout} seconds.", thread.name(), thread.pid()));
    show::line(KERN_ERR, format_args!("hung_task: {thread} has slept uninterruptibly for {blocked}; hung_task_timeout= sets the limit"));
    name_chain(thread);
    show::task(KERN_ERR, thread);
    show::held_locks(KERN_ERR, thread);
}

/// Names the owner of the mutex that `thread` waits for, and along the chain.
fn name_chain(thread: &Thread) {
    let first: &Task = thread.task();
    let mut waiter = first;
    for _ in 0..MAX_CHAIN {
        let Some(owner) = waiter.waits_for() else { return };
        let state = owner.state().letter();
        show::line(KERN_ERR, format_args!("hung_task: {waiter} waits for a mutex that {owner} holds, which is in state {state}"));
        if core::ptr::eq(owner, first) {
            return show::line(KERN_ERR, format_args!("hung_task: this is a ring: none of them can go on. Take the mutexes in one order."));
        }
        waiter = owner;
    }
}
