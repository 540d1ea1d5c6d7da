//! Bit maps in plain `u64` words: bit `nr` is bit `nr % 64` of word `nr / 64`.
//!
//! These are the non-atomic operations (Linux's `__set_bit` and so on): whoever holds `&mut` is alone. Maps that several cores change at
//! once are
//! `sync::bitops`, with the same numbering. The searches are here once, over any way to fetch a word, and serve both.
//!
//! A bit outside the map is a bug of the caller: it panics with the number and the place, in every build, and never touches a neighbour.
//! For a constant number in a map of constant size the check is gone after compilation.

/// Bits in a word of a map.
pub const WORD_BITS: usize = u64::BITS as usize;

/// Words that a map of `nr_bits` bits needs.
#[doc(alias = "BITS_TO_LONGS")]
pub const fn words_for(nr_bits: usize) -> usize {
    nr_bits.div_ceil(WORD_BITS)
}

/// The word in which bit `nr` lies and the mask that selects it.
#[doc(alias("BIT_WORD", "BIT_MASK"))]
#[inline(always)]
pub const fn locate(nr: usize) -> (usize, u64) {
    (nr / WORD_BITS, 1 << (nr % WORD_BITS))
}

/// Reports a bit outside a map, at the place of the call.
///
/// # Panics
/// Always.
#[cold]
#[inline(never)]
#[track_caller]
pub fn out_of_range(nr: usize, nr_words: usize) -> ! {
    panic!("bit {nr} is outside the map of {} bits", nr_words * WORD_BITS);
}

/// The bit operations of a map that is owned alone.
pub trait BitmapExt {
    /// The words, to read.
    fn words(&self) -> &[u64];
    /// The words, to change.
    fn words_mut(&mut self) -> &mut [u64];

    /// The word of bit `nr` and its mask.
    ///
    /// # Panics
    /// If the bit is outside the map. (So for all that follow.)
    #[inline(always)]
    #[track_caller]
    fn bit_mut(&mut self, nr: usize) -> (&mut u64, u64) {
        let (index, mask) = locate(nr);
        let words = self.words_mut();
        let nr_words = words.len();
        match words.get_mut(index) {
            Some(word) => (word, mask),
            None => out_of_range(nr, nr_words),
        }
    }

    /// Whether bit `nr` is set.
    #[inline(always)]
    #[track_caller]
    fn test_bit(&self, nr: usize) -> bool {
        let (index, mask) = locate(nr);
        match self.words().get(index) {
            Some(word) => word & mask != 0,
            None => out_of_range(nr, self.words().len()),
        }
    }

    /// Sets bit `nr`.
    #[doc(alias = "__set_bit")]
    #[inline(always)]
    #[track_caller]
    fn set_bit(&mut self, nr: usize) {
        let (word, mask) = self.bit_mut(nr);
        *word |= mask;
    }

    /// Clears bit `nr`.
    #[doc(alias = "__clear_bit")]
    #[inline(always)]
    #[track_caller]
    fn clear_bit(&mut self, nr: usize) {
        let (word, mask) = self.bit_mut(nr);
        *word &= !mask;
    }

    /// Flips bit `nr`.
    #[doc(alias = "__change_bit")]
    #[inline(always)]
    #[track_caller]
    fn change_bit(&mut self, nr: usize) {
        let (word, mask) = self.bit_mut(nr);
        *word ^= mask;
    }

    /// Sets bit `nr`, tells whether it was set before.
    #[doc(alias = "__test_and_set_bit")]
    #[inline(always)]
    #[track_caller]
    fn test_and_set_bit(&mut self, nr: usize) -> bool {
        let (word, mask) = self.bit_mut(nr);
        let was_set = *word & mask != 0;
        *word |= mask;
        was_set
    }

    /// Clears bit `nr`, tells whether it was set before.
    #[doc(alias = "__test_and_clear_bit")]
    #[inline(always)]
    #[track_caller]
    fn test_and_clear_bit(&mut self, nr: usize) -> bool {
        let (word, mask) = self.bit_mut(nr);
        let was_set = *word & mask != 0;
        *word &= !mask;
        was_set
    }

