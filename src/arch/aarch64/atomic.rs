//! The exclusive loops: every LDXR and STXR of this kernel's own code is in this file.
//!
//! The Cortex-A72 is Armv8.0: no LSE instructions (LDADD, CAS, SWP), so a read-modify-write is load-exclusive, compute, store-exclusive,
//! retry. Each is inlined assembly, because `core::sync::atomic` has no full-barrier form, tells the outcome of a compare-and-exchange
//! through a register and a second test, and makes of every conditional operation a loop around a compare-and-exchange.
//!
//! # Memory ordering
//! | `Order` | load | store | after |
//! |---|---|---|---|
//! | `Relaxed` | LDXR | STXR | |
//! | `Acquire` | LDAXR | STXR | |
//! | `Release` | LDXR | STLXR | |
//! | `Full` | LDXR | STLXR | DMB ISH |
//!
//! Full: STLXR keeps all that precedes before the store, DMB ISH keeps all that follows after load and store. LDAXR with STLXR and no DMB
//! is *not* full: a later load may be satisfied between the two exclusives, before the store is seen, and store buffering (SB) shows. A
//! conditional operation leaves before its store and before its DMB: a failure orders nothing.
//!
//! # Leaving the loop without a store
//! A failed comparison leaves the local monitor armed, and no CLREX follows. Every STXR here is preceded by its own LDXR, which arms the
//! monitor for its own address, and an exception return clears it (ARM DDI 0487, B2.9 "Synchronization and semaphores"); so no stray STXR
//! can ever meet a stale reservation.
//!
//! # Retries
//! Between load and store stand at most four data-processing instructions or branches, no other access, and no exception-generating
//! instruction: the conditions of B2.9.5 under which the loop must eventually succeed. There is no PRFM PSTL1STRM before it: that would
//! charge every uncontended operation for what only a contended line may gain.
//!
//! Algorithms must not lean on STXR failing when the word was written with the same value: hardware would, QEMU compares values and does
//! not.

use core::arch::asm;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::arch::atomic::{Change, Order, Word};

/// Expands `$emit!` once an order, with the exclusive load, the exclusive store and what follows them.
macro_rules! by_order {
    ($order:expr, $emit:ident $args:tt) => {
        match $order {
            Order::Relaxed => $emit!("ldxr", "stxr", "", $args),
            Order::Acquire => $emit!("ldaxr", "stxr", "", $args),
            Order::Release => $emit!("ldxr", "stlxr", "", $args),
            Order::Full => $emit!("ldxr", "stlxr", "dmb ish", $args),
        }
    };
}

/// An instruction that computes `new` from `old` and 1.
macro_rules! with_one {
    ($op:literal, $reg:literal) => {
        concat!($op, " {new:", $reg, "}, {old:", $reg, "}, #1")
    };
}

/// An instruction that computes `new` from `old` and the operand.
macro_rules! with_operand {
    ($op:literal, $reg:literal) => {
        concat!($op, " {new:", $reg, "}, {old:", $reg, "}, {operand:", $reg, "}")
    };
}

/// An instruction that computes `new` from `old` and a constant.
macro_rules! with_constant {
    ($op:literal, $reg:literal) => {
        concat!($op, " {new:", $reg, "}, {old:", $reg, "}, #{constant}")
    };
}

