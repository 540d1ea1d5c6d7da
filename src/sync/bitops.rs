//! Bit operations on maps that all cores share: words of [`AtomicU64`], each bit changed indivisibly.
//!
//! [`BitOps`] is on an `AtomicU64`, on arrays and slices of them, and on [`Bitmap`]; numbers and searches are as in
//! [`crate::util::bitmap`], which has the same operations for maps that one owner has alone (Linux's `__` forms, through `&mut`).
//!
//! | Linux | here | order |
//! |---|---|---|
//! | `set_bit clear_bit change_bit test_bit` | same | none |
//! | `test_and_set_bit test_and_clear_bit test_and_change_bit` | same | full barrier, whatever the bit was |
//! | `test_and_set_bit_lock` | same | acquire, if it was clear |
//! | `clear_bit_unlock` | same | release |
//! | `__clear_bit_unlock` | `nonatomic_clear_bit_unlock` | release |
//! | `test_bit_acquire` | same | acquire |
//! | `__set_bit __clear_bit __change_bit`, one writer, others read | `nonatomic_set_bit` ... | none |
//! | `__set_bit ...`, nobody else looks | [`crate::util::bitmap::BitmapExt`] on [`Bitmap::get_mut`] | none |
//! | `__test_and_set_bit ...` | `nonatomic_test_and_set_bit` ..., or as above | none |
//! | `find_first_bit find_next_bit find_first_zero_bit find_next_zero_bit` | same, `None` for "no such bit" | none |
//!
//! A search of a map that others change is a hint: each word is read once, at a moment of its own.
//!
//! # Examples
//! ```
//! use tetra::sync::bitops::{BitOps, Bitmap};
//!
//! static BUSY: Bitmap<2> = Bitmap::new();
//! BUSY.set_bit(3);
//! assert!(!BUSY.test_and_set_bit(100));
//! assert_eq!(BUSY.find_next_bit(128, 4), Some(100));
//! assert_eq!(BUSY.set_bits(128).collect::<Vec<_>>(), [3, 100]);
//! ```

use crate::sync::atomic::AtomicU64;
use crate::util::bitmap::{self, locate, out_of_range};

/// Bits of words that all cores share.
///
/// Context: any, for every operation.
pub trait BitOps {
    /// The words: bit `nr` is bit `nr % 64` of word `nr / 64`.
    fn words(&self) -> &[AtomicU64];

    /// The word of bit `nr` and its mask.
    ///
    /// # Panics
    /// If the bit is outside the map, at the caller's place. (So for all that follow.)
    #[inline(always)]
    #[track_caller]
    fn bit(&self, nr: usize) -> (&AtomicU64, u64) {
        let (index, mask) = locate(nr);
        match self.words().get(index) {
            Some(word) => (word, mask),
            None => out_of_range(nr, self.words().len()),
        }
    }

