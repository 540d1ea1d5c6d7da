//! Atomic variables: Linux's `atomic_t` family as one generic type, [`Atomic`], with an alias a width.
//!
//! Names are Linux's, less the prefix (`atomic_add_return_relaxed(1, &v)` is `v.add_return_relaxed(1)`), and `core`'s `fetch_` names where
//! the two agree. Not
//! `core::sync::atomic` itself: it has no full-barrier form, and its orderings are an argument that every call must choose, where Linux's
//! have a rule.
//!
//! # Memory ordering: the rule
//! 1. What returns nothing orders nothing: `read`, `set`, `add`, `inc`, `or`, ... (with `smp_mb_before_atomic` and `smp_mb_after_atomic`
//!    when it must).
//! 2. What changes and returns a value is a full barrier: all before it comes before all after it, for every observer.
//! 3. `_relaxed`, `_acquire` and `_release` forms weaken rule 2; `load_acquire` and `store_release` are the ordered `read` and `set`.
//! 4. A conditional operation that does not store orders nothing, whatever its form.
//!
//! Arithmetic wraps in two's complement, for signed types as well; no operation panics. [`super::refcount::RefCount`] is the counter that
//! does not wrap.
//!
//! # Examples
//! ```
//! use tetra::sync::atomic::AtomicI32;
//!
//! static USERS: AtomicI32 = AtomicI32::new(0);
//! USERS.inc();
//! assert_eq!(USERS.add_return(4), 5);
//! assert_eq!(USERS.cmpxchg(5, 1), Ok(5));
//! assert!(USERS.dec_and_test());
//! ```
//! An integer is no atomic variable, `atomic_t v = 0` does not compile:
//! ```compile_fail,E0308
//! use tetra::sync::atomic::AtomicI32;
//!
//! static USERS: AtomicI32 = 0;
//! ```
//!
//! Neighbours: `arith.rs` and `logic.rs` have the operations on numbers and bits, `value.rs` what can be atomic, `arch/aarch64/atomic.rs`
//! the instructions. Sources: ARM DDI 0487, B2.3 "Definition of the Armv8 memory model", B2.9 "Synchronization and semaphores"; the Linux
//! documents' names and rules.

#[macro_use]
mod ordered;
mod arith;
mod logic;
mod value;

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;

use core::fmt;

use crate::arch::atomic::{Order, Word};

pub use value::{Bits, Int, SignedInt, Value};

/// A value that all cores may read and change at the same time, each change indivisible.
///
/// # Invariants
/// The bytes are always those of a valid `T`: they come from [`Value::to_word`] or from bit operations under which [`Bits`] are closed.
#[cfg(not(loom))]
#[repr(transparent)]
pub struct Atomic<T: Value> {
    value: core::cell::UnsafeCell<T>,
}

/// A value that all threads of a model may read and change at the same time.
///
/// loom's cells belong to one execution and are not `const`, so the cell is made at the first access, and `new` stays as it is for the
/// kernel. That access must be before the threads that share it start, as with any initialisation; loom reports it otherwise. No statics in
/// a model.
#[cfg(loom)]
pub struct Atomic<T: Value> {
    initial: T,
    cell: core::cell::OnceCell<Cell<T>>,
}

/// `u8`, for state bytes.
pub type AtomicU8 = Atomic<u8>;
/// `u16`.
pub type AtomicU16 = Atomic<u16>;
/// `u32`, the usual lock word.
pub type AtomicU32 = Atomic<u32>;
/// `u64`, for statistics, time and words of bits.
pub type AtomicU64 = Atomic<u64>;
/// `i32`: Linux's `atomic_t`.
#[doc(alias = "atomic_t")]
pub type AtomicI32 = Atomic<i32>;
/// `i64`: Linux's `atomic64_t` and `atomic_long_t`.
#[doc(alias("atomic64_t", "atomic_long_t"))]
pub type AtomicI64 = Atomic<i64>;
/// `usize`, for sizes and indices.
pub type AtomicUsize = Atomic<usize>;
/// `bool`, for flags.
pub type AtomicBool = Atomic<bool>;
/// A pointer.
pub type AtomicPtr<T> = Atomic<*mut T>;

/// The cell of the architecture in which a `T` lies.
type Cell<T> = <<T as Value>::Word as Word>::Cell;

// SAFETY: All access is by single-copy atomic operations (in a model, by threads that take turns), and a `Value` is a plain number, flag or
// raw pointer, which may be copied to any core.
unsafe impl<T: Value> Sync for Atomic<T> {}
// SAFETY: As above: a raw pointer may be moved between cores, only its dereference is up to the user's `unsafe`.
unsafe impl<T: Value> Send for Atomic<T> {}

#[cfg(not(loom))]
impl<T: Value> Atomic<T> {
    /// Makes an atomic variable, in a `static` as well.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicI32;
    /// static USERS: AtomicI32 = AtomicI32::new(1);
    /// assert_eq!(USERS.read(), 1);
    /// ```
    #[doc(alias = "ATOMIC_INIT")]
    #[inline(always)]
    pub const fn new(value: T) -> Self {
        Self { value: core::cell::UnsafeCell::new(value) }
    }

