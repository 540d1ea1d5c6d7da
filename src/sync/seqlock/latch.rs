//! The latch: two copies, of which one is always whole, so that a reader never waits for a writer, not even for the one it interrupted.
//!
//! The writer sends readers to the second copy, changes the first, sends them to the first, changes the second. A reader takes the copy that the
//! sequence's low bit names and looks again; it retries only if the writer passed by twice meanwhile, so a reader that *is* the interruption of a
//! writer succeeds at once. For what handlers and the panic path read. Twice the memory and twice the stores of a `SeqLock`.
//!
//! | sequence | readers use | the writer changes |
//! |---|---|---|
//! | even | copy 0 | nothing, or copy 1 |
//! | odd | copy 1 | copy 0 |
//!
//! # Memory ordering
//! Each step of the sequence is a store-release after the stores to the copy that it sends readers to (pairs with the reader's first look, an acquire)
//! and is followed by `smp_wmb` before the stores to the other (pairs with the reader's `smp_rmb` before the second look): as in `seqlock.rs`, once
//! for each copy.

use super::data::{SeqData, SharedData};
use crate::sync::atomic::AtomicU32;
use crate::sync::barrier::{smp_rmb, smp_wmb};
use crate::sync::lock::Lock;
use crate::sync::policy::{LocalIrqDisabled, Policy};
use crate::sync::raw::DefaultLock;
use core::fmt;

/// Data that is read in any context, without waiting.
///
/// ```
/// use tetra::sync::SeqLatch;
/// static SCALE: SeqLatch<[u32; 2]> = SeqLatch::new([1, 0]);
/// SCALE.write([1_000_000, 54]);
/// assert_eq!(SCALE.read(), [1_000_000, 54]);
/// ```
pub struct SeqLatch<T: SeqData, G: Policy = LocalIrqDisabled> {
    pub(super) step: Step,
    writers: Lock<(), DefaultLock, G>,
    pub(super) copies: [SharedData<T>; 2],
}

/// The sequence of a latch.
#[derive(Debug)]
pub(super) struct Step(AtomicU32);

impl Step {
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The reader's first look. `sequence & 1` is the copy to use.
    #[inline(always)]
    pub fn begin(&self) -> u32 {
        self.0.load_acquire()
    }

    /// The reader's second look.
    #[inline(always)]
    pub fn retry(&self, begun: u32) -> bool {
        smp_rmb();
        self.0.read() != begun
    }

    /// The word, for broken twins.
    #[cfg(all(test, loom))]
    pub fn raw(&self) -> &AtomicU32 {
        &self.0
    }

    /// Sends readers to the other copy; the stores after come after it.
    #[inline(always)]
    pub fn advance(&self) {
        self.0.store_release(self.0.read().wrapping_add(1));
        smp_wmb();
    }
}

impl<T: SeqData> SeqLatch<T> {
    /// A latch with `data` in both copies, whose writers have irqs off among themselves.
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self::with_policy(data)
    }
}

impl<T: SeqData, G: Policy> SeqLatch<T, G> {
    /// A latch with `data` in both copies, whose writers are in the context that its type names. Readers may be in any.
    #[track_caller]
    pub const fn with_policy(data: T) -> Self {
        Self { step: Step::new(), writers: Lock::new(()), copies: [SharedData::new(data), SharedData::new(data)] }
    }

    /// The data, whole: before or after any write that is going on.
    ///
    /// Context: any, an interruption of a writer included. Acquire: all before the write that it reads happens before what follows.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLatch;
    /// static SCALE: SeqLatch<[u32; 2]> = SeqLatch::new([54, 0]);
    /// assert_eq!(SCALE.read(), [54, 0]); // in a handler that interrupts a writer as well
    /// ```
    #[inline]
    pub fn read(&self) -> T {
        loop {
            let begun = self.step.begin();
            let copied = self.copies[(begun & 1) as usize].copy();
            if !self.step.retry(begun) {
                // SAFETY: the writer changes the copy that `begun` names only after it has stepped on, and that was not seen: the words are those
                // of one write.
                return unsafe { copied.assume_whole() };
            }
        }
    }

    /// Replaces the data; spins while another writer is at it.
    ///
    /// Context: any that the policy allows.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLatch;
    /// static SCALE: SeqLatch<[u32; 2]> = SeqLatch::new([1, 0]);
    /// SCALE.write([54, 8]);
    /// assert_eq!(SCALE.read(), [54, 8]);
    /// ```
    pub fn write(&self, value: T) {
        let _alone = self.writers.lock();
        for copy in &self.copies {
            self.step.advance();
            copy.store(value);
        }
    }

    /// Replaces the data by what `change` makes of it, other writers waiting meanwhile.
    ///
    /// Context: as `write`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLatch;
    /// static SCALE: SeqLatch<[u32; 2]> = SeqLatch::new([54, 0]);
    /// SCALE.update(|[multiplier, shift]| [multiplier * 2, shift + 1]);
    /// assert_eq!(SCALE.read(), [108, 1]);
    /// ```
    pub fn update(&self, change: impl FnOnce(T) -> T) {
        let _alone = self.writers.lock();
        // SAFETY: writers are alone, so nobody stores.
        let value = change(unsafe { self.copies[0].copy().assume_whole() });
        for copy in &self.copies {
            self.step.advance();
            copy.store(value);
        }
    }
}

impl<T: SeqData + fmt::Debug, G: Policy> fmt::Debug for SeqLatch<T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SeqLatch").field(&self.read()).finish()
    }
}
