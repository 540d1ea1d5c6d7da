//! Load averages and counts, as `/proc/loadavg` and `/proc/stat` show them.
//!
//! Load is the number of threads that run, are ready, or sleep uninterruptibly, averaged over 1, 5 and 15 minutes: every five seconds the average moves
//! towards the number by a share of 1 - exp(-5 s / minutes). Fixed point with 11 bits, as Linux's, so that the figures compare.

use super::run_queue::{CORE, IDLE_URGENCY};
use super::thread_table::idle_of;
use crate::arch::counter;
use crate::cpu;
use crate::time::{HZ, Timer};
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

/// Bits behind the point.
const SHIFT: u32 = 11;
const ONE: u32 = 1 << SHIFT;
const PERIOD_TICKS: u64 = 5 * HZ;
/// exp(-5 s / 1, 5, 15 min) in units of 2^-11.
const DECAY: [u32; 3] = [1884, 2014, 2037];

static AVERAGES: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// Figures of one core.
#[derive(Clone, Copy, Debug)]
pub struct CoreFigures {
    /// Threads that run or are ready.
    pub nr_running: u32,
    /// Context switches.
    pub nr_switches: u64,
    /// Wake-ups that were made there.
    pub nr_wakeups: u64,
    /// Threads that it took from others.
    pub nr_pulled: u64,
    /// Counter ticks in the idle thread, up to its last switch.
    pub idle_time: u64,
}

/// The figures of core `cpu`. Context: any.
pub fn of_core(cpu: usize) -> CoreFigures {
    let core = CORE.on(cpu);
    CoreFigures {
        nr_running: core.nr_ready.load(Ordering::Relaxed) + u32::from(core.urgency.load(Ordering::Relaxed) != 0),
        nr_switches: core.nr_switches.load(Ordering::Relaxed),
        nr_wakeups: core.nr_wakeups.load(Ordering::Relaxed),
        nr_pulled: core.nr_pulled.load(Ordering::Relaxed),
        idle_time: idle_of(cpu).run_time(),
    }
}

/// Counter ticks that core `cpu` has spent in its idle thread, up to now. Context: any; of a core that is just switching, a little less.
pub fn idle_ticks(cpu: usize) -> u64 {
    let core = CORE.on(cpu);
    let idle = idle_of(cpu);
    let before = idle.run_time();
    let is_idle = core.urgency.load(Ordering::Relaxed) == IDLE_URGENCY;
    let since = idle.switched_at();
    // A switch in between has moved what lay behind `since` into the sum: then only the sum is taken.
    let is_same = idle.run_time() == before;
    before + if is_idle && is_same { counter::now().saturating_sub(since) } else { 0 }
}

/// Threads that sleep uninterruptibly and count as load. Context: any.
pub fn nr_blocked() -> u32 {
    let sleeping: i32 = CORE.iter().map(|core| core.nr_uninterruptible.load(Ordering::Relaxed)).sum();
    u32::try_from(sleeping).unwrap_or(0)
}

/// Threads that run or are ready. Context: any.
pub fn nr_running() -> u32 {
    cpu::online().map(|cpu| of_core(cpu).nr_running).sum()
}

fn nr_active() -> u32 {
    nr_running() + nr_blocked()
}

/// Takes a sample every five seconds. A timer and not a tick: idle cores do not tick.
static SAMPLER: Timer<()> = Timer::new((), |timer| {
    timer.start_at(timer.expires() + PERIOD_TICKS);
    sample();
});

/// Begins to take samples. Context: boot, once.
pub fn start() {
    SAMPLER.start(Duration::from_secs(5));
}

fn sample() {
    let active = nr_active() * ONE;
    for (average, decay) in AVERAGES.iter().zip(DECAY) {
        let old = u64::from(average.load(Ordering::Relaxed));
        let new = (old * u64::from(decay) + u64::from(active) * u64::from(ONE - decay)) >> SHIFT;
        average.store(new as u32, Ordering::Relaxed);
    }
}

/// A load average; shows as `0.25`.
#[derive(Clone, Copy, Debug)]
pub struct Load(u32);

/// The averages over 1, 5 and 15 minutes. Context: any.
pub fn averages() -> [Load; 3] {
    [0, 1, 2].map(|index: usize| Load(AVERAGES[index].load(Ordering::Relaxed)))
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = self.0 + ONE / 200;
        write!(f, "{}.{:02}", rounded >> SHIFT, ((rounded & (ONE - 1)) * 100) >> SHIFT)
    }
}
