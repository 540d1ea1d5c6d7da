//! The same atomic words over `core::sync::atomic`, and over loom's under `cfg(loom)`, so that algorithms run on a PC and in a model
//! checker.
//!
//! # Memory ordering
//! `Full` is a release operation followed by a sequentially consistent fence, the shape that the target has (LDXR, STLXR, DMB ISH), not a
//! `SeqCst` operation: a
//! `SeqCst` operation is no barrier for its neighbours, and loom treats it as acquire and release only. A conditional operation that fails
//! orders nothing, as on the target, so a model run does not lean on more than the kernel has.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use crate::arch::atomic::{Change, Order, Word};

/// The order that the operation itself has.
fn ordering(order: Order) -> Ordering {
    match order {
        Order::Relaxed => Ordering::Relaxed,
        Order::Acquire => Ordering::Acquire,
        Order::Release | Order::Full => Ordering::Release,
    }
}

/// What follows a store that happened.
fn after(order: Order) {
    if order == Order::Full {
        fence(Ordering::SeqCst);
    }
}

/// Implements [`Word`] for one width.
macro_rules! impl_word {
    ($word:ident, $cell:ident) => {
        impl Word for $word {
            type Cell = $cell;

            fn cell(value: Self) -> $cell {
                $cell::new(value)
            }

            fn load_relaxed(cell: &$cell) -> Self {
                cell.load(Ordering::Relaxed)
            }

            fn load_acquire(cell: &$cell) -> Self {
                cell.load(Ordering::Acquire)
            }

            fn store_relaxed(cell: &$cell, value: Self) {
                cell.store(value, Ordering::Relaxed);
            }

            fn store_release(cell: &$cell, value: Self) {
                cell.store(value, Ordering::Release);
            }

            fn xchg(cell: &$cell, new: Self, order: Order) -> Self {
                let old = cell.swap(new, ordering(order));
                after(order);
                old
            }

            fn inc(cell: &$cell, order: Order) -> Change<Self> {
                Self::add(cell, 1, order)
            }

            fn dec(cell: &$cell, order: Order) -> Change<Self> {
                Self::sub(cell, 1, order)
            }

            impl_word!(@operand add, fetch_add, |old, operand| old.wrapping_add(operand), $cell);
            impl_word!(@operand sub, fetch_sub, |old, operand| old.wrapping_sub(operand), $cell);
            impl_word!(@operand and, fetch_and, |old, operand| old & operand, $cell);
            impl_word!(@operand or, fetch_or, |old, operand| old | operand, $cell);
            impl_word!(@operand xor, fetch_xor, |old, operand| old ^ operand, $cell);

            fn andnot(cell: &$cell, operand: Self, order: Order) -> Change<Self> {
                Self::and(cell, !operand, order)
            }

            fn cmpxchg(cell: &$cell, old: Self, new: Self, order: Order) -> Result<Self, Self> {
                let result = cell.compare_exchange(old, new, ordering(order), Ordering::Relaxed);
                if result.is_ok() {
                    after(order);
                }
                result
            }

            fn cmpxchg_zero(cell: &$cell, new: Self, order: Order) -> Result<Self, Self> {
                Self::cmpxchg(cell, 0, new, order)
            }

            fn cmpxchg_to_zero(cell: &$cell, old: Self, order: Order) -> Result<Self, Self> {
                Self::cmpxchg(cell, old, 0, order)
            }

            fn add_unless_any<const OPERAND: u64, const BITS: u64>(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| (old & BITS as Self == 0).then(|| old.wrapping_add(OPERAND as Self)))
            }

            fn sub_const<const OPERAND: u64>(cell: &$cell, order: Order) -> Change<Self> {
                Self::sub(cell, OPERAND as Self, order)
            }

            fn add_unless(cell: &$cell, operand: Self, unless: Self, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| (old != unless).then(|| old.wrapping_add(operand)))
            }

            fn inc_not_zero(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| (old != 0).then(|| old.wrapping_add(1)))
            }

            fn dec_not_zero(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| old.checked_sub(1))
            }

            fn inc_unless_negative(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| (old.cast_signed() >= 0).then(|| old.wrapping_add(1)))
            }

            fn dec_if_positive(cell: &$cell, order: Order) -> Result<Change<Self>, Self> {
                impl_word!(@update cell, order, |old| (old.cast_signed() > 0).then(|| old.wrapping_sub(1)))
            }
        }
    };
    (@operand $name:ident, $fetch:ident, |$old:ident, $operand:ident| $new:expr, $cell:ident) => {
        fn $name(cell: &$cell, $operand: Self, order: Order) -> Change<Self> {
            let $old = cell.$fetch($operand, ordering(order));
            after(order);
            Change { old: $old, new: $new }
        }
    };
    (@update $cell:ident, $order:ident, |$old:ident| $new:expr) => {{
        let mut $old = Self::load_relaxed($cell);
        loop {
            let Some(new) = $new else { return Err($old) };
            match Self::cmpxchg($cell, $old, new, $order) {
                Ok(old) => return Ok(Change { old, new }),
                Err(found) => $old = found,
            }
        }
    }};
}

impl_word!(u8, AtomicU8);
impl_word!(u16, AtomicU16);
impl_word!(u32, AtomicU32);
impl_word!(u64, AtomicU64);
