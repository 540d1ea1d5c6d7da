//! Rows of RCU: a read, and queueing a callback.
//!
//! `sync.call_rcu` counts the way that most calls take, behind a callback that has no number yet: with a section held, the softirq that would number it
//! waits. `Rcu::read` has one instruction more than the row's four and the load of the value: the test for null, where Linux's reader knows better.

use super::bench;
use crate::cpu::{self, PreemptGuard};
use crate::sync::atomic::{AtomicPtr, AtomicU32};
use crate::sync::rcu::{RcuHead, call_rcu, rcu_barrier, rcu_dereference, rcu_read_lock};
use core::cell::UnsafeCell;
use core::mem;
use core::ptr::NonNull;

static VALUE: AtomicU32 = AtomicU32::new(7);

bench! {
    "sync.rcu_read", pointer: AtomicPtr<AtomicU32> = AtomicPtr::new((&raw const VALUE).cast_mut()) => {
        let _section = rcu_read_lock();
        // SAFETY: the pointer leads to a static, always.
        unsafe { &*rcu_dereference(pointer) }.read()
    };
    "sync.call_rcu", heads: Heads = Heads::new() => heads.queue(1);
        before heads.begin();
        after heads.end();
}

/// Two callbacks: one to be behind, and the one that is counted.
struct Heads([UnsafeCell<RcuHead>; 2]);

// SAFETY: used by the bench's thread alone, which waits until both have run before it uses them again.
unsafe impl Sync for Heads {}

unsafe fn nothing(_head: NonNull<RcuHead>) {}

impl Heads {
    const fn new() -> Self {
        Self([const { UnsafeCell::new(RcuHead::new()) }; 2])
    }

    #[inline(always)]
    fn queue(&self, which: usize) {
        // SAFETY: the cell's address is not null.
        let head = unsafe { NonNull::new_unchecked(self.0[which].get()) };
        // SAFETY: a static, and `end` waits for the callback before it is used again.
        unsafe { call_rcu(head, nothing) };
    }

    /// Holds the softirq off and queues the first.
    fn begin(&self) {
        mem::forget(PreemptGuard::new());
        self.queue(0);
    }

    /// Lets it run, and waits for both.
    fn end(&self) {
        // SAFETY: the section of the guard that `begin` forgot.
        unsafe { cpu::preempt::preempt_enable() };
        rcu_barrier();
    }
}
