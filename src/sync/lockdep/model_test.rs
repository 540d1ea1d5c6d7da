//! Random programs against a finder of rings that tries every walk: the two must object at the same step.

use super::context::Context;
use super::selftest::Machine;
use crate::sync::meta::Access::{self, Exclusive, Shared, SharedRecursive};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::prelude::v1::*;

const FIRST: u16 = 3;
const NR_LOCKS: u16 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(u16, Access),
    GiveBack(usize),
    Interrupts(bool),
    Handler(u16, bool),
}

/// Who waits for whom: (held, alone?, wanted, past readers?).
type Wait = (u16, bool, u16, bool);

const IRQ: u16 = 99;

/// What the naive finder knows: every wait that can happen.
#[derive(Default)]
struct Naive {
    waits: BTreeSet<Wait>,
}

impl Naive {
    /// A ring of waits, each of which the next one's hold keeps up: every walk without repeated locks is tried.
    fn has_ring(&self) -> bool {
        self.waits.iter().any(|first| self.closes(first, first, &mut vec![first.0]))
    }

    fn closes(&self, first: &Wait, last: &Wait, seen: &mut Vec<u16>) -> bool {
        let keeps_up = |wait: &Wait, hold: &Wait| hold.1 || !wait.3;
        if last.2 == first.0 {
            return keeps_up(last, first);
        }
        if seen.contains(&last.2) {
            return false;
        }
        seen.push(last.2);
        let found = self.waits.iter().filter(|next| next.0 == last.2 && keeps_up(last, next)).any(|next| self.closes(first, next, seen));
        seen.pop();
        found
    }
}

/// Plays `steps` on both; `Err` says at which they differ.
fn play(steps: &[Step]) -> Result<(), String> {
    let (mut machine, mut naive) = (Machine::<128>::new(), Naive::default());
    let (mut held, mut irqs_on): (Vec<(u16, Access)>, bool) = (Vec::new(), true);
    let thread = |irqs_on: bool| if irqs_on { Context::THREAD } else { Context::IRQS_OFF };
    for (at, step) in steps.iter().enumerate() {
        let is_fine = match *step {
            Step::Take(lock, access) => {
                if held.iter().any(|(other, _)| *other == lock) {
                    continue;
                }
                naive.waits.extend(held.iter().map(|(other, by)| (*other, *by == Exclusive, lock, access == SharedRecursive)));
                held.push((lock, access));
                machine.enter(thread(irqs_on));
                machine.take(FIRST + lock, access)
            }
            Step::GiveBack(which) => {
                if held.is_empty() {
                    continue;
                }
                let (lock, _) = held.remove(which % held.len());
                machine.enter(thread(irqs_on));
                machine.give_back(FIRST + lock);
                continue;
            }
            Step::Interrupts(on) => {
                // Only when nothing is held, so that both see the change at the same time.
                irqs_on = if held.is_empty() { on } else { irqs_on };
                continue;
            }
            Step::Handler(lock, is_reader) => {
                if !irqs_on {
                    continue;
                }
                let access = if is_reader { SharedRecursive } else { Exclusive };
                naive.waits.insert((IRQ, true, lock, is_reader));
                machine.enter(Context::HARDIRQ);
                let is_fine = machine.take(FIRST + lock, access);
                machine.give_back(FIRST + lock);
                is_fine
            }
        };
        if irqs_on {
            naive.waits.extend(held.iter().map(|(lock, by)| (*lock, *by == Exclusive, IRQ, false)));
        }
        if is_fine == naive.has_ring() {
            return Err(format!("step {at}, {step:?}: lockdep says {is_fine}, waits are {:?}", naive.waits));
        }
        if !is_fine {
            break;
        }
    }
    Ok(())
}

fn step() -> impl Strategy<Value = Step> {
    let access = prop_oneof![3 => Just(Exclusive), 2 => Just(Shared), 2 => Just(SharedRecursive)];
    prop_oneof![
        6 => (0..NR_LOCKS, access).prop_map(|(lock, access)| Step::Take(lock, access)),
        4 => (0..4_usize).prop_map(Step::GiveBack),
        1 => any::<bool>().prop_map(Step::Interrupts),
        1 => (0..NR_LOCKS, any::<bool>()).prop_map(|(lock, is_reader)| Step::Handler(lock, is_reader)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lockdep_objects_exactly_when_a_ring_of_waits_can_close(steps in prop::collection::vec(step(), 1..60)) {
        play(&steps).map_err(TestCaseError::fail)?;
    }
}
