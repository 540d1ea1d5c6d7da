//! RCU: readers that take no lock, and writers that wait for them before they free.
//!
//! A writer replaces a pointer, so that new readers find the new value, and keeps the old one until all who may have found it are done: one *grace
//! period*. Readers mark where they begin and end, which costs them the count that they need anyway to stay on their core.
//!
//! | to find | look in |
//! |---|---|
//! | a read section, and loads in it | `read` |
//! | a pointer to a value that is replaced; owners of values | `pointer` |
//! | a list | `list` |
//! | wait for a grace period | `synchronize` |
//! | have something called after one; wait for all that | `call`, `barrier` |
//! | when a grace period is over, and why idle cores sleep on | `grace_period`, its numbers in `seq` |
//! | who tells it | `hooks` |
//! | callbacks by the grace period that they wait for | `callbacks` |
//! | a grace period that does not end | `stall`, `stall_report` |
//!
//! `docs/rcu.md` is the guide. `time::rcu` joins this to softirqs, interrupts between cores and timers, which lie above.

mod barrier;
mod call;
mod callbacks;
mod grace_period;
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: no scheduler, ticks or sleeping cores report"))]
mod hooks;
mod list;
mod pointer;
mod read;
mod seq;
mod stall;
#[cfg(target_os = "none")]
mod stall_report;
mod synchronize;

#[cfg(all(test, loom))]
mod model;

pub use barrier::rcu_barrier;
pub use call::{CallbackStats, HIGH_MARK, MAX_BATCH, MAX_FLOOD_BATCH, call_rcu, callback_stats};
pub use callbacks::{RcuCallback, RcuHead};
pub use hooks::{CoreState, core_state, grace_period_seq};
pub use list::{Iter, RcuList, RcuListNode, RcuListWriter};
pub(crate) use pointer::RcuBlock;
pub use pointer::{Rcu, RcuBox, Retired, kfree_rcu};
pub use read::{
    RcuReadGuard, is_strict, rcu_access_pointer, rcu_assign_pointer, rcu_dereference, rcu_read_lock, rcu_read_lock_held,
    rcu_read_lock_place, set_strict,
};
pub use seq::{is_running as is_grace_period_running, nr_ended as nr_grace_periods};
pub use stall::{nr_stall_reports, set_stall_timeout, stall_timeout};
pub use synchronize::{nr_expedited, synchronize_rcu, synchronize_rcu_expedited};

/// For the layers above that know what a core does. Not for others: a quiescent state that is none frees under a reader.
#[cfg(target_os = "none")]
pub(crate) use {
    call::run_callbacks,
    hooks::{idle_enter, idle_exit, on_count_zero, on_kick, on_switch, on_tick, start_core},
    stall::on_timer,
};
