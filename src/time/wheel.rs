//! The timer wheel: timeouts by jiffy, put in and taken out in constant time.
//!
//! Eight levels of 64 slots. A timer stands on the level of the highest base-64 digit in which its jiffy differs from the wheel's, in the slot of that
//! digit. So the lowest occupied level has the next event, in its lowest occupied slot, and a bit map a level finds it: a level-0 slot holds timers
//! of one jiffy, which are due; a slot above is dealt out to the levels below when its time begins. The wheel jumps from event to event, so jiffies
//! that an idle core slept through cost nothing.
//!
//! Most timeouts are taken out before they are due and are never dealt out at all. Rejected: a wheel that does not cascade, as Linux has since 4.8; it
//! rounds far timeouts up by an eighth, so timers fire out of order. Rejected as well: levels by distance instead of digit, where a slot may
//! mean this turn or the next.
//!
//! Invariants, with `clk` the jiffy that the wheel has reached: 1. a node on level n agrees with `clk` in all digits above n, and its digit n is above
//! that of `clk` (level 0: not below). 2. Nobody's jiffy is before `clk`. 3. Bit s of level n is set if and only if slot s of it has a node. 4. Timers of
//! one jiffy leave in the order in which they came.
//!
//! Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7.

use super::node::{Node, Queue, link};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

const LEVELS: usize = 8;
const DIGIT_BITS: usize = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// The last jiffy that the wheel can hold, 89 000 years of them; what is later counts as this.
const LAST: u64 = (1 << (LEVELS * DIGIT_BITS)) - 1;

/// First and last node of a slot.
struct Slot {
    head: AtomicPtr<Node>,
    tail: AtomicPtr<Node>,
}

/// The wheel of one core.
pub struct Wheel {
    clk: u64,
    nr_nodes: usize,
    occupied: [u64; LEVELS],
    slots: [Slot; LEVELS * SLOTS],
}

impl Queue for Wheel {
    const EMPTY: Self = Self {
        clk: 0,
        nr_nodes: 0,
        occupied: [0; LEVELS],
        slots: [const { Slot { head: AtomicPtr::new(ptr::null_mut()), tail: AtomicPtr::new(ptr::null_mut()) } }; LEVELS * SLOTS],
    };

    #[inline]
    unsafe fn insert(&mut self, node: NonNull<Node>, now: u64) {
        if self.nr_nodes == 0 {
            self.clk = self.clk.max(now);
        }
        self.nr_nodes += 1;
        // What is due already comes with the next jiffy, or one that arms itself for the past would hold the core for ever.
        // SAFETY: the caller's promise.
        unsafe { self.place(node, self.clk + 1) };
    }

    #[inline]
    unsafe fn remove(&mut self, node: NonNull<Node>) {
        // SAFETY: it is in the queue, so it lives.
        let node_ref = unsafe { node.as_ref() };
        let (next, prev) = (node_ref.next.load(Relaxed), node_ref.prev.load(Relaxed));
        let at = usize::from(node_ref.slot.load(Relaxed));
        self.nr_nodes -= 1;

        // SAFETY: neighbours in a slot are in the queue, so they live.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.store(next, Relaxed),
            None => *self.slots[at].head.get_mut() = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.store(prev, Relaxed),
            None => *self.slots[at].tail.get_mut() = prev,
        }
        if prev.is_null() && next.is_null() {
            self.occupied[at / SLOTS] &= !(1 << (at % SLOTS));
        }
    }

    fn pop_due(&mut self, now: u64) -> Option<NonNull<Node>> {
        loop {
            let event = self.next_event().filter(|event| event.time <= now);
            let Some(event) = event else {
                self.clk = self.clk.max(now);
                return None;
            };
            self.clk = event.time;
            if event.level == 0 {
                let due = NonNull::new(*self.slots[event.slot].head.get_mut()).expect("an occupied slot has a node");
                // SAFETY: it stands in a slot of this wheel.
                unsafe { self.remove(due) };
                return Some(due);
            }
            self.deal_out(event.level * SLOTS + event.slot);
        }
    }

    fn next_due(&self) -> u64 {
        self.next_event().map_or(u64::MAX, |event| event.time)
    }

    fn for_each(&self, f: &mut dyn FnMut(&Node)) {
        for slot in &self.slots {
            let mut at = slot.head.load(Relaxed);
            // SAFETY: it stands in a slot, so it lives.
            while let Some(node) = unsafe { at.as_ref() } {
                f(node);
                at = node.next.load(Relaxed);
            }
        }
    }
}

struct Event {
    level: usize,
    slot: usize,
    time: u64,
}