    /// Sets bit `nr`. Orders nothing.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0);
    /// map.set_bit(3);
    /// assert_eq!(map.read(), 0b1000);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn set_bit(&self, nr: usize) {
        let (word, mask) = self.bit(nr);
        word.or(mask);
    }

    /// Clears bit `nr`. Orders nothing.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1010);
    /// map.clear_bit(3);
    /// assert_eq!(map.read(), 0b0010);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn clear_bit(&self, nr: usize) {
        let (word, mask) = self.bit(nr);
        word.andnot(mask);
    }

    /// Flips bit `nr`. Orders nothing.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1010);
    /// map.change_bit(0);
    /// assert_eq!(map.read(), 0b1011);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn change_bit(&self, nr: usize) {
        let (word, mask) = self.bit(nr);
        word.xor(mask);
    }

    /// Whether bit `nr` is set. Orders nothing.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1010);
    /// assert!(map.test_bit(3) && !map.test_bit(2));
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.read() & mask != 0
    }

    /// Whether bit `nr` is set; what follows comes after.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let ready = AtomicU64::new(0b1010);
    /// assert!(ready.test_bit_acquire(3)); // what was written before the bit's release is seen from here on
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_bit_acquire(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.load_acquire() & mask != 0
    }

    /// Sets bit `nr`, tells whether it was set before. Full barrier, also if it was.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0);
    /// assert!(!map.test_and_set_bit(3)); // it was clear: this caller has set it
    /// assert!(map.test_and_set_bit(3));
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_and_set_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.fetch_or(mask) & mask != 0
    }

    /// Clears bit `nr`, tells whether it was set before. Full barrier, also if it was not.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let pending = AtomicU64::new(0b1000);
    /// assert!(pending.test_and_clear_bit(3)); // of all who look, one sees it set
    /// assert!(!pending.test_and_clear_bit(3));
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_and_clear_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.fetch_andnot(mask) & mask != 0
    }

    /// Flips bit `nr`, tells whether it was set before. Full barrier.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1000);
    /// assert!(map.test_and_change_bit(3));
    /// assert_eq!(map.read(), 0);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_and_change_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.fetch_xor(mask) & mask != 0
    }

    /// Takes bit `nr` as a lock: sets it, tells whether another had it. Acquire if it was clear, no order if it was set.
    ///
    /// Looks before it writes, so that waiting does not pull the line from the owner.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let locks = AtomicU64::new(0);
    /// assert!(!locks.test_and_set_bit_lock(3)); // taken
    /// assert!(locks.test_and_set_bit_lock(3)); // another has it
    /// locks.clear_bit_unlock(3);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn test_and_set_bit_lock(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        word.read() & mask != 0 || word.fetch_or_acquire(mask) & mask != 0
    }

    /// Gives up bit `nr` taken by [`Self::test_and_set_bit_lock`]: clears it with release order.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let locks = AtomicU64::new(0b1001);
    /// locks.clear_bit_unlock(3);
    /// assert_eq!(locks.read(), 0b0001);
    /// ```
    #[inline(always)]
    #[track_caller]
    fn clear_bit_unlock(&self, nr: usize) {
        let (word, mask) = self.bit(nr);
        word.fetch_andnot_release(mask);
    }

    /// [`Self::clear_bit_unlock`] by a plain store, where nobody else changes the word while the bit is held.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let locks = AtomicU64::new(0b1001);
    /// locks.nonatomic_clear_bit_unlock(3);
    /// assert_eq!(locks.read(), 0b0001);
    /// ```
    #[doc(alias = "__clear_bit_unlock")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_clear_bit_unlock(&self, nr: usize) {
        let (word, mask) = self.bit(nr);
        word.store_release(word.read() & !mask);
    }

    /// Sets bit `nr` by a load and a store: the caller is the only one who changes this word, others may read it.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0);
    /// map.nonatomic_set_bit(3);
    /// assert_eq!(map.read(), 0b1000);
    /// ```
    #[doc(alias = "__set_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_set_bit(&self, nr: usize) {
        self.nonatomic_test_and_set_bit(nr);
    }

    /// Clears bit `nr`, on the terms of [`Self::nonatomic_set_bit`].
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1010);
    /// map.nonatomic_clear_bit(3);
    /// assert_eq!(map.read(), 0b0010);
    /// ```
    #[doc(alias = "__clear_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_clear_bit(&self, nr: usize) {
        self.nonatomic_test_and_clear_bit(nr);
    }

    /// Flips bit `nr`, on the terms of [`Self::nonatomic_set_bit`].
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1010);
    /// map.nonatomic_change_bit(0);
    /// assert_eq!(map.read(), 0b1011);
    /// ```
    #[doc(alias = "__change_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_change_bit(&self, nr: usize) {
        self.nonatomic_test_and_change_bit(nr);
    }

    /// Sets bit `nr`, tells whether it was set before, on the terms of [`Self::nonatomic_set_bit`].
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0);
    /// assert_eq!((map.nonatomic_test_and_set_bit(3), map.read()), (false, 0b1000));
    /// ```
    #[doc(alias = "__test_and_set_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_test_and_set_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        let old = word.read();
        word.set(old | mask);
        old & mask != 0
    }

    /// Clears bit `nr`, tells whether it was set before, on the terms of [`Self::nonatomic_set_bit`].
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1000);
    /// assert_eq!((map.nonatomic_test_and_clear_bit(3), map.read()), (true, 0));
    /// ```
    #[doc(alias = "__test_and_clear_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_test_and_clear_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        let old = word.read();
        word.set(old & !mask);
        old & mask != 0
    }

    /// Flips bit `nr`, tells whether it was set before, on the terms of [`Self::nonatomic_set_bit`].
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// let map = AtomicU64::new(0b1000);
    /// assert_eq!((map.nonatomic_test_and_change_bit(0), map.read()), (false, 0b1001));
    /// ```
    #[doc(alias = "__test_and_change_bit")]
    #[inline(always)]
    #[track_caller]
    fn nonatomic_test_and_change_bit(&self, nr: usize) -> bool {
        let (word, mask) = self.bit(nr);
        let old = word.read();
        word.set(old ^ mask);
        old & mask != 0
    }

    /// The first set bit below `size`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert_eq!(AtomicU64::new(0b1010).find_first_bit(64), Some(1));
    /// assert_eq!(AtomicU64::new(0b1000).find_first_bit(3), None); // bit 3 is not below 3
    /// ```
    #[track_caller]
    fn find_first_bit(&self, size: usize) -> Option<usize> {
        self.find_next_bit(size, 0)
    }

    /// The first clear bit below `size`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert_eq!(AtomicU64::new(0b1011).find_first_zero_bit(64), Some(2));
    /// ```
    #[track_caller]
    fn find_first_zero_bit(&self, size: usize) -> Option<usize> {
        self.find_next_zero_bit(size, 0)
    }

    /// The first set bit from `start` on, below `size`. (Linux returns `size` where this is `None`.)
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert_eq!(AtomicU64::new(0b1010).find_next_bit(64, 2), Some(3));
    /// ```
    #[track_caller]
    fn find_next_bit(&self, size: usize, start: usize) -> Option<usize> {
        let words = self.words();
        bitmap::find_next(words.len(), size, start, |index| words[index].read())
    }

    /// The first clear bit from `start` on, below `size`.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert_eq!(AtomicU64::new(0b1011).find_next_zero_bit(64, 3), Some(4));
    /// ```
    #[track_caller]
    fn find_next_zero_bit(&self, size: usize, start: usize) -> Option<usize> {
        let words = self.words();
        bitmap::find_next(words.len(), size, start, |index| !words[index].read())
    }

    /// How many of the bits below `size` are set.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert_eq!(AtomicU64::new(0b1011).weight(64), 3);
    /// assert_eq!(AtomicU64::new(0b1011).weight(2), 2);
    /// ```
    #[doc(alias("bitmap_weight", "hweight_long"))]
    #[track_caller]
    fn weight(&self, size: usize) -> usize {
        let words = self.words();
        bitmap::weight(words.len(), size, |index| words[index].read())
    }

    /// The set bits below `size`, ascending; each word is read as the iteration reaches it.
    ///
    /// # Examples
    /// ```
    /// # use tetra::sync::{atomic::AtomicU64, bitops::BitOps};
    /// assert!(AtomicU64::new(0b1010).set_bits(64).eq([1, 3]));
    /// ```
    #[doc(alias = "for_each_set_bit")]
    #[track_caller]
    fn set_bits(&self, size: usize) -> impl Iterator<Item = usize> {
        let words = self.words();
        bitmap::set_bits(words.len(), size, |index| words[index].read())
    }
}

/// A map of `64 * WORDS` bits that all cores share; [`crate::util::bitmap::words_for`] says how many words a number of bits needs.
#[doc(alias = "DECLARE_BITMAP")]
pub struct Bitmap<const WORDS: usize> {
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Bitmap<WORDS> {
    /// A map with all bits clear.
    pub const fn new() -> Self {
        Self { words: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// The words as plain numbers, for whoever has the map alone.
    #[cfg(not(loom))]
    #[inline(always)]
    pub fn get_mut(&mut self) -> &mut [u64] {
        AtomicU64::get_mut_slice(&mut self.words)
    }
}

impl<const WORDS: usize> Default for Bitmap<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const WORDS: usize> BitOps for Bitmap<WORDS> {
    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        &self.words
    }
}

impl BitOps for [AtomicU64] {
    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        self
    }
}

impl<const WORDS: usize> BitOps for [AtomicU64; WORDS] {
    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        self
    }
}

impl BitOps for AtomicU64 {
    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        core::slice::from_ref(self)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
