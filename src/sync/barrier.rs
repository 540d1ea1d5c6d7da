//! Memory barriers by their Linux names: which one, when, and the instruction it is.
//!
//! Most code needs none of them: locks, completions and the value-returning atomics order what they must. A bare barrier is half of a pair,
//! and a pair needs a comment at each end that names the other.
//!
//! | to order | between | use | instruction |
//! |---|---|---|---|
//! | data, then a flag | cores | [`smp_store_release`] | STLR |
//! | a flag, then data | cores | [`smp_load_acquire`] | LDAR |
//! | own store, then a load of another's store | cores | [`smp_mb`] | DMB ISH |
//! | loads, then loads and stores | cores | [`smp_rmb`] | DMB ISHLD |
//! | stores, then stores | cores | [`smp_wmb`] | DMB ISHST |
//! | a void atomic operation and its neighbours | cores | [`smp_mb_before_atomic`], [`smp_mb_after_atomic`] | DMB ISH |
//! | descriptors in memory | a core and a coherent device | [`dma_rmb`], [`dma_wmb`] | DMB OSHLD, DMB OSHST |
//! | a pointer, then what it points to | cores | nothing: [`read_barrier_depends`] | none |
//! | accesses, then an effect that is no access (TLBI, WFI, power) | the system | [`mb`], [`rmb`], [`wmb`] | DSB SY, LD, ST |
//! | system registers, then code | this core | [`isb`] | ISB |
//! | program text | the compiler | [`barrier`] | none |
//! | device registers and memory | a core and a device | [`super::mmio`] | DMB OSHLD, DMB OSHST |
//!
//! DMB and not DSB wherever memory is all that matters: DSB also stops execution until every access is complete. Inner shareable is the
//! four cores; outer shareable reaches the bus masters beyond. In a build for one core (feature `up`) the `smp_` forms only hold the
//! compiler, since a core sees its own accesses in order; the others stay, since devices are there still.
//!
//! Sources: ARM DDI 0487, B2.3 (memory model), "Memory barriers" and "Dependency relations" there; "Context synchronization event" in its
//! glossary.

use crate::arch;
use crate::sync::atomic::{Atomic, Value};

pub use crate::arch::barrier::{dma_mb, dma_rmb, dma_wmb, isb, mb, rmb, wmb};

/// Keeps the compiler from moving, merging or dropping memory accesses across; no instruction. Enough between a thread and an irq handler
/// of the same core.
///
/// Context: any.
#[inline(always)]
pub fn barrier() {
    arch::barrier::compiler();
}

/// Orders every access before against every access after, among the cores (DMB ISH): the only one that keeps a store before a later load.
///
/// Use: both sides of "I say what I want, then look what you want" (sleep and wake, Dekker's flags); pairs with another `smp_mb` or
/// full-barrier atomic.
///
/// Context: any.
#[inline(always)]
pub fn smp_mb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_mb() }
}

/// Orders loads before against loads and stores after, among the cores (DMB ISHLD).
///
/// Use: a reader that loads a flag, then data; pairs with [`smp_wmb`] or a release.
///
/// Context: any.
#[inline(always)]
pub fn smp_rmb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_rmb() }
}

/// Orders stores before against stores after, among the cores (DMB ISHST). Loads may still pass it.
///
/// Use: a writer that stores data, then a flag; pairs with [`smp_rmb`] or an acquire.
///
/// Context: any.
#[inline(always)]
pub fn smp_wmb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_wmb() }
}

/// Makes a full barrier of the void atomic operation that follows (DMB ISH): `add`, `inc`, `or`, `set_bit` and their like order nothing
/// themselves.
///
/// Context: any.
#[doc(alias = "smp_mb__before_atomic")]
#[inline(always)]
pub fn smp_mb_before_atomic() {
    smp_mb();
}

/// Makes a full barrier of the void atomic operation that precedes (DMB ISH).
///
/// Context: any.
#[doc(alias = "smp_mb__after_atomic")]
#[inline(always)]
pub fn smp_mb_after_atomic() {
    smp_mb();
}

