//! A grace period: what a reader found is not freed before its core has slept or reported.
//!
//! Core 0 takes a value out of sight and frees it when a grace period is over; core 1 reads. The words of `sync::rcu` are compiled here once more from
//! their own files, since they are private there, and for a machine of two cores: each further one makes herd7 four times as slow.

#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/sync/rcu/grace_period.rs"]
mod grace_period;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/sync/rcu/seq.rs"]
mod seq;

use grace_period::{Begun, GracePeriods};
use tetra::sync::atomic::AtomicU64;

/// What is found of a value that was freed.
const FREED: u64 = 9;
/// The core that reads.
const READER: usize = 1;
/// The core that replaces and frees.
const UPDATER: usize = 0;

/// Replaces the value: new readers do not find the old one. Begins a grace period, and frees if that is over at once: 1. 2: it waits for the reader.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_update(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    is_replaced.set(1);
    match machine.begin(|| ()) {
        Begun::IsOver => {
            old.set(FREED);
            1
        }
        Begun::Runs => 2,
        Begun::No => 0,
    }
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

/// A core that is awake reads, and goes to sleep unless it is waited for: 16 more if it sleeps.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_read_sleep(machine: &GracePeriods, is_replaced: &AtomicU64, old: &AtomicU64) -> u64 {
    let seen = section(is_replaced, old);
    let sleeps = machine.stop_watching(READER);
    seen | u64::from(sleeps) << 4
}

/// A core that is waited for reads, and reports that it is in no section.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_read_report(machine: &GracePeriods, old: &AtomicU64) -> u64 {
    let seen = old.read();
    let _is_last = machine.quiescent(READER);
    seen
}

/// The other core that is waited for reports, and frees if it was the last: 1.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_report_free(machine: &GracePeriods, old: &AtomicU64) -> u64 {
    let is_last = machine.quiescent(UPDATER);
    if is_last {
        old.set(FREED);
    }
    u64::from(is_last)
}

/// The last core that is waited for writes in a section, which readers may, and reports.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_write_report(machine: &GracePeriods, data: &AtomicU64) -> u64 {
    data.set(1);
    u64::from(machine.quiescent(READER))
}

/// Who waits looks whether the grace period is over, 2, and at what was written.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rcu_look_done(machine: &GracePeriods, data: &AtomicU64) -> u64 {
    u64::from(machine.is_done(2)) << 1 | data.read()
}
