//! The buddy lists against a naive model: one cell a page, and each question a loop over cells.

use super::*;
use proptest::prelude::*;
use std::prelude::v1::*;
use std::vec;

const ORDERS: usize = 11;
const PAGES: usize = 5000;
const ZONE: u8 = 1;
/// Holes that are never given to the lists.
const HOLES: [std::ops::Range<usize>; 3] = [0..1, 700..1301, 4097..4100];
/// Operations of each of the cases below; together they are a million.
const OPERATIONS: usize = 20_000;
const CASES: u32 = 50;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Hole,
    Free,
    Held,
}

struct Both {
    pages: Vec<PageDesc>,
    buddy: Buddy<ORDERS>,
    cells: Vec<Cell>,
    held: Vec<(usize, usize)>,
}

impl Both {
    fn new() -> Self {
        let mut both = Self {
            pages: std::iter::repeat_with(PageDesc::new).take(PAGES).collect(),
            buddy: Buddy::new(ZONE),
            cells: vec![Cell::Free; PAGES],
            held: vec![],
        };
        HOLES.into_iter().for_each(|hole| both.cells[hole].fill(Cell::Hole));
        let mut start = 0;
        for end in 1..=PAGES {
            if end == PAGES || both.cells[end] != both.cells[start] {
                if both.cells[start] == Cell::Free {
                    both.buddy.add_range(&both.pages, start, end);
                }
                start = end;
            }
        }
        both
    }

    /// Whether some aligned block of free pages exists; if halves are always joined, that is when an allocation must succeed.
    fn fits(&self, order: usize) -> bool {
        self.cells.chunks_exact(1 << order).any(|block| block.iter().all(|cell| *cell == Cell::Free))
    }

    fn alloc(&mut self, order: usize) {
        match self.buddy.alloc(&self.pages, order, PageKind::Allocated) {
            Some(block) => {
                let block = block as usize;
                assert!(block.is_multiple_of(1 << order), "{block:#x} is not aligned to order {order}");
                assert!(self.cells[block..block + (1 << order)].iter().all(|cell| *cell == Cell::Free), "{block:#x} is not free");
                assert!(self.pages[block].state().is(PageKind::Allocated, order));
                self.cells[block..block + (1 << order)].fill(Cell::Held);
                self.held.push((block, order));
            }
            None => assert!(!self.fits(order), "order {order} was refused, but there is room"),
        }
    }

    fn free(&mut self, at: usize) {
        if self.held.is_empty() {
            return;
        }
        let (block, order) = self.held.swap_remove(at % self.held.len());
        self.buddy.free(&self.pages, block as u32, order);
        self.cells[block..block + (1 << order)].fill(Cell::Free);
    }

    fn count(&self, kind: Cell) -> usize {
        self.cells.iter().filter(|cell| **cell == kind).count()
    }

    /// Each page is accounted for: heads, tails and lists say what the cells say, and no two buddies are both free.
    fn check(&self) {
        assert_eq!(self.buddy.nr_free(), self.count(Cell::Free));
        let mut listed = vec![false; PAGES];
        for order in 0..ORDERS {
            let (mut at, mut prev, mut length) = (self.buddy.heads[order], NIL, 0);
            assert_eq!(at != NIL, self.buddy.nonempty & 1 << order != 0, "bit of order {order}");
            while at != NIL {
                let page = &self.pages[at as usize];
                assert_eq!(page.state(), PageState::new(PageKind::Free, order, ZONE));
                assert_eq!(page.prev(), prev);
                listed[at as usize..at as usize + (1 << order)].iter_mut().for_each(|seen| assert!(!std::mem::replace(seen, true)));
                if order + 1 < ORDERS
                    && let Some(buddy) = self.pages.get((at ^ (1 << order)) as usize)
                {
                    assert_ne!(buddy.state(), page.state(), "two free buddies of order {order} at {at:#x}");
                }
                (prev, at, length) = (at, page.next(), length + 1);
            }
            assert_eq!(length, self.buddy.counts()[order]);
        }
        assert!(self.cells.iter().zip(listed).all(|(cell, listed)| listed == (*cell == Cell::Free)));
    }
}

/// A generator of its own, so that a million operations need no million strategies.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model_over_a_million_operations(seed in 1u64.., pressure in 30usize..80) {
        let (mut both, mut seed) = (Both::new(), seed);
        let fresh = both.buddy.counts;
        for step in 0..OPERATIONS {
            if random(&mut seed) % 100 < pressure {
                // Small orders more often than large ones.
                let order = (random(&mut seed) as u32 | 1 << 10).trailing_zeros() as usize;
                both.alloc(order);
            } else {
                let at = random(&mut seed);
                both.free(at);
            }
            if step % 1000 == 0 {
                both.check();
            }
        }
        while !both.held.is_empty() {
            both.free(0);
        }
        both.check();
        prop_assert_eq!(both.buddy.counts, fresh, "not all halves were joined again");
    }
}

#[test]
fn a_block_of_another_zone_is_no_buddy() {
    let pages: Vec<PageDesc> = std::iter::repeat_with(PageDesc::new).take(16).collect();
    let (mut low, mut high) = (Buddy::<ORDERS>::new(0), Buddy::<ORDERS>::new(1));
    low.add_range(&pages, 0, 8);
    high.add_range(&pages, 8, 16);
    assert_eq!((low.nr_free(), high.nr_free()), (8, 8));
    assert_eq!((low.counts()[3], high.counts()[3]), (1, 1));
    assert_eq!(low.alloc(&pages, 4, PageKind::Allocated), None);
}

#[test]
fn halves_are_given_lowest_first_and_joined_when_both_are_back() {
    let pages: Vec<PageDesc> = std::iter::repeat_with(PageDesc::new).take(1024).collect();
    let mut buddy = Buddy::<ORDERS>::new(0);
    buddy.add_range(&pages, 0, 1024);
    let all: Vec<u32> = std::iter::from_fn(|| buddy.alloc(&pages, 0, PageKind::Allocated)).collect();
    assert_eq!((all.len(), all[0], buddy.nr_free()), (1024, 0, 0));
    all.iter().for_each(|page| buddy.free(&pages, *page, 0));
    assert_eq!(buddy.counts()[10], 1);
    assert!(pages[1..].iter().all(|page| page.kind() == PageKind::Tail));
}
