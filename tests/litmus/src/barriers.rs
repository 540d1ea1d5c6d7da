//! The bare barriers, in the shapes that they are for.

use tetra::sync::atomic::{AtomicI32, AtomicU64};
use tetra::sync::barrier;

/// A flag or datum as the result of a thread.
#[inline(always)]
fn value(cell: &AtomicI32) -> u64 {
    u64::from(cell.read().cast_unsigned())
}

/// Says what it wants, then looks what the other wants.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_smp_mb(mine: &AtomicI32, other: &AtomicI32) -> u64 {
    mine.set(1);
    barrier::smp_mb();
    value(other)
}

/// As `sb_smp_mb`, by `smp_store_mb`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_smp_store_mb(mine: &AtomicI32, other: &AtomicI32) -> u64 {
    barrier::smp_store_mb(mine, 1);
    value(other)
}

/// A void atomic operation with a barrier before it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_before_atomic(mine: &AtomicI32, other: &AtomicI32, word: &AtomicI32) -> u64 {
    mine.set(1);
    barrier::smp_mb_before_atomic();
    word.inc();
    value(other)
}

/// A void atomic operation with a barrier after it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_after_atomic(mine: &AtomicI32, other: &AtomicI32, word: &AtomicI32) -> u64 {
    mine.set(1);
    word.inc();
    barrier::smp_mb_after_atomic();
    value(other)
}

/// A void atomic operation alone: orders nothing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_inc(mine: &AtomicI32, other: &AtomicI32, word: &AtomicI32) -> u64 {
    mine.set(1);
    word.inc();
    value(other)
}

/// Data, then a flag.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_smp_wmb(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    data.set(1);
    barrier::smp_wmb();
    flag.set(1);
    0
}

/// Data, then a flag for a device that snoops.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_dma_wmb(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    data.set(1);
    barrier::dma_wmb();
    flag.set(1);
    0
}

/// A flag, then data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_smp_rmb(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    let seen = value(flag);
    barrier::smp_rmb();
    seen << 1 | value(data)
}

/// A flag, then data, with the order made where the flag is seen.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_after_ctrl_dep(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    if flag.read() == 0 {
        return 0;
    }
    barrier::smp_acquire_after_ctrl_dep();
    2 | value(data)
}

/// A flag, then data from a device that snoops.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_dma_rmb(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    let seen = value(flag);
    barrier::dma_rmb();
    seen << 1 | value(data)
}

/// Fills an object, then publishes its address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_pointer(object: &AtomicI32, pointer: &AtomicU64) -> u64 {
    object.set(1);
    pointer.store_release(core::ptr::from_ref(object).addr() as u64);
    0
}

/// Follows a pointer: ordered by the address dependency alone.
///
/// # Safety
/// `pointer` holds the address of a live `AtomicI32`.
#[unsafe(no_mangle)]
#[inline(never)]
unsafe extern "C" fn follow_pointer(pointer: &AtomicU64) -> u64 {
    let object: *const AtomicI32 = core::ptr::with_exposed_provenance(pointer.read() as usize);
    // SAFETY: The caller's promise.
    value(unsafe { &*object })
}
