//! A reference count that saturates instead of wrapping (Linux's `refcount_t`).
//!
//! A plain counter that wraps turns a leak into a use after free: 2^32 lost `put`s and the object is freed under its users. This one
//! reports the first step over the edge, then stays in the middle of the forbidden half for ever: the object leaks, and nothing worse.
//!
//! # States of the word
//! | value | meaning | who goes there |
//! |---|---|---|
//! | 1 ..= 0x7fff_ffff | so many references | `new`, `inc`, `dec_and_test` |
//! | 0 | no reference: the object is being freed | the last `dec_and_test` |
//! | 0x8000_0000 ..= 0xffff_ffff | saturated; set to [`SATURATED`] by whoever meets it | a step over either edge |
//!
//! The operation is one atomic addition and the check comes after it: a signed comparison of the result finds 0 and the forbidden half at
//! once. Between an overflow and the store of [`SATURATED`] other cores may add to the word as well: it would take 2^30 of them in that
//! moment to leave the forbidden half.
//!
//! # Memory ordering
//! Increments are relaxed: whoever increments has a reference, and got the object by something that ordered its contents already.
//! Decrements release, and the one that reaches 0 acquires: every use by every holder comes before the free. Pairs with itself.
//!
//! Neighbours: `atomic/` for counters that may wrap. Source: the Linux documents' `refcount_t` and its ordering rules.

use core::panic::Location;

use crate::sync::atomic::AtomicU32;
use crate::sync::barrier;
use crate::upcalls;

/// Where a saturated count stays: as far from both edges of the forbidden half as can be.
pub const SATURATED: u32 = 0xc000_0000;

/// The largest true count.
pub const MAX: u32 = 0x7fff_ffff;

/// What was wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// A reference was taken from an object that had none.
    AddOnZero,
    /// More than [`MAX`] references.
    Overflow,
    /// More references were given back than were taken.
    Underflow,
    /// `dec` gave back the last reference, so that nobody will free the object.
    DecToZero,
}

impl Fault {
    /// What to tell the reader of the log.
    fn message(self) -> &'static str {
        match self {
            Self::AddOnZero => "addition on 0; use after free",
            Self::Overflow => "overflow; the object will never be freed",
            Self::Underflow => "underflow; use after free",
            Self::DecToZero => "decrement hit 0; the object leaks",
        }
    }
}

/// A count of references.
///
/// # Examples
/// ```
/// use tetra::sync::refcount::RefCount;
///
/// let users = RefCount::new(1);
/// users.inc();
/// assert!(!users.dec_and_test());
/// assert!(users.dec_and_test()); // the last one frees
/// assert!(!users.inc_not_zero()); // too late
/// ```
#[derive(Debug)]
pub struct RefCount {
    count: AtomicU32,
}

impl RefCount {
    /// A count of `count` references, usually 1: the creator's.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// static USERS: RefCount = RefCount::new(1);
    /// assert_eq!(USERS.read(), 1);
    /// ```
    #[doc(alias = "REFCOUNT_INIT")]
    pub const fn new(count: u32) -> Self {
        Self { count: AtomicU32::new(count) }
    }

    /// The count at some moment; above [`MAX`] when saturated. Orders nothing.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// assert_eq!(RefCount::new(2).read(), 2);
    /// ```
    #[doc(alias = "refcount_read")]
    #[inline]
    pub fn read(&self) -> u32 {
        self.count.read()
    }

    /// Sets the count of an object that nobody else can see yet. Orders nothing.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(0);
    /// users.set(1);
    /// assert_eq!(users.read(), 1);
    /// ```
    #[doc(alias = "refcount_set")]
    #[inline]
    pub fn set(&self, count: u32) {
        self.count.set(count);
    }

    /// Takes one more reference; the caller has one. Orders nothing.
    ///
    /// Context: any. Reports a count of 0 and an overflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(1);
    /// users.inc();
    /// assert_eq!(users.read(), 2);
    /// ```
    #[doc(alias = "refcount_inc")]
    #[inline]
    #[track_caller]
    pub fn inc(&self) {
        let new = self.count.inc_return_relaxed();
        if new.cast_signed() < 2 {
            self.report(if new == 1 { Fault::AddOnZero } else { Fault::Overflow });
        }
    }

