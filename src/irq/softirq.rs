//! Softirqs: a fixed set of functions that run soon after an interrupt, with interrupts on.
//!
//! A handler does what cannot wait and raises a softirq for the rest. A core serves what was raised on it as soon as the count word of its running
//! thread is 0: on the way out of the interrupt, or at the end of the section that held it up. So softirqs preempt threads and never each other on
//! one core, while two cores may serve the same one at once: data that a softirq shares needs a lock (`BhSpinLock`) or a copy per core.
//!
//! Raising sets a bit in the core's `softirq_pending` and the work mark in the running thread's count word, which makes the test for work the compare
//! with 0 that the leave of a section does anyway. The mark belongs to a thread and the bits to a core: who switches threads marks the next one
//! from [`is_pending`]. In Linux a spinlock's section does not hold softirqs up; here it does, as every count does. In return there is one test.
//!
//! What is raised while softirqs run is served in the same go, up to `MAX_ROUNDS` rounds or `MAX_US`; the rest is left to the core's ksoftirqd, a
//! thread, so that a flood of them leaves the machine usable. Before threads run, it is left to the next tick.
//!
//! # Memory ordering
//! None: the pending word is written by its core alone, with irqs masked.
//!
//! Neighbours: `exit` (when it is served), `tasklet` and `time::timer` (who raises). Rejected: sixteen levels of priority and registration at run
//! time; a bottom half that wants to be created is a tasklet, one that may wait is work for a thread.

use crate::arch::{self, count, counter};
use crate::cpu::irq_guard::with_irqs_masked;
use crate::cpu::local::local;
use crate::cpu::task::TaskState;
use crate::cpu::{self, IrqGuard, NR_CPUS, PreemptGuard};
use crate::per_cpu;
use crate::sched::kthread::Builder;
use crate::sched::{self, RcuWait};
use crate::sync::{Once, rcu};
use core::sync::atomic::{AtomicU32, Ordering};

/// The softirqs, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Softirq {
    /// Tasklets of high priority.
    Hi,
    /// Timers of the wheel that are due.
    Timer,
    /// Tasklets.
    Tasklet,
    /// Balancing of the run queues.
    Sched,
    /// Callbacks after a grace period.
    Rcu,
}

impl Softirq {
    /// All of them, in the order in which they are served.
    pub const ALL: [Self; 5] = [Self::Hi, Self::Timer, Self::Tasklet, Self::Sched, Self::Rcu];

    /// Its name in `/proc/softirqs`.
    pub const fn name(self) -> &'static str {
        ["HI", "TIMER", "TASKLET", "SCHED", "RCU"][self as usize]
    }
}

const NR_SOFTIRQS: usize = Softirq::ALL.len();
/// How often what was raised meanwhile is served in the same go.
const MAX_ROUNDS: u32 = 10;
/// After this time no further round begins.
const MAX_US: u64 = 2000;

static HANDLERS: [Once<fn()>; NR_SOFTIRQS] = [const { Once::new() }; NR_SOFTIRQS];

per_cpu! {
    /// Where this core's ksoftirqd waits.
    static KSOFTIRQD: RcuWait = RcuWait::new();
    /// How often this core served each. Written by the core itself, while it serves.
    static SERVED: [AtomicU32; NR_SOFTIRQS] = [const { AtomicU32::new(0) }; NR_SOFTIRQS];
    /// How often this core had to leave some to a thread. Written by the core itself.
    static OVERLOADS: AtomicU32 = AtomicU32::new(0);
}

/// Sets what `which` does. For good: the first call wins.
///
/// Context: boot, or thread. The function runs in softirq context, irqs on, and must not sleep.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{Softirq, softirq};
/// fn balance() { /* softirq context: must not sleep */ }
/// softirq::open(Softirq::Sched, balance);
/// ```
pub fn open(which: Softirq, function: fn()) {
    HANDLERS[which as usize].call_once(|| function);
}

/// Has `which` run on this core, soon. Raising it again before it has begun changes nothing.
///
/// Context: any. In a thread with no section open it runs before this returns; with irqs off, when they are on again.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{Softirq, softirq};
/// softirq::raise(Softirq::Timer); // from a thread in no section: it has run when this returns
/// ```
#[inline]
pub fn raise(which: Softirq) {
    let _runs_at_the_end = PreemptGuard::new();
    let _irqs_off = IrqGuard::new();
    let pending = &local().softirq_pending;
    pending.store(pending.load(Ordering::Relaxed) | 1 << which as u32, Ordering::Relaxed);
    count::mark_work();
}

