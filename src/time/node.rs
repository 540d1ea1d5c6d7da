//! What a queue of deadlines knows of a timer, and what it takes to be such a queue.
//!
//! The node lies in the timer itself, so arming allocates nothing and cannot fail. One type serves the wheel and the heap; each uses the links that it
//! needs. Its words are atomics for their interior mutability, not for sharing: all but `cpu` are read and written under the lock of the queue that
//! `cpu` names, with relaxed loads and stores, which are plain ones on this machine.
//!
//! Neighbours: [`wheel`](super::wheel), [`heap`](super::heap), and [`events`](super::events), which has the lock.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The node was never armed.
pub(super) const NO_CPU: usize = usize::MAX;

/// A timer as its queue sees it: the head of every timer.
#[derive(Debug)]
pub struct Node {
    /// Wheel: next in the slot. Heap: next sibling.
    pub(super) next: AtomicPtr<Node>,
    /// Wheel: the one before in the slot. Heap: the sibling before, or the parent of a first child.
    pub(super) prev: AtomicPtr<Node>,
    /// Heap: first child.
    pub(super) child: AtomicPtr<Node>,
    /// When it is due, in the queue's unit.
    pub(super) key: AtomicU64,
    /// Wheel: its slot.
    pub(super) slot: AtomicU16,
    /// It is in the queue of `cpu`.
    pub(super) is_queued: AtomicBool,
    /// Whose queue's lock guards the node; `NO_CPU` until it is first armed. Written under that lock, but for the first time.
    pub(super) cpu: AtomicUsize,
    /// Calls the timer's function with the timer.
    pub(super) call: unsafe fn(NonNull<Node>),
    /// The timer's function, for `timer_list`. Never written.
    pub(super) function: AtomicPtr<()>,
}

impl Node {
    /// A node in no queue, for a timer that `call` knows how to run, which is to call `function`.
    pub(super) const fn new(call: unsafe fn(NonNull<Node>), function: *mut ()) -> Self {
        Self {
            next: AtomicPtr::new(ptr::null_mut()),
            prev: AtomicPtr::new(ptr::null_mut()),
            child: AtomicPtr::new(ptr::null_mut()),
            key: AtomicU64::new(0),
            slot: AtomicU16::new(0),
            is_queued: AtomicBool::new(false),
            cpu: AtomicUsize::new(NO_CPU),
            call,
            function: AtomicPtr::new(function),
        }
    }

    /// When it is or was due.
    pub(super) fn key(&self) -> u64 {
        self.key.load(Relaxed)
    }
}

/// A queue of nodes by `key`.
pub(super) trait Queue: Send {
    /// Nobody is in it.
    const EMPTY: Self;

    /// Puts `node` in, by its key. `now` is the present time in the key's unit, or somewhat earlier.
    ///
    /// # Safety
    /// The node is in no queue, and lives unmoved until it has been removed or popped.
    unsafe fn insert(&mut self, node: NonNull<Node>, now: u64);

    /// Takes `node` out.
    ///
    /// # Safety
    /// The node is in this queue.
    unsafe fn remove(&mut self, node: NonNull<Node>);

    /// Takes out the earliest node whose key is at most `now`; of equal ones any.
    fn pop_due(&mut self, now: u64) -> Option<NonNull<Node>>;

    /// A time before which nothing is due; `u64::MAX` if nobody is in.
    fn next_due(&self) -> u64;

    /// Calls `f` with each node, in any order.
    fn for_each(&self, f: &mut dyn FnMut(&Node));
}

/// A link to `node`, or none.
pub(super) fn link(node: Option<NonNull<Node>>) -> *mut Node {
    node.map_or(ptr::null_mut(), NonNull::as_ptr)
}
