//! What has been found in order before: the chains of held locks and the usage bits. All a lock asks when nothing is new.
//!
//! Read without a lock, on each acquisition: one load for the chain, one for the bits. A chain that is not in the table is only checked once more, so the
//! table may forget: a full set of slots loses its first.
//!
//! # Memory ordering
//! None: an entry says "this was checked", and nothing else is read on the strength of it.

use super::usage::Usage;
use crate::sync::lock_class::ClassId;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Slots that a chain may stand in.
const WAYS: usize = 4;

/// For `NODES` classes and `CHAINS` chains (a power of two).
#[derive(Debug)]
pub struct Known<const NODES: usize, const CHAINS: usize> {
    usage: [AtomicU8; NODES],
    chains: [AtomicU64; CHAINS],
    nr_chains: AtomicU32,
}

impl<const NODES: usize, const CHAINS: usize> Known<NODES, CHAINS> {
    /// Nothing.
    pub const fn new() -> Self {
        const { assert!(CHAINS.is_power_of_two() && CHAINS >= WAYS) };
        Self { usage: [const { AtomicU8::new(0) }; NODES], chains: [const { AtomicU64::new(0) }; CHAINS], nr_chains: AtomicU32::new(0) }
    }

    /// The chain was found in order. Context: any.
    #[inline]
    pub fn has_chain(&self, key: u64) -> bool {
        self.slots(key).any(|slot| slot.load(Relaxed) == key)
    }

    /// Notes a chain that was found in order.
    pub fn add_chain(&self, key: u64) {
        if let Some(empty) = self.slots(key).find(|slot| slot.load(Relaxed) == 0) {
            empty.store(key, Relaxed);
            self.nr_chains.fetch_add(1, Relaxed);
        } else if let Some(first) = self.slots(key).next() {
            first.store(key, Relaxed);
        }
    }

    /// Number of chains in the table.
    pub fn nr_chains(&self) -> u32 {
        self.nr_chains.load(Relaxed)
    }

    fn slots(&self, key: u64) -> impl Iterator<Item = &AtomicU64> {
        let first = (key >> 20) as usize;
        (0..WAYS).map(move |way| &self.chains[(first + way) & (CHAINS - 1)])
    }

    /// What `class` was seen doing. Context: any.
    #[inline]
    pub fn usage(&self, class: ClassId) -> Usage {
        Usage::from_bits(self.usage[class.index()].load(Relaxed))
    }

    /// Notes what `class` was seen doing.
    pub fn add_usage(&self, class: ClassId, usage: Usage) {
        self.usage[class.index()].fetch_or(usage.bits(), Relaxed);
    }
}

impl<const NODES: usize, const CHAINS: usize> Default for Known<NODES, CHAINS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_forgets_and_keeps_the_newest() {
        let known = Known::<4, 4>::new();
        for key in 1..=9 {
            assert!(!known.has_chain(key));
            known.add_chain(key);
            assert!(known.has_chain(key));
        }
        assert_eq!(known.nr_chains(), 4);
    }
}
