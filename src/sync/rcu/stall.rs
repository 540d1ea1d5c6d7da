//! The detector of stalls: a grace period that has waited too long for a core.
//!
//! Memory that callbacks would free is not freed meanwhile, and whoever synchronizes waits, so the machine dies slowly and somewhere else. The report says
//! which core it is, what runs there, where its section began and where it is now, and what to look for. It comes once for a stall, then after twice the
//! time, and so on.
//!
//! Who looks: a high-resolution timer, armed by whoever begins a grace period unless it is armed already, so that a machine whose other cores all
//! sleep finds out as well; and each tick of a busy core, since the timer's own core may be the one that has interrupts off. A grace period that ends in time
//! costs no more than a look whether the timer is armed.
//!
//! # Memory ordering
//! The timer's function says that the timer is not armed, barrier, and looks whether a grace period runs; who begins one has changed the sequence word, barrier,
//! and looks whether the timer is armed (store buffering): one of them arms it.
//!
//! Neighbours: `debug::attention` (asks a core where it is), `time::rcu` (the timer). Hung cores in general are the lockup detectors' business.

use super::hooks::GRACE_PERIODS;
use super::seq;
use crate::arch::counter;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::barrier::smp_mb;
use crate::upcalls;
use core::time::Duration;

/// Linux's default.
const DEFAULT_TIMEOUT_MS: u64 = 21_000;

/// Milliseconds until a report; 0: none comes. Written at boot, and by tests.
static TIMEOUT_MS: AtomicU64 = AtomicU64::new(DEFAULT_TIMEOUT_MS);
/// Counter value at which the running grace period began, or the last one did.
static BEGUN_AT: AtomicU64 = AtomicU64::new(0);
/// Counter value from which on the running grace period is late. Doubles its distance with each report. Both are written by who begins, while nobody is
/// waited for; `LATE_AT` by who reports as well.
static LATE_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static IS_ARMED: AtomicBool = AtomicBool::new(false);
static NR_REPORTS: AtomicU64 = AtomicU64::new(0);

/// Sets how long a grace period may wait for a core before that is reported; zero: for ever. Boot argument `rcu_stall_timeout=`, in seconds.
///
/// Context: any. Holds from the next grace period on.
///
/// # Examples
/// ```
/// use core::time::Duration;
/// use tetra::sync::rcu::{set_stall_timeout, stall_timeout};
/// set_stall_timeout(Duration::from_secs(5));
/// assert_eq!(stall_timeout(), Duration::from_secs(5));
/// ```
pub fn set_stall_timeout(timeout: Duration) {
    TIMEOUT_MS.set(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
}

/// The time set. Context: any.
pub fn stall_timeout() -> Duration {
    Duration::from_millis(TIMEOUT_MS.read())
}

/// How many reports there were. Context: any.
pub fn nr_stall_reports() -> u64 {
    NR_REPORTS.read()
}

/// A grace period begins. Context: any, irqs masked, before it waits for anybody.
pub(super) fn start_clock() {
    let now = counter::now();
    BEGUN_AT.set(now);
    LATE_AT.set(match TIMEOUT_MS.read() {
        0 => u64::MAX,
        timeout_ms => now.saturating_add(ticks(timeout_ms)),
    });
}

/// A grace period waits for cores: sees to it that somebody looks when it is late. Context: any, irqs masked.
pub(super) fn arm() {
    let timeout_ms = TIMEOUT_MS.read();
    smp_mb();
    if timeout_ms != 0 && !IS_ARMED.read() && !IS_ARMED.xchg(true) {
        upcalls::rcu_watch(Duration::from_millis(timeout_ms));
    }
}

fn ticks(ms: u64) -> u64 {
    (counter::frequency_hz() / 1000).saturating_mul(ms)
}

/// The timer: reports if the grace period is late. The time after which it wants to look again, if one runs.
///
/// Context: hardirq.
#[cfg_attr(not(target_os = "none"), expect(dead_code, reason = "host: no timers"))]
pub fn on_timer() -> Option<Duration> {
    look();
    IS_ARMED.set(false);
    smp_mb();
    let late_at = LATE_AT.read();
    if !seq::is_running(GRACE_PERIODS.seq()) || late_at == u64::MAX || IS_ARMED.xchg(true) {
        return None;
    }
    let left = late_at.saturating_sub(counter::now());
    Some(Duration::from_millis(left / (counter::frequency_hz() / 1000) + 1))
}

/// A tick of a busy core. Context: hardirq.
#[inline]
pub(super) fn on_tick() {
    if seq::is_running(GRACE_PERIODS.seq()) {
        look();
    }
}

/// Reports if the running grace period is late and nobody else does.
fn look() {
    // Acquire, before the times are read: they are those of this grace period, or a later one's.
    let stalled = GRACE_PERIODS.waiting();
    let (late_at, begun_at) = (LATE_AT.read(), BEGUN_AT.read());
    let now = counter::now();
    if now < late_at || stalled == 0 {
        return;
    }
    let waited = now.saturating_sub(begun_at);
    // Next time when it has waited twice as long. Who changes the word reports; it was changed if another grace period has begun.
    if LATE_AT.cmpxchg(late_at, now.saturating_add(waited)).is_ok() {
        NR_REPORTS.inc();
        #[cfg(target_os = "none")]
        super::stall_report::print(seq::nr_ended(GRACE_PERIODS.seq()) + 1, waited / (counter::frequency_hz() / 1000), stalled);
    }
}
