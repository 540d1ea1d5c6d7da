//! Seeded allocation traces, and cost against the number of live objects: for every heap the same calls in the same order.
//!
//! A trace is a table of slots and a generator: a step takes a slot at random, frees what is in it, or fills it. What differs is how large the objects are,
//! and how full the table is kept.

use core::alloc::Layout;
use core::ptr::null_mut;

use crate::heaps::Contender;

/// Slots of the largest table.
pub const SLOTS_MAX: usize = 4096;
const SEED: u64 = 0x7e74_a000_5eed;
const ALIGN: usize = 8;

/// A sequence of calls.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// Name in the table.
    pub name: &'static str,
    steps: usize,
    slots: usize,
    size: fn(&mut Random) -> usize,
    /// How many of 16 steps that find their slot empty fill it, by the part of the trace, in eighths.
    fill: fn(usize) -> u64,
}

/// The three traces.
pub const TRACES: [Trace; 3] = [
    Trace { name: "small", steps: 20_000, slots: 256, size: |random| 16 + random.below(15) * 16, fill: |_| 16 },
    Trace { name: "mixed", steps: 20_000, slots: 1024, size: |random| 16 << random.below(10), fill: |_| 16 },
    Trace {
        name: "grow_shrink",
        steps: 40_000,
        slots: SLOTS_MAX,
        size: |random| 32 + random.below(63) * 32,
        fill: |part| if part % 4 < 2 { 16 } else { 2 },
    },
];

/// Marsaglia's xorshift64: enough for sizes and slots, the same everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator of every trace.
    pub const fn new() -> Self {
        Self(SEED)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * limit as u64) >> 32) as usize
    }
}

/// An object that lives, or none.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    object: *mut u8,
    size: usize,
}

impl Slot {
    /// None.
    pub const EMPTY: Self = Self { object: null_mut(), size: 0 };

    /// Fills the slot; false if the heap has no room.
    pub fn fill<H: Contender>(&mut self, heap: &H, size: usize) -> bool {
        let Ok(layout) = Layout::from_size_align(size, ALIGN) else { return false };
        // SAFETY: no size here is 0.
        let object = unsafe { heap.alloc(layout) };
        *self = Self { object, size };
        !object.is_null()
    }

    /// Empties the slot.
    pub fn clear<H: Contender>(&mut self, heap: &H) {
        if let Ok(layout) = Layout::from_size_align(self.size, ALIGN)
            && !self.object.is_null()
        {
            // SAFETY: the object came from this heap with this layout, and is forgotten here.
            unsafe { heap.dealloc(self.object, layout) };
        }
        *self = Self::EMPTY;
    }
}

/// Plays `trace`, and calls `filled` after each allocation; gives the number of calls, or `None` if the heap had no room for one. What is alive at the
/// end stays in the slots.
pub fn play<H: Contender>(trace: &Trace, heap: &H, slots: &mut [Slot; SLOTS_MAX], mut filled: impl FnMut()) -> Option<u64> {
    const PARTS: usize = 8;

    let mut random = Random::new();
    let mut calls = 0;
    slots.fill(Slot::EMPTY);
    for step in 0..trace.steps {
        let slot = &mut slots[random.below(trace.slots)];
        let size = (trace.size)(&mut random);
        let fills = (random.below(16) as u64) < (trace.fill)(step * PARTS / trace.steps);
        if !slot.object.is_null() {
            slot.clear(heap);
            calls += 1;
        } else if fills {
            if !slot.fill(heap, size) {
                return None;
            }
            filled();
            calls += 1;
        }
    }
    Some(calls)
}
