//! Hard lockup: a core that takes no interrupts, noticed by another core.
//!
//! Each core looks at the next one in the ring of cores, and if that is dead, at the one behind it: so every dead core is seen by the nearest living one.
//! An old beat is suspected at one look and reported at a later one, half a beat later at least: if the emulator's host stopped the whole machine all beats
//! are old at once, and fresh by then, whichever core looks.
//!
//! What can be said of such a core: if it waits for a lock it answers from its spin loop (`debug::attention`); else there is what it left in memory, its
//! thread, the locks held, and where it last masked interrupts. There is no NMI on this machine.
//!
//! Rejected: one core that watches all: nobody watches that one. Source: Linux's buddy detector, by its documentation
//! (Documentation/admin-guide/lockup-watchdogs.rst).

use super::settings::Setting;
use super::ticks;
use super::watchdog::{self, Watch, watch_of};
use crate::arch::{NR_CPUS, counter};
use crate::cpu;
use crate::debug::report_log::Turn;
use crate::debug::show::{self, Seconds};
use crate::log::{KERN_EMERG, KERN_NOTICE};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// What a look at another core's beat says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulse {
    /// It beats, or is not watched.
    Alive,
    /// Its beat is old: the next look decides.
    Suspected,
    /// It beats no more, and that was reported.
    Known,
    /// It beats no more.
    Dead,
}

/// Looks at the cores behind this one, up to the first that is alive. Context: hardirq.
pub(super) fn look_at_others(now: u64, thresh: u32) {
    for step in 1..NR_CPUS {
        let cpu = (cpu::id() + step) % NR_CPUS;
        if !cpu::is_online(cpu) {
            continue;
        }
        match look(watch_of(cpu), now, thresh) {
            Pulse::Alive => return,
            Pulse::Suspected | Pulse::Known => {}
            Pulse::Dead => report(cpu, now),
        }
    }
}

fn look(watch: &Watch, now: u64, thresh: u32) -> Pulse {
    let beat = watch.beat.load(Relaxed);
    let age = now.saturating_sub(beat);
    if beat == 0 || age < watchdog::period(thresh) * 3 / 2 {
        return Pulse::Alive;
    }
    let reported = watch.hard_reported.load(Relaxed);
    if reported == beat {
        return Pulse::Known;
    }
    if watch.suspected.load(Acquire) != beat {
        watch.suspected_at.store(now, Relaxed);
        // Release: whoever finds the suspicion finds when it arose.
        watch.suspected.store(beat, Release);
        return Pulse::Suspected;
    }
    let has_had_time = now.saturating_sub(watch.suspected_at.load(Relaxed)) >= watchdog::period(thresh) / 2;
    if !has_had_time || age < ticks(thresh) {
        return Pulse::Suspected;
    }
    // Only one core reports it.
    match watch.hard_reported.compare_exchange(reported, beat, Relaxed, Relaxed) {
        Ok(_) => Pulse::Dead,
        Err(_) => Pulse::Known,
    }
}

/// This core was reported after its beat at `last`, and is back. Context: hardirq.
pub(super) fn end_of(watch: &Watch, last: u64, now: u64) {
    if watch.hard_reported.load(Relaxed) == last {
        watch.hard_reported.store(0, Relaxed);
        let took = Seconds(now.saturating_sub(last));
        show::line(KERN_NOTICE, format_args!("watchdog: hard lockup over - CPU#{} takes interrupts again, after {took}", cpu::id()));
    }
}

#[cold]
fn report(cpu: usize, now: u64) {
    let turn = Turn::wait();
    let watch = watch_of(cpu);
    watch.nr_hard.fetch_add(1, Relaxed);
    let silent = now.saturating_sub(watch.beat.load(Relaxed));
    let seconds = silent / counter::frequency_hz();
    show::line(
        KERN_EMERG,
        format_args!("watchdog: BUG: hard lockup - CPU#{cpu} has taken no interrupt for {seconds}s, noticed by CPU#{}", cpu::id()),
    );
    show::core(KERN_EMERG, cpu);
    show::line(KERN_EMERG, format_args!("watchdog: look for a loop with irqs off, or a lock that is taken with irqs on and in a handler"));
    drop(turn);
    if Setting::HardlockupPanic.is_on() {
        panic!("hard lockup of cpu{cpu} (hardlockup_panic)");
    }
}
