//! Shrinkers: who keeps memory only because there was plenty, and gives it back when there is not.
//!
//! A cache registers two functions: how much it could give, and give so much. A request that may sleep and finds memory short runs
//! them all, skipping those that need more than its gfp flags permit: a shrinker that starts I/O declares `IO`, so a request from within the
//! I/O path (`NOIO`) does not come back to it.
//!
//! Shrinkers run without any lock of this module, in the requesting thread, on several cores at once. A shrinker may allocate: such a request
//! may use half of the reserve and does not reclaim again.
//!
//! Rejected: a list that is walked under its lock. A shrinker that allocates, or registers another, would deadlock.
//!
//! Neighbours: `page_alloc` calls [`shrink`]; slabs and vmalloc areas register.

use super::gfp::GfpFlags;
use crate::arch;
use crate::cpu;
use crate::sync::SpinLock;
use crate::upcalls;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Shrinkers that may be registered at once.
pub const MAX_SHRINKERS: usize = 16;
/// Threads that may reclaim at once; one more does without shrinkers.
const MAX_RECLAIMERS: usize = 8;

/// A cache that can give memory back. A static of its owner.
#[derive(Debug)]
pub struct Shrinker {
    name: &'static str,
    needs: GfpFlags,
    count: fn() -> usize,
    scan: fn(usize) -> usize,
    nr_running: AtomicU32,
    nr_freed: AtomicU64,
}

/// Why a shrinker was not registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShrinkerError {
    /// [`MAX_SHRINKERS`] are registered.
    TableFull,
    /// It is registered already.
    AlreadyRegistered,
}

impl From<ShrinkerError> for crate::util::errno::Errno {
    fn from(error: ShrinkerError) -> Self {
        match error {
            ShrinkerError::TableFull => Self::ENOSPC,
            ShrinkerError::AlreadyRegistered => Self::EEXIST,
        }
    }
}

/// Held for moments only; shrinkers run without it.
static SHRINKERS: SpinLock<ArrayVec<&'static Shrinker, MAX_SHRINKERS>> = SpinLock::new(ArrayVec::new_const());

