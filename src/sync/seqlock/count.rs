//! The sequence alone: for data that is atomic fields, which readers look at in place.
//!
//! ```
//! use tetra::sync::SeqCount;
//! use tetra::sync::atomic::AtomicU64;
//!
//! static COUNT: SeqCount = SeqCount::new();
//! static LOW: AtomicU64 = AtomicU64::new(0);
//! static HIGH: AtomicU64 = AtomicU64::new(0);
//!
//! // One writer at a time: here nobody else writes.
//! let sequence = COUNT.write_begin();
//! LOW.set(1);
//! HIGH.set(2);
//! COUNT.write_end(sequence);
//!
//! assert_eq!(COUNT.read(|| (LOW.read(), HIGH.read())), (1, 2));
//! ```
//! Memory ordering: the table in the head of `seqlock.rs`.

use crate::arch::spin;
use crate::sync::atomic::AtomicU32;
use crate::sync::barrier::{smp_rmb, smp_wmb};
use crate::sync::raw::wait_round;

const ODD_BIT: u32 = 1;

/// A sequence that is odd while a writer is at it. Keeps no data and no writers apart: that is [`super::SeqLock`].
///
/// Misused (two writers at once, a value read by plain loads) it gives wrong values, never undefined behaviour by itself.
#[derive(Debug)]
#[repr(transparent)]
pub struct SeqCount {
    sequence: AtomicU32,
}

/// A number that the sequence had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence(pub(super) u32);

impl Sequence {
    /// The number: odd if a writer was at it.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl SeqCount {
    /// A sequence with no writer.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqCount;
    /// static COUNT: SeqCount = SeqCount::new();
    /// assert_eq!(COUNT.nr_writes(), 0);
    /// ```
    pub const fn new() -> Self {
        Self { sequence: AtomicU32::new(0) }
    }

    /// The first look of a reader, a writer being waited for.
    ///
    /// Context: any that cannot interrupt a writer on its core. Acquire: what the last writer stored is seen.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqCount;
    /// let count = SeqCount::new();
    /// let begun = count.begin();
    /// assert_eq!(begun.number() % 2, 0); // no writer is at it
    /// ```
    #[inline(always)]
    pub fn begin(&self) -> Sequence {
        loop {
            let sequence = self.sequence.load_acquire();
            if sequence & ODD_BIT == 0 {
                return Sequence(sequence);
            }
            spin::call_out_of_line::<WaitEven>((&raw const *self).cast(), 0);
        }
    }

    /// The second look of a reader: true if a writer came between, and what was read is worth nothing.
    ///
    /// The loads before come before this look.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqCount;
    /// let count = SeqCount::new();
    /// let begun = count.begin();
    /// let sequence = count.write_begin();
    /// count.write_end(sequence);
    /// assert!(count.retry(begun)); // a writer came between: what was read is worth nothing
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn retry(&self, begun: Sequence) -> bool {
        smp_rmb();
        self.sequence.read() != begun.0
    }

    /// Runs `look` until no writer came between, and gives what it gave then.
    ///
    /// `look` may see half of a write. It must only read, by atomic loads, and bound its work whatever it sees.
    ///
    /// Context: as `begin`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::{SeqCount, atomic::AtomicU64};
    /// static COUNT: SeqCount = SeqCount::new();
    /// static ENDS: [AtomicU64; 2] = [AtomicU64::new(3), AtomicU64::new(7)];
    /// assert_eq!(COUNT.read(|| ENDS[1].read() - ENDS[0].read()), 4);
    /// ```
    #[inline(always)]
    pub fn read<T>(&self, mut look: impl FnMut() -> T) -> T {
        loop {
            let begun = self.begin();
            let seen = look();
            if !self.retry(begun) {
                return seen;
            }
        }
    }

    /// Begins a write: readers retry from here on. The stores after come after it.
    ///
    /// Context: the caller is the only writer until `write_end`, stays on its core, and is in a context that no reader interrupts.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqCount;
    /// let count = SeqCount::new();
    /// let sequence = count.write_begin();
    /// assert_eq!(sequence.number() % 2, 1); // readers wait, or retry
    /// count.write_end(sequence);
    /// ```
    #[inline(always)]
    pub fn write_begin(&self) -> Sequence {
        let odd = self.sequence.read().wrapping_add(1);
        self.sequence.set(odd);
        smp_wmb();
        Sequence(odd)
    }

    /// Ends the write that `write_begin` began. Release: the accesses before come before it.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqCount;
    /// let count = SeqCount::new();
    /// let sequence = count.write_begin();
    /// count.write_end(sequence);
    /// assert_eq!(count.nr_writes(), 1);
    /// ```
    #[inline(always)]
    pub fn write_end(&self, begun: Sequence) {
        self.sequence.store_release(begun.0.wrapping_add(1));
    }

    /// The word, for broken twins.
    #[cfg(all(test, loom))]
    pub(super) fn raw(&self) -> &AtomicU32 {
        &self.sequence
    }

    /// Number of writes that have ended, modulo 2^31. Context: any.
    pub fn nr_writes(&self) -> u32 {
        self.sequence.read() / 2
    }
}

impl Default for SeqCount {
    fn default() -> Self {
        Self::new()
    }
}

/// What a reader does that finds a writer at it.
struct WaitEven;

impl spin::OutOfLine for WaitEven {
    extern "C" fn run(count: *const (), _: usize) {
        // SAFETY: `begin` passes a borrow of its own count, which outlives the call.
        let count = unsafe { &*count.cast::<SeqCount>() };
        loop {
            let sequence = count.sequence.read();
            if sequence & ODD_BIT == 0 {
                return;
            }
            wait_round(&count.sequence, sequence, &mut || ());
        }
    }
}
