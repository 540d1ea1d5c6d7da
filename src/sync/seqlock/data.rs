//! Data that may be read while it is written: stored and copied as relaxed atomic words.
//!
//! Two plain accesses of which one is a store, with no order between them, are undefined behaviour, whatever the reader then does with the
//! value. Relaxed atomics are not; they compile to the same LDR and STR. The word is the largest that divides the type's size and alignment,
//! and the same on both sides, so no access is of mixed size.
//!
//! Padding has no value that an atomic could load, and an integer that was a pointer has lost what it may point to; so the data must be numbers
//! without gaps. `seq_data!` checks that at compile time.

use crate::sync::atomic::{Atomic, Value};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

/// Data that can be copied by words.
///
/// # Safety
/// Every byte of a value is initialized (no padding), and its bytes alone make the value (no pointers or references).
pub unsafe trait SeqData: Copy + Send + 'static {}

macro_rules! numbers {
    ($($number:ty),+) => {
        // SAFETY: a number has no padding and is its bytes.
        $(unsafe impl SeqData for $number {})+
    };
}

numbers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char);

// SAFETY: elements of an array lie without gaps.
unsafe impl<T: SeqData, const N: usize> SeqData for [T; N] {}

/// Declares a `Copy` struct of numbers as data for a `SeqLock`. Does not compile if there are gaps between its fields.
#[macro_export]
macro_rules! __seq_data {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $type),+ }

        const _: () = {
            const fn is_seq_data<T: $crate::sync::SeqData>() -> usize {
                size_of::<T>()
            }
            assert!(size_of::<$name>() == 0 $(+ is_seq_data::<$type>())+, "there is a gap between the fields: order them by size or fill it");
        };
        // SAFETY: each field is such data, and their sizes add up to the whole, so there is no gap.
        unsafe impl $crate::sync::SeqData for $name {}
    )+};
}

/// What a reader has copied: perhaps a value, perhaps parts of several.
#[derive(Clone, Copy)]
pub struct Copied<T: SeqData>(MaybeUninit<T>);

impl<T: SeqData> Copied<T> {
    /// The value.
    ///
    /// # Safety
    /// All words are those of one value that was stored.
    #[inline(always)]
    pub(super) unsafe fn assume_whole(self) -> T {
        // SAFETY: by the contract of this function.
        unsafe { self.0.assume_init() }
    }
}

/// A value in memory that cores may copy and store at the same time.
///
/// # Invariants
/// Once shared, accessed by atomic words only.
pub(super) struct SharedData<T: SeqData>(UnsafeCell<T>);

// SAFETY: all access is atomic; `T: Send` lets the value go to another core.
unsafe impl<T: SeqData> Sync for SharedData<T> {}

/// Bytes of the word by which a `T` is copied.
const fn word_size<T>() -> usize {
    let whole = size_of::<T>() | align_of::<T>() | 8;
    1 << whole.trailing_zeros()
}

impl<T: SeqData> SharedData<T> {
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Copies the value word by word. Orders nothing.
    #[inline(always)]
    pub fn copy(&self) -> Copied<T> {
        let mut copied = MaybeUninit::<T>::uninit();
        match word_size::<T>() {
            8 => self.load_words::<u64>(&mut copied),
            4 => self.load_words::<u32>(&mut copied),
            2 => self.load_words::<u16>(&mut copied),
            _ => self.load_words::<u8>(&mut copied),
        }
        Copied(copied)
    }

    /// Stores a value word by word. Orders nothing; two stores at once mix.
    #[inline(always)]
    pub fn store(&self, value: T) {
        match word_size::<T>() {
            8 => self.store_words::<u64>(&value),
            4 => self.store_words::<u32>(&value),
            2 => self.store_words::<u16>(&value),
            _ => self.store_words::<u8>(&value),
        }
    }

    #[inline(always)]
    fn load_words<W: Value>(&self, copied: &mut MaybeUninit<T>) {
        let to = copied.as_mut_ptr().cast::<W>();
        for (at, word) in self.words::<W>().iter().enumerate() {
            // SAFETY: `words` has as many words as `T` has room for.
            let place = unsafe { to.add(at) };
            // SAFETY: in `copied`, at `T`'s alignment, which is `W`'s or more.
            unsafe { place.write(word.read()) };
        }
    }

    #[inline(always)]
    fn store_words<W: Value>(&self, value: &T) {
        let from = (&raw const *value).cast::<W>();
        for (at, word) in self.words::<W>().iter().enumerate() {
            // SAFETY: as in `load_words`.
            let place = unsafe { from.add(at) };
            // SAFETY: as in `load_words`; every byte of a `SeqData` is initialized.
            word.set(unsafe { place.read() });
        }
    }

    /// The value as atomic words.
    #[cfg(not(loom))]
    #[inline(always)]
    fn words<W: Value>(&self) -> &[Atomic<W>] {
        const { assert!(size_of::<Atomic<W>>() == size_of::<W>()) };

        // SAFETY: `W` divides the size and the alignment of `T` (`word_size`), an atomic is laid out as its value, and by the type's invariant the
        // memory is accessed through such atomics only.
        unsafe { core::slice::from_raw_parts(self.0.get().cast(), size_of::<T>() / size_of::<W>()) }
    }

    /// Under loom an atomic is more than its value: models bring atomic fields of their own, to a `SeqCount`.
    #[cfg(loom)]
    fn words<W: Value>(&self) -> &[Atomic<W>] {
        panic!("data in place cannot be modelled: use a SeqCount over atomic fields")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_word_divides_size_and_alignment() {
        assert_eq!(word_size::<[u64; 3]>(), 8);
        assert_eq!(word_size::<[u32; 2]>(), 4);
        assert_eq!(word_size::<[u16; 3]>(), 2);
        assert_eq!(word_size::<[u8; 5]>(), 1);
        assert_eq!(word_size::<u128>(), 8);
        assert_eq!(word_size::<[u64; 0]>(), 8);
    }

    #[test]
    fn values_of_every_width_survive() {
        fn round_trip<T: SeqData + PartialEq + core::fmt::Debug>(first: T, second: T) {
            let shared = SharedData::new(first);
            // SAFETY: nobody stores meanwhile.
            assert_eq!(unsafe { shared.copy().assume_whole() }, first);
            shared.store(second);
            // SAFETY: as above.
            assert_eq!(unsafe { shared.copy().assume_whole() }, second);
        }
        round_trip([1_u8, 2, 3, 4, 5], [9; 5]);
        round_trip([1_u16, 2, 3], [u16::MAX; 3]);
        round_trip('a', '\u{10ffff}');
        round_trip(u128::MAX, 1 << 77);
        round_trip([true, false], [false, true]);
        round_trip([0_u64; 9], [u64::MAX; 9]);
    }
}
