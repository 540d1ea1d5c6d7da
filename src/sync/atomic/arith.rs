//! Arithmetic on atomic integers. All of it wraps.
//!
//! `inc`, `dec` and what is built on them have the constant in the instruction, so they need one register and one instruction less than
//! `add(1)`.

use super::{Atomic, Int, SignedInt, Value};
use crate::arch::atomic::{Change, Order, Word};

/// The value stored.
#[inline(always)]
fn new<T: Value>(change: Change<T::Word>) -> T {
    T::from_word(change.new)
}

/// The value before.
#[inline(always)]
fn old<T: Value>(change: Change<T::Word>) -> T {
    T::from_word(change.old)
}

impl<T: Int> Atomic<T> {
    unordered! {
        /// Adds `operand`.
        #[doc(alias = "atomic_add")]
        add(self, operand: T) = T::Word::add(self.cell(), operand.to_word(), Order::Relaxed);
        example 7: "value.add(3);" "assert_eq!(value.read(), 10);";

        /// Subtracts `operand`.
        #[doc(alias = "atomic_sub")]
        sub(self, operand: T) = T::Word::sub(self.cell(), operand.to_word(), Order::Relaxed);
        example 7: "value.sub(3);" "assert_eq!(value.read(), 4);";

        /// Adds one.
        #[doc(alias = "atomic_inc")]
        inc(self) = T::Word::inc(self.cell(), Order::Relaxed);
        example 7: "value.inc();" "assert_eq!(value.read(), 8);";

        /// Subtracts one.
        #[doc(alias = "atomic_dec")]
        dec(self) = T::Word::dec(self.cell(), Order::Relaxed);
        example 7: "value.dec();" "assert_eq!(value.read(), 6);";
    }

    ordered! {
        /// Adds `operand`, returns the sum.
        #[doc(alias = "atomic_add_return")]
        add_return, add_return_relaxed, add_return_acquire, add_return_release(self, operand: T) -> T =
            |order| new(T::Word::add(self.cell(), operand.to_word(), order));
        example 7: "assert_eq!(value.add_return(3), 10);";

        /// Subtracts `operand`, returns the difference.
        #[doc(alias = "atomic_sub_return")]
        sub_return, sub_return_relaxed, sub_return_acquire, sub_return_release(self, operand: T) -> T =
            |order| new(T::Word::sub(self.cell(), operand.to_word(), order));
        example 7: "assert_eq!(value.sub_return(3), 4);";

        /// Adds one, returns the sum.
        #[doc(alias = "atomic_inc_return")]
        inc_return, inc_return_relaxed, inc_return_acquire, inc_return_release(self) -> T = |order| new(T::Word::inc(self.cell(), order));
        example 7: "assert_eq!(value.inc_return(), 8);";

        /// Subtracts one, returns the difference.
        #[doc(alias = "atomic_dec_return")]
        dec_return, dec_return_relaxed, dec_return_acquire, dec_return_release(self) -> T = |order| new(T::Word::dec(self.cell(), order));
        example 7: "assert_eq!(value.dec_return(), 6);";

        /// Adds `operand`, returns the value before.
        #[doc(alias = "atomic_fetch_add")]
        fetch_add, fetch_add_relaxed, fetch_add_acquire, fetch_add_release(self, operand: T) -> T =
            |order| old(T::Word::add(self.cell(), operand.to_word(), order));
        example 7: "assert_eq!((value.fetch_add(3), value.read()), (7, 10));";

        /// Subtracts `operand`, returns the value before.
        #[doc(alias = "atomic_fetch_sub")]
        fetch_sub, fetch_sub_relaxed, fetch_sub_acquire, fetch_sub_release(self, operand: T) -> T =
            |order| old(T::Word::sub(self.cell(), operand.to_word(), order));
        example 7: "assert_eq!((value.fetch_sub(3), value.read()), (7, 4));";

        /// Adds one, returns the value before.
        #[doc(alias = "atomic_fetch_inc")]
        fetch_inc, fetch_inc_relaxed, fetch_inc_acquire, fetch_inc_release(self) -> T = |order| old(T::Word::inc(self.cell(), order));
        example 7: "assert_eq!((value.fetch_inc(), value.read()), (7, 8));";

        /// Subtracts one, returns the value before.
        #[doc(alias = "atomic_fetch_dec")]
        fetch_dec, fetch_dec_relaxed, fetch_dec_acquire, fetch_dec_release(self) -> T = |order| old(T::Word::dec(self.cell(), order));
        example 7: "assert_eq!((value.fetch_dec(), value.read()), (7, 6));";
    }

    ordered! {
        /// Subtracts `operand`, tells whether the result is 0.
        #[doc(alias = "atomic_sub_and_test")]
        sub_and_test, sub_and_test_relaxed, sub_and_test_acquire, sub_and_test_release(self, operand: T) -> bool =
            |order| new::<T>(T::Word::sub(self.cell(), operand.to_word(), order)) == T::ZERO;
        example 3: "assert!(!value.sub_and_test(1));" "assert!(value.sub_and_test(2));";

        /// Subtracts one, tells whether the result is 0.
        #[doc(alias = "atomic_dec_and_test")]
        dec_and_test, dec_and_test_relaxed, dec_and_test_acquire, dec_and_test_release(self) -> bool =
            |order| new::<T>(T::Word::dec(self.cell(), order)) == T::ZERO;
        example 2: "assert!(!value.dec_and_test());" "assert!(value.dec_and_test()); // the last one";

        /// Adds one, tells whether the result is 0.
        #[doc(alias = "atomic_inc_and_test")]
        inc_and_test, inc_and_test_relaxed, inc_and_test_acquire, inc_and_test_release(self) -> bool =
            |order| new::<T>(T::Word::inc(self.cell(), order)) == T::ZERO;
        example -2: "assert!(!value.inc_and_test());" "assert!(value.inc_and_test());";
    }

