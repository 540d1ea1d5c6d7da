//! The ticket lock: first come, first served.
//!
//! A taker draws a ticket from `next` and waits until `owner` shows it; the holder gives back by showing the next one. Fair by construction, so
//! no core starves, in 8 bytes; that is why it is the default. Rejected as default: test-and-set (a far core can starve), MCS (a node per
//! holder on every path; its gain starts at core counts that this machine does not have).
//!
//! `next` and `owner` are cells of their own because different parties write them, and because a word that is read whole and written by halves
//! cannot be checked against the memory model. 32 bits each: a 16-bit ticket wraps within reach of a preempted `try_lock`.
//!
//! The token is the ticket after the holder's: the exclusive loop has computed it, and it is what `unlock` stores.
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
use crate::arch::atomic::{Order, Word};
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
        let drawn = u32::inc(self.next.cell(), Order::Relaxed);
        (drawn.new, self.owner.load_acquire() == drawn.old)
    }

    #[cold]
    fn wait(&self, following: u32, watch: &mut dyn FnMut()) {
        let ticket = following.wrapping_sub(1);
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
        let following = ticket.wrapping_add(1);
        self.next.cmpxchg_relaxed(ticket, following).is_ok().then_some(following)
    }

    #[inline(always)]
    unsafe fn unlock(&self, following: u32) {
        self.owner.store_release(following);
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
        // SAFETY: held by this token.
        unsafe { lock.unlock(first) };
        let second = lock.try_lock().expect("the lock is free");
        assert_eq!((first, second), (0, 1));
        // SAFETY: held by this token.
        unsafe { lock.unlock(second) };
        assert!(!lock.is_locked());
    }
}
