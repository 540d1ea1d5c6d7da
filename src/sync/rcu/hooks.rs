//! What the rest of the kernel tells RCU, and what RCU does about it.
//!
//! | who | when | what it means |
//! |---|---|---|
//! | `sched::switch` | a thread is about to be switched out | quiescent: no section is counted |
//! | `time::tick` | a tick came | quiescent if it interrupted count 0; else the end of the section shall report |
//! | `irq::exit` | the count fell to 0 and something waited | quiescent |
//! | `sched::idle` | before and after the sleep | the core stops and begins to read |
//! | `irq::ipi` | another core kicked this one | callbacks are due, or a grace period is in a hurry |
//!
//! A section that a tick or a kick finds open is not waited for: the work mark in its thread's count word has its last leave come by `irq::exit`, which
//! costs the section nothing until then. So a busy core reports at its next tick at the latest, 10 ms, or as soon as its section ends. No other core has to
//! look after stragglers: each has its own tick unless it sleeps, and then it is not waited for. In builds that do not count sections
//! (`up_unchecked` with `preempt_none`) a tick cannot tell; there the thread is asked to pass the scheduler.
//!
//! Neighbours: `grace_period` (the state), `call` (callbacks), `synchronize` (waits). Upcalls lead to `time::rcu`.

use super::call;
use super::grace_period::{Begun, GracePeriods};
use super::read::{self, IS_COUNTED};
use super::seq;
use super::stall;
use super::synchronize;
use crate::arch::{NR_CPUS, count};
use crate::cpu::{self, IrqGuard};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::upcalls;

/// The grace periods of the kernel.
pub(super) static GRACE_PERIODS: GracePeriods = GracePeriods::new();

/// Grace periods up to this value of the sequence word are hurried.
static HURRIED_TO: AtomicU64 = AtomicU64::new(0);

crate::per_cpu! {
    /// How often this core was kicked. Written by the others.
    static KICKS: AtomicU32 = AtomicU32::new(0);
}

/// This core reads from here on. Context: boot, once for each core, irqs masked.
pub fn start_core() {
    GRACE_PERIODS.watch(cpu::id());
}

/// Asks for grace periods up to `snapshot`. Context: any.
pub(super) fn need(snapshot: u64) {
    GRACE_PERIODS.need(snapshot);
    let _irqs_off = IrqGuard::new();
    go_on(false);
}

/// Hurries grace periods up to `snapshot`, that of now included: the cores that are waited for are kicked. Context: any.
pub(super) fn hurry(snapshot: u64) {
    let mut to = HURRIED_TO.read();
    while !seq::is_done(to, snapshot) && !HURRIED_TO.try_cmpxchg(&mut to, snapshot) {}
    let _irqs_off = IrqGuard::new();
    kick(GRACE_PERIODS.waiting());
}

/// Has the cores in `mask` report as soon as they can. One that sleeps is left alone: it answered, or will before it sleeps. Context: irqs masked.
fn kick(mask: u32) {
    let here = 1 << cpu::id();
    if mask & here != 0 {
        urge();
    }
    upcalls::rcu_kick(counted(mask & !here & !GRACE_PERIODS.asleep()));
}

/// Notes that the cores in `mask` are kicked.
fn counted(mask: u32) -> u32 {
    for cpu in (0..NR_CPUS).filter(|cpu| mask & (1 << cpu) != 0) {
        KICKS.on(cpu).inc();
    }
    mask
}

/// Has the running thread report where its last section ends. Context: irqs masked, or in a section.
fn urge() {
    if IS_COUNTED { count::mark_work() } else { upcalls::resched() }
}

/// Drives grace periods until one waits for somebody or none is needed. Context: irqs masked.
fn go_on(has_ended: bool) {
    let mut has_ended = has_ended;
    loop {
        if has_ended {
            on_end();
        }
        match GRACE_PERIODS.begin(stall::start_clock) {
            Begun::No => return,
            Begun::Runs => return on_begin(),
            Begun::IsOver => has_ended = true,
        }
    }
}

/// A grace period has begun and waits for cores.
#[cold]
fn on_begin() {
    let end = GRACE_PERIODS.seq().wrapping_add(1);
    stall::arm();
    if read::is_strict() || seq::is_done(HURRIED_TO.read(), end) {
        kick(GRACE_PERIODS.waiting());
    }
}

