//! Bit logic on atomic integers and flags.

use super::{Atomic, Bits};
use crate::arch::atomic::{Order, Word};

impl<T: Bits> Atomic<T> {
    unordered! {
        /// Keeps only the bits that `operand` has.
        #[doc(alias = "atomic_and")]
        and(self, operand: T) = T::Word::and(self.cell(), operand.to_word(), Order::Relaxed);
        example 0b1011: "value.and(0b0110);" "assert_eq!(value.read(), 0b0010);";

        /// Clears the bits that `operand` has.
        #[doc(alias = "atomic_andnot")]
        andnot(self, operand: T) = T::Word::andnot(self.cell(), operand.to_word(), Order::Relaxed);
        example 0b1011: "value.andnot(0b0110);" "assert_eq!(value.read(), 0b1001);";

        /// Sets the bits that `operand` has.
        #[doc(alias = "atomic_or")]
        or(self, operand: T) = T::Word::or(self.cell(), operand.to_word(), Order::Relaxed);
        example 0b1011: "value.or(0b0110);" "assert_eq!(value.read(), 0b1111);";

        /// Flips the bits that `operand` has.
        #[doc(alias = "atomic_xor")]
        xor(self, operand: T) = T::Word::xor(self.cell(), operand.to_word(), Order::Relaxed);
        example 0b1011: "value.xor(0b0110);" "assert_eq!(value.read(), 0b1101);";
    }

    ordered! {
        /// Keeps only the bits that `operand` has, returns the value before.
        #[doc(alias = "atomic_fetch_and")]
        fetch_and, fetch_and_relaxed, fetch_and_acquire, fetch_and_release(self, operand: T) -> T =
            |order| T::from_word(T::Word::and(self.cell(), operand.to_word(), order).old);
        example 0b1011: "assert_eq!((value.fetch_and(0b0110), value.read()), (0b1011, 0b0010));";

        /// Clears the bits that `operand` has, returns the value before.
        #[doc(alias = "atomic_fetch_andnot")]
        fetch_andnot, fetch_andnot_relaxed, fetch_andnot_acquire, fetch_andnot_release(self, operand: T) -> T =
            |order| T::from_word(T::Word::andnot(self.cell(), operand.to_word(), order).old);
        example 0b1011: "assert_eq!((value.fetch_andnot(0b0110), value.read()), (0b1011, 0b1001));";

        /// Sets the bits that `operand` has, returns the value before.
        #[doc(alias = "atomic_fetch_or")]
        fetch_or, fetch_or_relaxed, fetch_or_acquire, fetch_or_release(self, operand: T) -> T =
            |order| T::from_word(T::Word::or(self.cell(), operand.to_word(), order).old);
        example 0b1011: "assert_eq!((value.fetch_or(0b0110), value.read()), (0b1011, 0b1111));";

        /// Flips the bits that `operand` has, returns the value before.
        #[doc(alias = "atomic_fetch_xor")]
        fetch_xor, fetch_xor_relaxed, fetch_xor_acquire, fetch_xor_release(self, operand: T) -> T =
            |order| T::from_word(T::Word::xor(self.cell(), operand.to_word(), order).old);
        example 0b1011: "assert_eq!((value.fetch_xor(0b0110), value.read()), (0b1011, 0b1101));";
    }
}
