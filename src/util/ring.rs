//! A ring of bytes from one producer to one consumer, without a lock.
//!
//! For the console: an interrupt handler puts received bytes in, a thread takes them out, or the other way round for output. Neither ever waits
//! for the other, so neither needs interrupts off. A queue of any number of producers would need a read-modify-write for each byte; this
//! one needs a load and a store. That each end has one user at a time is checked once, when the end is taken, and not for each byte.
//!
//! # State
//! | word | written by | meaning |
//! |---|---|---|
//! | `head` | producer | bytes ever put in, modulo 2^64 |
//! | `tail` | consumer | bytes ever taken out |
//! | `bytes[i & (N - 1)]` | producer if `tail + N > i >= head`, else read by the consumer | byte number `i` |
//!
//! 1. `tail <= head <= tail + N`: each side moves only its own word, and only as far as the other's allows.
//! 2. The two counts run on and are masked at each access, so full (`head - tail == N`) and empty (equal) differ without a spare slot.
//!
//! # Memory ordering
//! - `head`: the producer's Release store pairs with the consumer's Acquire load: whoever sees the count sees the bytes.
//! - `tail`: the consumer's Release store pairs with the producer's Acquire load: a slot is written again only after it was read.
//! - Each side reads its own word Relaxed: nobody else writes it.
//! - `producer_taken`, `consumer_taken`: Acquire when taken, Release when given back, so that one user's progress is the next one's start.
//!
//! Neighbours: `drivers::pl011` and the console. Loom checks the orderings (`RUSTFLAGS="--cfg loom" cargo test --lib ring`), and a
//! twin with a relaxed `head` that it must reject.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicUsize};
#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicUsize};

use core::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// A value with a cache line of its own (64 bytes on the Cortex-A72), so that the two sides do not steal each other's.
#[repr(align(64))]
struct Line<T>(T);

/// A ring of `N` bytes; `N` is a power of two.
///
/// # Examples
/// ```
/// use tetra::util::ring::ByteRing;
///
/// static INPUT: ByteRing<16> = ByteRing::new();
/// let mut producer = INPUT.producer().expect("the first one");
/// let mut consumer = INPUT.consumer().expect("the first one");
/// assert!(INPUT.producer().is_none());
/// assert_eq!(producer.push_slice(b"help\r"), 5);
/// assert_eq!(consumer.pop(), Some(b'h'));
/// ```
pub struct ByteRing<const N: usize> {
    head: Line<AtomicUsize>,
    tail: Line<AtomicUsize>,
    producer_taken: AtomicBool,
    consumer_taken: AtomicBool,
    bytes: [UnsafeCell<u8>; N],
}

// SAFETY: a byte is written only through the one `Producer` and read only through the one `Consumer`, and the orderings above keep the two
// from touching the same byte at a time.
unsafe impl<const N: usize> Sync for ByteRing<N> {}

impl<const N: usize> ByteRing<N> {
    /// An empty ring.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring's size is a power of two") };
        Self {
            head: Line(AtomicUsize::new(0)),
            tail: Line(AtomicUsize::new(0)),
            producer_taken: AtomicBool::new(false),
            consumer_taken: AtomicBool::new(false),
            bytes: [const { UnsafeCell::new(0) }; N],
        }
    }

    /// An empty ring; loom's cells cannot be made in a constant.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: Line(AtomicUsize::new(0)),
            tail: Line(AtomicUsize::new(0)),
            producer_taken: AtomicBool::new(false),
            consumer_taken: AtomicBool::new(false),
            bytes: core::array::from_fn(|_| UnsafeCell::new(0)),
        }
    }

    /// Takes the writing end, or `None` while somebody has it.
    ///
    /// Context: any, once exclusives work (MMU on); typically at initialization. The end itself may be moved to an interrupt handler.
    pub fn producer(&self) -> Option<Producer<'_, N>> {
        self.producer_taken.compare_exchange(false, true, Acquire, Relaxed).ok()?;
        Some(Producer { ring: self })
    }

    /// Takes the reading end, or `None` while somebody has it.
    ///
    /// Context: as [`ByteRing::producer`].
    pub fn consumer(&self) -> Option<Consumer<'_, N>> {
        self.consumer_taken.compare_exchange(false, true, Acquire, Relaxed).ok()?;
        Some(Consumer { ring: self })
    }

    /// How many bytes wait. A snapshot: for a side that acts on it, only its own end makes it exact.
    ///
    /// Context: any.
    #[must_use]
    pub fn len(&self) -> usize {
        // The consumer's count first: it can only grow, so the difference cannot be negative.
        let tail = self.tail.0.load(Acquire);
        self.head.0.load(Acquire).wrapping_sub(tail).min(N)
    }

    /// Whether no byte waits; a snapshot as [`ByteRing::len`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes fit.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N
    }

    fn slot(&self, count: usize) -> &UnsafeCell<u8> {
        &self.bytes[count & (N - 1)]
    }

    #[cfg(not(loom))]
    fn write(&self, count: usize, byte: u8) {
        // SAFETY: called by the one producer, for a slot that the consumer has given back (invariant 1).
        unsafe { self.slot(count).get().write(byte) }
    }

    #[cfg(loom)]
    fn write(&self, count: usize, byte: u8) {
        self.slot(count).with_mut(|slot| {
            // SAFETY: as without loom, which here checks it.
            unsafe { slot.write(byte) }
        });
    }

    #[cfg(not(loom))]
    fn read(&self, count: usize) -> u8 {
        // SAFETY: called by the one consumer, for a byte that the producer has published (invariant 1).
        unsafe { self.slot(count).get().read() }
    }

    #[cfg(loom)]
    fn read(&self, count: usize) -> u8 {
        self.slot(count).with(|slot| {
            // SAFETY: as without loom, which here checks it.
            unsafe { slot.read() }
        })
    }
}

