//! Threads that are ready to run: one first-in-first-out list for each priority, and a bitmap of the lists that are not empty.
//!
//! Threads are numbers, and the links lie with the threads, reached through [`Links`]: no pointer, no allocation, nothing unsafe, and the same code is
//! compared with a plain model on the host. The most urgent thread is one CLZ and two loads away, however many wait. Rejected: a tree by fairness, as
//! Linux's default policy has it; fixed priorities are what real-time kernels give and what tests of inversion and starvation need.
//!
//! Invariant: bit `p` of the map is set if and only if list `p` has a first thread. A thread is in at most one queue.
//! Neighbours: `run_queue` puts a lock around it.

/// Priorities there are: 0 is the least urgent.
pub const NR_PRIORITIES: usize = 32;

/// A thread's number in the table of threads.
pub type ThreadId = u16;

/// No thread.
const NONE: ThreadId = ThreadId::MAX;

/// Where the links of the lists are kept.
pub trait Links {
    /// The thread behind `id` in its list.
    fn next(&self, id: ThreadId) -> ThreadId;
    /// The thread before `id` in its list.
    fn prev(&self, id: ThreadId) -> ThreadId;
    /// Sets what is behind `id`.
    fn set_next(&self, id: ThreadId, next: ThreadId);
    /// Sets what is before `id`.
    fn set_prev(&self, id: ThreadId, prev: ThreadId);
}

/// The lists of one core.
#[derive(Debug)]
pub struct ReadyQueue {
    first: [ThreadId; NR_PRIORITIES],
    last: [ThreadId; NR_PRIORITIES],
    map: u32,
    len: u32,
}

impl ReadyQueue {
    /// Empty lists.
    #[expect(clippy::new_without_default, reason = "only ever a static or a part of one")]
    pub const fn new() -> Self {
        Self { first: [NONE; NR_PRIORITIES], last: [NONE; NR_PRIORITIES], map: 0, len: 0 }
    }

    /// Threads in all lists.
    #[expect(clippy::len_without_is_empty, reason = "`highest` says so")]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The highest priority that has a thread.
    #[inline]
    pub fn highest(&self) -> Option<u8> {
        self.map.checked_ilog2().map(|priority| priority as u8)
    }

    /// Puts `id`, which is in no queue, behind all others of its priority.
    #[inline]
    pub fn push_back(&mut self, links: &impl Links, id: ThreadId, priority: u8) {
        let list = usize::from(priority);
        let last = self.last[list];
        links.set_prev(id, last);
        links.set_next(id, NONE);
        match last {
            NONE => self.first[list] = id,
            last => links.set_next(last, id),
        }
        self.last[list] = id;
        self.count_in(list);
    }

    /// Puts `id`, which is in no queue, before all others of its priority.
    #[inline]
    pub fn push_front(&mut self, links: &impl Links, id: ThreadId, priority: u8) {
        let list = usize::from(priority);
        let first = self.first[list];
        links.set_next(id, first);
        links.set_prev(id, NONE);
        match first {
            NONE => self.last[list] = id,
            first => links.set_prev(first, id),
        }
        self.first[list] = id;
        self.count_in(list);
    }

    fn count_in(&mut self, list: usize) {
        self.map |= 1 << list;
        self.len += 1;
    }

    /// Takes `id` out of list `priority`, in which it is.
    #[inline]
    pub fn remove(&mut self, links: &impl Links, id: ThreadId, priority: u8) {
        let list = usize::from(priority);
        let (prev, next) = (links.prev(id), links.next(id));
        match prev {
            NONE => self.first[list] = next,
            prev => links.set_next(prev, next),
        }
        match next {
            NONE => self.last[list] = prev,
            next => links.set_prev(next, prev),
        }
        if self.first[list] == NONE {
            self.map &= !(1 << list);
        }
        self.len -= 1;
    }

