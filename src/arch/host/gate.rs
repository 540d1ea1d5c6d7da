//! The conditional updates of the reader-writer lock, over compare-and-exchange.

use crate::arch::atomic::{Order, Word};

type Cell = <u32 as Word>::Cell;

/// Subtracts one if bit `BIT` is set. True if it did; acquire then.
pub fn dec_if_bit<const BIT: u32>(cell: &Cell) -> bool {
    update_if_bit(cell, BIT, |old| old - 1)
}

/// Stores 0 if bit `BIT` is set. True if it did; acquire then.
pub fn clear_if_bit<const BIT: u32>(cell: &Cell) -> bool {
    update_if_bit(cell, BIT, |_| 0)
}

fn update_if_bit(cell: &Cell, bit: u32, new: impl Fn(u32) -> u32) -> bool {
    let mut old = u32::load_relaxed(cell);
    while old & (1 << bit) != 0 {
        match u32::cmpxchg(cell, old, new(old), Order::Acquire) {
            Ok(_) => return true,
            Err(found) => old = found,
        }
    }
    false
}
