//! Threads that are ready to run: one first-in-first-out list for each priority, and a bitmap of the lists that are not empty.
//!
//! The links lie with the threads, which are statics: a link is a plain reference (`N`, a [`Node`]), so nothing is allocated, nothing here is unsafe, and
//! the same code is compared with a plain model on the host. The most urgent thread is one CLZ and two loads away, however many wait. Rejected: threads by
//! number, which cost an address for each link and a test of its bounds for each number that comes out of one; a tree by fairness, as Linux's default
//! policy has it; fixed priorities are what real-time kernels give and what tests of inversion and starvation need.
//!
//! Invariant: bit `p` of the map is set if and only if list `p` has a first thread. A thread is in at most one queue.
//! Neighbours: `run_queue` puts a lock around it, `thread` has the links.

/// Priorities there are: 0 is the least urgent.
pub const NR_PRIORITIES: usize = 32;

/// What stands in the lists: a reference to something that has room for two links.
pub trait Node: Copy {
    /// The one behind it in its list.
    fn next(self) -> Option<Self>;
    /// The one before it in its list.
    fn prev(self) -> Option<Self>;
    /// Sets what is behind it.
    fn set_next(self, next: Option<Self>);
    /// Sets what is before it.
    fn set_prev(self, prev: Option<Self>);
}

/// The threads of one priority.
#[derive(Clone, Copy, Debug)]
struct List<N> {
    first: Option<N>,
    last: Option<N>,
}

/// The lists of one core.
#[derive(Debug)]
pub struct ReadyQueue<N> {
    map: u32,
    lists: [List<N>; NR_PRIORITIES],
}

/// The list of a priority. What is too high counts as the highest bits say, so that no use of it is checked again.
#[inline(always)]
fn list_of(priority: u8) -> usize {
    usize::from(priority) % NR_PRIORITIES
}

impl<N: Node> ReadyQueue<N> {
    /// Empty lists.
    #[expect(clippy::new_without_default, reason = "only ever a static or a part of one")]
    pub const fn new() -> Self {
        Self { map: 0, lists: [const { List { first: None, last: None } }; NR_PRIORITIES] }
    }

    /// The highest priority that has a thread.
    #[inline]
    pub fn highest(&self) -> Option<u8> {
        self.map.checked_ilog2().map(|priority| priority as u8)
    }

    /// Puts `node`, which is in no queue, behind all others of its priority.
    #[inline]
    pub fn push_back(&mut self, node: N, priority: u8) {
        let list = &mut self.lists[list_of(priority)];
        node.set_prev(list.last);
        node.set_next(None);
        match list.last {
            None => list.first = Some(node),
            Some(last) => last.set_next(Some(node)),
        }
        list.last = Some(node);
        self.map |= 1 << list_of(priority);
    }

    /// Puts `node`, which is in no queue, before all others of its priority.
    #[inline]
    pub fn push_front(&mut self, node: N, priority: u8) {
        let list = &mut self.lists[list_of(priority)];
        node.set_next(list.first);
        node.set_prev(None);
        match list.first {
            None => list.last = Some(node),
            Some(first) => first.set_prev(Some(node)),
        }
        list.first = Some(node);
        self.map |= 1 << list_of(priority);
    }

    /// Takes `node` out of list `priority`, in which it is.
    #[inline]
    pub fn remove(&mut self, node: N, priority: u8) {
        let list = &mut self.lists[list_of(priority)];
        let (prev, next) = (node.prev(), node.next());
        match prev {
            None => list.first = next,
            Some(prev) => prev.set_next(next),
        }
        match next {
            None => list.last = prev,
            Some(next) => next.set_prev(prev),
        }
        if list.first.is_none() {
            self.map &= !(1 << list_of(priority));
        }
    }

    /// Takes the most urgent thread, the one that waits longest among equals.
    #[inline]
    pub fn pop(&mut self) -> Option<N> {
        let priority = self.highest()?;
        let list = &mut self.lists[list_of(priority)];
        let node = list.first?;
        // Not `remove`: the first has none before it, which saves a third of the work.
        let next = node.next();
        list.first = next;
        match next {
            None => {
                list.last = None;
                self.map &= !(1 << list_of(priority));
            }
            Some(next) => next.set_prev(None),
        }
        Some(node)
    }

    /// Puts `node`, which is in no queue, behind its equals and takes the most urgent thread: `push_back` and `pop`, as far as there is something to do.
    #[inline]
    pub fn push_back_and_pop(&mut self, node: N, priority: u8) -> N {
        match self.highest() {
            Some(highest) if list_of(highest) == list_of(priority) => self.rotate(node, list_of(priority)),
            Some(highest) if list_of(highest) > list_of(priority) => {
                self.push_back(node, priority);
                self.pop().unwrap_or(node)
            }
            _ => node,
        }
    }

    /// The same, before its equals.
    #[inline]
    pub fn push_front_and_pop(&mut self, node: N, priority: u8) -> N {
        match self.highest() {
            Some(highest) if list_of(highest) > list_of(priority) => {
                self.push_front(node, priority);
                self.pop().unwrap_or(node)
            }
            _ => node,
        }
    }

