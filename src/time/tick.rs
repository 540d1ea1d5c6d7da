//! The tick of each core, and the one compare register that serves it and the high-resolution timers.
//!
//! A core ticks at the beginning of each jiffy: it accounts time to the running thread and looks whether a timer of the wheel is due. The deadline comes
//! from the jiffies, not from the tick before, so being late does not add up. The register holds whichever comes first: the next tick, or the first
//! high-resolution timer.
//!
//! An idle core needs no tick: [`idle_enter`] puts the next one off until a timer is due, for ever if none is armed, and [`idle_exit`] brings it back. As the
//! clocks are read off the counter nothing has to be made up for afterwards.
//!
//! # Memory ordering
//! The words are touched by their core alone, with irqs masked.
//!
//! Neighbours: `drivers::arch_timer` (the register), [`timer`], [`hrtimer`]. Source: Arm ARM D12.

use super::clock::ticks_per_jiffy;
use super::{hrtimer, timer};
use crate::arch::counter;
use crate::cpu;
use crate::irq::{IrqReturn, softirq, wild_line};
use crate::log;
use crate::per_cpu;
use crate::sched;
use crate::sync::rcu;
use crate::upcalls;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A core that went idle so often without a tick keeps its next one: who looks for storms of interrupts comes with the tick.
const MAX_IDLE_ENTRIES: u32 = 64;

per_cpu! {
    /// Counter value of this core's next tick; `u64::MAX`: none is wanted.
    static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);
    /// The next tick was put off, as the core is idle.
    static IS_STOPPED: AtomicBool = AtomicBool::new(false);
    /// Ticks that this core has taken.
    static TICKS: AtomicU64 = AtomicU64::new(0);
    /// How often this core has gone idle since its last tick.
    static IDLE_ENTRIES: AtomicU32 = AtomicU32::new(0);
    /// How often this core's tick was stopped.
    static STOPS: AtomicU64 = AtomicU64::new(0);
}

/// Ticks that core `cpu` has taken. An idle core takes none. Context: any.
pub fn ticks_of(cpu: usize) -> u64 {
    TICKS.on(cpu).load(Relaxed)
}

/// How often the tick of core `cpu` was stopped, and whether it is now. Context: any.
pub fn stops_of(cpu: usize) -> (u64, bool) {
    (STOPS.on(cpu).load(Relaxed), IS_STOPPED.on(cpu).load(Relaxed))
}

/// Starts this core's tick. Context: boot, irqs masked, once for each core, after its timer was reset.
pub fn start() {
    schedule_next();
    program();
}

/// Handles this core's timer interrupt. Context: hardirq.
pub fn on_interrupt(_data: usize) -> IrqReturn {
    if counter::now() >= NEXT.this().load(Relaxed) {
        schedule_next();
        tick();
    }
    hrtimer::run_due();
    program();
    IrqReturn::Handled
}

fn tick() {
    let ticks = TICKS.this();
    ticks.store(ticks.load(Relaxed) + 1, Relaxed);
    IDLE_ENTRIES.this().store(0, Relaxed);
    timer::on_tick();
    wild_line::look_for_storm();
    sched::on_tick(super::jiffies());
    rcu::on_tick();
    log::on_tick();
    softirq::mark_if_pending();
}

/// Puts the next tick at the beginning of the next jiffy.
fn schedule_next() {
    let period = ticks_per_jiffy();
    NEXT.this().store((counter::now() / period + 1) * period, Relaxed);
}

/// Sets the compare register to what comes first on this core.
///
/// Context: irqs masked.
#[inline]
pub(super) fn program() {
    upcalls::timer_set_deadline(NEXT.this().load(Relaxed).min(hrtimer::next_tick()));
}

/// Puts the tick off until a timer is due, since nothing runs here that it would account for or preempt.
///
/// Context: idle thread, irqs masked until the sleep.
pub fn idle_enter() {
    let entries = IDLE_ENTRIES.this().load(Relaxed);
    if softirq::is_pending() || entries >= MAX_IDLE_ENTRIES {
        return;
    }
    IDLE_ENTRIES.this().store(entries + 1, Relaxed);
    let next_timer = timer::next_jiffy(cpu::id()).saturating_mul(ticks_per_jiffy());
    if next_timer <= NEXT.this().load(Relaxed) {
        return;
    }
    NEXT.this().store(next_timer, Relaxed);
    let stops = STOPS.this();
    stops.store(stops.load(Relaxed) + 1, Relaxed);
    IS_STOPPED.this().store(true, Relaxed);
    program();
}

/// Brings the tick back. Context: irqs masked, before something else than the idle thread runs.
pub fn idle_exit() {
    if IS_STOPPED.this().load(Relaxed) {
        IS_STOPPED.this().store(false, Relaxed);
        // A timer for which the tick was put off may be due already.
        if counter::now() < NEXT.this().load(Relaxed) {
            schedule_next();
        }
        program();
    }
}
