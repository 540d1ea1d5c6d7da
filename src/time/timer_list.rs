//! Which timers a core has armed, the earliest first: what the view `timers` (`/proc/timer_list`) shows of each.
//!
//! They are copied out under the queue's lock, and printed without it: a terminal is slow, and names of functions are looked up. So there is room for a few
//! and a count of the others.
//!
//! Neighbours: [`events`](super::events) has the lock and walks, [`timer`](super::timer) and [`hrtimer`](super::hrtimer) give their queues.

use super::node::Node;
use arrayvec::ArrayVec;

/// Timers of one core that are shown.
pub const MAX_SHOWN: usize = 16;

/// An armed timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// When it is due, in the unit of its queue.
    pub key: u64,
    /// Address of its function.
    pub function: usize,
}

/// The earliest armed timers of a core.
#[derive(Clone, Debug, Default)]
pub struct TimerList {
    shown: ArrayVec<Pending, MAX_SHOWN>,
    nr_armed: usize,
}

impl TimerList {
    /// The earliest, in order.
    pub fn shown(&self) -> &[Pending] {
        &self.shown
    }

    /// How many more are armed.
    pub fn nr_others(&self) -> usize {
        self.nr_armed - self.shown.len()
    }

    /// Counts `node` in, and keeps it if it is among the earliest. Of equal ones those that come first stay in front.
    pub(super) fn add(&mut self, node: &Node) {
        self.nr_armed += 1;
        let pending = Pending { key: node.key(), function: node.function.load(core::sync::atomic::Ordering::Relaxed).addr() };
        let at = self.shown.iter().position(|other| other.key > pending.key).unwrap_or(self.shown.len());
        if at == MAX_SHOWN {
            return;
        }
        if self.shown.is_full() {
            self.shown.pop();
        }
        self.shown.insert(at, pending);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::time::heap::Heap;
    use crate::time::node::Queue;
    use crate::time::queue_model;
    use crate::time::wheel::Wheel;
    use core::ptr::NonNull;
    use core::sync::atomic::Ordering::Relaxed;
    use std::prelude::v1::*;

    /// Every node of a queue is met once, and the earliest are kept in order.
    fn check<Q: Queue>(count: usize, range: u64) {
        let (nodes, mut queue, mut seed) = (queue_model::nodes(count), Q::EMPTY, 1u64);
        for node in &nodes {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            node.key.store(1 + (seed >> 33) % range, Relaxed);
            // SAFETY: the nodes live as long as the queue is used.
            unsafe { queue.insert(NonNull::from(&**node), 0) };
        }
        // Some leave, so that the shape is not that of insertions alone.
        let now = range / 8;
        let left = std::iter::from_fn(|| queue.pop_due(now)).count();

        let (mut list, mut seen) = (TimerList::default(), Vec::new());
        queue.for_each(&mut |node| {
            list.add(node);
            seen.push(core::ptr::from_ref(node));
        });
        seen.sort_unstable();
        seen.dedup();
        assert_eq!((seen.len(), list.nr_armed), (count - left, count - left));

        let mut keys: Vec<u64> = nodes.iter().map(|node| node.key()).filter(|key| *key > now).collect();
        keys.sort_unstable();
        keys.truncate(MAX_SHOWN);
        assert_eq!(list.shown().iter().map(|pending| pending.key).collect::<Vec<_>>(), keys);
        assert_eq!(list.nr_others(), count - left - keys.len());
    }

    #[test]
    fn each_armed_timer_is_met_once_and_the_earliest_are_shown() {
        for count in [0, 1, 2, 15, 16, 17, 3000] {
            check::<Wheel>(count, 200_000);
            check::<Heap>(count, 200_000);
        }
    }
}
