//! Rows of the synchronization primitives, uncontended: none of them sleeps here.
//!
//! A pair (lock and unlock) is one row, because nobody makes half of it. `docs/performance.md` argues the limit of each from its instructions.

use super::bench;
use crate::cpu::{IrqGuard, PreemptGuard};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::bitops::BitOps;
use crate::sync::policy::Policy;
use crate::sync::{
    BottomHalfDisabled, Completion, CounterCell, McsNode, McsSpinLock, Mutex, RwLock, RwSemaphore, Semaphore, SeqCount, SeqLock, SpinLock,
    TasSpinLock, WaitQueue,
};
use core::pin::pin;

crate::per_cpu! {
    near static COUNTER: CounterCell = CounterCell::new();
}

bench! {
    "sync.atomic_inc", counter: AtomicU32 = AtomicU32::new(0) => counter.inc();
    "sync.atomic_add_return", counter: AtomicU32 = AtomicU32::new(0) => counter.add_return(3);
    "sync.atomic_add_return_relaxed", counter: AtomicU32 = AtomicU32::new(0) => counter.add_return_relaxed(3);
    "sync.atomic_cmpxchg_ok", word: AtomicU32 = AtomicU32::new(0) => {
        let old = word.read();
        word.cmpxchg(old, old + 1).is_ok()
    };
    "sync.atomic_cmpxchg_fail", word: AtomicU32 = AtomicU32::new(0) => word.cmpxchg(1, 2).is_ok();
    "sync.atomic_xchg", word: AtomicU32 = AtomicU32::new(0) => word.xchg(1);
    "sync.atomic_dec_and_test", counter: AtomicU32 = AtomicU32::new(1 << 30) => counter.dec_and_test();
    "sync.set_bit", word: AtomicU64 = AtomicU64::new(0) => word.set_bit(5);
    "sync.test_and_set_bit", word: AtomicU64 = AtomicU64::new(1 << 5) => word.test_and_set_bit(5);
}

bench! {
    "sync.preempt_disable_enable", _none: () = () => drop(PreemptGuard::new());
    "sync.local_irq_save_restore", _none: () = () => drop(IrqGuard::new());
    "sync.local_bh_disable_enable", _none: () = () => {
        BottomHalfDisabled::enter();
        // SAFETY: undoes the line above.
        unsafe { BottomHalfDisabled::leave() };
    };
}

bench! {
    "sync.spin_lock", lock: SpinLock<u64> = SpinLock::new(0) => drop(lock.lock());
    "sync.spin_lock_irqsave", lock: SpinLock<u64> = SpinLock::new(0) => drop(lock.lock_irqsave());
    "sync.spin_lock_bh", lock: SpinLock<u64> = SpinLock::new(0) => drop(lock.lock_bh());
    "sync.spin_trylock", lock: SpinLock<u64> = SpinLock::new(0) => drop(lock.try_lock());
    "sync.spin_lock_tas", lock: TasSpinLock<u64> = TasSpinLock::new(0) => drop(lock.lock());
    "sync.spin_lock_mcs", lock: McsSpinLock<u64> = McsSpinLock::new(0) => drop(lock.lock_with(pin!(McsNode::new())));
    "sync.read_lock", lock: RwLock<u64> = RwLock::new(0) => drop(lock.read());
    "sync.write_lock", lock: RwLock<u64> = RwLock::new(0) => drop(lock.write());
    "sync.seq_read", count: SeqCount = SeqCount::new() => count.retry(count.begin());
    "sync.seq_write", lock: SeqLock<u64> = SeqLock::new(0) => drop(lock.write());
    "sync.mutex", lock: Mutex<u64> = Mutex::new(0) => drop(lock.lock());
    "sync.mutex_trylock", lock: Mutex<u64> = Mutex::new(0) => drop(lock.try_lock());
    "sync.semaphore", places: Semaphore = Semaphore::new(1) => {
        places.down();
        places.up();
    };
    "sync.rwsem_read", lock: RwSemaphore<u64> = RwSemaphore::new(0) => drop(lock.read());
    "sync.rwsem_write", lock: RwSemaphore<u64> = RwSemaphore::new(0) => drop(lock.write());
    "sync.completion", event: Completion = Completion::new() => {
        event.complete();
        event.wait();
    };
    "thread.waitqueue_wake_none", queue: WaitQueue = WaitQueue::new() => queue.wake_up();
    "sync.percpu_counter_add", _none: () = () => COUNTER.inc();
}
