//! A grace period: what a reader found is not freed before its core has slept or reported.
//!
//! Core 0 takes a value out of sight, begins a grace period and frees the value if that is over; core 1 reads. All other cores sleep.
//! The words of `sync::rcu` are compiled here once more from their own files, since they are private there.

#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/sync/rcu/grace_period.rs"]
mod grace_period;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/sync/rcu/seq.rs"]
mod seq;

use grace_period::GracePeriods;
use tetra::sync::atomic::AtomicU64;

/// What is found of a value that was freed.
const FREED: u64 = 9;
/// The core that reads.
const READER: usize = 1;

/// Replaces the value: new readers do not find the old one. Frees that if the grace period is over. Returns 1 if it is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_update(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    is_replaced.set(1);
    let snapshot = machine.snapshot();
    machine.need(snapshot);
    let _begun = machine.begin(|| ());
    let is_over = machine.is_done(snapshot);
    if is_over {
        old.set(FREED);
    }
    u64::from(is_over)
}

/// A read section: the old value, or 1 if it was replaced. By a branch, which orders less than the address that readers follow.
#[inline(always)]
fn section(is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    if is_replaced.read() == 0 { old.read() } else { 1 }
}

/// A core that wakes, and reads.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_wake_read(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    machine.watch(READER);
    section(is_replaced, old)
}

/// A core that is awake reads, and goes to sleep unless it is waited for.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_read_sleep(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    machine.watch(READER);
    let seen = section(is_replaced, old);
    let _waited_for = machine.stop_watching(READER);
    seen
}

/// A core that is awake reads, and reports that it is in no section.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_read_report(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    machine.watch(READER);
    let seen = section(is_replaced, old);
    let _ended = machine.quiescent(READER);
    seen
}
