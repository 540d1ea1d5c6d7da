//! Bit operations: the full-barrier ones in store buffering, the lock forms as a lock.

use tetra::sync::atomic::{AtomicI32, AtomicU64};
use tetra::sync::bitops::BitOps;

/// A datum as the result of a thread.
#[inline(always)]
fn value(cell: &AtomicI32) -> u64 {
    u64::from(cell.read().cast_unsigned())
}

/// Exports a bit operation between two accesses, and as what looks.
macro_rules! full_forms {
    ($($sb:ident $publish:ident $look:ident: $op:ident;)+) => {
        $(
            /// Changes a bit of its own between two accesses.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $sb(mine: &AtomicI32, other: &AtomicI32, map: &AtomicU64) -> u64 {
                mine.set(1);
                map.$op(5);
                value(other)
            }

            /// Data, then the bit that says so.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $publish(data: &AtomicI32, map: &AtomicU64) -> u64 {
                data.set(1);
                map.$op(0);
                0
            }

            /// Changes the bit that says whether there is data.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $look(data: &AtomicI32, map: &AtomicU64) -> u64 {
                let seen = u64::from(map.$op(0));
                seen << 1 | value(data)
            }
        )+
    };
}

full_forms! {
    sb_test_and_set_bit publish_test_and_set_bit look_test_and_set_bit: test_and_set_bit;
    sb_test_and_clear_bit publish_test_and_clear_bit look_test_and_clear_bit: test_and_clear_bit;
    sb_test_and_change_bit publish_test_and_change_bit look_test_and_change_bit: test_and_change_bit;
}

/// Writes under a bit lock that it has, and gives it up.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bit_unlock(data: &AtomicI32, map: &AtomicU64) -> u64 {
    data.set(1);
    map.clear_bit_unlock(0);
    0
}

/// As `bit_unlock`, by a plain store.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bit_unlock_nonatomic(data: &AtomicI32, map: &AtomicU64) -> u64 {
    data.set(1);
    map.nonatomic_clear_bit_unlock(0);
    0
}

/// Takes the bit lock if it is free, and reads under it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn bit_lock(data: &AtomicI32, map: &AtomicU64) -> u64 {
    let locked = !map.test_and_set_bit_lock(0);
    u64::from(locked) << 1 | value(data)
}

/// Looks at the bit that another clears, with acquire order.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_bit_acquire(data: &AtomicI32, map: &AtomicU64) -> u64 {
    let is_clear = !map.test_bit_acquire(0);
    u64::from(is_clear) << 1 | value(data)
}

/// Looks at the bit that another sets, with acquire order.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_bit_set_acquire(data: &AtomicI32, map: &AtomicU64) -> u64 {
    u64::from(map.test_bit_acquire(0)) << 1 | value(data)
}

/// Data, then a word of bits that says so.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_store_release_u64(data: &AtomicI32, map: &AtomicU64) -> u64 {
    data.set(1);
    map.store_release(1);
    0
}
