//! The MCS lock: a queue of nodes, each waiter looking at its own.
//!
//! A taker swaps its node in as the queue's tail and links it behind the one before; the holder hands over by writing to its successor's node. So a
//! release touches one waiter's cache line, where a ticket lock's touches all; and it is as fair. The price is the node, which each taker brings,
//! and an exchange on release; on four cores that buys nothing, so it is not the default.
//!
//! # The node
//! The taker's, on its stack as a rule. It must not move or vanish while it is queued, also if the guard is leaked: it is taken as
//! `Pin<&mut McsNode>` for the guard's life, so the compiler refuses to move it, drop it, or queue it twice meanwhile; and a node whose guard was
//! leaked (`mem::forget`) is still marked as queued, and panics when it is dropped or used again.
//!
//! # State
//! | `node.state` | meaning | set by |
//! |---|---|---|
//! | `FREE` | not queued | its taker, after it has given the lock back |
//! | `WAITING` | queued | its taker, before the swap |
//! | `HELD` | its taker holds the lock | the holder before it; its taker, if the queue was empty |
//!
//! # Memory ordering
//! The swap is a full barrier: its release publishes the node, its acquire pairs with the release by which the last holder left the queue empty.
//! The link is a store-release that pairs with the holder's acquire in `unlock`; the hand-over (`HELD`) is a store-release that pairs with the
//! waiter's acquire, and carries everything that the holder did.
//!
//! Source: Mellor-Crummey and Scott, "Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors" (1991), section 2.4.

use super::{RawLock, Token, wait_round};
use crate::arch;
use crate::sync::atomic::{AtomicPtr, AtomicU32};
use core::marker::PhantomPinned;
use core::ptr::{self, NonNull};

const FREE: u32 = 0;
const WAITING: u32 = 1;
const HELD: u32 = 2;

/// A fair spinlock whose waiters spin on nodes of their own.
#[derive(Debug)]
pub struct McsLock {
    /// The node that came last; null: free.
    pub(super) tail: AtomicPtr<McsNode>,
    /// How many wait: a hint for `is_contended`, touched on the contended path alone.
    waiters: AtomicU32,
}

/// A taker's place in the queue of an MCS lock. Make it with `pin!(McsNode::new())`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct McsNode {
    pub(super) state: AtomicU32,
    next: AtomicPtr<McsNode>,
    _pinned: PhantomPinned,
}

impl McsNode {
    /// A node in no queue.
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(FREE), next: AtomicPtr::new(ptr::null_mut()), _pinned: PhantomPinned }
    }

    /// Claims the node for one taking of a lock.
    ///
    /// # Panics
    /// If it is queued: its last guard was leaked.
    #[inline(always)]
    fn claim(&self, state: u32) {
        assert!(self.state.read() == FREE, "an MCS node is used again while it is queued: the guard that it belongs to was leaked");
        self.state.set(state);
        self.next.set(ptr::null_mut());
    }
}

impl Default for McsNode {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for McsNode {
    fn drop(&mut self) {
        assert!(self.state.read() == FREE, "an MCS node goes away while it is queued: the guard that it belongs to was leaked");
    }
}

/// The holder's node.
#[derive(Clone, Copy, Debug)]
pub struct McsToken(NonNull<McsNode>);

impl Token for McsToken {
    fn to_word(self) -> usize {
        self.0.as_ptr().expose_provenance()
    }

    fn from_word(word: usize) -> Self {
        Self(NonNull::new(ptr::with_exposed_provenance_mut(word)).expect("the word of a token is the address of a node"))
    }
}

impl McsToken {
    /// The token of the place that `node` stands for: for who knows the queue by other means than `begin`, as a test of one step does.
    ///
    /// # Safety
    /// `node` is queued, and stays valid and where it is until the token's lock is given back.
    #[inline(always)]
    pub unsafe fn of_node(node: NonNull<McsNode>) -> Self {
        Self(node)
    }

    /// The lock is this token's. Acquire if it is: what the holder before did has happened.
    ///
    /// Context: any. Hands its own waiter over only: nobody else may have the token.
    #[inline(always)]
    pub fn is_held(&self) -> bool {
        self.node().state.load_acquire() == HELD
    }

    fn node(&self) -> &McsNode {
        // SAFETY: a token lives while its node is queued, and a queued node is valid and stays where it is (contract of `begin`).
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: the queue has one head; a node becomes it when it is swapped into an empty queue, or by the head before it, which then leaves.
// Pairing: head of this file.
unsafe impl RawLock for McsLock {
    const INIT: Self = Self { tail: AtomicPtr::new(ptr::null_mut()), waiters: AtomicU32::new(0) };

    type Node = McsNode;
    type Token = McsToken;

    #[inline]
    unsafe fn begin(&self, node: NonNull<McsNode>) -> (McsToken, bool) {
        let token = McsToken(node);
        token.node().claim(WAITING);
        let before = self.tail.xchg(node.as_ptr());
        if before.is_null() {
            token.node().state.set(HELD);
            return (token, true);
        }
        // SAFETY: a node that was swapped in leaves the queue only through its successor's link, which is made here.
        unsafe { &*before }.next.store_release(node.as_ptr());
        (token, false)
    }

    #[cold]
    fn wait(&self, token: McsToken, watch: &mut dyn FnMut()) {
        self.waiters.inc();
        while !token.is_held() {
            wait_round(&token.node().state, WAITING, watch);
        }
        self.waiters.dec();
    }

    #[inline]
    unsafe fn try_lock_with(&self, node: NonNull<McsNode>) -> Option<McsToken> {
        let token = McsToken(node);
        token.node().claim(HELD);
        let is_first = self.tail.cmpxchg(ptr::null_mut(), node.as_ptr()).is_ok();
        if !is_first {
            token.node().state.set(FREE);
        }
        is_first.then_some(token)
    }

    #[inline]
    unsafe fn unlock(&self, token: McsToken) {
        let node = token.node();
        let mut next = node.next.load_acquire();
        if next.is_null() && self.tail.cmpxchg_release(token.0.as_ptr(), ptr::null_mut()).is_err() {
            next = wait_for_link(node);
        }
        if !next.is_null() {
            // SAFETY: the successor waits on its node, so it is valid, until this store lets it go.
            unsafe { &*next }.state.store_release(HELD);
        }
        node.state.set(FREE);
    }

    fn is_locked(&self) -> bool {
        !self.tail.read().is_null()
    }

    fn is_contended(&self) -> bool {
        self.waiters.read() != 0
    }
}

/// A successor has swapped itself in and is about to link itself: a few instructions, unless it is interrupted there.
#[cold]
fn wait_for_link(node: &McsNode) -> *mut McsNode {
    loop {
        let next = node.next.load_acquire();
        if !next.is_null() {
            return next;
        }
        arch::relax();
    }
}
