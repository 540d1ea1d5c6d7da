//! Counts one call of a function: instructions by INST_RETIRED, and cycles.
//!
//! The function and an empty twin are called through the same code, warm, some dozen times each; the cost is the least that the one took less the least
//! that the other took. The least, because an interrupt may fall into a call but not into all of them; less the twin, because the call, the frame record and
//! the two reads of the counter are not the operation's. Under `-icount` the counter is exact but counts all cores: the others sleep in WFI.
//!
//! Where INST_RETIRED does not count (QEMU without `-icount`) instructions are unknown. Source: ARM DDI 0487 D12 (PMUv3).

use super::bench;
use crate::arch;
use crate::arch::pmu::{Counter, Event, Pmu};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

/// Calls of one operation; the first of them warm caches and predictors.
const CALLS: usize = 31;

/// A running monitor on the calling core.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    pmu: Pmu,
    counts_instructions: bool,
}

/// What one call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Instructions; `None` if the monitor does not count them here.
    pub instructions: Option<u64>,
    /// Cycles of the core's clock; on an emulator, of whatever it makes of it.
    pub cycles: u64,
}

/// An operation with what belongs around it.
pub struct Shape<T: 'static> {
    operation: fn(&'static T),
    before: fn(&'static T),
    after: fn(&'static T),
}

impl<T> Shape<T> {
    /// Describes an operation with nothing around it.
    pub fn new(operation: fn(&'static T)) -> Self {
        Self { operation, before: nothing, after: nothing }
    }

    /// Sets what runs before each call, uncounted.
    #[must_use]
    pub fn before(self, before: fn(&'static T)) -> Self {
        Self { before, ..self }
    }

    /// Sets what runs after each call, uncounted.
    #[must_use]
    pub fn after(self, after: fn(&'static T)) -> Self {
        Self { after, ..self }
    }
}

impl Meter {
    /// Starts the calling core's monitor; `None` if it has none.
    ///
    /// Context: thread that stays on its core as long as the meter is used.
    #[must_use]
    pub fn start() -> Option<Meter> {
        let pmu = Pmu::start()?;
        let counter: Option<Counter> = pmu.count(0, Event::InstRetired);
        let before = pmu.read_counter0();
        let counts_instructions = counter.is_some() && pmu.read_counter0() != before;
        Some(Meter { pmu, counts_instructions })
    }

    /// Whether the monitor counts instructions here.
    ///
    /// Context: any.
    #[must_use]
    pub fn counts_instructions(&self) -> bool {
        self.counts_instructions
    }

    /// The cost of one call of the operation on `object`, the call itself and its frame taken off.
    ///
    /// Context: thread, irqs on, nothing held.
    pub fn measure<T>(&self, shape: &Shape<T>, object: &'static T) -> Reading {
        let twin = self.least(&Shape::new(nothing), object);
        let (instructions, cycles) = self.least(shape, object);
        Reading {
            instructions: self.counts_instructions.then(|| instructions.saturating_sub(twin.0).into()),
            cycles: cycles.saturating_sub(twin.1),
        }
    }

    /// Instructions and cycles that `work` takes, call included: for what is too long to have a twin.
    ///
    /// Context: as [`Self::measure`]; fewer than 2^32 instructions.
    pub fn time(&self, work: impl FnOnce()) -> Reading {
        let (instructions, cycles) = (self.pmu.read_counter0(), self.pmu.cycles());
        work();
        Reading {
            instructions: self.counts_instructions.then(|| self.pmu.read_counter0().wrapping_sub(instructions).into()),
            cycles: self.pmu.cycles() - cycles,
        }
    }

    fn least<T>(&self, shape: &Shape<T>, object: &'static T) -> (u32, u64) {
        let mut least = (u32::MAX, u64::MAX);
        for _ in 0..CALLS {
            (shape.before)(object);
            least.0 = least.0.min(count(&self.pmu, shape.operation, object));
            (shape.after)(object);
            (shape.before)(object);
            least.1 = least.1.min(clock(&self.pmu, shape.operation, object));
            (shape.after)(object);
        }
        least
    }
}

/// Instructions of one call. The pointer is hidden from the compiler, so that the operation and its twin are called by the same instructions.
#[inline(never)]
fn count<T>(pmu: &Pmu, operation: fn(&'static T), object: &'static T) -> u32 {
    let (operation, object) = (black_box(operation), black_box(object));
    let before = pmu.read_counter0();
    operation(object);
    pmu.read_counter0().wrapping_sub(before)
}

/// Cycles of one call; a function of its own, so that one counter's reads are not counted by the other.
#[inline(never)]
fn clock<T>(pmu: &Pmu, operation: fn(&'static T), object: &'static T) -> u64 {
    let (operation, object) = (black_box(operation), black_box(object));
    let before = pmu.cycles();
    operation(object);
    pmu.cycles().wrapping_sub(before)
}

/// The empty twin: the frame record that every operation has, and nothing in it.
#[inline(never)]
fn nothing<T>(_object: &'static T) {
    arch::force_frame();
}

// What the host looks at before it believes anything else: nothing costs nothing, and a load costs one.
bench! {
    "bench.nothing", _object: () = () => ();
    "bench.load", word: AtomicU64 = AtomicU64::new(0) => word.load(Ordering::Relaxed);
}