    /// The value, for whoever has it alone: no other core can see the variable, so no atomic access is needed.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicI32;
    /// let mut users = AtomicI32::new(1);
    /// *users.get_mut() += 1;
    /// assert_eq!(users.read(), 2);
    /// ```
    #[inline(always)]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The values of a whole slice, for whoever has it alone.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn get_mut_slice(variables: &mut [Self]) -> &mut [T] {
        // SAFETY: `Atomic` is transparent over `UnsafeCell`, which is transparent over `T`; the exclusive borrow is handed on.
        unsafe { &mut *(core::ptr::from_mut(variables) as *mut [T]) }
    }

    /// The value as the architecture's cell.
    #[inline(always)]
    pub(in crate::sync) fn cell(&self) -> &Cell<T> {
        const { assert!(size_of::<T>() == size_of::<Cell<T>>() && align_of::<T>() == align_of::<Cell<T>>()) };

        // SAFETY: Size and alignment are the same, by the assertion. A cell may be written through a shared reference, and so may an
        // `UnsafeCell`; each word that is ever stored is a valid `T` by the type's invariant.
        unsafe { &*self.value.get().cast() }
    }
}

#[cfg(loom)]
impl<T: Value> Atomic<T> {
    /// Makes an atomic variable for a model.
    pub const fn new(value: T) -> Self {
        Self { initial: value, cell: core::cell::OnceCell::new() }
    }

    /// The value as loom's cell. All threads of a model run on one thread of the host, so nobody else is in here.
    pub(in crate::sync) fn cell(&self) -> &Cell<T> {
        self.cell.get_or_init(|| T::Word::cell(self.initial.to_word()))
    }
}

impl<T: Value> Atomic<T> {
    /// Loads the value, whole and exactly once, ordering nothing but what depends on it.
    ///
    /// An address computed from the value is ordered behind this load by the core itself (ARM DDI 0487, B2.3, "Address dependency"); see
    /// [`super::barrier::read_barrier_depends`] for what may break it.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicI32;
    /// assert_eq!(AtomicI32::new(7).read(), 7);
    /// ```
    #[doc(alias("atomic_read", "READ_ONCE"))]
    #[inline(always)]
    pub fn read(&self) -> T {
        T::from_word(T::Word::load_relaxed(self.cell()))
    }

    /// Stores the value, whole and exactly once, ordering nothing.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::AtomicI32;
    /// let value = AtomicI32::new(7);
    /// value.set(8);
    /// assert_eq!(value.read(), 8);
    /// ```
    #[doc(alias("atomic_set", "WRITE_ONCE"))]
    #[inline(always)]
    pub fn set(&self, value: T) {
        T::Word::store_relaxed(self.cell(), value.to_word());
    }

    /// Loads the value; all that follows comes after (LDAR). Pairs with [`Self::store_release`] and every operation that releases.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::{AtomicBool, AtomicI32};
    /// let (data, is_ready) = (AtomicI32::new(0), AtomicBool::new(false));
    /// data.set(42);
    /// is_ready.store_release(true);
    /// if is_ready.load_acquire() {
    ///     assert_eq!(data.read(), 42); // on whichever core this runs
    /// }
    /// ```
    #[doc(alias("smp_load_acquire", "atomic_read_acquire"))]
    #[inline(always)]
    pub fn load_acquire(&self) -> T {
        T::from_word(T::Word::load_acquire(self.cell()))
    }

    /// Stores the value; all that precedes comes before (STLR). Pairs with [`Self::load_acquire`] and every operation that acquires.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::atomic::{AtomicBool, AtomicI32};
    /// let (data, is_ready) = (AtomicI32::new(0), AtomicBool::new(false));
    /// data.set(42);
    /// is_ready.store_release(true); // who finds it by `load_acquire` finds 42
    /// assert!(is_ready.load_acquire());
    /// ```
    #[doc(alias("smp_store_release", "atomic_set_release"))]
    #[inline(always)]
    pub fn store_release(&self, value: T) {
        T::Word::store_release(self.cell(), value.to_word());
    }

    ordered! {
        /// Stores `new` and returns the value before.
        xchg, xchg_relaxed, xchg_acquire, xchg_release(self, new: T) -> T =
            |order| T::from_word(T::Word::xchg(self.cell(), new.to_word(), order));
        example 7: "assert_eq!((value.xchg(8), value.read()), (7, 8));";

        /// Stores `new` if the value is `old`: `Ok(old)` when it was, `Err` with the value found when not. Never fails spuriously.
        ///
        /// Equal bytes count as unchanged: a value that went away and came back is not noticed (the ABA problem); use a tag where that
        /// matters.
        cmpxchg, cmpxchg_relaxed, cmpxchg_acquire, cmpxchg_release(self, old: T, new: T) -> Result<T, T> =
            |order| match T::Word::cmpxchg(self.cell(), old.to_word(), new.to_word(), order) {
                Ok(_) => Ok(old),
                Err(found) => Err(T::from_word(found)),
            };
        example 7: "assert_eq!(value.cmpxchg(7, 8), Ok(7));" "assert_eq!(value.cmpxchg(7, 9), Err(8)); // unchanged";

        /// Stores `new` if the value is `*old`; else puts the value found into `*old`, ready for the next try. Tells whether it stored.
        try_cmpxchg, try_cmpxchg_relaxed, try_cmpxchg_acquire, try_cmpxchg_release(self, old: &mut T, new: T) -> bool =
            |order| match T::Word::cmpxchg(self.cell(), old.to_word(), new.to_word(), order) {
                Ok(_) => true,
                Err(found) => {
                    *old = T::from_word(found);
                    false
                }
            };
        example 7: "let mut seen = 6;" "assert!(!value.try_cmpxchg(&mut seen, 8));" "assert!(seen == 7 && value.try_cmpxchg(&mut seen, 8));";
    }
}

impl<T: Value + Default> Default for Atomic<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
