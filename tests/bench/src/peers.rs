//! The peers' rows: what the kernel's own rows measure, done with what others offer.
//!
//! None of them knows of preemption, interrupts or lockdep: `spin`'s locks are to be compared with the algorithm in ours, and with the count of 3
//! instructions that keeps the holder of ours on its core.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use spin::mutex::{SpinMutex, TicketMutex};
use tetra::bench::bench;

bench! {
    "sync.atomic_inc" by "core::sync::atomic", counter: AtomicU32 = AtomicU32::new(0) => { counter.fetch_add(1, Ordering::Relaxed); };
    "sync.atomic_add_return" by "core::sync::atomic", counter: AtomicU32 = AtomicU32::new(0) => counter.fetch_add(3, Ordering::SeqCst).wrapping_add(3);
    "sync.atomic_add_return_relaxed" by "core::sync::atomic", counter: AtomicU32 = AtomicU32::new(0) =>
        counter.fetch_add(3, Ordering::Relaxed).wrapping_add(3);
    "sync.atomic_cmpxchg_ok" by "core::sync::atomic", word: AtomicU32 = AtomicU32::new(0) => {
        let old = word.load(Ordering::Relaxed);
        word.compare_exchange(old, old + 1, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    };
    "sync.atomic_cmpxchg_fail" by "core::sync::atomic", word: AtomicU32 = AtomicU32::new(0) =>
        word.compare_exchange(1, 2, Ordering::SeqCst, Ordering::Relaxed).is_ok();
    "sync.atomic_xchg" by "core::sync::atomic", word: AtomicU32 = AtomicU32::new(0) => word.swap(1, Ordering::SeqCst);
    "sync.atomic_dec_and_test" by "core::sync::atomic", counter: AtomicU32 = AtomicU32::new(1 << 30) => counter.fetch_sub(1, Ordering::SeqCst) == 1;
    "sync.set_bit" by "core::sync::atomic", word: AtomicU64 = AtomicU64::new(0) => { word.fetch_or(1 << 5, Ordering::Relaxed); };
    "sync.test_and_set_bit" by "core::sync::atomic", word: AtomicU64 = AtomicU64::new(1 << 5) => word.fetch_or(1 << 5, Ordering::SeqCst) & (1 << 5) != 0;
}

bench! {
    "sync.spin_lock" by "spin::TicketMutex", lock: TicketMutex<u64> = TicketMutex::new(0) => drop(lock.lock());
    "sync.spin_lock_tas" by "spin::Mutex", lock: SpinMutex<u64> = SpinMutex::new(0) => drop(lock.lock());
    "sync.spin_trylock" by "spin::TicketMutex", lock: TicketMutex<u64> = TicketMutex::new(0) => drop(lock.try_lock());
    "sync.spin_trylock" by "spin::Mutex", lock: SpinMutex<u64> = SpinMutex::new(0) => drop(lock.try_lock());
    "sync.read_lock" by "spin::RwLock", lock: spin::RwLock<u64> = spin::RwLock::new(0) => drop(lock.read());
    "sync.write_lock" by "spin::RwLock", lock: spin::RwLock<u64> = spin::RwLock::new(0) => drop(lock.write());
}
