//! The architecture's names over `std`: for host tests of pure and generic code, and for loom.
//!
//! A "core" is a test thread: `set_cpu` gives it a number. Interrupts cannot happen, but their mask and the count word are kept, so that guards
//! can be tested for leaving them as they were found.

extern crate std;

use std::cell::Cell;
#[cfg(not(loom))]
use std::thread_local;

mod atomic;
pub mod barrier;
pub mod count;
pub mod gate;
pub mod layout;
pub mod mmio;
pub mod spin;
pub mod unaligned;

#[cfg(not(loom))]
thread_local! {
    static CPU: Cell<usize> = const { Cell::new(0) };
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

// All threads of a model run on one thread of the host.
#[cfg(loom)]
loom::thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
    static CURRENT: Cell<usize> = Cell::new(0);
}

/// Number of the "core" that this thread plays.
///
/// # Examples
/// ```
/// use tetra::cpu::{self, PreemptGuard};
/// let pinned = PreemptGuard::new();
/// assert!(cpu::id() < cpu::NR_CPUS); // the same until the guard drops
/// ```
pub fn cpu_id() -> usize {
    CPU.with(Cell::get)
}

/// Lets this thread play core `cpu`.
pub fn set_cpu(cpu: usize) {
    assert!(cpu < super::NR_CPUS, "core {cpu} does not exist");
    CPU.with(|own| own.set(cpu));
}

/// The word that names the running thread.
pub fn current() -> usize {
    CURRENT.with(Cell::get)
}

/// Names the running thread.
///
/// # Safety
/// As on the target: `task` is 0 or the address of a task block that outlives this thread.
pub unsafe fn set_current(task: usize) {
    CURRENT.with(|current| current.set(task));
}

/// Hints that this is a spin loop; under loom, lets another thread run.
pub fn relax() {
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(not(loom))]
    std::thread::yield_now();
}

/// No interrupts to wait for: yields.
pub fn wfi() {
    relax();
}

/// No events to wait for: yields.
pub fn wfe() {
    relax();
}

/// Nobody waits for events.
pub fn sev() {}

/// The interrupt mask of this thread's "core".
pub mod irq {
    use std::cell::Cell;
    use std::thread_local;

    thread_local! {
        static MASKED: Cell<bool> = const { Cell::new(false) };
    }

    /// True between `mask` and `unmask`.
    pub fn is_masked() -> bool {
        MASKED.get()
    }

    /// Masks.
    pub fn mask() {
        MASKED.set(true);
    }

    /// Unmasks.
    ///
    /// # Safety
    /// As on the target.
    pub unsafe fn unmask() {
        MASKED.set(false);
    }

    /// Masks; gives the state before.
    pub fn save() -> u64 {
        u64::from(MASKED.replace(true))
    }

    /// Goes back to what `save` gave.
    ///
    /// # Safety
    /// As on the target.
    pub unsafe fn restore(state: u64) {
        MASKED.set(state != 0);
    }
}

/// The system counter, in nanoseconds.
pub mod counter {
    use std::sync::OnceLock;
    use std::time::Instant;

    /// Nanoseconds since the first call.
    pub fn now() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    /// One tick is a nanosecond.
    pub fn frequency_hz() -> u64 {
        1_000_000_000
    }
}

/// Data cache maintenance: nothing to do, as every observer on a PC is coherent.
pub mod cache {
    /// Writes back and drops lines.
    pub fn clean_invalidate_to_poc(_addr: usize, _len: usize) {}

    /// Drops lines.
    ///
    /// # Safety
    /// As on the target.
    pub unsafe fn invalidate_to_poc(_addr: usize, _len: usize) {}
}

/// Whole pages.
pub mod page {
    /// Fills a page with zeros.
    ///
    /// # Safety
    /// `page` is a page that the caller may write.
    pub unsafe fn clear_page(page: *mut u8) {
        // SAFETY: by the contract.
        unsafe { page.write_bytes(0, 4096) };
    }
}