/// One unconditional loop: load `old`, compute `new` by the instruction `$op`, store it.
///
/// All results are early-clobber outputs (`out`, not `lateout`): the status register of a store-exclusive must be neither its address nor
/// its data register (CONSTRAINED UNPREDICTABLE otherwise), and the inputs must survive a retry.
macro_rules! rmw_loop {
    ($load:literal, $store:literal, $after:literal, ($size:literal, $reg:literal, $wide:ty, $cell:ident, $op:expr $(, $operand:ident)? $(; $name:ident = $constant:expr)?)) => {{
        let (old, new): ($wide, $wide);
        // SAFETY: The cell is a live, aligned word of this size that is only ever accessed atomically; the loop reads and writes nothing
        // else.
        unsafe {
            asm!(
                concat!("2: ", $load, $size, " {old:", $reg, "}, [{cell}]"),
                $op,
                concat!($store, $size, " {status:w}, {new:", $reg, "}, [{cell}]"),
                "cbnz {status:w}, 2b",
                $after,
                cell = in(reg) $cell.as_ptr(),
                $(operand = in(reg) <$wide>::from($operand),)?
                $($name = const $constant,)?
                old = out(reg) old,
                new = out(reg) new,
                status = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        (old, new)
    }};
}

/// An exchange: as [`rmw_loop`], with the new value given.
macro_rules! xchg_loop {
    ($load:literal, $store:literal, $after:literal, ($size:literal, $reg:literal, $wide:ty, $cell:ident, $new:ident)) => {{
        let old: $wide;
        // SAFETY: As in `rmw_loop`.
        unsafe {
            asm!(
                concat!("2: ", $load, $size, " {old:", $reg, "}, [{cell}]"),
                concat!($store, $size, " {status:w}, {new:", $reg, "}, [{cell}]"),
                "cbnz {status:w}, 2b",
                $after,
                cell = in(reg) $cell.as_ptr(),
                new = in(reg) <$wide>::from($new),
                old = out(reg) old,
                status = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
        old
    }};
}

/// A conditional store of a given value: `$test` branches to `fail` when it must not happen. Success is told by falling through, so it
/// costs no flag.
macro_rules! cmpxchg_loop {
    ($load:literal, $store:literal, $after:literal, ($size:literal, $reg:literal, $wide:ty, $cell:ident, $new:ident, [$($test:expr),+] $(, $expected:ident)?)) => {{
        let old: $wide;
        // SAFETY: As in `rmw_loop`; `old` is written before the branch, so it is valid on both ways out.
        unsafe {
            asm!(
                concat!("2: ", $load, $size, " {old:", $reg, "}, [{cell}]"),
                $($test,)+
                concat!($store, $size, " {status:w}, {new:", $reg, "}, [{cell}]"),
                "cbnz {status:w}, 2b",
                $after,
                cell = in(reg) $cell.as_ptr(),
                new = in(reg) <$wide>::from($new),
                $(expected = in(reg) <$wide>::from($expected),)?
                old = out(reg) old,
                status = out(reg) _,
                fail = label { return Err(old as Self) },
                options(nostack),
            );
        }
        Ok(old as Self)
    }};
}

/// A conditional store of 0, which is the zero register.
macro_rules! zero_loop {
    ($load:literal, $store:literal, $after:literal, ($size:literal, $reg:literal, $zero:literal, $wide:ty, $cell:ident, $expected:ident)) => {{
        let old: $wide;
        // SAFETY: As in `cmpxchg_loop`.
        unsafe {
            asm!(
                concat!("2: ", $load, $size, " {old:", $reg, "}, [{cell}]"),
                concat!("cmp {old:", $reg, "}, {expected:", $reg, "}"),
                "b.ne {fail}",
                concat!($store, $size, " {status:w}, ", $zero, ", [{cell}]"),
                "cbnz {status:w}, 2b",
                $after,
                cell = in(reg) $cell.as_ptr(),
                expected = in(reg) <$wide>::from($expected),
                old = out(reg) old,
                status = out(reg) _,
                fail = label { return Err(old as Self) },
                options(nostack),
            );
        }
        Ok(old as Self)
    }};
}

/// A conditional change: as [`cmpxchg_loop`], with the new value computed by `$op`.
macro_rules! conditional_loop {
    ($load:literal, $store:literal, $after:literal,
     ($size:literal, $reg:literal, $wide:ty, $cell:ident, [$($test:expr),+], $op:expr $(, $operand:ident, $unless:ident)? $(; $($name:ident = $constant:expr),+)?)) => {{
        let (old, new): ($wide, $wide);
        // SAFETY: As in `cmpxchg_loop`; `new` serves as scratch before the branch and is not read on the way out by `fail`.
        unsafe {
            asm!(
                concat!("2: ", $load, $size, " {old:", $reg, "}, [{cell}]"),
                $($test,)+
                $op,
                concat!($store, $size, " {status:w}, {new:", $reg, "}, [{cell}]"),
                "cbnz {status:w}, 2b",
                $after,
                cell = in(reg) $cell.as_ptr(),
                $(operand = in(reg) <$wide>::from($operand), unless = in(reg) <$wide>::from($unless),)?
                $($($name = const $constant,)+)?
                old = out(reg) old,
                new = out(reg) new,
                status = out(reg) _,
                fail = label { return Err(old as Self) },
                options(nostack),
            );
        }
        Ok(Change { old: old as Self, new: new as Self })
    }};
}

/// Implements [`Word`] for one width.
///
/// `$wide` is the type in a register: narrow operands are extended to 32 bits, as LDXRB and LDXRH extend what they load, so that a 32-bit
/// comparison is right.
macro_rules! impl_word {
    ($word:ident, $cell:ident, $wide:ident, $size:literal, $reg:literal, $zero:literal, $top_bit:literal, [$($compare_signed_zero:expr),+]) => {
        impl Word for $word {
            type Cell = $cell;

            #[inline(always)]
            fn cell(value: Self) -> $cell {
                $cell::new(value)
            }

            #[inline(always)]
            fn load_relaxed(cell: &$cell) -> Self {
                cell.load(Ordering::Relaxed)
            }

            #[inline(always)]
            fn load_acquire(cell: &$cell) -> Self {
                cell.load(Ordering::Acquire)
            }

            #[inline(always)]
            fn store_relaxed(cell: &$cell, value: Self) {
                cell.store(value, Ordering::Relaxed);
            }

            #[inline(always)]
            fn store_release(cell: &$cell, value: Self) {
                cell.store(value, Ordering::Release);
            }

            #[inline(always)]
            fn xchg(cell: &$cell, new: Self, order: Order) -> Self {
                by_order!(order, xchg_loop($size, $reg, $wide, cell, new)) as Self
            }

            #[inline(always)]
            fn inc(cell: &$cell, order: Order) -> Change<Self> {
                let (old, new) = by_order!(order, rmw_loop($size, $reg, $wide, cell, with_one!("add", $reg)));
                Change { old: old as Self, new: new as Self }
            }

            #[inline(always)]
            fn dec(cell: &$cell, order: Order) -> Change<Self> {
                let (old, new) = by_order!(order, rmw_loop($size, $reg, $wide, cell, with_one!("sub", $reg)));
                Change { old: old as Self, new: new as Self }
            }

            impl_word!(@operand add, "add", $cell, $wide, $size, $reg);
            impl_word!(@operand sub, "sub", $cell, $wide, $size, $reg);
            impl_word!(@operand and, "and", $cell, $wide, $size, $reg);
            impl_word!(@operand andnot, "bic", $cell, $wide, $size, $reg);
            impl_word!(@operand or, "orr", $cell, $wide, $size, $reg);
            impl_word!(@operand xor, "eor", $cell, $wide, $size, $reg);

            #[inline(always)]
            fn cmpxchg(cell: &$cell, old: Self, new: Self, order: Order) -> Result<Self, Self> {
                let expected = old;
                by_order!(order, cmpxchg_loop($size, $reg, $wide, cell, new,
                    [concat!("cmp {old:", $reg, "}, {expected:", $reg, "}"), "b.ne {fail}"], expected))
            }

            #[inline(always)]
            fn cmpxchg_zero(cell: &$cell, new: Self, order: Order) -> Result<Self, Self> {
                by_order!(order, cmpxchg_loop($size, $reg, $wide, cell, new, [concat!("cbnz {old:", $reg, "}, {fail}")]))
            }

            #[inline(always)]
            fn cmpxchg_to_zero(cell: &$cell, old: Self, order: Order) -> Result<Self, Self> {
                let expected = old;
                by_order!(order, zero_loop($size, $reg, $zero, $wide, cell, expected))
            }

            #[inline(always)]
            fn add_unless_any<const OPERAND: u64, const BITS: u64>(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell,
                    [concat!("tst {old:", $reg, "}, #{bits}"), "b.ne {fail}"], with_constant!("add", $reg); bits = BITS, constant = OPERAND))
            }

            #[inline(always)]
            fn sub_const<const OPERAND: u64>(cell: &$cell, order: Order) -> Change<Self> {
                let (old, new) = by_order!(order, rmw_loop($size, $reg, $wide, cell, with_constant!("sub", $reg); constant = OPERAND));
                Change { old: old as Self, new: new as Self }
            }

            #[inline(always)]
            fn add_unless(cell: &$cell, operand: Self, unless: Self, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell,
                    [concat!("cmp {old:", $reg, "}, {unless:", $reg, "}"), "b.eq {fail}"], with_operand!("add", $reg), operand, unless))
            }

            #[inline(always)]
            fn inc_not_zero(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell, [concat!("cbz {old:", $reg, "}, {fail}")], with_one!("add", $reg)))
            }

            #[inline(always)]
            fn dec_not_zero(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell, [concat!("cbz {old:", $reg, "}, {fail}")], with_one!("sub", $reg)))
            }

            #[inline(always)]
            fn inc_unless_negative(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell, [concat!("tbnz {old:", $reg, "}, #", $top_bit, ", {fail}")], with_one!("add", $reg)))
            }

            #[inline(always)]
            fn dec_if_positive(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                by_order!(order, conditional_loop($size, $reg, $wide, cell, [$($compare_signed_zero,)+ "b.le {fail}"], with_one!("sub", $reg)))
            }
        }
    };
    (@operand $name:ident, $op:literal, $cell:ident, $wide:ident, $size:literal, $reg:literal) => {
        #[inline(always)]
        fn $name(cell: &$cell, operand: Self, order: Order) -> Change<Self> {
            let (old, new) = by_order!(order, rmw_loop($size, $reg, $wide, cell, with_operand!($op, $reg), operand));
            Change { old: old as Self, new: new as Self }
        }
    };
}

impl_word!(u8, AtomicU8, u32, "b", "w", "wzr", "7", ["sxtb {new:w}, {old:w}", "cmp {new:w}, #0"]);
impl_word!(u16, AtomicU16, u32, "h", "w", "wzr", "15", ["sxth {new:w}, {old:w}", "cmp {new:w}, #0"]);
impl_word!(u32, AtomicU32, u32, "", "w", "wzr", "31", ["cmp {old:w}, #0"]);
impl_word!(u64, AtomicU64, u64, "", "x", "xzr", "63", ["cmp {old:x}, #0"]);
