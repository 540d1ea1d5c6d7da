//! What a lock knows of itself beside its state: its place of creation, its holder, its figures. Zero-sized when every check is built out.
//!
//! The hooks are called in `lock.rs` and `rwlock.rs` and nowhere else, in this order: `acquire` before the algorithm is entered, `contended` if it
//! has to wait (what it gives is asked at each round of the wait), `acquired` when the lock is held, `release` before it is given back. A try
//! that succeeds calls `acquired` alone. Features add their bodies here; the algorithms know nothing of them. Hooks see the call's place
//! (`#[track_caller]`), which costs nothing where they are empty.
//!
//! Recursion on one lock is `debug_spinlock`'s to report, before `lockdep` is asked: it knows the holder.
//!
//! Neighbours: `debug_spinlock` has the body for holders, `lock_watch` that for `lockdep` and `lock_stat`.

#[cfg(feature = "debug_spinlock")]
use super::debug_spinlock::{Holder, Patience};
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
use super::lock_watch::{Call, Watched};
#[cfg(feature = "tracepoints")]
use crate::debug::tracepoint::{self, Event};
use core::panic::Location;

/// Something is built in that wants to see who waits.
pub(super) const IS_WATCHED: bool =
    cfg!(any(feature = "debug_spinlock", feature = "lockdep", feature = "lock_stat", feature = "tracepoints"));

/// How a lock is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Alone.
    Exclusive,
    /// With other readers, in order of arrival: behind a writer that waits.
    Shared,
    /// With other readers, and past a writer that waits: only one that holds is waited for. What `Shared` is in a handler.
    SharedRecursive,
}

#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
impl Access {
    /// From the number that `to_bits` gave.
    pub(super) const fn from_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Exclusive,
            1 => Self::Shared,
            _ => Self::SharedRecursive,
        }
    }

    /// As a number below 4.
    pub(super) const fn to_bits(self) -> u32 {
        self as u32
    }
}

/// What its takers do while they wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// They spin: whoever holds the lock must not sleep.
    Spinning,
    /// They sleep: the lock is for threads that may.
    Sleeping,
}

/// The identity of a lock for the checks. `place` is where the lock was created: all locks made there are of one class.
#[derive(Debug)]
pub struct LockMeta {
    #[cfg(any(feature = "lockdep", feature = "lock_stat", feature = "debug_spinlock"))]
    place: &'static Location<'static>,
    /// Known by core, so for locks that spin; a sleeping lock knows its own owner.
    #[cfg(feature = "debug_spinlock")]
    holder: Holder,
    #[cfg(feature = "debug_spinlock")]
    kind: LockKind,
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    watched: Watched,
}

impl LockMeta {
    /// For a lock that is created at the caller's place, and whose takers spin.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "the place of creation matters: never made by a derived Default")]
    pub const fn new() -> Self {
        Self::with_kind(LockKind::Spinning)
    }

    /// For a lock of this kind that is created at the caller's place.
    #[track_caller]
    pub const fn with_kind(_kind: LockKind) -> Self {
        Self {
            #[cfg(any(feature = "lockdep", feature = "lock_stat", feature = "debug_spinlock"))]
            place: Location::caller(),
            #[cfg(feature = "debug_spinlock")]
            holder: Holder::NOBODY,
            #[cfg(feature = "debug_spinlock")]
            kind: _kind,
            #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
            watched: Watched::new(_kind),
        }
    }

    /// Where the lock was created, if this build keeps it.
    pub fn place(&self) -> Option<&'static Location<'static>> {
        #[cfg(any(feature = "lockdep", feature = "lock_stat", feature = "debug_spinlock"))]
        return Some(self.place);
        #[cfg(not(any(feature = "lockdep", feature = "lock_stat", feature = "debug_spinlock")))]
        None
    }