/// Stores `value`; all accesses before come before it (STLR). Pairs with [`smp_load_acquire`] of the same variable.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::{smp_load_acquire, smp_store_release};
///
/// static DATA: AtomicU32 = AtomicU32::new(0);
/// static READY: AtomicBool = AtomicBool::new(false);
///
/// let writer = std::thread::spawn(|| {
///     DATA.set(42);
///     smp_store_release(&READY, true); // pairs with the load below
/// });
/// while !smp_load_acquire(&READY) {
///     std::thread::yield_now();
/// }
/// assert_eq!(DATA.read(), 42);
/// # writer.join().unwrap();
/// ```
///
/// Context: any.
#[inline(always)]
pub fn smp_store_release<T: Value>(variable: &Atomic<T>, value: T) {
    variable.store_release(value);
}

/// Loads the value; all accesses after come after it (LDAR). Pairs with [`smp_store_release`] of the same variable.
///
/// Context: any.
#[inline(always)]
pub fn smp_load_acquire<T: Value>(variable: &Atomic<T>) -> T {
    variable.load_acquire()
}

/// Stores `value`, then a full barrier: Linux's `smp_store_mb`, for "my state, then the condition" before sleep (STR, DMB ISH).
///
/// Context: any.
#[inline(always)]
pub fn smp_store_mb<T: Value>(variable: &Atomic<T>, value: T) {
    variable.set(value);
    smp_mb();
}

/// Makes an acquire of a load that a branch has just tested (DMB ISHLD): for the rare way out of a loop or test that alone needs the order.
///
/// Linux: `smp_acquire__after_ctrl_dep`. Pairs with the release that stored the value tested.
///
/// Context: any.
#[doc(alias = "smp_acquire__after_ctrl_dep")]
#[inline(always)]
pub fn smp_acquire_after_ctrl_dep() {
    smp_rmb();
}

/// Orders the load of a pointer before the loads through it: nothing to do, the address dependency does it on every Arm core (ARM DDI 0487,
/// B2.3).
///
/// The name documents the place. What it cannot mend is a compiler that replaces the address: do not compare the pointer with a known
/// address and then use it, and do not index an array of one element by the value. A dependency orders loads only if they use the
/// *address*; a branch on the value (control dependency) orders later stores, never later loads.
///
/// Context: any.
#[inline(always)]
pub fn read_barrier_depends() {
    arch::barrier::compiler();
}

/// Loads from memory that something outside Rust's view changes, whole and exactly once (Linux's `READ_ONCE`).
///
/// Between cores use [`Atomic::read`], which is the same instruction and needs no `unsafe`; this is for what hardware or a loader writes: a
/// page table entry, a descriptor. Orders nothing but what depends on the value.
///
/// Context: any.
///
/// # Safety
/// `place` is valid for reads and aligned, and no core writes it by a plain Rust store at the same time.
#[doc(alias = "READ_ONCE")]
#[inline(always)]
pub unsafe fn read_once<T: Value>(place: *const T) -> T {
    // SAFETY: The caller vouches for the place; a `Value` has at most 64 bits, so that the volatile read is a single load.
    unsafe { place.read_volatile() }
}

/// Stores to memory that something outside Rust's view reads, whole and exactly once (Linux's `WRITE_ONCE`). See [`read_once`].
///
/// Context: any.
///
/// # Safety
/// `place` is valid for writes and aligned, and no core accesses it by a plain Rust load or store at the same time.
#[doc(alias = "WRITE_ONCE")]
#[inline(always)]
pub unsafe fn write_once<T: Value>(place: *mut T, value: T) {
    // SAFETY: The caller vouches for the place; a `Value` has at most 64 bits, so that the volatile write is a single store.
    unsafe { place.write_volatile(value) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::atomic::AtomicU32;

    #[test]
    fn every_barrier_can_be_called() {
        for barrier in [mb, rmb, wmb, smp_mb, smp_rmb, smp_wmb, dma_mb, dma_rmb, dma_wmb, isb, barrier, read_barrier_depends] {
            barrier();
        }
        smp_mb_before_atomic();
        smp_mb_after_atomic();
    }

    #[test]
    fn ordered_accesses_carry_the_value() {
        let word = AtomicU32::new(1);
        smp_store_release(&word, 2);
        assert_eq!(smp_load_acquire(&word), 2);
        smp_store_mb(&word, 3);
        assert_eq!(word.read(), 3);
    }

    #[test]
    fn once_accesses_carry_the_value() {
        let mut word = 5_u64;
        // SAFETY: The place is a live local.
        unsafe { write_once(&raw mut word, u64::MAX) };
        // SAFETY: As above.
        assert_eq!(unsafe { read_once(&raw const word) }, u64::MAX);
    }
}
