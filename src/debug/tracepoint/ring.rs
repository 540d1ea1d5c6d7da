//! `Ring<N>`: the last N records of one core, read by any.
//!
//! The writer never waits and never looks at readers: it overwrites the oldest record. A slot says which record it holds, so a reader knows when it came
//! too late. Rejected: the byte ring of the log, whose records have a length and nest; these have one size, and are written with irqs masked.
//!
//! # State
//! A slot's `stamp` is 0 while it is written or was never, else the number of its record plus 1.
//!
//! # Memory ordering
//! - `stamp`: the writer's Release store of a number pairs with the reader's Acquire load: who sees the number sees that record's words, or later ones.
//! - Later ones are found out: the writer's Release fence behind `stamp = 0` pairs with the reader's Acquire fence before it loads `stamp` again. Who has
//!   read a word of a later record sees that the number is gone (a seqlock's argument: Boehm, "Can Seqlocks Get Along With Programming Language
//!   Memory Models?", 2012).
//! - `nr_put`: relaxed; a reader that sees it early finds no number in the slot.
//!
//! The model below runs it under loom, with a twin for each fence and for the number's order that must fail.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, fence};

use super::{Event, Record};
use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// The slot is being written, or never was.
const OPEN: u64 = 0;
/// Words of a record: time, event, two arguments.
const NR_WORDS: usize = 4;

/// One record's place.
#[derive(Debug)]
struct Slot {
    stamp: AtomicU64,
    words: [AtomicU64; NR_WORDS],
}

/// The records of one core.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    slots: [Slot; N],
    nr_put: AtomicU64,
}

/// Which of the orders hold; a model takes one away.
#[derive(Clone, Copy, Debug)]
struct Orders {
    publish: Ordering,
    has_writers_fence: bool,
    has_readers_fence: bool,
}

const ALL_ORDERS: Orders = Orders { publish: Release, has_writers_fence: true, has_readers_fence: true };

impl<const N: usize> Ring<N> {
    /// An empty ring.
    #[cfg(not(loom))]
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self {
            slots: [const { Slot { stamp: AtomicU64::new(OPEN), words: [const { AtomicU64::new(0) }; NR_WORDS] } }; N],
            nr_put: AtomicU64::new(0),
        }
    }

    /// Adds a record in place of the oldest.
    ///
    /// Context: the core whose ring it is, irqs masked: one writer at a time. Two at once would lose or mix records, no more.
    #[inline]
    pub fn put(&self, record: &Record) {
        let words = [record.time, record.event as u64, record.arguments[0], record.arguments[1]];
        self.put_words(words, ALL_ORDERS);
    }

    fn put_words(&self, words: [u64; NR_WORDS], orders: Orders) {
        let number = self.nr_put.load(Relaxed);
        let slot = self.slot(number);
        slot.stamp.store(OPEN, Relaxed);
        if orders.has_writers_fence {
            fence(Release);
        }
        for (place, word) in slot.words.iter().zip(words) {
            place.store(word, Relaxed);
        }
        slot.stamp.store(number + 1, orders.publish);
        self.nr_put.store(number + 1, Relaxed);
    }

    /// Record number `number`, unless it is overwritten, being written, or yet to come.
    ///
    /// Context: any core.
    pub fn get(&self, number: u64) -> Option<Record> {
        let [time, event, first, second] = self.get_words(number, ALL_ORDERS)?;
        let event = *Event::ALL.get(usize::try_from(event).ok()?)?;
        Some(Record { time, event, arguments: [first, second] })
    }

    fn get_words(&self, number: u64, orders: Orders) -> Option<[u64; NR_WORDS]> {
        let slot = self.slot(number);
        if slot.stamp.load(Acquire) != number + 1 {
            return None;
        }
        let words = core::array::from_fn(|word| slot.words[word].load(Relaxed));
        if orders.has_readers_fence {
            fence(Acquire);
        }
        (slot.stamp.load(Relaxed) == number + 1).then_some(words)
    }

    /// Records that were ever put in: the next one's number. Context: any; a hint on another core.
    pub fn end(&self) -> u64 {
        self.nr_put.load(Relaxed)
    }

    fn slot(&self, number: u64) -> &Slot {
        // N is a power of two, so what is cut off does not matter.
        &self.slots[number as usize % N]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_records_are_kept(count in 0_u64..40) {
            let ring = Ring::<8>::new();
            let record = |number| Record { time: number * 3, event: Event::ALL[number as usize % 7], arguments: [number, !number] };
            (0..count).for_each(|number| ring.put(&record(number)));
            prop_assert_eq!(ring.end(), count);
            for number in 0..count + 8 {
                let is_kept = number < count && number + 8 >= count;
                prop_assert_eq!(ring.get(number), is_kept.then(|| record(number)));
            }
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;

    /// A writer puts two records into one slot while a reader looks for the first: it gets that or none.
    fn overwrite_while_read(orders: Orders) {
        loom::model(move || {
            let slots = core::array::from_fn(|_| Slot { stamp: AtomicU64::new(OPEN), words: core::array::from_fn(|_| AtomicU64::new(0)) });
            let ring = Arc::new(Ring::<1> { slots, nr_put: AtomicU64::new(0) });
            let theirs = ring.clone();
            let reader = loom::thread::spawn(move || theirs.get_words(0, orders));
            ring.put_words([1; NR_WORDS], orders);
            ring.put_words([2; NR_WORDS], orders);
            if let Some(words) = reader.join().unwrap() {
                assert_eq!(words, [1; NR_WORDS]);
            }
        });
    }

    #[test]
    fn a_reader_gets_the_record_it_wants_or_none() {
        overwrite_while_read(ALL_ORDERS);
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn without_the_release_of_its_number_a_record_is_read_early() {
        overwrite_while_read(Orders { publish: Relaxed, ..ALL_ORDERS });
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn without_the_writers_fence_an_overwritten_record_passes() {
        overwrite_while_read(Orders { has_writers_fence: false, ..ALL_ORDERS });
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn without_the_readers_fence_an_overwritten_record_passes() {
        overwrite_while_read(Orders { has_readers_fence: false, ..ALL_ORDERS });
    }
}
