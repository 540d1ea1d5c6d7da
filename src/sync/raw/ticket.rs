//! The ticket lock: first come, first served.
//!
//! A taker draws a ticket from `next` and waits until `owner` shows it; the holder gives back by showing the next one. Fair by construction, so
//! no core starves, in 8 bytes; that is why it is the default. Rejected as default: test-and-set (a far core can starve), MCS (a node per
//! holder on every path; its gain starts at core counts that this machine does not have).
//!
//! `next` and `owner` are cells of their own because different parties write them, and because a word that is read whole and written by halves
//! cannot be checked against the memory model. 32 bits each: a 16-bit ticket wraps within reach of a preempted `try_lock`.
//!
//! # State
//! | `next - owner` | meaning |
//! |---|---|
//! | 0 | free |
//! | 1 | held, nobody waits |
//! | n | held, n - 1 wait |
//!
//! # Memory ordering
//! `unlock`'s store-release of `owner` pairs with the load-acquire of `owner` that lets the next holder in. Drawing a ticket orders nothing: the
//! critical section begins at the acquiring load. `try_lock` acquires by its load of `owner` too, before the draw that decides: if the draw finds
//! `next` equal to that `owner`, nobody has held the lock in between. `make verify` runs lock and unlock as compiled against Arm's model.
//!
//! Source: Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors" (1991), section 2.2.

use super::{RawLock, wait_round};
use crate::sync::atomic::AtomicU32;
use core::ptr::NonNull;

/// A fair spinlock in two words.
#[derive(Debug)]
#[repr(C)]
pub struct TicketLock {
    /// The ticket that is served. Written by the holder alone.
    pub(super) owner: AtomicU32,
    /// The ticket that the next taker draws.
    pub(super) next: AtomicU32,
}

// SAFETY: tickets are distinct until 2^32 takers wait at once; only the one whose ticket `owner` shows holds the lock, and only the holder moves
// `owner` on. The pairing of release and acquire is in the head of this file.
unsafe impl RawLock for TicketLock {
    const INIT: Self = Self { owner: AtomicU32::new(0), next: AtomicU32::new(0) };

    type Node = ();
    type Token = u32;

    #[inline(always)]
    unsafe fn begin(&self, _: NonNull<()>) -> (u32, bool) {
        let ticket = self.next.fetch_inc_relaxed();
        (ticket, self.owner.load_acquire() == ticket)
    }

    #[cold]
    fn wait(&self, ticket: u32, watch: &mut dyn FnMut()) {
        loop {
            let owner = self.owner.load_acquire();
            if owner == ticket {
                return;
            }
            wait_round(&self.owner, owner, watch);
        }
    }

    #[inline(always)]
    unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<u32> {
        let ticket = self.owner.load_acquire();
        self.next.cmpxchg_relaxed(ticket, ticket.wrapping_add(1)).is_ok().then_some(ticket)
    }

    #[inline(always)]
    unsafe fn unlock(&self, ticket: u32) {
        self.owner.store_release(ticket.wrapping_add(1));
    }

    fn is_locked(&self) -> bool {
        self.next.read() != self.owner.read()
    }

    fn is_contended(&self) -> bool {
        self.next.read().wrapping_sub(self.owner.read()) > 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn tickets_wrap() {
        let lock = TicketLock { owner: AtomicU32::new(u32::MAX), next: AtomicU32::new(u32::MAX) };
        let first = lock.lock();
        assert!(lock.is_locked() && lock.try_lock().is_none());
        // SAFETY: held by this ticket.
        unsafe { lock.unlock(first) };
        let second = lock.try_lock().expect("the lock is free");
        assert_eq!((first, second), (u32::MAX, 0));
        // SAFETY: held by this ticket.
        unsafe { lock.unlock(second) };
        assert!(!lock.is_locked());
    }
}
