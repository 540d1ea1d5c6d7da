//! Callbacks after a grace period: `call_rcu`, and the softirq that runs what it queued.
//!
//! Each core queues in a list of its own, with irqs masked, so a handler may call as well as a thread. The way that most calls take is an append behind others
//! that have no number yet: the softirq, or the next tick, gives all of them one number (`callbacks`). The first one of a list raises the softirq, which
//! asks for a grace period. Who ends that kicks the cores whose callbacks are due; a sleeping core is woken for nothing else.
//!
//! A round of the softirq runs at most [`MAX_BATCH`] callbacks; if there are more it raises itself anew, and when that goes on for long the rest is left to
//! the core's ksoftirqd, as with any softirq (`irq::softirq`). So a flood of callbacks does not keep a core from its threads. But a round of fixed size
//! would let the queue, and the memory that hangs on it, grow for ever under who queues faster than that: so of a long queue a round runs a part, one in
//! 128, up to [`MAX_FLOOD_BATCH`], and from [`HIGH_MARK`] callbacks on their grace periods are hurried. (Linux's `blimit`, `rcu_divisor` and `qhimark`;
//! rejected: its mark below which the old limit holds again, a state that the length alone makes needless.)
//!
//! # Memory ordering
//! A list is touched by its core alone, with irqs masked. `due` is read by who ends a grace period: the core stores it, barrier, and looks whether that
//! grace period is over; the other changes the sequence word, barrier, and reads `due`. One of the two sees the other.
//!
//! Neighbours: `hooks` (ticks, sleep, the end of a grace period), `barrier` (waits for callbacks), `pointer` (frees objects this way, safely).

use super::callbacks::{Callbacks, RcuCallback, RcuHead};
use super::hooks::{self, GRACE_PERIODS};
use crate::arch::NR_CPUS;
use crate::cpu::{self, PreemptGuard, irq_guard::with_irqs_masked};
use crate::sync::atomic::AtomicU64;
use crate::sync::barrier::smp_mb;
use crate::upcalls;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

/// Callbacks that one round of the softirq runs, unless the queue is long.
pub const MAX_BATCH: u64 = 64;
/// Callbacks that one round runs however long the queue is.
pub const MAX_FLOOD_BATCH: u64 = 1024;
/// Which part of a long queue a round runs: one in 2^7.
const BACKLOG_SHIFT: u32 = 7;
/// Callbacks in a core's queue from which on their grace periods are hurried.
pub const HIGH_MARK: u64 = 10_000;

/// Nothing is due.
const NEVER: u64 = u64::MAX;

/// One core's callbacks.
pub(super) struct CoreCallbacks {
    list: UnsafeCell<Callbacks>,
    /// The snapshot that the first of them waits for; `NEVER`. Written by the core.
    due: AtomicU64,
    nr_invoked: AtomicU64,
    nr_rounds: AtomicU64,
    /// Most callbacks that a round ran.
    max_batch: AtomicU64,
    /// The last snapshot that was hurried because the queue was long. Written by the core's softirq.
    hurried: AtomicU64,
    /// Callbacks in the list, for those who look from elsewhere. Written by the core when it has looked through them.
    len: AtomicU64,
}

// SAFETY: the list is reached by `with_list` and `call_rcu` alone, on its own core and with irqs masked; all else is atomic.
unsafe impl Sync for CoreCallbacks {}

crate::per_cpu! {
    static CALLBACKS: CoreCallbacks = CoreCallbacks {
        list: UnsafeCell::new(Callbacks::new()),
        due: AtomicU64::new(NEVER),
        nr_invoked: AtomicU64::new(0),
        nr_rounds: AtomicU64::new(0),
        max_batch: AtomicU64::new(0),
        hurried: AtomicU64::new(NEVER),
        len: AtomicU64::new(0),
    };
}

/// What core `cpu` has done for callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackStats {
    /// Callbacks that wait or may run.
    pub queued: u64,
    /// Callbacks that ran.
    pub invoked: u64,
    /// Rounds of the softirq that ran some.
    pub rounds: u64,
    /// Most callbacks of one round: more than [`MAX_BATCH`] only of a long queue, and never more than [`MAX_FLOOD_BATCH`].
    pub max_batch: u64,
}