    /// Flips bit `nr`, tells whether it was set before.
    #[doc(alias = "__test_and_change_bit")]
    #[inline(always)]
    #[track_caller]
    fn test_and_change_bit(&mut self, nr: usize) -> bool {
        let (word, mask) = self.bit_mut(nr);
        let was_set = *word & mask != 0;
        *word ^= mask;
        was_set
    }

    /// The first set bit below `size`.
    fn find_first_bit(&self, size: usize) -> Option<usize> {
        self.find_next_bit(size, 0)
    }

    /// The first clear bit below `size`.
    fn find_first_zero_bit(&self, size: usize) -> Option<usize> {
        self.find_next_zero_bit(size, 0)
    }

    /// The first set bit from `start` on, below `size`. (Linux returns `size` where this is `None`.)
    #[track_caller]
    fn find_next_bit(&self, size: usize, start: usize) -> Option<usize> {
        let words = self.words();
        find_next(words.len(), size, start, |index| words[index])
    }

    /// The first clear bit from `start` on, below `size`.
    #[track_caller]
    fn find_next_zero_bit(&self, size: usize, start: usize) -> Option<usize> {
        let words = self.words();
        find_next(words.len(), size, start, |index| !words[index])
    }

    /// How many of the bits below `size` are set.
    #[doc(alias("bitmap_weight", "hweight_long"))]
    #[track_caller]
    fn weight(&self, size: usize) -> usize {
        let words = self.words();
        weight(words.len(), size, |index| words[index])
    }

    /// The set bits below `size`, ascending.
    #[doc(alias = "for_each_set_bit")]
    #[track_caller]
    fn set_bits(&self, size: usize) -> impl Iterator<Item = usize> {
        let words = self.words();
        set_bits(words.len(), size, |index| words[index])
    }
}

impl BitmapExt for [u64] {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl<const WORDS: usize> BitmapExt for [u64; WORDS] {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl BitmapExt for u64 {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        core::slice::from_ref(self)
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        core::slice::from_mut(self)
    }
}

/// The first set bit from `start` on, below `size`, in the words that `word` yields.
///
/// # Panics
/// If `size` is more than the map has.
#[track_caller]
pub fn find_next(nr_words: usize, size: usize, start: usize, word: impl Fn(usize) -> u64) -> Option<usize> {
    check_size(nr_words, size);
    if start >= size {
        return None;
    }

    let mut index = start / WORD_BITS;
    let mut rest = word(index) & (u64::MAX << (start % WORD_BITS));
    while rest == 0 {
        index += 1;
        if index * WORD_BITS >= size {
            return None;
        }
        rest = word(index);
    }

    let nr = index * WORD_BITS + rest.trailing_zeros() as usize;
    (nr < size).then_some(nr)
}

/// How many bits below `size` are set in the words that `word` yields.
///
/// # Panics
/// If `size` is more than the map has.
#[track_caller]
pub fn weight(nr_words: usize, size: usize, word: impl Fn(usize) -> u64) -> usize {
    check_size(nr_words, size);
    let (whole, last) = (size / WORD_BITS, size % WORD_BITS);
    let mut sum = (0..whole).map(|index| word(index).count_ones()).sum::<u32>();
    if last != 0 {
        sum += (word(whole) & !(u64::MAX << last)).count_ones();
    }
    sum as usize
}

/// The set bits below `size` of the words that `word` yields, ascending.
///
/// # Panics
/// If `size` is more than the map has.
#[track_caller]
pub fn set_bits(nr_words: usize, size: usize, word: impl Fn(usize) -> u64) -> impl Iterator<Item = usize> {
    check_size(nr_words, size);
    let mut start = 0;
    core::iter::from_fn(move || {
        let nr = find_next(nr_words, size, start, &word)?;
        start = nr + 1;
        Some(nr)
    })
}

/// Refuses a search beyond the map.
#[track_caller]
fn check_size(nr_words: usize, size: usize) {
    if size > nr_words * WORD_BITS {
        out_of_range(size - 1, nr_words);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
