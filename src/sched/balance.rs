//! Which core does the work: idle cores pull, and queues of different length are evened out.
//!
//! Only threads that wait in a list move, one at a time, and only by the core that wants them: nobody is pushed. One run queue's lock is held at a time;
//! between the two the thread is counted and not listed, and everyone who meets it in that state leaves it alone.

use super::features::{self, Feature};
use super::run_queue::{CORE, Core};
use super::thread::Thread;
use super::wake;
use crate::cpu;
use core::sync::atomic::Ordering;

/// Ticks between two looks of a busy core at the others' queues.
const BALANCE_TICKS: u64 = 8;

/// Core `cpu` found nothing to run: brings a thread that waits elsewhere, if there is one. Context: on that core, irqs masked, no lock held.
pub(super) fn pull_when_idle(cpu: usize) {
    if features::is_on(Feature::IdlePull) {
        pull(cpu, 0);
    }
}

/// On each tick: an idle core looks whether work waits elsewhere; a busy one, now and then, whether it is much better off than others.
///
/// Context: hardirq.
pub(super) fn on_tick(cpu: usize, core: &Core, tick: u64) {
    let is_idle = core.urgency.load(Ordering::Relaxed) == 0;
    if is_idle && features::is_on(Feature::IdlePull) {
        if core.nr_ready.load(Ordering::Relaxed) == 0 && busiest(1 << cpu, 0).is_some() {
            super::run_queue::resched_cpu(cpu);
        }
    } else if tick.is_multiple_of(BALANCE_TICKS) && features::is_on(Feature::Balance) {
        // Two more than here: moving one does not just turn the difference round.
        pull(cpu, core.nr_ready.load(Ordering::Relaxed) + 1);
        kick_an_idle_core(core);
    }
}

/// Threads wait here: a core that sleeps without a tick shall look. It pulls when it finds nothing of its own.
fn kick_an_idle_core(core: &Core) {
    if core.nr_ready.load(Ordering::Relaxed) == 0 || !features::is_on(Feature::IdlePull) {
        return;
    }
    let is_idle = |other: usize| CORE.on(other).urgency.load(Ordering::Relaxed) == 0;
    let queue = core.queue.lock();
    // One that may run what waits here: another would look, and sleep again.
    let idle = cpu::online().find(|other| is_idle(*other) && queue.find(|thread| thread.affinity() & (1 << other) != 0).is_some());
    drop(queue);
    if let Some(idle) = idle {
        super::run_queue::resched_cpu(idle);
    }
}

/// Takes one thread from the core with the longest queue that has one for `cpu`, among those whose queue is longer than `more_than`.
fn pull(cpu: usize, more_than: u32) {
    let mut tried = 1 << cpu;
    while let Some(source) = busiest(tried, more_than) {
        tried |= 1 << source;
        if let Some(thread) = take_one(source, cpu) {
            CORE.on(cpu).nr_pulled.fetch_add(1, Ordering::Relaxed);
            return wake::move_to(thread, cpu);
        }
    }
}

/// The core with the longest queue, if that is longer than `more_than`, but for those in the mask `without`.
fn busiest(without: u32, more_than: u32) -> Option<usize> {
    let nr_ready = |cpu: usize| CORE.on(cpu).nr_ready.load(Ordering::Relaxed);
    cpu::online().filter(|other| without & (1 << other) == 0 && nr_ready(*other) > more_than).max_by_key(|other| nr_ready(*other))
}

/// Takes the most urgent thread that may run on `cpu` out of the list of core `source`.
fn take_one(source: usize, cpu: usize) -> Option<&'static Thread> {
    let core = CORE.on(source);
    let mut queue = core.queue.lock();
    // Acquire: pairs with the release in `switch::finish`; who is on its way off its core stays.
    let thread = queue.find(|thread| thread.affinity() & (1 << cpu) != 0 && thread.on_cpu.is_clear())?;
    queue.unlist(core, thread);
    // Release: who finds the thread here (`run_queue::with_queue_of`) sees that it is in no list.
    thread.cpu.store(cpu as u8, Ordering::Release);
    Some(thread)
}
