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

pub use crate::arch::barrier::dma_mb;

/// Completes every access before anything after it, access or not (DSB SY).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicU64, barrier};
/// static ENTRY: AtomicU64 = AtomicU64::new(0); // stands for one in a page table
/// ENTRY.set(0x703);
/// barrier::mb(); // the entry is in place before a TLBI, or whatever else is no access, begins
/// # assert_eq!(ENTRY.read(), 0x703);
/// ```
#[inline(always)]
pub fn mb() {
    arch::barrier::mb();
}

/// Completes every load before anything after it (DSB LD).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{barrier, mmio};
/// let status = 1_u32; // stands for a register
/// // SAFETY: a live local.
/// let is_busy = unsafe { mmio::readl_relaxed(&raw const status) } != 0;
/// barrier::rmb(); // the register has answered before a delay begins
/// assert!(is_busy);
/// ```
#[inline(always)]
pub fn rmb() {
    arch::barrier::rmb();
}

/// Completes every store before anything after it (DSB ST).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicBool, barrier};
/// static MAY_START: AtomicBool = AtomicBool::new(false);
/// MAY_START.set(true);
/// barrier::wmb(); // before the SEV below, which is no access and would pass a DMB
/// tetra::arch::sev(); // a core that this wakes finds the flag
/// # assert!(MAY_START.read());
/// ```
#[inline(always)]
pub fn wmb() {
    arch::barrier::wmb();
}

/// Orders loads before against loads and stores after, among the cores and the devices that share memory (DMB OSHLD).
///
/// Use: a descriptor that a device has given back, then what it has written; Linux's `dma_rmb`.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicU32, barrier};
/// let (is_done, length) = (AtomicU32::new(1), AtomicU32::new(512)); // stand for a descriptor's words, written by a device
/// if is_done.read() != 0 {
///     barrier::dma_rmb(); // the length is not read before the mark
///     assert_eq!(length.read(), 512);
/// }
/// ```
#[inline(always)]
pub fn dma_rmb() {
    arch::barrier::dma_rmb();
}

/// Orders stores before against stores after, among the cores and the devices that share memory (DMB OSHST).
///
/// Use: a descriptor's content, then the mark that gives it to the device; Linux's `dma_wmb`.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicU32, barrier};
/// let (is_devices, length) = (AtomicU32::new(0), AtomicU32::new(0)); // stand for a descriptor's words
/// length.set(512);
/// barrier::dma_wmb(); // a device that finds the mark finds the length
/// is_devices.set(1);
/// # assert_eq!((is_devices.read(), length.read()), (1, 512));
/// ```
#[inline(always)]
pub fn dma_wmb() {
    arch::barrier::dma_wmb();
}

/// Has the core fetch anew what follows: after a change of system registers, translations or code (ISB).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicU64, barrier};
/// static ENTRY: AtomicU64 = AtomicU64::new(0); // stands for one in a page table
/// ENTRY.set(0x703);
/// barrier::mb(); // the table walker finds the entry,
/// barrier::isb(); // and the code below was not fetched by the old one
/// # assert_eq!(ENTRY.read(), 0x703);
/// ```
#[inline(always)]
pub fn isb() {
    arch::barrier::isb();
}

/// Keeps the compiler from moving, merging or dropping memory accesses across; no instruction. Enough between a thread and an irq handler
/// of the same core.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicU32, barrier::barrier};
/// static DATA: AtomicU32 = AtomicU32::new(0);
/// static LEN: AtomicU32 = AtomicU32::new(0);
/// DATA.set(7);
/// barrier(); // a handler of this core that finds the length finds the data
/// LEN.set(1);
/// # assert_eq!((DATA.read(), LEN.read()), (7, 1));
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::AtomicBool, barrier::smp_mb};
/// static ONE: AtomicBool = AtomicBool::new(false);
/// static OTHER: AtomicBool = AtomicBool::new(false);
///
/// fn says_then_looks(own: &AtomicBool, others: &AtomicBool) -> bool {
///     own.set(true);
///     smp_mb(); // pairs with itself on the other core
///     others.read()
/// }
/// let thread = std::thread::spawn(|| says_then_looks(&ONE, &OTHER));
/// let sees_one = says_then_looks(&OTHER, &ONE);
/// assert!(sees_one || thread.join().unwrap()); // without the barrier neither might see the other
/// ```
#[inline(always)]
pub fn smp_mb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_mb() }
}

/// Orders loads before against loads and stores after, among the cores (DMB ISHLD).
///
/// Use: a reader that loads a flag, then data; pairs with [`smp_wmb`] or a release.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::smp_rmb;
///
/// fn take(is_ready: &AtomicBool, data: &AtomicU32) -> Option<u32> {
///     is_ready.read().then(|| {
///         smp_rmb(); // pairs with the `smp_wmb` between the stores of the data and of the flag
///         data.read()
///     })
/// }
/// assert_eq!(take(&AtomicBool::new(true), &AtomicU32::new(42)), Some(42));
/// ```
#[inline(always)]
pub fn smp_rmb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_rmb() }
}