/// Figures of core `cpu`. Context: any; `queued` is as of its last tick, or its last round.
pub fn callback_stats(cpu: usize) -> CallbackStats {
    let core = CALLBACKS.on(cpu);
    CallbackStats {
        queued: core.len.load_acquire(),
        invoked: core.nr_invoked.read(),
        rounds: core.nr_rounds.read(),
        max_batch: core.max_batch.read(),
    }
}

/// Has `function` called with `head` when all read sections that run now are over: Linux's `call_rcu`.
///
/// It runs in softirq context on this core, after all that were queued here before it. Full barrier between what the caller did and the grace
/// period, and between that and the function.
///
/// Context: any.
///
/// # Safety
/// `head` is valid and nobody uses it until `function` is called with it, once; `function` may be called then, from a softirq. What the object holds
/// may be dropped on another thread than the caller's.
///
/// # Examples
/// An object that frees itself, in two lines of the caller. `RcuBox` does this without `unsafe`.
/// ```
/// use core::ptr::NonNull;
/// use tetra::sync::rcu::{RcuHead, call_rcu};
///
/// #[repr(C)]
/// struct Route { head: RcuHead, metric: u32 }
///
/// unsafe fn free_route(head: NonNull<RcuHead>) {
///     // SAFETY: `head` is the first field of a boxed `Route`, given to `call_rcu` once.
///     drop(unsafe { Box::from_raw(head.cast::<Route>().as_ptr()) });
/// }
///
/// let route = NonNull::from(Box::leak(Box::new(Route { head: RcuHead::new(), metric: 3 })));
/// // SAFETY: nobody finds it any more, and it is not used again.
/// unsafe { call_rcu(route.cast(), free_route) };
/// ```
#[inline]
pub unsafe fn call_rcu(head: NonNull<RcuHead>, function: RcuCallback) {
    if cfg!(not(target_os = "none")) {
        // Host: test threads share one "core", and none reports quiescent states: the object is leaked.
        return;
    }
    // SAFETY: valid and ours, by the contract.
    unsafe { head.write(RcuHead { next: ptr::null_mut(), function }) };
    let is_queued = with_irqs_masked(|| {
        let list = CALLBACKS.this().list.get();
        // SAFETY: this core's list, irqs masked: nobody else is in it.
        let list = unsafe { &mut *list };
        // SAFETY: ours, by the contract.
        unsafe { list.push_behind(head) }
    });
    if !is_queued {
        queue_first(head);
    }
}

/// Nobody looks after this list yet.
#[cold]
#[inline(never)]
fn queue_first(head: NonNull<RcuHead>) {
    // Raised on the core where it was queued; at the guard's end, if nothing else holds it up, it runs.
    let _pinned = PreemptGuard::new();
    // SAFETY: `call_rcu` owns the head, and it was not queued.
    with_list(|list| unsafe { list.push(head) });
    upcalls::rcu_raise();
}

/// Calls `f` with this core's list. `f` must not call anything that masks irqs beyond its own end, or queues.
fn with_list<R>(f: impl FnOnce(&mut Callbacks) -> R) -> R {
    with_irqs_masked(|| {
        let core = CALLBACKS.this();
        // SAFETY: this core's list, irqs masked, and `f` comes to an end before anyone else gets here.
        let list = unsafe { &mut *core.list.get() };
        let result = f(list);
        // Release: who finds none finds done what they did.
        core.len.store_release(list.len());
        core.due.set(list.due().unwrap_or(NEVER));
        result
    })
}

/// Queues `head` behind all callbacks of this core, if there are any. Context: irqs masked.
///
/// # Safety
/// As for `call_rcu`.
pub(super) unsafe fn entrain(head: NonNull<RcuHead>, function: RcuCallback) -> bool {
    let has_some = with_list(|list| list.len() != 0);
    if has_some {
        // SAFETY: the caller's contract.
        unsafe { head.write(RcuHead { next: ptr::null_mut(), function }) };
        // SAFETY: as above.
        with_list(|list| unsafe { list.push(head) });
        upcalls::rcu_raise();
    }
    has_some
}