    /// What stands for the lock in the lists of held locks; 0 if this build keeps none.
    pub(super) fn identity(&self) -> usize {
        #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
        return self.watched.address();
        #[cfg(not(any(feature = "lockdep", feature = "lock_stat")))]
        0
    }

    /// Someone holds the lock alone, as far as this build keeps it.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        #[cfg(feature = "debug_spinlock")]
        return self.holder.is_somebody();
        #[cfg(not(feature = "debug_spinlock"))]
        false
    }

    /// The caller is about to take the lock and may wait for it; `subclass` is its level of nesting.
    ///
    /// # Panics
    /// With `debug_spinlock`, if this core holds the lock alone: the wait would never end.
    #[inline(always)]
    #[track_caller]
    pub(super) fn acquire(&self, _access: Access, _subclass: u8) {
        #[cfg(feature = "debug_spinlock")]
        if self.kind == LockKind::Spinning {
            self.holder.check_before_wait(self.place);
        }
        #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
        self.watched.before_wait(self.place, &Call { access: _access, subclass: _subclass, at: Location::caller() });
    }

    /// The lock is not free: a wait begins.
    #[inline(always)]
    #[track_caller]
    pub(super) fn contended(&self, _access: Access, _subclass: u8) -> Wait<'_> {
        Wait {
            #[cfg(feature = "tracepoints")]
            _traced: Traced::new(core::ptr::from_ref(self).addr() as u64),
            #[cfg(feature = "debug_spinlock")]
            patience: Patience::new(&self.holder, self.place),
            #[cfg(feature = "lock_stat")]
            _counted: self.watched.waits(self.place, &Call { access: _access, subclass: _subclass, at: Location::caller() }),
            _meta: core::marker::PhantomData,
        }
    }

    /// The lock is held now.
    #[inline(always)]
    #[track_caller]
    pub(super) fn acquired(&self, _access: Access, _subclass: u8) {
        #[cfg(feature = "debug_spinlock")]
        if _access == Access::Exclusive && self.kind == LockKind::Spinning {
            self.holder.set();
        }
        #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
        self.watched.taken(self.place, &Call { access: _access, subclass: _subclass, at: Location::caller() });
    }

    /// The lock is about to be given back.
    #[inline(always)]
    pub(super) fn release(&self, _access: Access) {
        #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
        self.watched.given_back();
        #[cfg(feature = "debug_spinlock")]
        if _access == Access::Exclusive && self.kind == LockKind::Spinning {
            self.holder.clear(self.place);
        }
    }
}

/// A wait for a lock that is watched.
pub(super) struct Wait<'a> {
    #[cfg(feature = "debug_spinlock")]
    patience: Patience<'a>,
    /// Counts the wait when it ends.
    #[cfg(feature = "lock_stat")]
    _counted: super::lock_stat::live::Waiting,
    #[cfg(feature = "tracepoints")]
    _traced: Traced,
    _meta: core::marker::PhantomData<&'a LockMeta>,
}

/// Tells the tracepoints of a wait's two ends.
#[cfg(feature = "tracepoints")]
struct Traced {
    lock: u64,
}

#[cfg(feature = "tracepoints")]
impl Traced {
    fn new(lock: u64) -> Self {
        tracepoint::hit(Event::ContentionBegin, lock, 0);
        Self { lock }
    }
}

#[cfg(feature = "tracepoints")]
impl Drop for Traced {
    fn drop(&mut self) {
        tracepoint::hit(Event::ContentionEnd, self.lock, 0);
    }
}

impl Wait<'_> {
    /// A round of the wait has passed.
    #[inline]
    pub(super) fn look(&mut self) {
        #[cfg(feature = "debug_spinlock")]
        self.patience.look();
    }
}

#[cfg(not(any(feature = "lockdep", feature = "lock_stat", feature = "debug_spinlock")))]
const _: () = assert!(size_of::<LockMeta>() == 0 && (cfg!(feature = "tracepoints") || size_of::<Wait<'_>>() == 0));