impl Shrinker {
    /// A shrinker that needs `needs` (of `IO` and `FS`): `count` tells how many pages could be given back now, `scan` gives back up to so many and
    /// tells how many it gave.
    #[must_use]
    pub const fn new(name: &'static str, needs: GfpFlags, count: fn() -> usize, scan: fn(usize) -> usize) -> Self {
        Self { name, needs, count, scan, nr_running: AtomicU32::new(0), nr_freed: AtomicU64::new(0) }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Pages that it has given back so far. Context: any.
    pub fn nr_freed(&self) -> u64 {
        self.nr_freed.load(Ordering::Relaxed)
    }

    /// Puts the shrinker on the list.
    ///
    /// Context: thread.
    ///
    /// # Errors
    /// `ShrinkerError`; the list is unchanged.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, shrinker::Shrinker};
    /// fn nr_spare() -> usize { 0 }
    /// fn free_some(nr_wanted: usize) -> usize { nr_wanted.min(nr_spare()) }
    /// static SPARE: Shrinker = Shrinker::new("spare", GfpFlags::empty(), nr_spare, free_some);
    /// SPARE.register()?; // called from now on where memory is short
    /// # Ok::<(), tetra::mm::shrinker::ShrinkerError>(())
    /// ```
    pub fn register(&'static self) -> Result<(), ShrinkerError> {
        let mut all = SHRINKERS.lock();
        if all.iter().any(|other| core::ptr::eq(*other, self)) {
            return Err(ShrinkerError::AlreadyRegistered);
        }
        all.try_push(self).map_err(|_| ShrinkerError::TableFull)
    }

    /// Takes the shrinker off the list and waits until nobody runs it. Does nothing if it is not registered.
    ///
    /// Context: thread; not from within a shrinker, which would wait for itself. Acquire: all that the shrinker did happens before the return.
    pub fn unregister(&'static self) {
        SHRINKERS.lock().retain(|other| !core::ptr::eq(*other, self));
        // Acquire: pairs with the release in `run`.
        while self.nr_running.load(Ordering::Acquire) != 0 {
            // Who runs it may be a thread of this core.
            upcalls::wait_a_tick();
        }
    }

    /// Asks it for `wanted` pages, as far as it has them. `nr_running` was raised under the list's lock.
    fn run(&self, wanted: usize) -> usize {
        let freed = match (self.count)() {
            0 => 0,
            available => (self.scan)(available.min(wanted)),
        };
        self.nr_freed.fetch_add(freed as u64, Ordering::Relaxed);
        self.nr_running.fetch_sub(1, Ordering::Release);
        freed
    }
}

/// Runs the shrinkers that `gfp` permits until `wanted` pages came back; how many did.
///
/// Context: thread that may sleep.
pub fn shrink(gfp: GfpFlags, wanted: usize) -> usize {
    let mut freed = 0;
    for at in 0..MAX_SHRINKERS {
        if freed >= wanted {
            break;
        }
        let shrinker = {
            let all = SHRINKERS.lock();
            let Some(shrinker) = all.get(at).copied() else { break };
            if !gfp.contains(shrinker.needs) {
                continue;
            }
            shrinker.nr_running.fetch_add(1, Ordering::Relaxed);
            shrinker
        };
        freed += shrinker.run(wanted - freed);
    }
    freed
}

/// Calls `each` with the registered shrinkers, in order. Context: thread; `each` runs under the list's lock.
pub fn for_each(each: impl FnMut(&'static Shrinker)) {
    SHRINKERS.lock().iter().copied().for_each(each);
}

/// The threads that reclaim now, by the address of their task block; 0: free.
static RECLAIMERS: [AtomicUsize; MAX_RECLAIMERS] = [const { AtomicUsize::new(0) }; MAX_RECLAIMERS];

/// What came of a wish to reclaim.
pub(super) enum Entry {
    /// This thread reclaims.
    Entered(Reclaiming),
    /// It does already: this is a shrinker's own request.
    Nested,
    /// Enough others do.
    Crowded,
}

/// While it lives, this thread reclaims.
pub(super) struct Reclaiming {
    slot: &'static AtomicUsize,
}

impl Reclaiming {
    /// Marks this thread, unless it reclaims already or too many do.
    pub(super) fn enter() -> Entry {
        let me = arch::current();
        // A thread without a task block is boot's, and alone.
        let me = if me == 0 { cpu::id() + 1 } else { me };
        if RECLAIMERS.iter().any(|slot| slot.load(Ordering::Relaxed) == me) {
            return Entry::Nested;
        }
        // Relaxed: only this thread ever looks for its own mark.
        let take = |slot: &AtomicUsize| slot.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        RECLAIMERS.iter().find(|slot| take(slot)).map_or(Entry::Crowded, |slot| Entry::Entered(Self { slot }))
    }
}

impl Drop for Reclaiming {
    fn drop(&mut self) {
        self.slot.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    static LEFT: AtomicUsize = AtomicUsize::new(10);
    static PLAIN: Shrinker = Shrinker::new(
        "plain",
        GfpFlags::empty(),
        || LEFT.load(Ordering::Relaxed),
        |wanted| {
            LEFT.fetch_sub(wanted, Ordering::Relaxed);
            wanted
        },
    );
    static WITH_IO: Shrinker = Shrinker::new("io", GfpFlags::IO, || 100, |wanted| wanted);

    /// One test, since the list is one.
    #[test]
    fn shrinkers_run_by_what_they_need_until_enough_came_back() {
        assert_eq!(shrink(GfpFlags::KERNEL, 5), 0);
        PLAIN.register().unwrap();
        WITH_IO.register().unwrap();
        assert_eq!(PLAIN.register(), Err(ShrinkerError::AlreadyRegistered));
        assert_eq!(shrink(GfpFlags::NOIO, 4), 4);
        assert_eq!(shrink(GfpFlags::NOIO, 40), 6, "the shrinker that needs IO must not run");
        assert_eq!(shrink(GfpFlags::NOFS, 40), 40, "IO is permitted");
        assert_eq!((PLAIN.nr_freed(), WITH_IO.nr_freed()), (10, 40));
        PLAIN.unregister();
        WITH_IO.unregister();
        assert_eq!(shrink(GfpFlags::KERNEL, 5), 0);

        let outer = Reclaiming::enter();
        assert!(matches!(outer, Entry::Entered(_)));
        assert!(matches!(Reclaiming::enter(), Entry::Nested), "a thread reclaims once at a time");
        drop(outer);
        let others = [1, 2, 3, 4, 5, 6, 7, 8].map(|other| other * 1000 + 1);
        RECLAIMERS.iter().zip(others).for_each(|(slot, other)| slot.store(other, Ordering::Relaxed));
        assert!(matches!(Reclaiming::enter(), Entry::Crowded));
        RECLAIMERS.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        assert!(matches!(Reclaiming::enter(), Entry::Entered(_)));
    }
}
