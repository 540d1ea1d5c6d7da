//! The heap of high-resolution timers: a pairing heap whose links lie in the timers.
//!
//! Putting in costs a comparison, finding the first nothing; taking out pairs up the children of what goes, logarithmic in the mean. A core has few such
//! timers and takes most of them out from the front. Rejected: a red-black tree, as Linux has: a bound for each single removal, for five times the
//! code; a binary heap in an array: a limit on timers, so that arming could fail.
//!
//! Invariants: 1. a node's key is not below its parent's. 2. `prev` of a first child is its parent, of any other its left sibling; the root has neither
//! `prev` nor `next`.
//!
//! Source: Fredman, Sedgewick, Sleator, Tarjan, "The Pairing Heap", Algorithmica 1 (1986), the two-pass form.

use super::node::{Node, Queue, link};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The heap of one core.
pub struct Heap {
    root: AtomicPtr<Node>,
}

impl Queue for Heap {
    const EMPTY: Self = Self { root: AtomicPtr::new(ptr::null_mut()) };

    unsafe fn insert(&mut self, node: NonNull<Node>, _now: u64) {
        // SAFETY: the caller's promise.
        let node_ref = unsafe { node.as_ref() };
        for link in [&node_ref.next, &node_ref.prev, &node_ref.child] {
            link.store(ptr::null_mut(), Relaxed);
        }
        self.add(Some(node));
    }

    unsafe fn remove(&mut self, node: NonNull<Node>) {
        // SAFETY: it is in the queue, so it lives.
        let node_ref = unsafe { node.as_ref() };
        if ptr::eq(*self.root.get_mut(), node_ref) {
            *self.root.get_mut() = ptr::null_mut();
        } else {
            cut(node_ref);
        }
        self.add(pair_up(node_ref.child.load(Relaxed)));
    }

    fn pop_due(&mut self, now: u64) -> Option<NonNull<Node>> {
        let first = NonNull::new(*self.root.get_mut())?;
        if self.next_due() > now {
            return None;
        }
        // SAFETY: the root is in this heap.
        unsafe { self.remove(first) };
        Some(first)
    }

    fn next_due(&self) -> u64 {
        // SAFETY: the root is in this heap, so it lives.
        unsafe { self.root.load(Relaxed).as_ref() }.map_or(u64::MAX, Node::key)
    }

    /// A node, then what is below it, then its siblings: by the links alone, as a heap can be as deep as it has nodes.
    fn for_each(&self, f: &mut dyn FnMut(&Node)) {
        let mut at = NonNull::new(self.root.load(Relaxed));
        while let Some(node) = at {
            // SAFETY: a node of the heap lives.
            let node_ref = unsafe { node.as_ref() };
            f(node_ref);
            at = NonNull::new(node_ref.child.load(Relaxed)).or_else(|| next_above(node));
        }
    }
}

impl Heap {
    /// Makes one of the heap and of `other`, a heap of its own.
    fn add(&mut self, other: Option<NonNull<Node>>) {
        let root = NonNull::new(*self.root.get_mut());
        *self.root.get_mut() = match (root, other) {
            (Some(root), Some(other)) => meld(root, other).as_ptr(),
            (one, other) => link(one.or(other)),
        };
    }
}

/// The next sibling of `node`, or of the nearest above it that has one.
fn next_above(node: NonNull<Node>) -> Option<NonNull<Node>> {
    let mut at = node;
    loop {
        let sibling = next_of(at);
        if sibling.is_some() {
            return sibling;
        }
        // Back along the siblings to the parent, whose first child comes last on that way.
        loop {
            // SAFETY: a node of the heap lives.
            let before = NonNull::new(unsafe { at.as_ref() }.prev.load(Relaxed))?;
            // SAFETY: as above.
            let is_parent = ptr::eq(unsafe { before.as_ref() }.child.load(Relaxed), at.as_ptr());
            at = before;
            if is_parent {
                break;
            }
        }
    }
}