/// Something was raised on this core and not served yet.
///
/// Context: any, not migrating. Who switches threads calls this with irqs masked, and marks the next thread's count word if it is true.
#[inline]
pub fn is_pending() -> bool {
    local().softirq_pending.load(Ordering::Relaxed) != 0
}

/// Marks the running thread's word if something waits: after a switch, and at each tick for what was left over.
///
/// Context: irqs masked.
#[inline]
pub fn mark_if_pending() {
    if is_pending() {
        count::mark_work();
    }
}

/// Serves what waits on this core; what does not end is left to its ksoftirqd.
///
/// Context: thread or end of an interrupt; the count is 0, irqs are masked by one level; they are on meanwhile and masked again on return.
pub(super) fn serve_pending() {
    if is_pending() && serve(MAX_ROUNDS) {
        overloaded();
    }
}

/// Serves what waits on this core, from a thread that has nothing better to do: one that waits for a bottom half.
///
/// Context: thread, count 0, irqs on.
pub fn serve_now() {
    arch::irq::mask();
    if is_pending() {
        serve(1);
    }
    // SAFETY: they were on (the context asked for), and the mask above is the one level.
    unsafe { arch::irq::unmask() };
}

/// Serves rounds until nothing is pending or the limits are reached. True if something is left. Irqs masked by one level in and out.
fn serve(max_rounds: u32) -> bool {
    if cfg!(feature = "debug") {
        assert!(crate::cpu::irq_guard::extra_depth() == 0, "softirqs are served at one level of irqs off, not more");
    }
    let pending = &local().softirq_pending;
    let end = counter::now() + counter::frequency_hz() * MAX_US / 1_000_000;
    count::enter_softirq();
    for _ in 0..max_rounds {
        let raised = pending.load(Ordering::Relaxed);
        pending.store(0, Ordering::Relaxed);
        // SAFETY: one level, checked above, which is the caller's and is taken again below; the caller uses nothing of a handler meanwhile.
        unsafe { arch::irq::unmask() };
        run_all(raised);
        arch::irq::mask();
        if !is_pending() || counter::now() > end {
            break;
        }
    }
    // SAFETY: undoes the entry above.
    unsafe { count::leave_softirq_quietly() };
    is_pending()
}

fn run_all(mut raised: u32) {
    while raised != 0 {
        let which = raised.trailing_zeros() as usize;
        raised &= raised - 1;
        let served = &SERVED.this()[which];
        served.store(served.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if let Some(function) = HANDLERS[which].get() {
            run(which, *function);
        }
    }
}

#[inline(always)]
fn run(which: usize, function: fn()) {
    let before = count::get() as u32;
    function();
    if cfg!(feature = "debug") {
        let after = count::get() as u32;
        assert!(before == after, "softirq {} came with count {before:#x} and left {after:#x}", Softirq::ALL[which].name());
    }
}

/// More was raised than served: a thread shall go on with it, at its own priority. Irqs masked.
#[cold]
fn overloaded() {
    let overloads = OVERLOADS.this();
    overloads.store(overloads.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    // Left to the thread, and to the next interrupt: with the mark still set, the end of the wake's own section would come back here at once, without end.
    count::clear_work();
    KSOFTIRQD.this().wake_up();
}

/// Makes the thread of each core that goes on with softirqs that do not end. Context: boot, once, when all cores run.
pub fn start_threads() {
    const NAMES: [&str; NR_CPUS] = ["ksoftirqd/0", "ksoftirqd/1", "ksoftirqd/2", "ksoftirqd/3"];
    for cpu in cpu::online() {
        match Builder::new(NAMES[cpu]).bind(cpu).run(ksoftirqd) {
            Ok(thread) => thread.detach(),
            Err(error) => crate::pr_err!("softirq: no {}: {:?}: a flood of softirqs is left to the ticks", NAMES[cpu], error),
        }
    }
}

fn ksoftirqd() {
    loop {
        KSOFTIRQD.this().wait_until(TaskState::IDLE, is_pending);
        serve_now();
        // A flood leaves no other place where this core is in no section: interrupts hit the service itself.
        with_irqs_masked(rcu::on_count_zero);
        sched::yield_now();
    }
}

/// How often core `cpu` served `which`. Context: any.
pub fn nr_served(cpu: usize, which: Softirq) -> u32 {
    SERVED.on(cpu)[which as usize].load(Ordering::Relaxed)
}

/// How often core `cpu` left softirqs to its thread because they did not end. Context: any.
pub fn nr_overloads(cpu: usize) -> u32 {
    OVERLOADS.on(cpu).load(Ordering::Relaxed)
}
