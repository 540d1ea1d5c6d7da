//! Soft lockup: a core that takes interrupts and has not been able to switch threads for twice the threshold.
//!
//! A thread that computes with preemption on is none, however long: the core could switch. It is a section with preemption or bottom halves off that does
//! not end, a softirq or tasklet that does not, or in builds without full preemption a loop without `cond_resched`. The core notices itself, in its
//! watchdog's interrupt, so the report shows the very code that does not end.

use super::settings::Setting;
use super::ticks;
use super::watchdog::{self, Watch};
use crate::arch::counter;
use crate::debug::report_log::Turn;
use crate::debug::show::{self, Seconds};
use crate::debug::taint::{Taint, add_taint};
use crate::log::{KERN_EMERG, KERN_NOTICE};
use crate::sched::switch_point;
use crate::{cpu, sched};
use core::sync::atomic::Ordering::Relaxed;

/// Judges this core, whose last two beats were at `last` and `now`. Context: hardirq.
pub(super) fn look(watch: &Watch, last: u64, now: u64, thresh: u32) {
    let cpu = cpu::id();
    if sched::current().is_idle() && cpu::context::preempt_depth() == 0 && !cpu::in_softirq() {
        sched::touch_softlockup_watchdog();
    }
    let since = switch_point::last_of(cpu);
    end_of(watch, since);
    // It had no interrupts, or the emulator's host stopped the whole machine: it gets the time to the next beat to show that it is well.
    let was_stopped = now.saturating_sub(last) > 2 * watchdog::period(thresh);
    let is_stuck = now.saturating_sub(since) >= 2 * ticks(thresh) && !was_stopped;
    if is_stuck && watch.soft_reported.load(Relaxed) != since {
        watch.soft_reported.store(since, Relaxed);
        watch.nr_soft.fetch_add(1, Relaxed);
        report(cpu, now - since);
    }
}

/// The core was reported, and has passed a switch point since.
fn end_of(watch: &Watch, since: u64) {
    let reported = watch.soft_reported.load(Relaxed);
    if reported != 0 && reported != since {
        watch.soft_reported.store(0, Relaxed);
        let took = Seconds(since.saturating_sub(reported));
        show::line(KERN_NOTICE, format_args!("watchdog: soft lockup over - CPU#{} switches threads again, after {took}", cpu::id()));
    }
}

#[cold]
fn report(cpu: usize, stuck: u64) {
    let turn = Turn::wait();
    let thread = sched::current();
    let seconds = stuck / counter::frequency_hz();
    // The handler's own share of the count says nothing of what it interrupted.
    let count = cpu::preempt_count() - (1 << 16);
    show::line(
        KERN_EMERG,
        format_args!("watchdog: BUG: soft lockup - CPU#{cpu} stuck for {seconds}s! [{}:{}]", thread.name(), thread.pid()),
    );
    show::line(KERN_EMERG, format_args!("watchdog: {} in {thread}, count {count:#x}, interrupted at:", why(count)));
    show::interrupted_code(KERN_EMERG);
    if show::held_locks(KERN_EMERG, thread) + show::handler_locks(KERN_EMERG, cpu) == 0 {
        show::line(
            KERN_EMERG,
            format_args!("watchdog: no lock is known to be held: look for a loop under a PreemptGuard, or in a bottom half"),
        );
    }
    drop(turn);
    add_taint(Taint::SoftLockup);
    if Setting::SoftlockupPanic.is_on() {
        panic!("soft lockup on cpu{cpu} (softlockup_panic)");
    }
}

fn why(count: u32) -> &'static str {
    match (count & 0x100 != 0, count & 0xfe00 != 0, count & 0xff != 0) {
        (true, _, _) => "a softirq or tasklet does not end",
        (_, true, _) => "bottom halves stay off",
        (_, _, true) => "preemption stays off",
        _ => "no thread is switched: a loop without cond_resched",
    }
}
