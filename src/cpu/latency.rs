//! Histograms of latency: how long irqs and preemption stay off, and how long a woken thread waits for a core.
//!
//! Each core counts for itself, in buckets whose bounds are powers of two of counter ticks: a record is a subtraction and an addition. In builds without
//! the feature `latency_hist` nothing of it is there; with it, a load and a branch a section until it is switched on (`echo 1 > latency`).
//!
//! | kind | begins | ends |
//! |---|---|---|
//! | irqs off | the guard or lock that masks irqs, an interrupt's handler | the last guard's drop, the handler's end |
//! | preemption off | the first preemption-off or bottom-half-off section of a thread | the end of the last one |
//! | wake-up | the thread is queued | it runs |
//!
//! Rejected: tracing each section with its place, as Linux's tracers do: it tells who was long, and costs a hundred times as much.
//!
//! # Memory ordering
//! Counters that stand alone, relaxed. The beginning of a section is written and read by its core alone: a thread does not change cores within one.

use super::context::preempt_count;
use crate::arch::{NR_CPUS, counter};
use crate::per_cpu;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Latency {
    /// Irqs are off.
    IrqsOff,
    /// A thread may not be preempted.
    PreemptOff,
    /// A thread was woken and does not run yet.
    WakeUp,
}

impl Latency {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::IrqsOff, Self::PreemptOff, Self::WakeUp];

    /// Name, for views.
    pub const fn name(self) -> &'static str {
        ["irqs off", "preemption off", "wake-up"][self as usize]
    }
}

/// Buckets of a histogram: bucket `n` counts what took less than 2^n ticks and not less than half of that; the last one, all the rest.
pub const NR_BUCKETS: usize = 32;

#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU32; NR_BUCKETS],
    longest: AtomicU64,
}

impl Histogram {
    #[expect(clippy::declare_interior_mutable_const, reason = "an initial value, copied for each kind")]
    const EMPTY: Self = Self { buckets: [const { AtomicU32::new(0) }; NR_BUCKETS], longest: AtomicU64::new(0) };

    fn count(&self, ticks: u64) {
        self.buckets[bucket_of(ticks)].fetch_add(1, Relaxed);
        if ticks > self.longest.load(Relaxed) {
            self.longest.store(ticks, Relaxed);
        }
    }
}

per_cpu! {
    static HISTOGRAMS: [Histogram; 3] = [Histogram::EMPTY; 3];
    /// When this core's section with irqs off and the thread's with preemption off began; 0: there is none, or it was not measured.
    static SINCE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
}

static IS_ON: AtomicBool = AtomicBool::new(false);

fn bucket_of(ticks: u64) -> usize {
    ((u64::BITS - ticks.leading_zeros()) as usize).min(NR_BUCKETS - 1)
}

/// Whether latencies are measured: never in builds without the feature. Context: any.
#[inline(always)]
pub fn is_on() -> bool {
    cfg!(feature = "latency_hist") && IS_ON.load(Relaxed)
}

/// Switches measuring. What is under way is not counted. Context: any.
pub fn set_on(on: bool) {
    (0..NR_CPUS).flat_map(|cpu| SINCE.on(cpu)).for_each(|since| since.store(0, Relaxed));
    IS_ON.store(on, Relaxed);
}

/// Forgets what was counted. Context: any.
pub fn clear() {
    for histogram in (0..NR_CPUS).flat_map(|cpu| HISTOGRAMS.on(cpu)) {
        histogram.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
        histogram.longest.store(0, Relaxed);
    }
}

/// What core `cpu` counted: the buckets, and the longest in counter ticks. Context: any.
///
/// # Examples
/// ```
/// use tetra::cpu::latency::{self, Latency};
/// latency::clear();
/// let (buckets, longest) = latency::of_core(0, Latency::IrqsOff);
/// assert_eq!((buckets.iter().sum::<u32>(), longest), (0, 0));
/// ```
pub fn of_core(cpu: usize, kind: Latency) -> ([u32; NR_BUCKETS], u64) {
    let histogram = &HISTOGRAMS.on(cpu)[kind as usize];
    (histogram.buckets.each_ref().map(|bucket| bucket.load(Relaxed)), histogram.longest.load(Relaxed))
}

/// Irqs have just gone off on this core. Context: irqs masked.
#[inline(always)]
pub fn irqs_went_off() {
    if is_on() {
        begin(Latency::IrqsOff);
    }
}

/// Irqs are about to go on. Context: irqs masked.
#[inline(always)]
pub fn irqs_go_on() {
    if is_on() {
        end(Latency::IrqsOff);
    }
}

/// A section that counts `one` was entered. Context: any; only a thread's first section is measured.
#[inline(always)]
pub fn section_began(one: u32) {
    if is_on() && preempt_count() == one {
        begin(Latency::PreemptOff);
    }
}

/// A section that counts `one` is about to be left. Context as for `section_began`.
#[inline(always)]
pub fn section_ends(one: u32) {
    if is_on() && preempt_count() == one {
        end(Latency::PreemptOff);
    }
}

/// A thread that was queued at `woken_at` (0: not measured) runs now. Context: irqs masked.
#[inline(always)]
pub fn woken_thread_runs(woken_at: u64) {
    if is_on() && woken_at != 0 {
        record(Latency::WakeUp, counter::now().saturating_sub(woken_at));
    }
}

#[cold]
#[inline(never)]
fn begin(kind: Latency) {
    SINCE.this()[kind as usize].store(counter::now(), Relaxed);
}

#[cold]
#[inline(never)]
fn end(kind: Latency) {
    let since = SINCE.this()[kind as usize].swap(0, Relaxed);
    if since != 0 {
        record(kind, counter::now().saturating_sub(since));
    }
}

#[cold]
#[inline(never)]
fn record(kind: Latency, ticks: u64) {
    HISTOGRAMS.this()[kind as usize].count(ticks);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_below_its_bound_and_not_below_half_of_it(ticks: u64) {
            let bucket = bucket_of(ticks);
            prop_assert!(bucket == NR_BUCKETS - 1 || ticks < 1 << bucket);
            prop_assert!(bucket == 0 || ticks >= 1 << (bucket - 1));
        }
    }

    #[test]
    fn a_histogram_counts_each_once_and_keeps_the_longest() {
        let histogram = Histogram::EMPTY;
        [0, 1, 5, 7, 1000, u64::MAX].into_iter().for_each(|ticks| histogram.count(ticks));
        let count = |bucket: usize| histogram.buckets[bucket].load(Relaxed);
        assert_eq!((count(0), count(1), count(3), count(10), count(NR_BUCKETS - 1)), (1, 1, 2, 1, 1));
        assert_eq!(histogram.longest.load(Relaxed), u64::MAX);
    }
}
