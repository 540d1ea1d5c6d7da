//! The slab: which objects of a run of pages are out and which are free, in indices.
//!
//! One bit an object, set while it is out. So an object that comes back twice, or that never was one, is found for sure and in constant time; a list
//! through the free objects, as SLUB has it, has to be walked for that, and breaks where a user writes after free. A word is 64 objects, so a
//! batch is taken with a few instructions.
//!
//! The words lie in the page descriptor if 64 bits are enough, else at the end of the slab (`slab_layout`). No pointer, no lock, no `unsafe` here: the
//! same code runs against a naive model on the host. Neighbours: `kmem_cache` keeps slabs in lists under its lock, per-CPU lists stand before it.
//! Source: J. Bonwick, "The Slab Allocator" (USENIX 1994), for the idea of a slab.

use core::fmt;

/// Objects that one word tells of.
const WORD_BITS: usize = u64::BITS as usize;

/// Why an object cannot come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutError {
    /// No object of this slab begins there.
    NotAnObject,
    /// It is free: it came back twice.
    AlreadyFree,
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "no object begins there",
            Self::AlreadyFree => "object is free already",
        })
    }
}

/// The bits of one slab, opened for a change.
///
/// # Invariants
/// Bits from `nr_objects` on are set, so a word with a clear bit has an object to give.
#[derive(Debug)]
pub struct SlabMap<'a> {
    words: &'a mut [u64],
    nr_objects: usize,
}

/// Word `number` of a map of `nr_objects`, all of them free.
#[inline(always)]
const fn all_free(nr_objects: usize, number: usize) -> u64 {
    let here = nr_objects.saturating_sub(number * WORD_BITS);
    if here >= WORD_BITS { 0 } else { u64::MAX << here }
}

impl<'a> SlabMap<'a> {
    /// Makes the map of a new slab: all objects free.
    ///
    /// # Panics
    /// If `words` has fewer than `nr_objects` bits.
    pub fn format(words: &'a mut [u64], nr_objects: usize) -> Self {
        assert!(nr_objects <= words.len() * WORD_BITS, "{nr_objects} objects in {} words", words.len());
        for (number, word) in words.iter_mut().enumerate() {
            // INVARIANT: bits that stand for no object are set.
            *word = all_free(nr_objects, number);
        }
        Self { words, nr_objects }
    }

    /// Opens the map of a slab of `nr_objects` that `format` made.
    pub fn open(words: &'a mut [u64], nr_objects: usize) -> Self {
        Self { words, nr_objects }
    }

    /// Takes the lowest free object.
    pub fn take(&mut self) -> Option<usize> {
        let mut taken = None;
        self.take_up_to(1, |index| taken = Some(index));
        taken
    }

    /// Takes up to `max` objects, lowest first, and gives each to `give`; says how many.
    #[inline]
    pub fn take_up_to(&mut self, max: usize, mut give: impl FnMut(usize)) -> usize {
        let mut left = max;
        for (number, word) in self.words.iter_mut().enumerate() {
            while *word != u64::MAX && left > 0 {
                let bit = word.trailing_ones() as usize;
                *word |= 1 << bit;
                left -= 1;
                give(number * WORD_BITS + bit);
            }
        }
        max - left
    }

    /// Puts object `index` back.
    ///
    /// # Errors
    /// `PutError`; the slab is unchanged.
    #[inline]
    pub fn put(&mut self, index: usize) -> Result<(), PutError> {
        if index >= self.nr_objects {
            return Err(PutError::NotAnObject);
        }
        let word = self.words.get_mut(index / WORD_BITS).ok_or(PutError::NotAnObject)?;
        let bit = 1 << (index % WORD_BITS);
        if *word & bit == 0 {
            return Err(PutError::AlreadyFree);
        }
        *word &= !bit;
        Ok(())
    }

    /// Object `index` is out.
    pub fn is_taken(&self, index: usize) -> bool {
        index < self.nr_objects && self.words.get(index / WORD_BITS).is_some_and(|word| word >> (index % WORD_BITS) & 1 != 0)
    }

    /// No object is free.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.words.iter().all(|word| *word == u64::MAX)
    }

    /// Objects that are free.
    #[inline]
    pub fn nr_free(&self) -> usize {
        self.words.iter().map(|word| word.count_zeros() as usize).sum()
    }

    /// No object is out.
    #[inline]
    pub fn is_unused(&self) -> bool {
        // Without counting: there is no instruction for that among the general registers.
        self.words.iter().enumerate().all(|(number, word)| *word == all_free(self.nr_objects, number))
    }

    /// The objects that are out, in order.
    pub fn taken(&self) -> impl Iterator<Item = usize> {
        (0..self.nr_objects).filter(|index| self.is_taken(*index))
    }
}

#[cfg(test)]
mod model_test;