/// Orders stores before against stores after, among the cores (DMB ISHST). Loads may still pass it.
///
/// Use: a writer that stores data, then a flag; pairs with [`smp_rmb`] or an acquire.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::{smp_rmb, smp_wmb};
/// static DATA: AtomicU32 = AtomicU32::new(0);
/// static IS_READY: AtomicBool = AtomicBool::new(false);
///
/// let writer = std::thread::spawn(|| {
///     DATA.set(42);
///     smp_wmb(); // pairs with the `smp_rmb` below
///     IS_READY.set(true);
/// });
/// while !IS_READY.read() {
///     std::thread::yield_now();
/// }
/// smp_rmb();
/// assert_eq!(DATA.read(), 42);
/// # writer.join().unwrap();
/// ```
#[inline(always)]
pub fn smp_wmb() {
    if cfg!(feature = "up") { arch::barrier::compiler() } else { arch::barrier::smp_wmb() }
}

/// Makes a full barrier of the void atomic operation that follows (DMB ISH): `add`, `inc`, `or`, `set_bit` and their like order nothing
/// themselves.
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::smp_mb_before_atomic;
/// static RESULT: AtomicU32 = AtomicU32::new(0);
/// static NR_BUSY: AtomicU32 = AtomicU32::new(1);
///
/// RESULT.set(42);
/// smp_mb_before_atomic(); // whoever finds nobody busy finds the result
/// NR_BUSY.dec();
/// # assert_eq!((RESULT.read(), NR_BUSY.read()), (42, 0));
/// ```
#[doc(alias = "smp_mb__before_atomic")]
#[inline(always)]
pub fn smp_mb_before_atomic() {
    smp_mb();
}

/// Makes a full barrier of the void atomic operation that precedes (DMB ISH).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::smp_mb_after_atomic;
/// static NR_WAITERS: AtomicU32 = AtomicU32::new(0);
/// static IS_OVER: AtomicBool = AtomicBool::new(true);
///
/// NR_WAITERS.inc();
/// smp_mb_after_atomic(); // pairs with the `smp_mb` of who ends it, then looks for waiters
/// assert!(IS_OVER.read());
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::{smp_load_acquire, smp_store_release};
/// let (data, is_ready) = (AtomicU32::new(0), AtomicBool::new(false));
/// data.set(42);
/// smp_store_release(&is_ready, true);
/// if smp_load_acquire(&is_ready) {
///     assert_eq!(data.read(), 42); // on whichever core this runs
/// }
/// ```
#[inline(always)]
pub fn smp_load_acquire<T: Value>(variable: &Atomic<T>) -> T {
    variable.load_acquire()
}

/// Stores `value`, then a full barrier: Linux's `smp_store_mb`, for "my state, then the condition" before sleep (STR, DMB ISH).
///
/// Context: any.
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::smp_store_mb;
/// let (is_asleep, has_work) = (AtomicBool::new(false), AtomicU32::new(1));
/// smp_store_mb(&is_asleep, true);
/// if has_work.read() != 0 {
///     is_asleep.set(false); // work that came before the store is seen; who brings it later sees the store
/// }
/// assert!(!is_asleep.read());
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::atomic::{AtomicBool, AtomicU32};
/// use tetra::sync::barrier::{smp_acquire_after_ctrl_dep, smp_store_release};
/// let (data, is_ready) = (AtomicU32::new(42), AtomicBool::new(false));
/// smp_store_release(&is_ready, true);
/// while !is_ready.read() {
///     core::hint::spin_loop();
/// }
/// smp_acquire_after_ctrl_dep(); // once, and not at each look
/// assert_eq!(data.read(), 42);
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::{atomic::{AtomicU32, AtomicUsize}, barrier::read_barrier_depends};
/// static SLOTS: [AtomicU32; 2] = [AtomicU32::new(10), AtomicU32::new(20)];
/// static NEWEST: AtomicUsize = AtomicUsize::new(1);
/// let newest = NEWEST.read();
/// read_barrier_depends(); // the address below is made from `newest`
/// assert_eq!(SLOTS[newest].read(), 20);
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::barrier::read_once;
/// let entry = 0x703_u64; // stands for one that the table walker changes
/// // SAFETY: a live local.
/// assert_eq!(unsafe { read_once(&raw const entry) }, 0x703);
/// ```
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
///
/// # Examples
/// ```
/// use tetra::sync::barrier::write_once;
/// let mut entry = 0_u64; // stands for one that the table walker reads
/// // SAFETY: a live local.
/// unsafe { write_once(&raw mut entry, 0x703) };
/// assert_eq!(entry, 0x703);
/// ```
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
