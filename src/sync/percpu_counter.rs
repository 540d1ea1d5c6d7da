//! A counter with a cell for each core: adding touches no other core's cache line, reading sums up.
//!
//! For what is counted often and read rarely: statistics, objects in use. An addition is one exclusive loop on the cell of the core on which it began.
//! If the thread migrates in between it adds to a cell that is another core's by then: no harm, as the loop is atomic and only the sum means anything;
//! so preemption need not go off. Cells wrap and may be negative, since what one core adds another may subtract; the sum is right modulo 2^64.
//!
//! # Memory ordering
//! None: an addition orders nothing, and a sum taken while others add is some value between the sums before and after.
//!
//! ```
//! use tetra::sync::CounterCell;
//! tetra::per_cpu! {
//!     /// Requests served.
//!     near static SERVED: CounterCell = CounterCell::new();
//! }
//! SERVED.inc();
//! SERVED.add(5);
//! SERVED.sub(2);
//! assert_eq!(SERVED.sum(), 4);
//! ```

use super::atomic::AtomicI64;
use crate::cpu::PerCpu;

/// One core's part of a per-CPU counter. Declared with `per_cpu!`; the calls are those of [`PerCpuCounter`].
#[derive(Debug)]
#[repr(transparent)]
pub struct CounterCell(AtomicI64);

/// A counter with a [`CounterCell`] for each core.
pub type PerCpuCounter = PerCpu<CounterCell>;

impl CounterCell {
    /// A cell at 0.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }
}

impl Default for CounterCell {
    fn default() -> Self {
        Self::new()
    }
}

impl PerCpu<CounterCell> {
    /// Adds `amount`.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::CounterCell;
    /// tetra::per_cpu! { static SERVED: CounterCell = CounterCell::new(); }
    /// SERVED.add(5);
    /// assert_eq!(SERVED.sum(), 5);
    /// ```
    #[inline(always)]
    pub fn add(&self, amount: i64) {
        self.this().0.add(amount);
    }

    /// Subtracts `amount`.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::CounterCell;
    /// tetra::per_cpu! { static SERVED: CounterCell = CounterCell::new(); }
    /// SERVED.sub(2);
    /// assert_eq!(SERVED.sum(), -2);
    /// ```
    #[inline(always)]
    pub fn sub(&self, amount: i64) {
        self.this().0.sub(amount);
    }

    /// Adds one.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::CounterCell;
    /// tetra::per_cpu! { static SERVED: CounterCell = CounterCell::new(); }
    /// SERVED.inc();
    /// assert_eq!(SERVED.sum(), 1);
    /// ```
    #[inline(always)]
    pub fn inc(&self) {
        self.this().0.inc();
    }

    /// Subtracts one.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::CounterCell;
    /// tetra::per_cpu! { static SERVED: CounterCell = CounterCell::new(); }
    /// SERVED.dec();
    /// assert_eq!(SERVED.sum(), -1);
    /// ```
    #[inline(always)]
    pub fn dec(&self) {
        self.this().0.dec();
    }

    /// The sum of all cells: exact if nobody adds meanwhile.
    ///
    /// Context: any.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::CounterCell;
    /// tetra::per_cpu! { static SERVED: CounterCell = CounterCell::new(); }
    /// SERVED.add(5);
    /// SERVED.dec();
    /// assert_eq!(SERVED.sum(), 4);
    /// ```
    pub fn sum(&self) -> i64 {
        self.iter().fold(0, |sum, cell| sum.wrapping_add(cell.0.read()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::arch;
    use crate::per_cpu;
    use std::thread;

    per_cpu! {
        static COUNTER: CounterCell = CounterCell::new();
    }

    #[test]
    fn cores_add_to_cells_of_their_own_and_the_sum_is_exact() {
        const ROUNDS: i64 = 10_000;
        thread::scope(|scope| {
            for cpu in 0..arch::NR_CPUS {
                scope.spawn(move || {
                    arch::set_cpu(cpu);
                    (0..ROUNDS).for_each(|_| COUNTER.add(3));
                    (0..ROUNDS).for_each(|_| COUNTER.dec());
                });
            }
        });
        assert!(COUNTER.iter().all(|cell| cell.0.read() == 2 * ROUNDS));
        assert_eq!(COUNTER.sum(), 2 * ROUNDS * arch::NR_CPUS as i64);
    }
}