/// A grace period has ended: wakes who waits, and kicks the cores whose callbacks are due.
#[cold]
fn on_end() {
    synchronize::wake();
    let here = cpu::id();
    let due = (0..NR_CPUS).filter(|cpu| call::is_due(*cpu)).fold(0, |mask, cpu| mask | 1 << cpu);
    if due & 1 << here != 0 {
        upcalls::rcu_raise();
    }
    upcalls::rcu_kick(counted(due & !(1 << here)));
}

/// This core is in no section. Three instructions if nobody waits for it.
///
/// Context: irqs masked.
#[inline(always)]
fn quiescent(cpu: usize) {
    if GRACE_PERIODS.is_waiting_for(cpu) {
        report(cpu);
    }
}

#[cold]
#[inline(never)]
fn report(cpu: usize) {
    if GRACE_PERIODS.quiescent(cpu) {
        go_on(true);
    }
}

/// The running thread is about to be switched out. Context: irqs masked by one level, no section counted, no lock held.
#[inline(always)]
pub fn on_switch(cpu: usize) {
    quiescent(cpu);
}

/// The count is 0 and something waited. Context: irqs masked.
#[inline]
pub fn on_count_zero() {
    if IS_COUNTED {
        quiescent(cpu::id());
    }
}

/// Reports for this core, from a thread that waits at boot, when no other can. Context: irqs masked, no section counted.
pub(super) fn on_wait_at_boot() {
    quiescent(cpu::id());
}

/// A tick came. Context: hardirq.
pub fn on_tick() {
    let cpu = cpu::id();
    if GRACE_PERIODS.is_waiting_for(cpu) {
        // What the tick interrupted: nothing else is counted.
        let is_outside = u64::from(cpu::preempt_count()) == count::HARDIRQ_ONE;
        if is_outside && (IS_COUNTED || is_idle_thread()) {
            report(cpu);
        } else {
            urge();
        }
    }
    if call::needs_softirq() {
        upcalls::rcu_raise();
    }
    stall::on_tick();
}

/// Idle threads have pid 0, and read in handlers and sections only.
fn is_idle_thread() -> bool {
    cpu::task::try_current().is_none_or(|task| task.pid() == 0)
}

/// Another core kicked this one. Context: hardirq.
pub fn on_kick() {
    if call::needs_softirq() {
        upcalls::rcu_raise();
    }
    if GRACE_PERIODS.is_waiting_for(cpu::id()) {
        urge();
    }
}

/// The idle thread is about to sleep. True: it may, and owes `idle_exit`. False: something has come up, it shall look again.
///
/// Context: idle thread, irqs masked until after `idle_exit`: so an interrupt that ends the sleep is taken by a core that reads again.
#[inline]
pub fn idle_enter() -> bool {
    let cpu = cpu::id();
    quiescent(cpu);
    if call::needs_softirq() {
        // No tick comes while it sleeps.
        upcalls::rcu_raise();
        return false;
    }
    GRACE_PERIODS.stop_watching(cpu)
}

/// The sleep is over. Full barrier. Context: as `idle_enter`.
#[inline]
pub fn idle_exit() {
    GRACE_PERIODS.watch(cpu::id());
}

/// What RCU does on one core, for the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreState {
    /// A grace period waits for it.
    pub is_waited_for: bool,
    /// It sleeps, and is not waited for.
    pub is_asleep: bool,
    /// How often it has begun or stopped to read: twice for each sleep.
    pub watch: u64,
    /// How often another core kicked it.
    pub nr_kicks: u32,
}

/// What core `cpu` does. Context: any; stale on return.
pub fn core_state(cpu: usize) -> CoreState {
    CoreState {
        is_waited_for: GRACE_PERIODS.waiting() & 1 << cpu != 0,
        is_asleep: GRACE_PERIODS.asleep() & 1 << cpu != 0,
        watch: GRACE_PERIODS.cores[cpu].0.read(),
        nr_kicks: KICKS.on(cpu).read(),
    }
}

/// The sequence word: odd while a grace period runs. Context: any.
pub fn grace_period_seq() -> u64 {
    GRACE_PERIODS.seq()
}