impl<const N: usize> Default for ByteRing<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The writing end of a ring. It may move between threads and handlers, but only one has it.
pub struct Producer<'a, const N: usize> {
    ring: &'a ByteRing<N>,
}

impl<const N: usize> Producer<'_, N> {
    /// Puts one byte in.
    ///
    /// Context: any; never waits.
    ///
    /// # Errors
    /// The byte itself, if the ring is full.
    #[inline]
    pub fn push(&mut self, byte: u8) -> Result<(), u8> {
        if self.push_slice(&[byte]) == 1 { Ok(()) } else { Err(byte) }
    }

    /// Puts as many bytes in as fit, and says how many. They become visible together.
    ///
    /// Context: any; never waits.
    pub fn push_slice(&mut self, bytes: &[u8]) -> usize {
        self.push_published(bytes, Release)
    }

    /// `push_slice` with the ordering that publishes; every one but `Release` is wrong, which loom must find.
    fn push_published(&mut self, bytes: &[u8], publish: Ordering) -> usize {
        let head = self.ring.head.0.load(Relaxed);
        let room = N - head.wrapping_sub(self.ring.tail.0.load(Acquire));
        let fits = bytes.len().min(room);
        for (offset, &byte) in bytes[..fits].iter().enumerate() {
            self.ring.write(head.wrapping_add(offset), byte);
        }
        self.ring.head.0.store(head.wrapping_add(fits), publish);
        fits
    }

    /// How many bytes fit now. The consumer can only make it more.
    #[must_use]
    pub fn room(&self) -> usize {
        N - self.ring.len()
    }
}

impl<const N: usize> Drop for Producer<'_, N> {
    fn drop(&mut self) {
        self.ring.producer_taken.store(false, Release);
    }
}

/// The reading end of a ring. It may move between threads and handlers, but only one has it.
pub struct Consumer<'a, const N: usize> {
    ring: &'a ByteRing<N>,
}

impl<const N: usize> Consumer<'_, N> {
    /// Takes the oldest byte out.
    ///
    /// Context: any; never waits.
    #[inline]
    pub fn pop(&mut self) -> Option<u8> {
        let mut byte = [0];
        (self.pop_slice(&mut byte) == 1).then_some(byte[0])
    }

    /// Takes out as many bytes as there are and `into` has room for, oldest first, and says how many.
    ///
    /// Context: any; never waits.
    pub fn pop_slice(&mut self, into: &mut [u8]) -> usize {
        let tail = self.ring.tail.0.load(Relaxed);
        let there = self.ring.head.0.load(Acquire).wrapping_sub(tail);
        let taken = into.len().min(there);
        for (offset, byte) in into[..taken].iter_mut().enumerate() {
            *byte = self.ring.read(tail.wrapping_add(offset));
        }
        self.ring.tail.0.store(tail.wrapping_add(taken), Release);
        taken
    }

    /// Drops all bytes that wait, and says how many.
    ///
    /// Context: any; never waits.
    pub fn clear(&mut self) -> usize {
        let tail = self.ring.tail.0.load(Relaxed);
        let head = self.ring.head.0.load(Acquire);
        self.ring.tail.0.store(head, Release);
        head.wrapping_sub(tail)
    }

    /// Whether no byte waits. The producer can only end that.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

impl<const N: usize> Drop for Consumer<'_, N> {
    fn drop(&mut self) {
        self.ring.consumer_taken.store(false, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