/// The softirq: gives new callbacks a number, asks for its grace period, runs what may run.
///
/// Context: softirq.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: no softirqs"))]
pub fn run_callbacks() {
    sort();
    let limit = batch_limit(with_list(|list| list.len()));
    let batch = (0..limit).take_while(|_| invoke_one()).count() as u64;
    if batch != 0 {
        let core = CALLBACKS.this();
        // Written by this core's softirq alone.
        core.nr_invoked.set(core.nr_invoked.read() + batch);
        core.nr_rounds.set(core.nr_rounds.read() + 1);
        core.max_batch.set(core.max_batch.read().max(batch));
    }
    if with_list(|list| list.has_done()) {
        upcalls::rcu_raise();
    }
}

/// Callbacks that one round runs, with so many in the queue.
fn batch_limit(nr_queued: u64) -> u64 {
    (nr_queued >> BACKLOG_SHIFT).clamp(MAX_BATCH, MAX_FLOOD_BATCH)
}

/// The queue is long: has the grace period come sooner, once for each. Context: softirq.
fn hurry_once(snapshot: u64) {
    let hurried = &CALLBACKS.this().hurried;
    if hurried.read() != snapshot {
        hurried.set(snapshot);
        hooks::hurry(snapshot);
    }
}

/// Moves callbacks on until what they wait for lies ahead, and is asked for.
fn sort() {
    loop {
        let wanted = with_list(|list| {
            list.advance(GRACE_PERIODS.seq());
            // After the callbacks were queued: the caller's stores come before the snapshot.
            let snapshot = GRACE_PERIODS.snapshot();
            list.assign(snapshot).then_some((snapshot, list.len() >= HIGH_MARK))
        });
        if let Some((snapshot, is_flooded)) = wanted {
            hooks::need(snapshot);
            if is_flooded {
                hurry_once(snapshot);
            }
        }
        // `due` was stored; pairs with the barrier of who ends a grace period.
        smp_mb();
        if !is_due(cpu::id()) {
            return;
        }
    }
}

fn invoke_one() -> bool {
    let Some(head) = with_list(Callbacks::pop) else { return false };
    // SAFETY: popped, so ours until the function is called.
    let function = unsafe { head.as_ref() }.function;
    let before = cpu::preempt_count();
    // SAFETY: its grace period is over, and this is the one call that `call_rcu`'s caller agreed to.
    unsafe { function(head) };
    // Only now: `rcu_barrier` passes a core over that has none.
    with_list(Callbacks::note_run);
    if cfg!(feature = "debug") {
        let after = cpu::preempt_count();
        assert!(before == after, "an RCU callback came with count {before:#x} and left {after:#x}");
    }
    true
}

/// Callbacks of core `cpu` wait for a grace period that is over. Context: any.
pub(super) fn is_due(cpu: usize) -> bool {
    let due = CALLBACKS.on(cpu).due.read();
    due != NEVER && GRACE_PERIODS.is_done(due)
}

/// The cores that have callbacks. Full barrier before.
pub(super) fn cores_with_callbacks() -> u32 {
    smp_mb();
    (0..NR_CPUS).filter(|cpu| callback_stats(*cpu).queued != 0).fold(0, |mask, cpu| mask | 1 << cpu)
}

/// This core's callbacks want the softirq: some have no number, or are due. Context: irqs masked.
#[inline]
pub(super) fn needs_softirq() -> bool {
    is_due(cpu::id()) || with_list(|list| list.has_new())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_round_grows_with_the_queue_between_two_bounds() {
        assert_eq!([0, MAX_BATCH, MAX_BATCH << BACKLOG_SHIFT].map(batch_limit), [MAX_BATCH; 3]);
        assert_eq!(batch_limit(100_000), 781);
        assert_eq!([MAX_FLOOD_BATCH << BACKLOG_SHIFT, u64::MAX].map(batch_limit), [MAX_FLOOD_BATCH; 2]);
    }
}
