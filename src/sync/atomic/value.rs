//! What can be atomic: numbers, `bool` and raw pointers, each seen as an unsigned word of its size.

use crate::arch::atomic::Word;

/// A type that the architecture can load, store and exchange in one piece.
///
/// # Safety
/// `Self` has the size, the alignment and no padding of `Word`, and every word that [`Value::to_word`] yields is the bytes of that value.
pub unsafe trait Value: Copy {
    /// The unsigned integer of the same size.
    type Word: Word;

    /// The value's bytes as a word.
    fn to_word(self) -> Self::Word;

    /// The value whose bytes `word` has. `word` came from a value, or from [`Bits`] operations on such words.
    fn from_word(word: Self::Word) -> Self;
}

/// A [`Value`] whose words are closed under and, or, xor and and-not: integers and `bool`.
pub trait Bits: Value {}

/// An integer; arithmetic on its word, wrapping, is arithmetic on it.
pub trait Int: Bits + Eq {
    /// Zero.
    const ZERO: Self;
    /// Whether the top bit is a sign.
    const IS_SIGNED: bool;
}

/// An integer with a sign.
pub trait SignedInt: Int {
    /// Whether it is below zero.
    fn is_negative(self) -> bool;
}

/// Implements the traits for an integer type by its unsigned word.
macro_rules! impl_int {
    ($($int:ident as $word:ident, signed: $is_signed:literal;)+) => {
        $(
            // SAFETY: The two integer types differ in the meaning of the top bit only.
            unsafe impl Value for $int {
                type Word = $word;

                #[inline(always)]
                fn to_word(self) -> $word {
                    self as $word
                }

                #[inline(always)]
                fn from_word(word: $word) -> Self {
                    word as Self
                }
            }

            impl Bits for $int {}

            impl Int for $int {
                const ZERO: Self = 0;
                const IS_SIGNED: bool = $is_signed;
            }
        )+
    };
}

impl_int! {
    u8 as u8, signed: false;
    u16 as u16, signed: false;
    u32 as u32, signed: false;
    u64 as u64, signed: false;
    usize as u64, signed: false;
    i8 as u8, signed: true;
    i16 as u16, signed: true;
    i32 as u32, signed: true;
    i64 as u64, signed: true;
    isize as u64, signed: true;
}

/// Implements [`SignedInt`].
macro_rules! impl_signed {
    ($($int:ident)+) => {
        $(
            impl SignedInt for $int {
                #[inline(always)]
                fn is_negative(self) -> bool {
                    self < 0
                }
            }
        )+
    };
}

impl_signed!(i8 i16 i32 i64 isize);

// SAFETY: `bool` is one byte, 0 or 1.
unsafe impl Value for bool {
    type Word = u8;

    #[inline(always)]
    fn to_word(self) -> u8 {
        u8::from(self)
    }

    #[inline(always)]
    fn from_word(word: u8) -> Self {
        word & 1 != 0
    }
}

impl Bits for bool {}

// SAFETY: A thin raw pointer is an address of 64 bits. Its provenance is exposed on the way in and taken up again on the way out, so it may
// be dereferenced after a round trip wherever the original might.
unsafe impl<T> Value for *mut T {
    type Word = u64;

    #[inline(always)]
    fn to_word(self) -> u64 {
        self.expose_provenance() as u64
    }

    #[inline(always)]
    fn from_word(word: u64) -> Self {
        core::ptr::with_exposed_provenance_mut(word as usize)
    }
}

// SAFETY: As for `*mut T`.
unsafe impl<T> Value for *const T {
    type Word = u64;

    #[inline(always)]
    fn to_word(self) -> u64 {
        self.expose_provenance() as u64
    }

    #[inline(always)]
    fn from_word(word: u64) -> Self {
        core::ptr::with_exposed_provenance(word as usize)
    }
}