    /// Takes `references` more; the caller has one. Orders nothing.
    ///
    /// Context: any. Reports a count of 0 and an overflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(1);
    /// users.add(3);
    /// assert_eq!(users.read(), 4);
    /// ```
    #[doc(alias = "refcount_add")]
    #[inline]
    #[track_caller]
    pub fn add(&self, references: u32) {
        let old = self.count.fetch_add_relaxed(references);
        if old == 0 {
            self.report(Fault::AddOnZero);
        } else if !is_count(old) || !is_count(old.wrapping_add(references)) {
            self.report(Fault::Overflow);
        }
    }

    /// Takes a reference unless there is none left, tells whether it did. Orders nothing: what makes the object findable (RCU, a lock)
    /// orders its contents.
    ///
    /// Context: any. Reports an overflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// assert!(RefCount::new(1).inc_not_zero());
    /// assert!(!RefCount::new(0).inc_not_zero()); // it is being freed
    /// ```
    #[doc(alias = "refcount_inc_not_zero")]
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn inc_not_zero(&self) -> bool {
        self.add_not_zero(1)
    }

    /// Takes `references` unless there is none left, tells whether it did. Orders nothing.
    ///
    /// Context: any. Reports an overflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// assert!(RefCount::new(1).add_not_zero(3));
    /// assert!(!RefCount::new(0).add_not_zero(3)); // it is being freed
    /// ```
    #[doc(alias = "refcount_add_not_zero")]
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn add_not_zero(&self, references: u32) -> bool {
        let old = self.count.fetch_add_unless_relaxed(references, 0);
        if old == 0 {
            return false;
        }
        if !is_count(old) || !is_count(old.wrapping_add(references)) {
            self.report(Fault::Overflow);
        }
        true
    }

    /// Gives one reference back, tells whether it was the last: then the caller frees the object. Releases; acquires if it was the last.
    ///
    /// Context: any. Reports an underflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(2);
    /// assert!(!users.dec_and_test());
    /// assert!(users.dec_and_test()); // the last one frees the object
    /// ```
    #[doc(alias = "refcount_dec_and_test")]
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn dec_and_test(&self) -> bool {
        let new = self.count.dec_return_release();
        if new == 0 {
            barrier::smp_acquire_after_ctrl_dep();
            return true;
        }
        if !is_count(new) {
            self.report(Fault::Underflow);
        }
        false
    }

    /// Gives `references` back, tells whether they were the last. Releases; acquires if they were.
    ///
    /// Context: any. Reports an underflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(3);
    /// assert!(!users.sub_and_test(1));
    /// assert!(users.sub_and_test(2));
    /// ```
    #[doc(alias = "refcount_sub_and_test")]
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn sub_and_test(&self, references: u32) -> bool {
        let old = self.count.fetch_sub_release(references);
        if old == references && is_count(old) {
            barrier::smp_acquire_after_ctrl_dep();
            return true;
        }
        if !is_count(old) || old < references {
            self.report(Fault::Underflow);
        }
        false
    }

    /// Gives one reference back that cannot be the last. Releases.
    ///
    /// Context: any. Reports a count that reaches 0 or was 0, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(2);
    /// users.dec();
    /// assert_eq!(users.read(), 1);
    /// ```
    #[doc(alias = "refcount_dec")]
    #[inline]
    #[track_caller]
    pub fn dec(&self) {
        let new = self.count.dec_return_release();
        if new.cast_signed() < 1 {
            self.report(if new == 0 { Fault::DecToZero } else { Fault::Underflow });
        }
    }

    /// Gives the reference back if it is the only one, tells whether it did. Releases, if it did.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(2);
    /// assert!(!users.dec_if_one());
    /// users.dec();
    /// assert!(users.dec_if_one());
    /// ```
    #[doc(alias = "refcount_dec_if_one")]
    #[inline]
    #[must_use]
    pub fn dec_if_one(&self) -> bool {
        self.count.cmpxchg_release(1, 0).is_ok()
    }

