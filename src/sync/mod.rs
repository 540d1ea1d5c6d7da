//! Synchronization: what keeps data whole when four cores and their interrupts use it at once.
//!
//! | to find | look in |
//! |---|---|
//! | atomics, bit operations, barriers, reference counts | [`atomic`], [`bitops`], [`barrier`], [`refcount`] |
//! | a lock algorithm | [`raw`] |
//! | how an algorithm, a context policy and the checks make a lock | [`lock`], [`policy`], [`meta`] |
//! | the spinlock under its names | [`spinlock`] |
//! | readers beside each other: with a lock, or without one | [`rwlock`], [`seqlock`] |
//! | counting without sharing a cache line | [`percpu_counter`] |
//! | what is made once | [`once`] |
//! | waiting for a condition, or for an event | [`wait_queue`], [`completion`] |
//! | locks whose takers sleep | [`mutex`], [`semaphore`], [`rw_semaphore`] |
//! | waiting for data under a mutex | [`condvar`] |
//! | the lock that a sleep gives back | [`bkl`] |
//! | what sleeping locks are made of | `wait_room`, `tokens`, `raw_mutex` |
//! | who holds a lock, recursion, long waits | [`debug_spinlock`] |
//! | in which order locks are taken, and which could deadlock | [`lockdep`]; [`lock_class`], [`held_locks`] |
//! | how often and how long locks are waited for and held | [`lock_stat`] |
//!
//! A lock is `Lock<T, R, G>`: data, algorithm, and the least permissive context that touches the data. `docs/locking.md` says which to choose.

pub mod atomic;
pub mod barrier;
pub mod bitops;
pub mod bkl;
pub mod completion;
pub mod condvar;
#[cfg(target_os = "none")]
mod critical_section;
#[cfg(feature = "debug_spinlock")]
pub mod debug_spinlock;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
pub mod held_locks;
pub mod lock;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
pub mod lock_class;
#[cfg(feature = "lock_stat")]
pub mod lock_stat;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
pub mod lock_watch;
#[cfg(feature = "lockdep")]
pub mod lockdep;
pub mod meta;
pub mod mmio;
pub mod mutex;
pub mod once;
pub mod percpu_counter;
pub mod policy;
pub mod raw;
mod raw_mutex;
pub mod refcount;
pub mod rw_semaphore;
pub mod rwlock;
pub mod semaphore;
pub mod seqlock;
pub mod spinlock;
mod tokens;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
mod unwatched;
pub mod wait_queue;
mod wait_room;

pub use crate::__seq_data as seq_data;
pub use completion::Completion;
pub use condvar::Condvar;
pub use lock::{Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard};
pub use once::{Lazy, Once};
pub use percpu_counter::CounterCell;
pub use policy::{BottomHalfDisabled, LocalIrqDisabled, PreemptDisabled};
pub use raw::{McsNode, RawLock};
pub use raw_mutex::LockError;
pub use rw_semaphore::{RwSemaphore, RwSemaphoreReadGuard, RwSemaphoreWriteGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{DownError, Semaphore};
pub use seqlock::{SeqCount, SeqData, SeqLatch, SeqLock};
pub use spinlock::{BhSpinLock, IrqSpinLock, McsSpinLock, SpinLock, TasSpinLock};
pub use wait_queue::WaitQueue;
pub use wait_room::WaitError;
