//! The watchdog timer of each core: proves by coming that the core takes interrupts, and looks what is wrong.
//!
//! A high-resolution timer a core, five of which come in two thresholds. At each one the core notes the time of its beat, asks itself for a switch point
//! (so that the next beat can judge whether threads can be switched), and looks at the other cores' beats.
//!
//! Rejected: the tick, which an idle core has not: if the only busy core locks up nobody would be there to notice. A timer that is armed only while
//! somebody is busy has the same gap: between waking up and arming it. So an idle core is woken every four seconds (10 s threshold), as in Linux.
//!
//! # Memory ordering
//! All words stand alone: relaxed. Each core writes its own `beat`; who reports claims `hard_reported` by compare-exchange, so that one does.
//!
//! Neighbours: [`soft_lockup`], [`hard_lockup`] (judge), `time::hrtimer`.

use super::settings::Setting;
use super::{hard_lockup, soft_lockup, ticks};
use crate::arch::{NR_CPUS, counter};
use crate::irq::ipi;
use crate::per_cpu;
use crate::time::HrTimer;
use crate::{cpu, sched};
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;

/// What is known of a core.
#[derive(Debug)]
pub(super) struct Watch {
    /// The counter at its last beat; 0: it is not watched.
    pub beat: AtomicU64,
    /// The switch point after which a soft lockup was reported; 0: none is going on.
    pub soft_reported: AtomicU64,
    /// The beat that another core found old once: if it still is the last one the next time, the core is dead.
    pub suspected: AtomicU64,
    /// When that was: the counter.
    pub suspected_at: AtomicU64,
    /// The beat after which a hard lockup was reported; 0: none is going on.
    pub hard_reported: AtomicU64,
    /// Soft and hard lockups so far.
    pub nr_soft: AtomicU64,
    pub nr_hard: AtomicU64,
}

per_cpu! {
    static WATCH: Watch = Watch {
        beat: AtomicU64::new(0),
        soft_reported: AtomicU64::new(0),
        suspected: AtomicU64::new(0),
        suspected_at: AtomicU64::new(0),
        hard_reported: AtomicU64::new(0),
        nr_soft: AtomicU64::new(0),
        nr_hard: AtomicU64::new(0),
    };
}

static TIMERS: [HrTimer<()>; NR_CPUS] = [const { HrTimer::new((), on_beat) }; NR_CPUS];

/// What is known of core `cpu`.
pub(super) fn watch_of(cpu: usize) -> &'static Watch {
    WATCH.on(cpu)
}

/// A core's figures, for a view.
#[derive(Clone, Copy, Debug)]
pub struct CoreFigures {
    /// The counter at its last beat; `None`: it is not watched.
    pub beat: Option<u64>,
    /// The counter when it last could have switched threads.
    pub switch_point: u64,
    /// Soft and hard lockups so far.
    pub nr_lockups: (u64, u64),
}

/// The figures of core `cpu`. Context: any.
pub fn of_core(cpu: usize) -> CoreFigures {
    let watch = watch_of(cpu);
    CoreFigures {
        beat: Some(watch.beat.load(Relaxed)).filter(|beat| *beat != 0),
        switch_point: sched::switch_point::last_of(cpu),
        nr_lockups: (watch.nr_soft.load(Relaxed), watch.nr_hard.load(Relaxed)),
    }
}

/// Time between two beats, in counter ticks, for a threshold in seconds.
pub(super) fn period(thresh: u32) -> u64 {
    ticks(thresh) * 2 / 5
}

/// Starts the watch anew on all cores, with the threshold that is set; stops it if that is 0.
///
/// Context: thread, irqs on.
pub fn restart() {
    ipi::call_on_all(restart_here);
}

/// Tells the hard lockup detector that this core is well, though it will not take interrupts for a while. Linux's name.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::debug::detectors::watchdog::touch_nmi_watchdog;
/// for _ in 0..10 {
///     tetra::time::mdelay(1000); // on purpose, with irqs off, say
///     touch_nmi_watchdog();
/// }
/// ```
pub fn touch_nmi_watchdog() {
    let watch = WATCH.this();
    let last = watch.beat.load(Relaxed);
    if last != 0 {
        // By exchange: an interrupt that beats in between is the fresher.
        let _ = watch.beat.compare_exchange(last, counter::now(), Relaxed, Relaxed);
    }
}

/// Tells both detectors that the handler which runs here takes long. A soft lockup that was reported goes on: only a switch point ends it.
///
/// Context: hardirq, or a thread that does not migrate.
pub fn excuse_this_core() {
    touch_nmi_watchdog();
    let watch = WATCH.this();
    let is_reported = watch.soft_reported.load(Relaxed) != 0;
    sched::touch_softlockup_watchdog();
    if is_reported {
        watch.soft_reported.store(sched::switch_point::last_of(cpu::id()), Relaxed);
    }
}

fn restart_here() {
    let timer = &TIMERS[cpu::id()];
    let watch = WATCH.this();
    let thresh = Setting::WatchdogThresh.get();
    watch.soft_reported.store(0, Relaxed);
    watch.hard_reported.store(0, Relaxed);
    if thresh == 0 {
        timer.cancel();
        watch.beat.store(0, Relaxed);
        return;
    }
    sched::touch_softlockup_watchdog();
    watch.beat.store(counter::now(), Relaxed);
    timer.start(period_duration(thresh));
}

fn period_duration(thresh: u32) -> Duration {
    Duration::from_millis(u64::from(thresh) * 400)
}

/// Context: hardirq, on the timer's own core.
fn on_beat(timer: Pin<&HrTimer<()>>) {
    let thresh = Setting::WatchdogThresh.get();
    let watch = WATCH.this();
    let last = watch.beat.load(Relaxed);
    if thresh == 0 || last == 0 {
        return;
    }
    timer.forward(period_duration(thresh));
    let now = counter::now();
    watch.beat.store(now, Relaxed);

    hard_lockup::end_of(watch, last, now);
    soft_lockup::look(watch, last, now, thresh);
    hard_lockup::look_at_others(now, thresh);
    sched::switch_point::ask();
}
