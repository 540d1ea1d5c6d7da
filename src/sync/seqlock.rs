//! The sequence lock: readers store nothing, never block a writer, and read again if one came between.
//!
//! A writer makes the sequence odd, writes, and makes it even again; a reader reads the sequence, the data, the sequence: the same even number twice
//! means that no writer was there. For small data that is read all the time and changes rarely (the clock). Readers can be held up by writers,
//! never the reverse; where that is wrong, [`super::RwLock`]; where a reader must not even wait for the writer that it interrupted, [`SeqLatch`].
//!
//! # Why this is no data race
//! A reader may look at data that is being written. So the data is never accessed by plain loads and stores: [`data`] copies it by relaxed atomic
//! words, on both sides. What a reader has copied is a [`Copied`], which is not the data yet: only the second look at the sequence turns it
//! into a `T`, so a torn value can be copied but not seen.
//!
//! # Memory ordering
//! | order | kept by | pairs with |
//! |---|---|---|
//! | 1. writer: odd sequence before the data | `smp_wmb` (DMB ISHST) | 4 |
//! | 2. writer: data before the even sequence | store-release (STLR) | 3 |
//! | 3. reader: first look before the data | load-acquire (LDAR) | 2 |
//! | 4. reader: data before the second look | `smp_rmb` (DMB ISHLD) | 1 |
//!
//! A reader that saw any of a writer's data sees that writer's odd number, or a later one, in its second look (1, 4); a reader whose first look saw
//! the even number sees all the data (2, 3).
//!
//! | Linux | here |
//! |---|---|
//! | `SEQLOCK_UNLOCKED` | [`SeqLock::new`] |
//! | `write_seqlock`, `_irq`, `_irqsave`, `_bh`, `write_sequnlock` | [`SeqLock::write`] and its forms; the guard's drop |
//! | `read_seqbegin`, `read_seqretry` | [`SeqLock::read`], which loops; [`SeqLock::begin`] and [`SeqRead::end`], which do not |
//! | `seqcount_t` | [`SeqCount`] |
//! | `seqcount_latch_t` | [`SeqLatch`] |
//!
//! ```
//! use tetra::sync::{SeqLock, seq_data};
//!
//! seq_data! {
//!     /// A clock's reading.
//!     #[derive(Debug, PartialEq)]
//!     pub struct Reading {
//!         pub cycles: u64,
//!         pub ns: u64,
//!     }
//! }
//! static CLOCK: SeqLock<Reading> = SeqLock::new(Reading { cycles: 0, ns: 0 });
//!
//! CLOCK.write_irqsave().set(Reading { cycles: 54, ns: 1000 });
//! assert_eq!(CLOCK.read(), Reading { cycles: 54, ns: 1000 });
//!
//! let now = loop {
//!     let section = CLOCK.begin();
//!     let copied = section.copy();
//!     if let Some(now) = section.end(copied) {
//!         break now;
//!     }
//! };
//! assert_eq!(now.ns, 1000);
//! ```
//! Data with pointers or padding is refused:
//! ```compile_fail,E0277
//! static NAME: tetra::sync::SeqLock<&'static str> = tetra::sync::SeqLock::new("tetra");
//! ```
//! ```compile_fail,E0080
//! tetra::sync::seq_data! {
//!     struct Padded {
//!         flag: u8,
//!         value: u64,
//!     }
//! }
//! ```
//!
//! Source: Lameter, "Effective synchronization on Linux/NUMA systems" (2005); Boehm, "Can seqlocks get along with programming language memory models?"
//! (2012), whose solution for readers this is.

mod count;
pub mod data;
mod latch;

pub use count::{SeqCount, Sequence};
pub use data::{Copied, SeqData};
pub use latch::SeqLatch;

use super::lock::{Lock, LockGuard};
use super::policy::{AtLeast, BottomHalfDisabled, LocalIrqDisabled, Policy, PreemptDisabled};
use super::raw::DefaultLock;
use core::fmt;
use data::SharedData;