/// Takes `node`, which is no root, out of its siblings.
fn cut(node: &Node) {
    let (next, prev) = (node.next.load(Relaxed), node.prev.load(Relaxed));
    // SAFETY: relatives of a node in a heap are in it, so they live; only the root has no `prev` (invariant 2).
    let prev_ref = unsafe { prev.as_ref() }.expect("only the root has nobody before it");
    let points_here = if ptr::eq(prev_ref.child.load(Relaxed), node) { &prev_ref.child } else { &prev_ref.next };
    points_here.store(next, Relaxed);
    // SAFETY: as above.
    if let Some(next) = unsafe { next.as_ref() } {
        next.prev.store(prev, Relaxed);
    }
}

/// Makes the later of two roots the first child of the earlier, which is returned, as a root.
fn meld(a: NonNull<Node>, b: NonNull<Node>) -> NonNull<Node> {
    // SAFETY: a node of a heap lives.
    let a_ref = unsafe { a.as_ref() };
    // SAFETY: likewise.
    let b_ref = unsafe { b.as_ref() };
    let (first, later, first_ref, later_ref) = if a_ref.key() <= b_ref.key() { (a, b, a_ref, b_ref) } else { (b, a, b_ref, a_ref) };

    let child = first_ref.child.load(Relaxed);
    later_ref.next.store(child, Relaxed);
    later_ref.prev.store(first.as_ptr(), Relaxed);
    // SAFETY: a child of a node in a heap is in it.
    if let Some(child) = unsafe { child.as_ref() } {
        child.prev.store(later.as_ptr(), Relaxed);
    }
    first_ref.child.store(later.as_ptr(), Relaxed);
    first_ref.next.store(ptr::null_mut(), Relaxed);
    first_ref.prev.store(ptr::null_mut(), Relaxed);
    first
}

/// Makes one heap of a list of siblings: melds them by twos from the left, then all from the right. A loop: handlers have little stack.
fn pair_up(first: *mut Node) -> Option<NonNull<Node>> {
    let mut pairs: *mut Node = ptr::null_mut();
    let mut rest = NonNull::new(first);
    while let Some(one) = rest {
        let other = next_of(one);
        rest = other.and_then(next_of);
        let pair = match other {
            Some(other) => meld(one, other),
            None => one,
        };
        // The pairs so far, the latest first, by `next`.
        // SAFETY: a node of the heap.
        unsafe { pair.as_ref() }.next.store(pairs, Relaxed);
        pairs = pair.as_ptr();
    }

    let mut whole = NonNull::new(pairs)?;
    let mut rest = next_of(whole);
    detach(whole);
    while let Some(pair) = rest {
        rest = next_of(pair);
        whole = meld(whole, pair);
    }
    Some(whole)
}

fn next_of(node: NonNull<Node>) -> Option<NonNull<Node>> {
    // SAFETY: a node of the heap.
    NonNull::new(unsafe { node.as_ref() }.next.load(Relaxed))
}

/// Invariant 2 for a root.
fn detach(node: NonNull<Node>) {
    // SAFETY: a node of the heap.
    let node = unsafe { node.as_ref() };
    node.next.store(ptr::null_mut(), Relaxed);
    node.prev.store(ptr::null_mut(), Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::time::queue_model::{self, Step};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_as_a_sorted_list(steps in prop::collection::vec(Step::any(1000), 1..400)) {
            let mut heap = Heap::EMPTY;
            queue_model::check(&mut heap, steps, queue_model::Equal::AnyOrder)?;
        }
    }

    #[test]
    fn ten_thousand_leave_in_order() {
        let nodes = queue_model::nodes(10_000);
        let mut heap = Heap::EMPTY;
        let mut seed = 1u64;
        for node in &nodes {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            node.key.store(seed >> 40, Relaxed);
            // SAFETY: the nodes live as long as the heap is used.
            unsafe { heap.insert(NonNull::from(&**node), 0) };
        }
        let mut last = 0;
        for _ in &nodes {
            // SAFETY: as above.
            let key = unsafe { heap.pop_due(u64::MAX).unwrap().as_ref() }.key();
            assert!(key >= last);
            last = key;
        }
        assert!(heap.pop_due(u64::MAX).is_none());
    }
}