    /// Gives one reference back unless it is the only one, tells whether it did. Releases, if it did. A saturated count stays: `true`.
    ///
    /// Context: any. Reports an underflow, and saturates.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::refcount::RefCount;
    /// let users = RefCount::new(2);
    /// assert!(users.dec_not_one());
    /// assert!(!users.dec_not_one()); // the last one: take the lock that finds the object, then drop it
    /// ```
    #[doc(alias = "refcount_dec_not_one")]
    #[inline]
    #[must_use]
    #[track_caller]
    pub fn dec_not_one(&self) -> bool {
        let old = self.count.fetch_add_unless_release(1_u32.wrapping_neg(), 1);
        if !is_count(old) || old == 0 {
            self.report(Fault::Underflow);
        }
        old != 1
    }

    /// Saturates; tells what happened if this is the first time for this count.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn report(&self, fault: Fault) {
        let before = self.count.xchg_relaxed(SATURATED);
        if !is_saturated(before) {
            let place = Location::caller();
            upcalls::bug_report(format_args!("refcount {:p}: {}", self, fault.message()), place);
        }
    }
}

/// Whether `value` is a count, 0 included, and not the forbidden half.
#[inline(always)]
fn is_count(value: u32) -> bool {
    value <= MAX
}

/// Whether `value` is near enough to [`SATURATED`] that a count must have been put there.
fn is_saturated(value: u32) -> bool {
    value.abs_diff(SATURATED) < 1 << 16
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_is_told() {
        let users = RefCount::new(1);
        users.inc();
        users.add(2);
        assert_eq!(users.read(), 4);
        assert!(!users.sub_and_test(3));
        assert!(users.dec_and_test());
        assert_eq!(users.read(), 0);
    }

    #[test]
    fn a_gone_object_is_not_taken_again() {
        let users = RefCount::new(0);
        assert!(!users.inc_not_zero());
        assert!(!users.add_not_zero(5));
        assert_eq!(users.read(), 0);
    }

    #[test]
    fn conditional_decrements_keep_to_their_condition() {
        let users = RefCount::new(2);
        assert!(!users.dec_if_one());
        assert!(users.dec_not_one());
        assert!(!users.dec_not_one());
        assert!(users.dec_if_one());
        assert_eq!(users.read(), 0);
    }

    #[test]
    fn the_largest_count_is_a_count() {
        let users = RefCount::new(MAX - 1);
        users.inc();
        users.dec();
        assert_eq!(users.read(), MAX - 1);
    }

    #[test]
    fn a_saturated_count_stays_and_is_reported_once() {
        let users = RefCount::new(SATURATED);
        users.inc();
        assert!(users.inc_not_zero());
        assert!(!users.dec_and_test());
        users.dec();
        assert!(users.dec_not_one());
        assert!(!users.dec_if_one());
        assert_eq!(users.read(), SATURATED);
    }

    #[test]
    #[should_panic(expected = "addition on 0; use after free")]
    fn taking_from_zero_is_reported() {
        RefCount::new(0).inc();
    }

    #[test]
    #[should_panic(expected = "overflow; the object will never be freed")]
    fn overflow_is_reported() {
        RefCount::new(MAX).inc();
    }

    #[test]
    #[should_panic(expected = "overflow; the object will never be freed")]
    fn overflow_past_the_test_for_zero_is_reported() {
        let _ = RefCount::new(MAX).add_not_zero(7);
    }

    #[test]
    #[should_panic(expected = "underflow; use after free")]
    fn underflow_is_reported() {
        let _ = RefCount::new(1).sub_and_test(2);
    }

    #[test]
    #[should_panic(expected = "underflow; use after free")]
    fn giving_back_to_zero_is_reported() {
        let _ = RefCount::new(0).dec_not_one();
    }

    #[test]
    #[should_panic(expected = "decrement hit 0; the object leaks")]
    fn a_lost_last_reference_is_reported() {
        RefCount::new(1).dec();
    }
}
