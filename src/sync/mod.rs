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
//! | who holds a lock, recursion, long waits | [`debug_spinlock`] |
//! | in which order locks are taken, and which could deadlock | [`lockdep`]; [`lock_class`], [`held_locks`] |
//! | how often and how long locks are waited for and held | [`lock_stat`] |
//!
//! A lock is `Lock<T, R, G>`: data, algorithm, and the least permissive context that touches the data. `docs/locking.md` says which to choose.

pub mod atomic;
pub mod barrier;
pub mod bitops;
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
pub mod once;
pub mod percpu_counter;
pub mod policy;
pub mod raw;
pub mod refcount;
pub mod rwlock;
pub mod seqlock;
pub mod spinlock;
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
mod unwatched;

pub use crate::__seq_data as seq_data;
pub use lock::{Lock, LockGuard};
pub use once::{Lazy, Once};
pub use percpu_counter::CounterCell;
pub use policy::{BottomHalfDisabled, LocalIrqDisabled, PreemptDisabled};
pub use raw::{McsNode, RawLock};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use seqlock::{SeqCount, SeqData, SeqLatch, SeqLock};
pub use spinlock::{BhSpinLock, IrqSpinLock, McsSpinLock, SpinLock, TasSpinLock};