/// Data that writers change one at a time and that readers copy without a lock.
///
/// `G` is the context of writers: as strict as the strictest reader's, since a reader that interrupts a writer on its core would wait for ever.
#[repr(C)]
pub struct SeqLock<T: SeqData, G: Policy = PreemptDisabled> {
    count: SeqCount,
    /// Keeps writers apart.
    writers: Lock<(), DefaultLock, G>,
    data: SharedData<T>,
}

impl<T: SeqData> SeqLock<T> {
    /// A sequence lock around `data`, whose readers and writers are threads. The place of this call is the lock's class.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// static CLOCK: SeqLock<[u64; 2]> = SeqLock::new([0, 0]);
    /// assert_eq!(CLOCK.nr_writes(), 0);
    /// ```
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self::with_policy(data)
    }
}

/// Defines the forms of writing: for each context a call that waits and one that tries.
macro_rules! write_forms {
    ($($call:ident, $try_call:ident, $context:ty, $how:literal;)+) => {
        $(
            #[doc = concat!("Begins to write", $how, "; spins while another writer is at it. Readers retry until the guard drops.")]
            ///
            /// Context: any that the policy allows; does not sleep. Acquire: all that earlier writers did happens before what follows.
            ///
            /// # Examples
            /// ```
            /// let clock = tetra::sync::SeqLock::new([0, 0]);
            #[doc = concat!("clock.", stringify!($call), "().set([54, 1000]);")]
            /// assert_eq!(clock.read(), [54, 1000]);
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn $call(&self) -> SeqWriteGuard<'_, T, G, $context>
            where
                $context: AtLeast<G>,
            {
                SeqWriteGuard::begin(self, self.writers.lock_as())
            }

            #[doc = concat!("Begins to write", $how, " if no other writer is at it; else the context is as before.")]
            ///
            /// Context and ordering: as the form that waits; no order on failure.
            ///
            /// # Examples
            /// ```
            /// let clock = tetra::sync::SeqLock::new([0, 0]);
            /// let writer = clock.write();
            #[doc = concat!("assert!(clock.", stringify!($try_call), "().is_none());")]
            /// # drop(writer);
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn $try_call(&self) -> Option<SeqWriteGuard<'_, T, G, $context>>
            where
                $context: AtLeast<G>,
            {
                Some(SeqWriteGuard::begin(self, self.writers.try_lock_as()?))
            }
        )+
    };
}

impl<T: SeqData, G: Policy> SeqLock<T, G> {
    /// A sequence lock around `data`, whose writers are in the context that its type names.
    #[track_caller]
    pub const fn with_policy(data: T) -> Self {
        Self { count: SeqCount::new(), writers: Lock::new(()), data: SharedData::new(data) }
    }

    /// The data, whole. Reads again as often as writers come between.
    ///
    /// Context: any that cannot interrupt a writer: see the type. Acquire: all before the write that it reads happens before what follows.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// static CLOCK: SeqLock<[u64; 2]> = SeqLock::new([54, 1000]);
    /// assert_eq!(CLOCK.read(), [54, 1000]);
    /// ```
    #[inline]
    pub fn read(&self) -> T {
        loop {
            let section = self.begin();
            let copied = section.copy();
            if let Some(value) = section.end(copied) {
                return value;
            }
        }
    }

    /// Begins to read: Linux's `read_seqbegin`. Waits while a writer is at it.
    ///
    /// Context: as `read`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// static CLOCK: SeqLock<[u64; 2]> = SeqLock::new([54, 1000]);
    /// let section = CLOCK.begin();
    /// let copied = section.copy();
    /// assert_eq!(section.end(copied), Some([54, 1000]));
    /// ```
    #[inline(always)]
    pub fn begin(&self) -> SeqRead<'_, T> {
        SeqRead { sequence: self.count.begin(), count: &self.count, data: &self.data }
    }

    /// Number of writes so far. Context: any.
    pub fn nr_writes(&self) -> u32 {
        self.count.nr_writes()
    }

    /// A writer is at it. A hint. Context: any.
    pub fn is_locked(&self) -> bool {
        self.writers.is_locked()
    }

    write_forms! {
        write, try_write, G, ", in the type's context";
        write_irqsave, try_write_irqsave, LocalIrqDisabled, " with irqs off";
        write_irq, try_write_irq, LocalIrqDisabled, " with irqs off";
        write_bh, try_write_bh, BottomHalfDisabled, " with bottom halves off";
    }
}

