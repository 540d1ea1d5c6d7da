//! The locks that one thread of control holds, in the order in which it took them: what `lockdep` and `lock_stat` know of the present.
//!
//! A thread has one of these, in its block, since who holds a sleeping lock moves between cores; a core has two, for the softirq and the hardirq that
//! interrupted its thread, because a handler's locks are taken inside nobody's (and a third for the time before there are threads). [`held`] is the
//! only place that knows where they lie. Rejected: one stack a core, which tears when an interrupt comes in the middle of a push.
//!
//! # Invariants
//! 1. One writer: the core, in the context whose stack it is; a handler has a stack of its own, so no push or take is interrupted by another.
//! 2. `key` of an entry is the hash of all entries up to it, so the top one stands for the whole chain.
//!
//! # Memory ordering
//! None. Other cores read entries for a report or a view: each field is an atomic, so they see values that were true at some time, not one moment.
//!
//! Neighbours: `lock_watch` fills it, `lockdep` asks it.

use super::lock_class::ClassId;
use super::meta::Access;
use crate::arch::NR_CPUS;
use crate::cpu;
use crate::upcalls;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Locks that one context can hold at once.
pub const DEPTH: usize = 24;
/// Contexts of a core: thread, softirq, hardirq.
pub const NR_LEVELS: usize = 3;

/// A lock that is held.
#[derive(Clone, Copy, Debug)]
pub struct HeldLock {
    /// Address of its `LockMeta`: which lock of its class it is.
    pub lock: usize,
    /// Its class.
    pub class: ClassId,
    /// How it was taken.
    pub access: Access,
    /// Its takers sleep while they wait.
    pub is_sleeping: bool,
    /// Where it was taken.
    pub at: &'static Location<'static>,
    /// When, in ticks of the counter.
    pub since: u64,
}

/// More locks are held than the stack has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

/// The held locks of one context, oldest first.
#[derive(Debug)]
pub struct HeldLocks {
    len: AtomicUsize,
    slots: [Slot; DEPTH],
}

/// A `HeldLock` in words, as other cores may look at it.
#[derive(Debug)]
struct Slot {
    lock: AtomicUsize,
    /// Class in the low half, then `ACCESS_SHIFT` and `SLEEPING`.
    what: AtomicU32,
    at: AtomicPtr<Location<'static>>,
    since: AtomicU64,
    key: AtomicU64,
}

const ACCESS_SHIFT: u32 = 16;
const SLEEPING: u32 = 1 << 20;

impl HeldLocks {
    /// No lock.
    pub const fn new() -> Self {
        Self { len: AtomicUsize::new(0), slots: [const { Slot::EMPTY }; DEPTH] }
    }

    /// Number of locks held. Context: any.
    pub fn len(&self) -> usize {
        self.len.load(Relaxed).min(DEPTH)
    }

    /// True if no lock is held. Context: any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The locks, oldest first. Context: any; of another core, a hint.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = HeldLock> {
        self.slots[..self.len()].iter().filter_map(Slot::get)
    }

    /// Forgets all. Context: the stack's own.
    pub(crate) fn clear(&self) {
        self.len.store(0, Relaxed);
    }

    /// Hash of the chain of locks held: 0 if there is none.
    pub fn key(&self) -> u64 {
        self.len().checked_sub(1).map_or(0, |top| self.slots[top].key.load(Relaxed))
    }

    /// Notes a lock that was taken. Context: the stack's own.
    ///
    /// # Errors
    /// `TooDeep` if there is no room; nothing is noted then.
    pub fn push(&self, lock: &HeldLock) -> Result<(), TooDeep> {
        let len = self.len();
        let slot = self.slots.get(len).ok_or(TooDeep)?;
        slot.set(lock, chain_key(self.key(), lock.class, lock.access));
        self.len.store(len + 1, Relaxed);
        Ok(())
    }

    /// Forgets the lock whose `LockMeta` is at `lock`, the one taken last if it is there twice. `None` if it is not held here.
    ///
    /// Context: the stack's own. Locks above it move down, since guards drop in any order.
    pub fn take(&self, lock: usize) -> Option<HeldLock> {
        let len = self.len();
        let at = self.slots[..len].iter().rposition(|slot| slot.lock.load(Relaxed) == lock)?;
        let taken = self.slots[at].get();
        self.len.store(at, Relaxed);
        for above in at + 1..len {
            if let Some(moved) = self.slots[above].get() {
                self.slots[above - 1].set(&moved, chain_key(self.key(), moved.class, moved.access));
                self.len.store(above, Relaxed);
            }
        }
        taken
    }
}

impl Default for HeldLocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Slot {
    #[expect(clippy::declare_interior_mutable_const, reason = "an initial value, copied into each slot")]
    const EMPTY: Self = Self {
        lock: AtomicUsize::new(0),
        what: AtomicU32::new(0),
        at: AtomicPtr::new(ptr::null_mut()),
        since: AtomicU64::new(0),
        key: AtomicU64::new(0),
    };