    ordered! {
        /// Stores `new` if the value is 0: [`Self::cmpxchg`] from 0, for two instructions less.
        cmpxchg_zero, cmpxchg_zero_relaxed, cmpxchg_zero_acquire, cmpxchg_zero_release(self, new: T) -> Result<T, T> =
            |order| T::Word::cmpxchg_zero(self.cell(), new.to_word(), order).map(T::from_word).map_err(T::from_word);
        example 0: "assert_eq!(value.cmpxchg_zero(7), Ok(0));" "assert_eq!(value.cmpxchg_zero(8), Err(7));";

        /// Adds `operand` unless the value is `unless`, tells whether it did.
        #[doc(alias = "atomic_add_unless")]
        add_unless, add_unless_relaxed, add_unless_acquire, add_unless_release(self, operand: T, unless: T) -> bool =
            |order| T::Word::add_unless(self.cell(), operand.to_word(), unless.to_word(), order).is_ok();
        example 7: "assert!(value.add_unless(3, 0));" "assert!(!value.add_unless(3, 10)); // it is 10";

        /// Adds `operand` unless the value is `unless`; returns the value before, changed or not.
        #[doc(alias = "atomic_fetch_add_unless")]
        fetch_add_unless, fetch_add_unless_relaxed, fetch_add_unless_acquire, fetch_add_unless_release(self, operand: T, unless: T) -> T =
            |order| match T::Word::add_unless(self.cell(), operand.to_word(), unless.to_word(), order) {
                Ok(change) => old(change),
                Err(found) => T::from_word(found),
            };
        example 7: "assert_eq!(value.fetch_add_unless(3, 0), 7);" "assert_eq!((value.fetch_add_unless(3, 10), value.read()), (10, 10));";

        /// Adds one unless the value is 0, tells whether it did: the way to take a reference that may be gone.
        #[doc(alias = "atomic_inc_not_zero")]
        inc_not_zero, inc_not_zero_relaxed, inc_not_zero_acquire, inc_not_zero_release(self) -> bool =
            |order| T::Word::inc_not_zero(self.cell(), order).is_ok();
        example 1: "assert!(value.inc_not_zero());" "value.set(0);" "assert!(!value.inc_not_zero()); // the last reference is gone";

        /// Subtracts one if the value is above 0: `Some` with the difference, `None` if nothing was changed.
        ///
        /// Linux returns the difference in either case, negative when nothing was stored.
        #[doc(alias = "atomic_dec_if_positive")]
        dec_if_positive, dec_if_positive_relaxed, dec_if_positive_acquire, dec_if_positive_release(self) -> Option<T> =
            |order| if T::IS_SIGNED {
                T::Word::dec_if_positive(self.cell(), order).ok().map(new)
            } else {
                T::Word::dec_not_zero(self.cell(), order).ok().map(new)
            };
        example 1: "assert_eq!(value.dec_if_positive(), Some(0));" "assert_eq!((value.dec_if_positive(), value.read()), (None, 0));";
    }
}

/// What locks are made of: operands that are constants of the algorithm stand in the instruction and need no register.
impl Atomic<usize> {
    /// Adds `OPERAND` unless one of `BITS` is set, tells whether it did. Acquire if it did. Which constants fit: [`Word::add_unless_any`].
    #[inline(always)]
    pub(crate) fn add_unless_any_acquire<const OPERAND: u64, const BITS: u64>(&self) -> bool {
        u64::add_unless_any::<OPERAND, BITS>(self.cell(), Order::Acquire).is_ok()
    }

    /// Subtracts `OPERAND`, below 4096, returns the value before. Release.
    #[inline(always)]
    pub(crate) fn fetch_sub_const_release<const OPERAND: u64>(&self) -> usize {
        u64::sub_const::<OPERAND>(self.cell(), Order::Release).old as usize
    }

    /// Stores 0 if the value is `old`, tells whether it did. Release if it did.
    #[inline(always)]
    pub(crate) fn cmpxchg_to_zero_release(&self, old: usize) -> bool {
        u64::cmpxchg_to_zero(self.cell(), old as u64, Order::Release).is_ok()
    }
}

impl<T: SignedInt> Atomic<T> {
    ordered! {
        /// Adds `operand`, tells whether the sum is negative.
        #[doc(alias = "atomic_add_negative")]
        add_negative, add_negative_relaxed, add_negative_acquire, add_negative_release(self, operand: T) -> bool =
            |order| new::<T>(T::Word::add(self.cell(), operand.to_word(), order)).is_negative();
        example 2: "assert!(!value.add_negative(-2));" "assert!(value.add_negative(-1));";

        /// Adds one unless the value is negative: `Some` with the sum, `None` if nothing was changed.
        #[doc(alias = "atomic_inc_unless_negative")]
        inc_unless_negative, inc_unless_negative_relaxed, inc_unless_negative_acquire, inc_unless_negative_release(self) -> Option<T> =
            |order| T::Word::inc_unless_negative(self.cell(), order).ok().map(new);
        example 7: "assert_eq!(value.inc_unless_negative(), Some(8));" "value.set(-1);" "assert_eq!(value.inc_unless_negative(), None);";
    }
}
