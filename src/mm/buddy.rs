//! Free blocks of 2^order pages, split in halves on demand and joined with their other half, the *buddy*, when they come back.
//!
//! Works on frame numbers in a slice of descriptors: no pointer, no lock, no unsafe, so that the very code of the kernel is checked against a
//! naive model on the host. Two tricks make it cheap. When a block of order `k` is split, all lists below `k` down to the order asked are
//! known to be empty, or the block would not have been chosen: the halves are pushed without a look. And a buddy is judged by one compare: free,
//! of this order and this zone is one word in its descriptor.
//!
//! Rejected: a bitmap for each order (Knuth's form). It needs no descriptor, but finds a free block by scanning.
//!
//! # Invariants
//! 1. A page is on list `k` if and only if its state is `Free` of order `k` and of this zone; its number is then a multiple of 2^k.
//! 2. No two buddies of an order below the highest are both free: they would have been joined.
//! 3. Bit `k` of `nonempty` is set if and only if list `k` has a page.
//!
//! Neighbours: `page` (descriptors), `zone` (the lock around this). Source: K. C. Knowlton, "A fast storage allocator", CACM 8 (1965).

#[cfg(test)]
mod model_test;

use super::page::{NIL, PageDesc, PageKind, PageState};

/// The free blocks of one zone, of `ORDERS` sizes.
///
/// All methods take the slice of descriptors, always the same, in which frame numbers are indices.
#[derive(Debug)]
pub struct Buddy<const ORDERS: usize> {
    heads: [u32; ORDERS],
    counts: [u32; ORDERS],
    nonempty: u32,
    zone: u8,
    nr_free: usize,
}

impl<const ORDERS: usize> Buddy<ORDERS> {
    /// No free page, for zone number `zone`.
    #[must_use]
    pub const fn new(zone: u8) -> Self {
        assert!(ORDERS > 0 && ORDERS < 32, "the orders are bits of a word");
        Self { heads: [NIL; ORDERS], counts: [0; ORDERS], nonempty: 0, zone, nr_free: 0 }
    }

    /// Free pages.
    #[must_use]
    #[inline(always)]
    pub const fn nr_free(&self) -> usize {
        self.nr_free
    }

    /// Free blocks of each order.
    #[must_use]
    pub const fn counts(&self) -> &[u32; ORDERS] {
        &self.counts
    }

    /// Gives the pages `start..end`, which nobody has, to the free lists in blocks as large as alignment permits.
    ///
    /// # Panics
    /// If a page has no descriptor.
    pub fn add_range(&mut self, pages: &[PageDesc], start: usize, end: usize) {
        for page in &pages[start..end] {
            page.set_state(PageState::new(PageKind::Tail, 0, self.zone));
        }
        let mut at = start;
        while at < end {
            let fits = (end - at).ilog2().min(ORDERS as u32 - 1);
            let order = if at == 0 { fits } else { fits.min(at.trailing_zeros()) };
            self.free(pages, at as u32, order as usize);
            at += 1 << order;
        }
    }

    /// Takes a block of `order` off the lists and marks it `kind`, or gives `None` if no list has one.
    ///
    /// # Panics
    /// If the order does not exist.
    #[inline]
    pub fn alloc(&mut self, pages: &[PageDesc], order: usize, kind: PageKind) -> Option<u32> {
        assert!(order < ORDERS, "there is no order {order}");
        let fitting = self.nonempty >> order << order;
        if fitting == 0 {
            return None;
        }
        let from = fitting.trailing_zeros() as usize;
        let block = self.pop(pages, from);
        self.split(pages, block, from, order);
        pages[block as usize].set_state(PageState::new(kind, order, self.zone));
        self.nr_free -= 1 << order;
        Some(block)
    }

    /// Puts the upper halves of a block of order `from` on the lists, until `order` is left.
    #[inline(always)]
    fn split(&mut self, pages: &[PageDesc], block: u32, from: usize, order: usize) {
        let mut half = from;
        while half > order {
            half -= 1;
            let upper = block + (1 << half);
            let page = &pages[upper as usize];
            page.set_state(PageState::new(PageKind::Free, half, self.zone));
            page.set_next(NIL);
            page.set_prev(NIL);
            // Known to be empty: no list between `order` and `from` had a block.
            self.heads[half] = upper;
            self.counts[half] = 1;
        }
        self.nonempty |= (1u32 << from) - (1 << order);
    }

    /// Takes a block back and joins it with its buddies as far as they are free.
    ///
    /// The caller vouches that the block is its own to give: `page_alloc` has compared its state.
    ///
    /// # Panics
    /// If the block has no descriptor.
    #[inline]
    pub fn free(&mut self, pages: &[PageDesc], block: u32, order: usize) {
        self.nr_free += 1 << order;
        let (mut block, mut order) = (block, order);
        while order + 1 < ORDERS {
            let buddy = block ^ (1 << order);
            let Some(other) = pages.get(buddy as usize) else { break };
            if other.state() != PageState::new(PageKind::Free, order, self.zone) {
                break;
            }
            self.unlink(pages, buddy, order);
            let upper = block | (1 << order);
            pages[upper as usize].set_state(PageState::new(PageKind::Tail, 0, self.zone));
            block &= !(1 << order);
            order += 1;
        }
        self.push(pages, block, order);
    }

    #[inline(always)]
    fn push(&mut self, pages: &[PageDesc], block: u32, order: usize) {
        let page = &pages[block as usize];
        page.set_state(PageState::new(PageKind::Free, order, self.zone));
        let second = self.heads[order];
        page.set_prev(NIL);
        page.set_next(second);
        if second != NIL {
            pages[second as usize].set_prev(block);
        }
        self.heads[order] = block;
        self.counts[order] += 1;
        self.nonempty |= 1 << order;
    }

    #[inline(always)]
    fn pop(&mut self, pages: &[PageDesc], order: usize) -> u32 {
        let block = self.heads[order];
        let second = pages[block as usize].next();
        self.heads[order] = second;
        self.counts[order] -= 1;
        if second == NIL {
            self.nonempty &= !(1 << order);
        } else {
            pages[second as usize].set_prev(NIL);
        }
        block
    }

    #[inline(always)]
    fn unlink(&mut self, pages: &[PageDesc], block: u32, order: usize) {
        let (prev, next) = (pages[block as usize].prev(), pages[block as usize].next());
        if next != NIL {
            pages[next as usize].set_prev(prev);
        }
        if prev != NIL {
            pages[prev as usize].set_next(next);
        } else {
            self.heads[order] = next;
            if next == NIL {
                self.nonempty &= !(1 << order);
            }
        }
        self.counts[order] -= 1;
    }
}
