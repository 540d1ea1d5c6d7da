//! `rcu_barrier`: waits for callbacks, which `synchronize_rcu` does not.
//!
//! When a grace period is over its callbacks *may* run, and do so some time later. Who is about to take away what they use (a cache, a counter, a
//! function) waits for the callbacks themselves. Each core that has any queues one more behind them, of its own; when all of those have run, all that came
//! before have. A core without callbacks is left asleep.
//!
//! # Memory ordering
//! The last of the extra callbacks completes a completion: release; the waiter acquires. Each counts itself out by a full barrier before.

use super::call;
use super::callbacks::RcuHead;
use crate::cpu;
use crate::sync::atomic::AtomicU32;
use crate::sync::{Completion, Mutex};
use crate::upcalls;
use core::cell::UnsafeCell;
use core::ptr::NonNull;

/// Each core's extra callback. In use by one `rcu_barrier` at a time, which holds `TURN`.
struct Marker(UnsafeCell<RcuHead>);

// SAFETY: touched by `call` on its own core, between its `entrain` and its run; `TURN` keeps these apart.
unsafe impl Sync for Marker {}

crate::per_cpu! {
    static MARKER: Marker = Marker(UnsafeCell::new(RcuHead::new()));
}

/// One caller at a time.
static TURN: Mutex<()> = Mutex::new(());
/// Extra callbacks that have not run, and one for the caller while it queues them.
static LEFT: AtomicU32 = AtomicU32::new(0);
static ALL_RAN: Completion = Completion::new();

/// Waits until all callbacks that were queued before, on any core, have run: Linux's `rcu_barrier`.
///
/// Context: thread, may sleep, irqs on; not in a read section, and not from a callback. Cores that have callbacks are interrupted.
///
/// # Examples
/// ```no_run
/// # use tetra::mm::{GfpFlags, RcuBox};
/// # use tetra::sync::rcu::{Rcu, rcu_barrier};
/// # use std::sync::Arc;
/// let user = Arc::new(()); // stands for a cache, which must outlive its objects
/// let route = Rcu::new(RcuBox::new(user.clone(), GfpFlags::KERNEL)?);
/// drop(route.take()); // freed by a callback
/// rcu_barrier(); // all callbacks have run
/// assert_eq!(Arc::strong_count(&user), 1);
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn rcu_barrier() {
    let _turn = TURN.lock();
    LEFT.set(1);
    let cores = call::cores_with_callbacks();
    upcalls::on_cores(cores, &|| {
        LEFT.inc();
        let marker = NonNull::new(MARKER.on(cpu::id()).0.get()).expect("the address of a static");
        // SAFETY: this core's own, and `TURN` says that it is not queued.
        let is_queued = unsafe { call::entrain(marker, count_out) };
        if !is_queued {
            LEFT.dec();
        }
    });
    if !LEFT.dec_and_test() {
        ALL_RAN.wait();
    }
}

/// The extra callback. Context: softirq.
unsafe fn count_out(_marker: NonNull<RcuHead>) {
    if LEFT.dec_and_test() {
        ALL_RAN.complete();
    }
}
