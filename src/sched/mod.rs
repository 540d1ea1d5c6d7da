//! Threads and the scheduler: fixed priorities, a run queue for each core, full preemption.
//!
//! Read `switch` first: it tells the whole story of a context switch. Then `wake` (how a thread becomes ready), `thread` (the block and its references)
//! and `kthread` (what users call).
//!
//! | file | what |
//! |---|---|
//! | `switch`, `wake`, `run_queue`, `queue`, `balance`, `idle` | which thread runs where |
//! | `thread`, `thread_table`, `stack`, `priority` | what a thread is |
//! | `kthread`, `signal`, `rcuwait`, `timeout` | begin, end, stop, park; waits |
//! | `death`, `lend` | the end by a fault; a body that borrows |
//! | `blocking` | what the sleeping locks of `sync` ask for |
//! | `workqueue` | functions that may sleep, deferred to threads |
//! | `preempt`, `load`, `features` | sections, figures, switches |
//! | `switch_point` | what the soft lockup detector goes by |

#[cfg(target_os = "none")]
mod balance;
#[cfg(target_os = "none")]
mod blocking;
#[cfg(target_os = "none")]
pub mod death;
#[cfg(target_os = "none")]
pub mod features;
#[cfg(target_os = "none")]
pub mod idle;
#[cfg(target_os = "none")]
pub mod kthread;
#[cfg(target_os = "none")]
pub mod lend;
#[cfg(target_os = "none")]
pub mod load;
#[cfg(any(target_os = "none", all(test, loom)))]
mod on_cpu;
#[cfg(target_os = "none")]
pub mod preempt;
#[cfg(target_os = "none")]
pub mod priority;
pub mod queue;
#[cfg(target_os = "none")]
pub mod rcuwait;
#[cfg(target_os = "none")]
mod run_queue;
#[cfg(target_os = "none")]
pub mod signal;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(target_os = "none")]
mod switch;
#[cfg(target_os = "none")]
pub mod switch_point;
#[cfg(target_os = "none")]
pub mod thread;
#[cfg(target_os = "none")]
pub mod thread_table;
#[cfg(target_os = "none")]
mod timeout;
#[cfg(target_os = "none")]
mod wake;
#[cfg(all(test, loom))]
mod wake_model;
#[cfg(target_os = "none")]
pub mod workqueue;

#[cfg(target_os = "none")]
pub use self::{
    preempt::{cond_resched, might_sleep},
    priority::Priority,
    rcuwait::RcuWait,
    run_queue::{need_resched, on_reschedule_ipi},
    signal::Signal,
    switch::{preempt_schedule, schedule, yield_now},
    switch_point::touch_softlockup_watchdog,
    thread::{Thread, ThreadRef, current},
    timeout::{msleep, schedule_hrtimeout, schedule_timeout, usleep_range},
    wake::{Busy, set_affinity, set_priority, try_to_wake_up, try_with_position, wake_up_process, with_position},
};

#[cfg(target_os = "none")]
pub(crate) use self::{run_queue::resched_this_cpu, switch::preempt_schedule_irq, thread_table::adopt_idle};

/// The tick of this core: slices, timeouts, balance, load. Context: hardirq.
#[cfg(target_os = "none")]
pub fn on_tick(tick: u64) {
    let cpu = crate::cpu::id();
    let core = run_queue::CORE.on(cpu);
    preempt::end_slice(core, cpu);
    balance::on_tick(cpu, core, tick);
}