    /// Takes the most urgent thread, the one that waits longest among equals.
    #[inline]
    pub fn pop(&mut self, links: &impl Links) -> Option<ThreadId> {
        let list = usize::from(self.highest()?);
        let id = self.first[list];
        // Not `remove`: the first has none before it, which saves a third of the work.
        let next = links.next(id);
        self.first[list] = next;
        if next == NONE {
            self.last[list] = NONE;
            self.map &= !(1 << list);
        } else {
            links.set_prev(next, NONE);
        }
        self.len -= 1;
        Some(id)
    }

    /// The first thread that satisfies `fits`, most urgent first, and its priority. Looks at each.
    pub fn find(&self, links: &impl Links, fits: impl Fn(ThreadId) -> bool) -> Option<(ThreadId, u8)> {
        let mut map = self.map;
        while let Some(list) = map.checked_ilog2() {
            let mut id = self.first[list as usize];
            while id != NONE {
                if fits(id) {
                    return Some((id, list as u8));
                }
                id = links.next(id);
            }
            map &= !(1 << list);
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::prelude::v1::*;

    const NR_THREADS: usize = 24;

    struct Table([(Cell<ThreadId>, Cell<ThreadId>); NR_THREADS]);

    impl Links for Table {
        fn next(&self, id: ThreadId) -> ThreadId {
            self.0[usize::from(id)].0.get()
        }
        fn prev(&self, id: ThreadId) -> ThreadId {
            self.0[usize::from(id)].1.get()
        }
        fn set_next(&self, id: ThreadId, next: ThreadId) {
            self.0[usize::from(id)].0.set(next);
        }
        fn set_prev(&self, id: ThreadId, prev: ThreadId) {
            self.0[usize::from(id)].1.set(prev);
        }
    }

    fn table() -> Table {
        Table(core::array::from_fn(|_| (Cell::new(7), Cell::new(7))))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Back(u16, u8),
        Front(u16, u8),
        Remove(u16),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = 0..NR_THREADS as u16;
        let priority = prop_oneof![Just(0u8), Just(31), 10..13u8];
        prop_oneof![
            (id.clone(), priority.clone()).prop_map(|(id, priority)| Step::Back(id, priority)),
            (id.clone(), priority).prop_map(|(id, priority)| Step::Front(id, priority)),
            id.prop_map(Step::Remove),
            Just(Step::Pop),
        ]
    }

    /// The model: for each priority a deque.
    #[derive(Default)]
    struct Model([VecDeque<u16>; NR_PRIORITIES]);

    impl Model {
        fn priority_of(&self, id: u16) -> Option<usize> {
            self.0.iter().position(|list| list.contains(&id))
        }
        fn in_order(&self) -> Vec<u16> {
            self.0.iter().rev().flatten().copied().collect()
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_deque_for_each_priority(steps in proptest::collection::vec(step(), 1..200)) {
            let (links, mut queue, mut model) = (table(), ReadyQueue::new(), Model::default());
            for step in steps {
                match step {
                    Step::Back(id, priority) if model.priority_of(id).is_none() => {
                        queue.push_back(&links, id, priority);
                        model.0[usize::from(priority)].push_back(id);
                    }
                    Step::Front(id, priority) if model.priority_of(id).is_none() => {
                        queue.push_front(&links, id, priority);
                        model.0[usize::from(priority)].push_front(id);
                    }
                    Step::Remove(id) => if let Some(priority) = model.priority_of(id) {
                        queue.remove(&links, id, priority as u8);
                        model.0[priority].retain(|other| *other != id);
                    },
                    Step::Pop => {
                        let expected = model.in_order().first().copied();
                        prop_assert_eq!(queue.pop(&links), expected);
                        if let Some(id) = expected {
                            let priority = model.priority_of(id).unwrap();
                            model.0[priority].pop_front();
                        }
                    }
                    _ => {}
                }
                let order = model.in_order();
                prop_assert_eq!(queue.len(), order.len());
                prop_assert_eq!(queue.highest().map(usize::from), order.first().and_then(|id| model.priority_of(*id)));
                let third = queue.find(&links, |id| id % 3 == 0);
                prop_assert_eq!(third.map(|(id, _)| id), order.iter().copied().find(|id| id % 3 == 0));
            }
        }
    }
}
