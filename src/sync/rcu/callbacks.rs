//! The callbacks of one core, in segments by the grace period that each waits for.
//!
//! ```text
//!  push -> [ new ] --assign(snapshot)--> [ ready: gp b ] -> [ waiting: gp a < b ] --advance(seq)--> [ done ] -> pop
//! ```
//! A callback is queued without a look at the grace period, which makes that short; later all new ones are given one number in one step. There are never
//! more than two numbers that are not over: that of the grace period that runs, and that of the next. A callback passes through the segments from left to
//! right and never overtakes another, so callbacks of a core run in the order in which they were queued.
//!
//! Rejected: one list with four tails into it (Linux), whose first tail points into the structure itself, which then cannot be a constant.
//!
//! # Invariants
//! Each segment is a chain of heads from `first` to `last`, whose `next` is null; both are null if it is empty. Whoever was pushed and not popped is in
//! exactly one. `waiting.seq` comes before `ready.seq`. If nothing waits, nothing is ready.
//!
//! Neighbours: `call` (one list a core, irqs masked). The test beside this file compares it with a naive model.

use super::seq;
use core::fmt;
use core::mem;
use core::ptr::{self, NonNull};

/// What runs after a grace period, with the head that was queued. Softirq context, irqs on; it must not sleep.
pub type RcuCallback = unsafe fn(NonNull<RcuHead>);

/// What an object embeds to be handed to [`call_rcu`](super::call_rcu): Linux's `struct rcu_head`.
#[doc(alias("rcu_head", "callback_head"))]
#[repr(C)]
pub struct RcuHead {
    pub(super) next: *mut RcuHead,
    pub(super) function: RcuCallback,
}

// SAFETY: two words that are touched by `call_rcu` and its core's list alone, to which the object is given.
unsafe impl Send for RcuHead {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl Sync for RcuHead {}

unsafe fn nothing(_head: NonNull<RcuHead>) {}

impl RcuHead {
    /// A head that is not queued.
    pub const fn new() -> Self {
        Self { next: ptr::null_mut(), function: nothing }
    }

    /// A head that is not queued, and remembers who will free its object.
    pub(crate) const fn with_function(function: RcuCallback) -> Self {
        Self { next: ptr::null_mut(), function }
    }
}

impl Default for RcuHead {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RcuHead {
    /// Its words may be changing: not read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RcuHead")
    }
}

/// Callbacks that wait for the same.
struct Segment {
    first: *mut RcuHead,
    last: *mut RcuHead,
    /// The snapshot that they wait for; nothing in `new` and `done`.
    seq: u64,
}

impl Segment {
    const EMPTY: Self = Self { first: ptr::null_mut(), last: ptr::null_mut(), seq: 0 };

    const fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Appends all of `other`.
    fn append(&mut self, other: Self) {
        if self.is_empty() {
            let seq = self.seq;
            *self = Self { seq, ..other };
        } else if !other.is_empty() {
            // SAFETY: the last head of a segment is queued, so it is ours until it is popped.
            unsafe { (*self.last).next = other.first };
            self.last = other.last;
        }
    }
}

/// The callbacks of one core.
pub(super) struct Callbacks {
    new: Segment,
    len: u64,
    ready: Segment,
    waiting: Segment,
    done: Segment,
}

// SAFETY: the heads were given to the list by `push`, whoever owns the list.
unsafe impl Send for Callbacks {}

impl Callbacks {
    /// No callbacks.
    pub const fn new() -> Self {
        Self { new: Segment::EMPTY, len: 0, ready: Segment::EMPTY, waiting: Segment::EMPTY, done: Segment::EMPTY }
    }

    /// Queues `head` behind others that are new, which somebody will assign. False: there are none, so that is owed, and nothing was queued.
    ///
    /// # Safety
    /// As for `push`.
    #[inline(always)]
    pub unsafe fn push_behind(&mut self, head: NonNull<RcuHead>) -> bool {
        let last = self.new.last;
        if last.is_null() {
            return false;
        }
        // SAFETY: queued, so ours (the invariant).
        unsafe { (*last).next = head.as_ptr() };
        self.new.last = head.as_ptr();
        self.len += 1;
        true
    }

    /// Queues `head`, whose `next` is null. `assign` is owed.
    ///
    /// # Safety
    /// `head` is valid, in no list, and the list's until it is popped.
    pub unsafe fn push(&mut self, head: NonNull<RcuHead>) {
        self.new.append(Segment { first: head.as_ptr(), last: head.as_ptr(), seq: 0 });
        self.len += 1;
    }

    /// Callbacks in all segments, and one that was taken and runs.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Some callbacks have no number yet.
    pub fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// Some callbacks may run.
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// The next number that callbacks wait for.
    pub fn due(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(self.waiting.seq)
    }

    /// Moves on whose grace period is over, now that the sequence word is `now`.
    pub fn advance(&mut self, now: u64) {
        while !self.waiting.is_empty() && seq::is_done(now, self.waiting.seq) {
            self.done.append(mem::replace(&mut self.waiting, Segment::EMPTY));
            self.waiting = mem::replace(&mut self.ready, Segment::EMPTY);
        }
    }

    /// Has all new callbacks wait for `snapshot`, which is taken now. True if there were some.
    pub fn assign(&mut self, snapshot: u64) -> bool {
        let new = mem::replace(&mut self.new, Segment::EMPTY);
        if new.is_empty() {
            return false;
        }
        let place = if self.waiting.is_empty() || (self.ready.is_empty() && self.waiting.seq == snapshot) {
            &mut self.waiting
        } else {
            &mut self.ready
        };
        // Those that are there wait as long, at the most: a later number is never wrong.
        place.append(new);
        place.seq = snapshot;
        true
    }

    /// Takes the first callback that may run. It counts until `note_run`.
    pub fn pop(&mut self) -> Option<NonNull<RcuHead>> {
        let head = NonNull::new(self.done.first)?;
        // SAFETY: queued, so ours.
        self.done.first = unsafe { head.as_ref() }.next;
        if self.done.first.is_null() {
            self.done.last = ptr::null_mut();
        }
        Some(head)
    }

    /// A callback that was taken has run.
    pub fn note_run(&mut self) {
        self.len -= 1;
    }
}

#[cfg(all(test, not(loom)))]
#[path = "callbacks_model_test.rs"]
mod model_test;