    fn get(&self) -> Option<HeldLock> {
        let what = self.what.load(Relaxed);
        // SAFETY: null, or the address of a `Location` that lives for ever: `set` stores nothing else.
        let at = unsafe { self.at.load(Relaxed).as_ref() }?;
        Some(HeldLock {
            lock: self.lock.load(Relaxed),
            class: ClassId::from_bits(what as u16),
            access: Access::from_bits(what >> ACCESS_SHIFT),
            is_sleeping: what & SLEEPING != 0,
            at,
            since: self.since.load(Relaxed),
        })
    }

    fn set(&self, lock: &HeldLock, key: u64) {
        let what = u32::from(lock.class.bits()) | lock.access.to_bits() << ACCESS_SHIFT | if lock.is_sleeping { SLEEPING } else { 0 };
        self.lock.store(lock.lock, Relaxed);
        self.what.store(what, Relaxed);
        self.at.store(ptr::from_ref(lock.at).cast_mut(), Relaxed);
        self.since.store(lock.since, Relaxed);
        self.key.store(key, Relaxed);
    }
}

/// Hash of a chain whose last lock is `class`, taken by `access`, inside a chain with hash `outer`. Never 0.
///
/// The multiplier is that of splitmix64: odd, with its bits well mixed. A collision would hide an order for ever; with 64 bits and some thousand chains
/// that is one in 10^12.
pub fn chain_key(outer: u64, class: ClassId, access: Access) -> u64 {
    let link = u64::from(class.bits()) << 2 | u64::from(access.to_bits());
    let mixed = (outer.rotate_left(23) ^ (link + 1)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 29) | 1
}

static HELD: [[HeldLocks; NR_LEVELS]; NR_CPUS] = [const { [const { HeldLocks::new() }; NR_LEVELS] }; NR_CPUS];

/// The locks held in the context that asks. Context: any, pinned to its core.
pub(super) fn held() -> &'static HeldLocks {
    let level = if cpu::in_hardirq() {
        2
    } else if cpu::context::in_serving_softirq() {
        1
    } else {
        0
    };
    match upcalls::held_locks() {
        Some(of_thread) if level == 0 => of_thread,
        _ => &HELD[cpu::id()][level],
    }
}

/// The locks that this core holds: in its thread, its softirq, its hardirq. Context: any, pinned to its core.
pub fn held_here() -> [&'static HeldLocks; NR_LEVELS] {
    let [boot, softirq, hardirq] = &HELD[cpu::id()];
    [upcalls::held_locks().unwrap_or(boot), softirq, hardirq]
}

/// The locks that the handlers of core `cpu` hold: softirq, hardirq. Context: any; of another core, a hint.
///
/// # Panics
/// If there is no such core.
pub fn held_by_handlers(cpu: usize) -> [&'static HeldLocks; NR_LEVELS - 1] {
    let [_, softirq, hardirq] = &HELD[cpu];
    [softirq, hardirq]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn lock(number: u16) -> HeldLock {
        let class = ClassId::from_bits(number);
        HeldLock { lock: usize::from(number), class, access: Access::Exclusive, is_sleeping: false, at: Location::caller(), since: 0 }
    }

    #[test]
    fn guards_drop_in_any_order_and_the_key_is_that_of_what_is_left() {
        let (stack, fresh) = (HeldLocks::new(), HeldLocks::new());
        [2, 3, 4].into_iter().for_each(|number| stack.push(&lock(number)).unwrap());
        assert_eq!(stack.take(3).map(|lock| lock.class.bits()), Some(3));
        [2, 4].into_iter().for_each(|number| fresh.push(&lock(number)).unwrap());
        assert_eq!(stack.key(), fresh.key());
        assert!(stack.take(3).is_none() && stack.take(2).is_some() && stack.take(4).is_some());
        assert_eq!((stack.key(), stack.len()), (0, 0));
    }

    #[test]
    fn the_key_knows_order_and_access() {
        let key = |first, second| chain_key(chain_key(0, ClassId::from_bits(first), Access::Exclusive), ClassId::from_bits(2), second);
        assert_ne!(key(3, Access::Exclusive), key(4, Access::Exclusive));
        assert_ne!(key(3, Access::Exclusive), key(3, Access::Shared));
    }

    #[test]
    fn a_full_stack_says_so_and_stays_whole() {
        let stack = HeldLocks::new();
        (0..DEPTH).for_each(|number| stack.push(&lock(number as u16)).unwrap());
        assert_eq!(stack.push(&lock(99)), Err(TooDeep));
        assert_eq!(stack.iter().last().map(|lock| lock.class.bits()), Some(DEPTH as u16 - 1));
    }
}
