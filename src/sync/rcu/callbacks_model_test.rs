//! The segmented list beside a naive one: a queue of (callback, number), where a callback runs when it is first and its number is over.

use super::*;
use proptest::prelude::*;
use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    PushBehind,
    Assign,
    /// The sequence word grows by so much, and the list is told.
    Advance(u64),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Push),
        3 => Just(Step::PushBehind),
        3 => Just(Step::Assign),
        3 => (0_u64..3).prop_map(Step::Advance),
        4 => Just(Step::Pop),
    ]
}

/// A callback of the naive list: which one, and what it waits for.
type Naive = VecDeque<(usize, Option<u64>)>;

fn run(start: u64, steps: &[Step]) {
    let mut heads: Vec<Box<RcuHead>> = steps.iter().map(|_| Box::new(RcuHead::new())).collect();
    let addresses: Vec<NonNull<RcuHead>> = heads.iter_mut().map(|head| NonNull::from(&mut **head)).collect();
    let (mut list, mut naive, mut now) = (Callbacks::new(), Naive::new(), start);
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Push => {
                // SAFETY: each head is pushed once, and lives as long as the list.
                unsafe { list.push(addresses[at]) };
                naive.push_back((at, None));
            }
            Step::PushBehind => {
                // SAFETY: as above.
                let was_pushed = unsafe { list.push_behind(addresses[at]) };
                assert_eq!(was_pushed, naive.iter().any(|(_, seq)| seq.is_none()));
                if was_pushed {
                    naive.push_back((at, None));
                }
            }
            Step::Assign => {
                // As the kernel does: what is over is moved on first.
                list.advance(now);
                list.assign(seq::snapshot(now));
                naive.iter_mut().for_each(|(_, wanted)| *wanted = wanted.or(Some(seq::snapshot(now))));
            }
            Step::Advance(by) => {
                now = now.wrapping_add(by);
                list.advance(now);
            }
            Step::Pop => {
                let is_over = |&(_, wanted): &(usize, Option<u64>)| wanted.is_some_and(|wanted| seq::is_done(now, wanted));
                let expected = naive.front().copied().filter(is_over);
                list.advance(now);
                assert_eq!(list.pop(), expected.map(|(at, _)| addresses[at]));
                if expected.is_some() {
                    list.note_run();
                    naive.pop_front();
                }
            }
        }
        assert_eq!(list.len(), naive.len() as u64);
        assert_eq!(list.has_new(), naive.iter().any(|(_, wanted)| wanted.is_none()));
    }
}

proptest! {
    #[test]
    fn callbacks_run_in_order_and_never_early(start in prop_oneof![0_u64..4, (u64::MAX - 8)..u64::MAX], steps in prop::collection::vec(step(), 1..60)) {
        run(start, &steps);
    }
}
