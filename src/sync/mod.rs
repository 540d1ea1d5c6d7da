//! Synchronization: what keeps data whole when four cores and their interrupts use it at once.
//!
//! | to find | look in |
//! |---|---|
//! | atomics, bit operations, barriers, reference counts | [`atomic`], [`bitops`], [`barrier`], [`refcount`] |
//! | a lock algorithm | [`raw`] |
//! | how an algorithm, a context policy and the checks make a lock | [`lock`], [`policy`], [`meta`] |
//! | the spinlock under its names | [`spinlock`] |
//!
//! A lock is `Lock<T, R, G>`: data, algorithm, and the least permissive context that touches the data. `docs/locking.md` says which to choose.

pub mod atomic;
pub mod barrier;
pub mod bitops;
pub mod lock;
pub mod meta;
pub mod mmio;
pub mod policy;
pub mod raw;
pub mod refcount;
pub mod spinlock;

pub use lock::{Lock, LockGuard};
pub use policy::{BottomHalfDisabled, LocalIrqDisabled, PreemptDisabled};
pub use raw::RawLock;
pub use spinlock::{IrqSpinLock, SpinLock};
