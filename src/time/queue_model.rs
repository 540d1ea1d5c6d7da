//! The naive model of a queue of deadlines, for the tests of the wheel and the heap: a sorted list.

use super::node::{Node, Queue};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;
use std::prelude::v1::*;

const NR_NODES: usize = 24;

/// What is done to the queue.
#[derive(Clone, Debug)]
pub enum Step {
    /// Node `which` is put in, due so long after now, if it is not in.
    Insert(usize, u64),
    /// Node `which` is taken out, if it is in.
    Remove(usize),
    /// So much time passes, and what is due leaves.
    Pass(u64),
}

impl Step {
    /// Any step; times up to `range`.
    pub fn any(range: u64) -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..NR_NODES, 0..range).prop_map(|(which, after)| Step::Insert(which, after)),
            1 => (0..NR_NODES).prop_map(Step::Remove),
            2 => (0..range).prop_map(Step::Pass),
        ]
    }
}

/// How nodes with the same key leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Equal {
    /// As they came.
    InOrder,
    /// Any way.
    AnyOrder,
}

/// Nodes that stay where they are. Their function is never called.
#[expect(clippy::vec_box, reason = "a node must not move when the vector is given away or grows")]
pub fn nodes(count: usize) -> Vec<Box<Node>> {
    (0..count).map(|_| Box::new(Node::new(|_| (), core::ptr::null_mut()))).collect()
}

/// Does the steps to `queue` and to the model, and compares.
pub fn check<Q: Queue>(queue: &mut Q, steps: Vec<Step>, equal: Equal) -> Result<(), TestCaseError> {
    let nodes = nodes(NR_NODES);
    // Key and order of arrival of those that are in.
    let mut model: BTreeMap<(u64, usize), usize> = BTreeMap::new();
    let mut now = 7;
    for (arrival, step) in steps.into_iter().enumerate() {
        match step {
            Step::Insert(which, after) if !model.values().any(|in_it| *in_it == which) => {
                let key = now + 1 + after;
                nodes[which].key.store(key, Relaxed);
                // SAFETY: it is in no queue, and lives as long as this one is used.
                unsafe { queue.insert(NonNull::from(&*nodes[which]), now) };
                model.insert((key, arrival), which);
            }
            Step::Remove(which) => {
                if let Some(place) = model.iter().find(|(_, in_it)| **in_it == which).map(|(place, _)| *place) {
                    model.remove(&place);
                    // SAFETY: the model says that it is in.
                    unsafe { queue.remove(NonNull::from(&*nodes[which])) };
                }
            }
            Step::Insert(..) => {}
            Step::Pass(time) => {
                now += time;
                leave(queue, &mut model, &nodes, now, equal)?;
            }
        }
        let first = model.keys().next().map_or(u64::MAX, |(key, _)| *key);
        prop_assert!(queue.next_due() <= first && (first == u64::MAX) == (queue.next_due() == u64::MAX));
    }
    Ok(())
}

fn leave<Q: Queue>(
    queue: &mut Q,
    model: &mut BTreeMap<(u64, usize), usize>,
    nodes: &[Box<Node>],
    now: u64,
    equal: Equal,
) -> Result<(), TestCaseError> {
    while let Some((&place, &which)) = model.iter().next().filter(|((key, _), _)| *key <= now) {
        let left = queue.pop_due(now);
        let left = left.and_then(|left| nodes.iter().position(|node| core::ptr::eq(&**node, left.as_ptr())));
        let left = left.ok_or_else(|| TestCaseError::fail("one that is due stays"))?;
        prop_assert_eq!(nodes[left].key(), place.0);
        if equal == Equal::InOrder {
            prop_assert_eq!(left, which);
        }
        model.retain(|_, in_it| *in_it != left);
    }
    prop_assert!(queue.pop_due(now).is_none(), "fired early, or twice");
    Ok(())
}