    /// Puts `node` at the end of a list that has threads and takes its first: the map stays as it is.
    #[inline(always)]
    fn rotate(&mut self, node: N, list: usize) -> N {
        let list = &mut self.lists[list];
        let (Some(first), Some(last)) = (list.first, list.last) else { return node };
        node.set_prev(Some(last));
        node.set_next(None);
        last.set_next(Some(node));
        list.last = Some(node);
        // Behind the only one stands `node` by now.
        list.first = first.next();
        if let Some(next) = list.first {
            next.set_prev(None);
        }
        first
    }

    /// The first thread that satisfies `fits`, most urgent first, and its priority. Looks at each.
    pub fn find(&self, fits: impl Fn(N) -> bool) -> Option<(N, u8)> {
        let mut map = self.map;
        while let Some(list) = map.checked_ilog2() {
            let mut at = self.lists[list as usize].first;
            while let Some(node) = at {
                if fits(node) {
                    return Some((node, list as u8));
                }
                at = node.next();
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

    struct Thread<'a> {
        number: u16,
        next: Cell<Option<&'a Thread<'a>>>,
        prev: Cell<Option<&'a Thread<'a>>>,
    }

    impl<'a> Node for &'a Thread<'a> {
        fn next(self) -> Option<Self> {
            self.next.get()
        }
        fn prev(self) -> Option<Self> {
            self.prev.get()
        }
        fn set_next(self, next: Option<Self>) {
            self.next.set(next);
        }
        fn set_prev(self, prev: Option<Self>) {
            self.prev.set(prev);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Back(u16, u8),
        Front(u16, u8),
        Remove(u16),
        Pop,
        BackAndPop(u16, u8),
        FrontAndPop(u16, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let number = 0..NR_THREADS as u16;
        let priority = || prop_oneof![Just(0u8), Just(31), 10..13u8];
        prop_oneof![
            (number.clone(), priority()).prop_map(|(number, priority)| Step::Back(number, priority)),
            (number.clone(), priority()).prop_map(|(number, priority)| Step::Front(number, priority)),
            (number.clone(), priority()).prop_map(|(number, priority)| Step::BackAndPop(number, priority)),
            (number.clone(), priority()).prop_map(|(number, priority)| Step::FrontAndPop(number, priority)),
            number.prop_map(Step::Remove),
            Just(Step::Pop),
        ]
    }

    /// The model: for each priority a deque.
    #[derive(Default)]
    struct Model([VecDeque<u16>; NR_PRIORITIES]);

    impl Model {
        fn priority_of(&self, number: u16) -> Option<usize> {
            self.0.iter().position(|list| list.contains(&number))
        }
        fn in_order(&self) -> Vec<u16> {
            self.0.iter().rev().flatten().copied().collect()
        }
        fn pop(&mut self) -> Option<u16> {
            self.0.iter_mut().rev().find_map(VecDeque::pop_front)
        }
    }

    /// All threads in their order, as the links have it; and the links backwards agree.
    fn in_order<'a>(queue: &ReadyQueue<&'a Thread<'a>>) -> Vec<u16> {
        let mut seen = Vec::new();
        for list in queue.lists.iter().rev() {
            let (mut at, mut before) = (list.first, None::<&Thread<'_>>);
            while let Some(thread) = at {
                assert_eq!(thread.prev.get().map(|prev| prev.number), before.map(|before| before.number));
                seen.push(thread.number);
                (at, before) = (thread.next.get(), at);
            }
            assert_eq!(list.last.map(|last| last.number), before.map(|before| before.number));
        }
        seen
    }

    proptest! {
        #[test]
        fn behaves_as_a_deque_for_each_priority(steps in proptest::collection::vec(step(), 1..200)) {
            let threads: [Thread<'_>; NR_THREADS] =
                core::array::from_fn(|number| Thread { number: number as u16, next: Cell::new(None), prev: Cell::new(None) });
            let thread = |number: u16| &threads[usize::from(number)];
            let (mut queue, mut model) = (ReadyQueue::new(), Model::default());
            for step in steps {
                match step {
                    Step::Back(number, priority) if model.priority_of(number).is_none() => {
                        queue.push_back(thread(number), priority);
                        model.0[usize::from(priority)].push_back(number);
                    }
                    Step::Front(number, priority) if model.priority_of(number).is_none() => {
                        queue.push_front(thread(number), priority);
                        model.0[usize::from(priority)].push_front(number);
                    }
                    Step::BackAndPop(number, priority) if model.priority_of(number).is_none() => {
                        model.0[usize::from(priority)].push_back(number);
                        prop_assert_eq!(Some(queue.push_back_and_pop(thread(number), priority).number), model.pop());
                    }
                    Step::FrontAndPop(number, priority) if model.priority_of(number).is_none() => {
                        model.0[usize::from(priority)].push_front(number);
                        prop_assert_eq!(Some(queue.push_front_and_pop(thread(number), priority).number), model.pop());
                    }
                    Step::Remove(number) => if let Some(priority) = model.priority_of(number) {
                        queue.remove(thread(number), priority as u8);
                        model.0[priority].retain(|other| *other != number);
                    },
                    Step::Pop => prop_assert_eq!(queue.pop().map(|thread| thread.number), model.pop()),
                    _ => {}
                }
                let order = model.in_order();
                prop_assert_eq!(&in_order(&queue), &order);
                prop_assert_eq!(queue.highest().map(usize::from), order.first().and_then(|number| model.priority_of(*number)));
                let third = queue.find(|thread| thread.number % 3 == 0);
                prop_assert_eq!(third.map(|(thread, _)| thread.number), order.iter().copied().find(|number| number % 3 == 0));
            }
        }
    }
}
