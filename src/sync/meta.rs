//! What a lock knows of itself beside its state: its class for lockdep, its figures for lock_stat. Zero-sized when both are built out.
//!
//! The four hooks are called in `lock.rs` and nowhere else, in this order: `acquire` before the algorithm is entered, `contended` if it had to
//! wait, `acquired` when it is held, `release` before it is given back. Features add their bodies here; the algorithms know nothing of them.

use core::panic::Location;

/// The identity of a lock for the checks. `place` is where the lock was created: all locks made there are of one class.
#[derive(Debug)]
pub struct LockMeta {
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    place: &'static Location<'static>,
}

impl LockMeta {
    /// For a lock that is created at the caller's place.
    #[track_caller]
    pub const fn new() -> Self {
        Self {
            #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
            place: Location::caller(),
        }
    }

    /// Where the lock was created, if this build keeps it.
    pub fn place(&self) -> Option<&'static Location<'static>> {
        #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
        return Some(self.place);
        #[cfg(not(any(feature = "lockdep", feature = "lock_stat")))]
        None
    }

    /// The caller is about to take the lock and may wait for it.
    #[inline(always)]
    pub(super) fn acquire(&self) {}

    /// The lock is held now.
    #[inline(always)]
    pub(super) fn acquired(&self) {}

    /// The lock is about to be given back.
    #[inline(always)]
    pub(super) fn release(&self) {}
}

