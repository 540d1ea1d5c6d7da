//! A pointer to the registers of one device.
//!
//! A driver keeps an `Mmio` and not a `&'static` reference, because a reference to memory that changes by itself would promise the
//! compiler too much if it were held; here it lives for one access, and every access inside is volatile. `Mmio` may move to another
//! core (`Send`) but is not `Sync`: each driver says for itself, with the reason, whether its device may be used from several cores.
//!
//! Accesses to one device stay in program order (Device-nGnRE memory, ARM DDI 0487 B2.7). Between a device and normal memory, or two
//! devices, they do not: a driver that hands over data in memory issues the barrier itself.

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;

/// The registers `T` of one device at a fixed virtual address.
///
/// # Invariants
/// `base` is mapped as device memory for the size of `T`, aligned for it, for as long as the kernel runs.
pub(super) struct Mmio<T> {
    base: usize,
    registers: PhantomData<*mut T>,
}

impl<T> Mmio<T> {
    /// Takes the registers at `base`.
    ///
    /// # Safety
    /// `base` is the virtual address of a register block laid out as `T`, aligned, mapped as device memory from now on and for ever.
    pub(super) const unsafe fn new(base: usize) -> Self {
        // INVARIANT: the caller's promise, word for word.
        Mmio { base, registers: PhantomData }
    }
}

impl<T> Deref for Mmio<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: mapped, aligned and live by the invariant; the fields are register cells, whose accesses are volatile.
        unsafe { &*ptr::with_exposed_provenance::<T>(self.base) }
    }
}

// SAFETY: a device answers at the same address on every core, and the pointer owns no memory.
unsafe impl<T> Send for Mmio<T> {}