impl<T: SeqData + fmt::Debug, G: Policy> fmt::Debug for SeqLock<T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqLock").field("writes", &self.nr_writes()).field("context", &G::NAME).finish_non_exhaustive()
    }
}

/// A reader's look at the data, between the two looks at the sequence.
#[must_use = "what was copied is worth nothing before `end`"]
pub struct SeqRead<'a, T: SeqData> {
    sequence: Sequence,
    count: &'a SeqCount,
    data: &'a SharedData<T>,
}

impl<T: SeqData> SeqRead<'_, T> {
    /// Copies the data, which may be torn.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// let section_of = SeqLock::new([54_u64, 1000]);
    /// let section = section_of.begin();
    /// let copied = section.copy(); // no value before `end` says so
    /// assert_eq!(section.end(copied), Some([54, 1000]));
    /// ```
    #[inline(always)]
    pub fn copy(&self) -> Copied<T> {
        self.data.copy()
    }

    /// The second look: what was copied in this section if no writer came between, else nothing: begin again. Linux's `read_seqretry`.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// let clock = SeqLock::new([54_u64, 1000]);
    /// let section = clock.begin();
    /// let copied = section.copy();
    /// clock.write().set([108, 2000]);
    /// assert_eq!(section.end(copied), None); // a writer came between: begin anew
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn end(self, copied: Copied<T>) -> Option<T> {
        if self.count.retry(self.sequence) {
            return None;
        }
        // SAFETY: no writer came between the copying, which follows `begin` in this section, and the look above: so the words are those of the `T`
        // that the last writer stored.
        Some(unsafe { copied.assume_whole() })
    }
}

/// The right to write. The new data is visible when it drops. `!Send`, as the lock's guard in it.
#[must_use = "the write is over as soon as the guard drops"]
pub struct SeqWriteGuard<'a, T: SeqData, G: Policy, C: Policy = PreemptDisabled> {
    lock: &'a SeqLock<T, G>,
    sequence: Sequence,
    // Dropped after `drop` has made the sequence even.
    _writers: LockGuard<'a, (), DefaultLock, G, C>,
}

impl<'a, T: SeqData, G: Policy, C: Policy> SeqWriteGuard<'a, T, G, C> {
    #[inline(always)]
    fn begin(lock: &'a SeqLock<T, G>, writers: LockGuard<'a, (), DefaultLock, G, C>) -> Self {
        Self { lock, sequence: lock.count.write_begin(), _writers: writers }
    }

    /// The data as it is.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// let clock = SeqLock::new([54_u64, 1000]);
    /// let mut writer = clock.write();
    /// let [cycles, ns] = writer.get(); // no other writer comes between
    /// writer.set([cycles + 54, ns + 1000]);
    /// # drop(writer);
    /// assert_eq!(clock.read(), [108, 2000]);
    /// ```
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: writers are alone, so the copy is what this or an earlier writer stored last.
        unsafe { self.lock.data.copy().assume_whole() }
    }

    /// Replaces the data.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// let clock = SeqLock::new([54_u64, 1000]);
    /// clock.write().set([108, 2000]);
    /// assert_eq!(clock.read(), [108, 2000]);
    /// ```
    #[inline(always)]
    pub fn set(&mut self, value: T) {
        self.lock.data.store(value);
    }

    /// Changes the data in place of a copy.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::SeqLock;
    /// let clock = SeqLock::new([54_u64, 1000]);
    /// let before = clock.write().update(|[_, ns]| std::mem::replace(ns, 2000));
    /// assert_eq!((before, clock.read()), (1000, [54, 2000]));
    /// ```
    #[inline(always)]
    pub fn update<U>(&mut self, change: impl FnOnce(&mut T) -> U) -> U {
        let mut value = self.get();
        let result = change(&mut value);
        self.set(value);
        result
    }
}

impl<T: SeqData, G: Policy, C: Policy> Drop for SeqWriteGuard<'_, T, G, C> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.count.write_end(self.sequence);
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom), not(feature = "up")))]
mod tests;