impl Wheel {
    /// The next slot that something must be done with, and when.
    fn next_event(&self) -> Option<Event> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros() as usize;
        let shift = level * DIGIT_BITS;
        let above = self.clk >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        Some(Event { level, slot, time: above | (slot as u64) << shift })
    }

    /// Puts `node` where its key belongs, not before jiffy `earliest`.
    ///
    /// # Safety
    /// As for `insert`; `earliest` is not before `clk`.
    #[inline]
    unsafe fn place(&mut self, node: NonNull<Node>, earliest: u64) {
        // SAFETY: the caller's promise.
        let node_ref = unsafe { node.as_ref() };
        let jiffy = node_ref.key().max(earliest).min(LAST);
        let at = slot_of(self.clk, jiffy);
        let slot = &mut self.slots[at];
        let tail = *slot.tail.get_mut();
        node_ref.next.store(ptr::null_mut(), Relaxed);
        node_ref.prev.store(tail, Relaxed);
        node_ref.slot.store(at as u16, Relaxed);
        // SAFETY: the last node of a slot is in the queue, so it lives.
        match unsafe { tail.as_ref() } {
            Some(last) => last.next.store(link(Some(node)), Relaxed),
            None => *slot.head.get_mut() = link(Some(node)),
        }
        *slot.tail.get_mut() = link(Some(node));
        self.occupied[at / SLOTS] |= 1 << (at % SLOTS);
    }

    /// Empties a slot whose time has begun, in order, into the levels below.
    fn deal_out(&mut self, at: usize) {
        let mut next = *self.slots[at].head.get_mut();
        *self.slots[at].head.get_mut() = ptr::null_mut();
        *self.slots[at].tail.get_mut() = ptr::null_mut();
        self.occupied[at / SLOTS] &= !(1 << (at % SLOTS));
        while let Some(node) = NonNull::new(next) {
            // SAFETY: it stood in the slot, so it lives; nobody else has it meanwhile.
            next = unsafe { node.as_ref() }.next.load(Relaxed);
            // SAFETY: likewise. Those that are due in this very jiffy stay in it: `pop_due` goes on with them.
            unsafe { self.place(node, self.clk) };
        }
    }
}

/// Where jiffy `jiffy` stands on a wheel that has reached `clk`.
#[inline]
fn slot_of(clk: u64, jiffy: u64) -> usize {
    let highest_bit = 63 - ((clk ^ jiffy) | (SLOTS as u64 - 1)).leading_zeros() as usize;
    let level = highest_bit / DIGIT_BITS;
    // Only in the last jiffies of time itself does a wheel reach beyond its top.
    let level = level.min(LEVELS - 1);
    level * SLOTS + (jiffy >> (level * DIGIT_BITS)) as usize % SLOTS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::time::queue_model::{self, Step};
    use proptest::prelude::*;

    #[test]
    fn slots_by_the_highest_digit_that_differs() {
        assert_eq!((slot_of(0, 1), slot_of(0, 63), slot_of(0, 64), slot_of(0, 4095)), (1, 63, 64 + 1, 64 + 63));
        assert_eq!((slot_of(100, 101), slot_of(100, 127), slot_of(100, 128)), (37, 63, 64 + 2));
        assert_eq!(slot_of(0, LAST), LEVELS * SLOTS - 1);
    }

    #[test]
    fn far_deadlines_are_found_in_few_steps() {
        let nodes = queue_model::nodes(1);
        let mut wheel = Wheel::EMPTY;
        nodes[0].key.store(1 << 40, Relaxed);
        // SAFETY: the node lives as long as the wheel is used.
        unsafe { wheel.insert(NonNull::from(&*nodes[0]), 3) };
        assert!(wheel.pop_due((1 << 40) - 1).is_none());
        assert_eq!(wheel.pop_due(1 << 40), Some(NonNull::from(&*nodes[0])));
        assert_eq!(wheel.next_due(), u64::MAX);
    }

    #[test]
    fn one_that_is_due_already_waits_for_the_next_jiffy() {
        let nodes = queue_model::nodes(1);
        let mut wheel = Wheel::EMPTY;
        // SAFETY: as above.
        unsafe { wheel.insert(NonNull::from(&*nodes[0]), 1000) };
        assert!(wheel.next_due() == 1001 && wheel.pop_due(1000).is_none() && wheel.pop_due(1001).is_some());
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_list(steps in prop::collection::vec(Step::any(20), 1..400)) {
            let mut wheel = Wheel::EMPTY;
            queue_model::check(&mut wheel, steps, queue_model::Equal::InOrder)?;
        }

        #[test]
        fn far_and_near_mix(steps in prop::collection::vec(Step::any(1 << 30), 1..200)) {
            let mut wheel = Wheel::EMPTY;
            queue_model::check(&mut wheel, steps, queue_model::Equal::InOrder)?;
        }
    }
}
