//! Rows of threads, deferred work, timers and interrupts.
//!
//! A partner thread is bound to the core that measures and as urgent as the measuring thread, so the two take turns and nothing happens elsewhere. It is made
//! before each call and ends behind it: made once and kept, it would be one more thread to choose from in every other row.

use super::bench;
use crate::arch;
use crate::cpu;
use crate::irq::ipi::{self, Sgi};
use crate::irq::tasklet::Tasklet;
use crate::sched::kthread::{Builder, JoinHandle};
use crate::sched::workqueue::Work;
use crate::sched::yield_now;
use crate::sync::{Completion, SpinLock};
use crate::time::{Timer, ktime_get};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;

/// A second thread on this core, while a call is measured.
struct Partner {
    handle: SpinLock<Option<JoinHandle<()>>>,
    is_over: AtomicBool,
    ping: Completion,
    pong: Completion,
}

impl Partner {
    const fn new() -> Self {
        Self { handle: SpinLock::new(None), is_over: AtomicBool::new(false), ping: Completion::new(), pong: Completion::new() }
    }

    fn start(&'static self, body: fn(&'static Self)) {
        self.is_over.store(false, Ordering::Relaxed);
        let handle = Builder::new("bench").bind(cpu::id()).run(move || body(self)).expect("there is room for a thread");
        *self.handle.lock() = Some(handle);
        // It begins, and waits for its turn.
        yield_now();
    }

    fn end(&'static self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.ping.complete();
        let handle = self.handle.lock().take();
        if let Some(handle) = handle {
            // Nothing in a partner can fault.
            let _ = handle.join();
        }
        self.ping.reinit();
        self.pong.reinit();
    }

    fn answer(&'static self) {
        while !self.is_over.load(Ordering::Relaxed) {
            self.ping.wait();
            self.pong.complete();
        }
    }

    fn yield_back(&'static self) {
        while !self.is_over.load(Ordering::Relaxed) {
            yield_now();
        }
    }

    #[inline(always)]
    fn round_trip(&self) {
        self.ping.complete();
        self.pong.wait();
    }
}

bench! {
    "thread.ping_pong", partner: Partner = Partner::new() => partner.round_trip(); before partner.start(Partner::answer); after partner.end();
    "thread.switch" / 2, partner: Partner = Partner::new() => yield_now(); before partner.start(Partner::yield_back); after partner.end();
    "thread.yield_alone", _none: () = () => yield_now();
    "thread.create_run_join", answer: AtomicU32 = AtomicU32::new(7) => {
        let thread = Builder::new("bench").bind(cpu::id()).run(|| answer.load(Ordering::Relaxed));
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or(0)
    };
}

/// Something that is asked to run, and whether it did.
type Deferred = AtomicU32;

fn note_run(runs: &Deferred) {
    runs.store(runs.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

bench! {
    "thread.workqueue_queue_run", work: Work<Deferred> = Work::new(AtomicU32::new(0), |work| note_run(work.data())) => {
        work.schedule();
        yield_now();
    };
        after assert!(!work.is_pending(), "the worker did not run");
    "thread.tasklet_schedule_run", tasklet: Tasklet<Deferred> = Tasklet::new(AtomicU32::new(0), |tasklet| note_run(tasklet.data())) =>
        { tasklet.schedule(); };
        after assert!(!tasklet.is_scheduled(), "the tasklet did not run");
    "thread.timer_add_del", timer: Timer<()> = Timer::new((), |_| ()) => {
        timer.start(Duration::from_secs(1));
        timer.cancel()
    };
    "thread.irq_entry_exit", _none: () = () => {
        ipi::send(Sgi::Reschedule, 1 << cpu::id());
        arch::barrier::isb();
    };
    "thread.ktime_get", _none: () = () => ktime_get().as_ns();
}
