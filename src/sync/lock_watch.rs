//! What the hooks of every lock do for `lockdep` and `lock_stat`: name the class, note what is held, ask and count.
//!
//! The order for one lock: `before_wait` (lockdep may object), `waits` (a wait is timed), `taken` (noted as held), `given_back`. All run on the
//! core for which they note, with the thread pinned.
//!
//! Neighbours: `meta` calls this, `held_locks` keeps, `lockdep::live` checks, `lock_stat` counts.

use super::held_locks::{HeldLock, held};
use super::lock_class::{ClassId, Classes, LockClass, MAX_CLASSES, MAX_SUBCLASSES};
#[cfg(feature = "lock_stat")]
use super::lock_stat;
#[cfg(feature = "lockdep")]
use super::lockdep::{
    context::Context,
    live,
    validator::{Violation, Wanted},
};
use super::meta::{Access, LockKind};
use super::unwatched::{Unwatched, is_inside_check};
use crate::arch;
use crate::cpu::{self, PreemptGuard};
use core::panic::Location;
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// On the host test threads are no cores of one machine: nothing is watched there.
const IS_LIVE: bool = cfg!(target_os = "none");

static CLASSES: Unwatched<Classes<MAX_CLASSES>> = Unwatched::new(Classes::new());
/// Numbers of subclasses, by class: 0 if not asked for yet.
static NESTED: [[AtomicU16; MAX_SUBCLASSES as usize]; MAX_CLASSES] =
    [const { [const { AtomicU16::new(0) }; MAX_SUBCLASSES as usize] }; MAX_CLASSES];

/// What a lock is to the checks, in its `LockMeta`.
#[derive(Debug)]
pub(super) struct Watched {
    /// Number of its class; 0 until it is first taken.
    class: AtomicU16,
    kind: LockKind,
}

/// How a lock is wanted.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub access: Access,
    pub subclass: u8,
    pub at: &'static Location<'static>,
}

impl Watched {
    pub const fn new(kind: LockKind) -> Self {
        Self { class: AtomicU16::new(0), kind }
    }

    /// The number of the lock's class: `UNKNOWN` if there are no more numbers. Context: pinned.
    fn class(&self, place: &'static Location<'static>, subclass: u8) -> ClassId {
        let base = ClassId::from_bits(self.class.load(Relaxed));
        let base = if base == ClassId::UNKNOWN { self.find_class(place, 0) } else { base };
        if subclass == 0 || base == ClassId::UNKNOWN {
            return base;
        }
        let nested = &NESTED[base.index()][usize::from(subclass % MAX_SUBCLASSES)];
        let number = ClassId::from_bits(nested.load(Relaxed));
        if number != ClassId::UNKNOWN {
            return number;
        }
        let number = self.find_class(place, subclass % MAX_SUBCLASSES);
        nested.store(number.bits(), Relaxed);
        number
    }

    #[cold]
    #[inline(never)]
    fn find_class(&self, place: &'static Location<'static>, subclass: u8) -> ClassId {
        let class = LockClass { place, subclass, kind: self.kind, first_lock: self.address() };
        let found = CLASSES.with(|classes| classes.find_or_add(&class));
        #[cfg(feature = "lockdep")]
        if found.is_none() {
            live::out_of(&Violation::OutOfClasses, place);
        }
        let number = found.unwrap_or(ClassId::UNKNOWN);
        if subclass == 0 {
            self.class.store(number.bits(), Relaxed);
        }
        number
    }

    pub(super) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Keeps a thread on its core. Who takes a spinning lock is in the lock's own section already, and another here could end with a reschedule.
    fn pin(&self) -> Option<PreemptGuard> {
        (self.kind == LockKind::Sleeping).then(PreemptGuard::new)
    }

    /// A reader that spins goes in beside readers unless it is a thread (`raw::rw`).
    fn access(&self, access: Access) -> Access {
        let is_in_handler = access == Access::Shared && self.kind == LockKind::Spinning && !cpu::in_task();
        if is_in_handler { Access::SharedRecursive } else { access }
    }

    /// The lock is wanted, and may be waited for.
    #[inline]
    pub fn before_wait(&self, place: &'static Location<'static>, call: &Call) {
        #[cfg(feature = "lockdep")]
        if IS_LIVE && !is_inside_check() && live::is_on() {
            let context = Context::now();
            let _pinned = self.pin();
            let (class, is_sleeping) = (self.class(place, call.subclass), self.kind == LockKind::Sleeping);
            if class != ClassId::UNKNOWN {
                let wanted = Wanted { class, access: self.access(call.access), is_sleeping, at: call.at };
                live::before_wait(held(), &wanted, &context);
            }
        }
        #[cfg(not(feature = "lockdep"))]
        let _ = (place, call);
    }

    /// The lock is held from now on.
    #[inline]
    pub fn taken(&self, place: &'static Location<'static>, call: &Call) {
        if !IS_LIVE || is_inside_check() {
            return;
        }
        #[cfg(feature = "lockdep")]
        let context = Context::now();
        let _pinned = self.pin();
        let lock = HeldLock {
            lock: self.address(),
            class: self.class(place, call.subclass),
            access: self.access(call.access),
            is_sleeping: self.kind == LockKind::Sleeping,
            at: call.at,
            since: arch::counter::now(),
        };
        if lock.class == ClassId::UNKNOWN {
            return;
        }
        #[cfg(feature = "lock_stat")]
        lock_stat::live::count_taken(lock.class, lock.access);
        let pushed = held().push(&lock);
        #[cfg(feature = "lockdep")]
        match pushed {
            Ok(()) => live::look_at(&lock, &context),
            Err(_) => live::out_of(&Violation::TooDeep, call.at),
        }
        #[cfg(not(feature = "lockdep"))]
        let _ = pushed;
    }

    /// The lock is about to be given back.
    #[inline]
    pub fn given_back(&self) {
        if !IS_LIVE || is_inside_check() {
            return;
        }
        #[cfg(feature = "lockdep")]
        let context = Context::now();
        let _pinned = self.pin();
        #[cfg(feature = "lockdep")]
        if context.hardirqs_on {
            live::look_at_held(held(), &context);
        }
        let taken = held().take(self.address());
        #[cfg(feature = "lock_stat")]
        if let Some(lock) = taken {
            lock_stat::live::count_hold(lock.class, lock.access, arch::counter::now().wrapping_sub(lock.since));
        }
        #[cfg(not(feature = "lock_stat"))]
        let _ = taken;
    }

    /// A wait begins, of which `lock_stat` wants to know the length.
    #[cfg(feature = "lock_stat")]
    #[inline]
    pub fn waits(&self, place: &'static Location<'static>, call: &Call) -> lock_stat::live::Waiting {
        if !IS_LIVE || is_inside_check() {
            return lock_stat::live::Waiting::NOT_COUNTED;
        }
        let _pinned = self.pin();
        lock_stat::live::Waiting::new(self.class(place, call.subclass), call.access, call.at)
    }
}

/// Looks at all classes. Context: any; irqs are off while `f` runs.
pub(super) fn with_classes<R>(f: impl FnOnce(&Classes<MAX_CLASSES>) -> R) -> R {
    CLASSES.with(|classes| f(classes))
}

/// Class number `id`, if there is one. Context: any.
pub fn class(id: ClassId) -> Option<LockClass> {
    with_classes(|classes| classes.get(id).copied())
}

/// The numbers that classes have. Context: any.
pub fn class_ids() -> impl Iterator<Item = ClassId> {
    let first = ClassId::FIRST.bits();
    let len = with_classes(Classes::len) as u16;
    (first..first + len).map(ClassId::from_bits)
}
