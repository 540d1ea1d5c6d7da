//! Lockups and a hung task on purpose: what `lockup` does at the prompt, to see the reports and to try SysRq.
//!
//! Each ends by itself after the time that was asked for. Each spins or sleeps in a function of its own, whose name the report shows.

use crate::arch;
use crate::cpu::{IrqGuard, PreemptGuard};
use crate::sched::kthread::{Builder, JoinHandle, SpawnError};
use crate::sched::{msleep, schedule_timeout};
use crate::sync::Mutex;
use crate::time;
use core::hint::black_box;
use core::time::Duration;

/// What stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockup {
    /// A core that cannot switch threads.
    Soft,
    /// A core that takes no interrupts.
    Hard,
    /// A thread that waits for a mutex.
    Task,
}

impl Lockup {
    /// All kinds, and what to type.
    pub const ALL: [(Self, &str); 3] = [(Self::Soft, "soft"), (Self::Hard, "hard"), (Self::Task, "task")];

    /// Does it in the calling thread, for `time`.
    ///
    /// Context: thread, may sleep.
    pub fn run(self, time: Duration) {
        match self {
            Self::Soft => spin_with_preemption_off(time),
            Self::Hard => spin_with_irqs_off(time),
            Self::Task => wait_for_a_mutex(time),
        }
        black_box(());
    }

    /// Does it in a thread on core `cpu`, and does not wait.
    ///
    /// Context: thread.
    ///
    /// # Errors
    /// `SpawnError`.
    pub fn run_on(self, cpu: usize, time: Duration) -> Result<(), SpawnError> {
        Builder::new("lockup").bind(cpu).run(move || self.run(time)).map(JoinHandle::detach)
    }
}

#[inline(never)]
fn spin_with_preemption_off(time: Duration) {
    let _section = PreemptGuard::new();
    spin(time);
}

#[inline(never)]
fn spin_with_irqs_off(time: Duration) {
    let _section = IrqGuard::new();
    spin(time);
}

#[inline(always)]
fn spin(time: Duration) {
    let end = time::uptime().saturating_add(time);
    while time::uptime() < end {
        arch::relax();
    }
}

/// The owner sleeps as who waits for work does, which is nobody's concern; the one that waits for it is the hung one.
#[inline(never)]
fn wait_for_a_mutex(time: Duration) {
    static WANTED: Mutex<()> = Mutex::new(());
    let owner = Builder::new("owner").run(move || {
        let _owned = WANTED.lock();
        crate::cpu::task::set_current_state(crate::cpu::task::TaskState::IDLE);
        schedule_timeout(time);
    });
    match owner {
        Ok(owner) => {
            // The owner comes first.
            msleep(100);
            drop(WANTED.lock());
            let _ended = owner.join();
        }
        Err(error) => crate::pr_err!("lockup: no thread to own the mutex: {:?}", error),
    }
}
