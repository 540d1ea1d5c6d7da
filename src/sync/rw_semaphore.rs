//! The reader-writer semaphore: data that many threads read at once, or one changes, and sleep while they do.
//!
//! Whoever comes while somebody waits goes behind him, readers too, so a writer waits for those who read now and for nobody who comes later. When it is
//! the turn of a reader all readers up to the next writer go in together. The price is Linux's: a reader must not take it twice, since a writer may have
//! come in between. Readers are not known by name, so no urgency is lent; where that matters, a mutex is better.
//!
//! # State of `word`
//! | bits | meaning | who sets it |
//! |---|---|---|
//! | [`WAITERS`] | somebody waits: the ways without the lock are closed to who comes | under the room's lock |
//! | [`WRITER`]: some of them, and below them the rest of the address of its thread | one writer is inside | itself, from 0; who lets it in, under the lock |
//! | from [`READER`] up to [`TOO_MANY`] | so many readers are inside | themselves, while nobody waits; who lets them in, under the lock |
//! | [`OWNER_DEAD`] | the writer, or a reader, died inside; for ever | who finds that out |
//!
//! # The dead
//! Nobody follows a writer that died: the data may be half changed. A reader that died leaves the data as it is, so readers go in beside it; a writer that
//! waits for it learns that it waits for ever. Which reader that was is known only where held locks are noted (`lockdep`): the word counts readers.
//!
//! # Memory ordering
//! Going in acquires, going out releases. All goings-out are read-modify-writes of one word, so who lets the next in, and loads it with acquire, sees what
//! every reader before has done; the call to the waiter passes that on (`wait_room`).
//!
//! ```no_run
//! use tetra::sync::{RwSemaphore, RwSemaphoreWriteGuard};
//!
//! static TABLE: RwSemaphore<[u32; 4]> = RwSemaphore::new([0; 4]);
//! let mut table = TABLE.write();
//! table[2] = 7;
//! let table = RwSemaphoreWriteGuard::downgrade(table); // others may read now, nobody has written in between
//! assert_eq!(table[2], 7);
//! ```
//! A guard stays with its thread:
//! ```compile_fail,E0277
//! static TABLE: tetra::sync::RwSemaphore<u32> = tetra::sync::RwSemaphore::new(0);
//! let guard = TABLE.read();
//! std::thread::spawn(move || drop(guard));
//! ```
//! So does a writer's:
//! ```compile_fail,E0277
//! static TABLE: tetra::sync::RwSemaphore<u32> = tetra::sync::RwSemaphore::new(0);
//! let guard = TABLE.write();
//! std::thread::spawn(move || drop(guard));
//! ```
//! A reader changes nothing:
//! ```compile_fail,E0594
//! static TABLE: tetra::sync::RwSemaphore<u32> = tetra::sync::RwSemaphore::new(0);
//! *TABLE.read() = 7;
//! ```
//! And nothing outlives its guard:
//! ```compile_fail,E0505
//! static TABLE: tetra::sync::RwSemaphore<u32> = tetra::sync::RwSemaphore::new(0);
//! let guard = TABLE.read();
//! let data: &u32 = &guard;
//! drop(guard);
//! assert_eq!(*data, 0);
//! ```

use super::atomic::AtomicUsize;
use super::meta::{Access, LockKind, LockMeta};
use super::raw_mutex::LockError;
use super::wait_room::{Kind, Sleep, WaitRoom, Waiters, might_sleep, must_be_thread};
use crate::arch;
use crate::cpu::{self, PreemptGuard, Task};
use crate::upcalls;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::panic::Location;
use core::ptr;

#[cfg(all(test, loom))]
mod model;

/// Somebody waits.
const WAITERS: usize = 1 << 0;
/// A writer is inside: the address of its thread, of which each kernel address has some of these bits, and no count of readers has one.
const WRITER: usize = !0 << 32;
/// Somebody inside has died.
const OWNER_DEAD: usize = 1 << 2;
const FLAGS: usize = WAITERS | OWNER_DEAD;
/// In the way of a reader that comes.
const NO_READER: usize = WAITERS | WRITER | TOO_MANY;
/// One reader.
const READER: usize = 1 << 3;
/// More readers than there are threads by far: their guards are leaked. A count that wrapped would let a writer in beside them.
const TOO_MANY: usize = 1 << 31;

const _: () = assert!(align_of::<Task>() > FLAGS);

/// Data that many may read or one may change: Linux's `struct rw_semaphore`.
#[doc(alias("DECLARE_RWSEM", "init_rwsem"))]
#[repr(C)]
pub struct RwSemaphore<T: ?Sized> {
    /// First: LDXR has no offset, so any other place costs an addition.
    word: AtomicUsize,
    room: WaitRoom,
    meta: LockMeta,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached through guards, one writer's or readers'; readers share it between threads (`Sync`), writers move access to it (`Send`).
unsafe impl<T: ?Sized + Send + Sync> Sync for RwSemaphore<T> {}
// SAFETY: it owns the data; its room is empty when it is moved, since waiters borrow it.
unsafe impl<T: ?Sized + Send> Send for RwSemaphore<T> {}

impl<T> RwSemaphore<T> {
    /// A free semaphore around `data`. The place of this call is its class.
    ///
    /// # Examples
    /// ```
    /// use tetra::sync::RwSemaphore;
    /// static TABLE: RwSemaphore<[u32; 4]> = RwSemaphore::new([0; 4]);
    /// assert!(!TABLE.is_locked());
    /// ```
    #[track_caller]
    pub const fn new(data: T) -> Self {
        Self {
            word: AtomicUsize::new(0),
            room: WaitRoom::new(),
            meta: LockMeta::with_kind(LockKind::Sleeping),
            data: UnsafeCell::new(data),
        }
    }

    /// The data, when no lock is needed any more.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwSemaphore<T> {
    /// Goes in to read; sleeps until it can: Linux's `down_read`.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Panics
    /// If a writer has died inside: who can go on then asks with `read_killable`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::RwSemaphore;
    /// static TABLE: RwSemaphore<[u32; 4]> = RwSemaphore::new([0, 0, 7, 0]);
    /// assert_eq!(TABLE.read()[2], 7);
    /// ```
    #[doc(alias = "down_read")]
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwSemaphoreReadGuard<'_, T> {
        if self.enter(Access::Shared, &Sleep::DEEP).is_err() {
            owner_is_dead();
        }
        RwSemaphoreReadGuard { lock: self, _stays: PhantomData }
    }

    /// The same; a fatal signal ends the wait: Linux's `down_read_killable`.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`), or `OwnerDead` (`EOWNERDEAD`) if a writer has died inside.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{LockError, RwSemaphore};
    /// fn third(table: &RwSemaphore<[u32; 4]>) -> Result<u32, LockError> {
    ///     Ok(table.read_killable()?[2])
    /// }
    /// assert_eq!(third(&RwSemaphore::new([0, 0, 7, 0])), Ok(7));
    /// ```
    #[doc(alias = "down_read_killable")]
    #[inline]
    #[track_caller]
    pub fn read_killable(&self) -> Result<RwSemaphoreReadGuard<'_, T>, LockError> {
        self.enter(Access::Shared, &Sleep::KILLABLE)?;
        Ok(RwSemaphoreReadGuard { lock: self, _stays: PhantomData })
    }

    /// Goes in to read if nobody writes or waits: Linux's `down_read_trylock`.
    ///
    /// Context: thread. Acquire on success.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::RwSemaphore;
    /// let table = RwSemaphore::new([0; 4]);
    /// let reader = table.read();
    /// assert!(table.try_read().is_some()); // this one only tries, so it may while it reads
    /// drop(reader);
    /// let writer = table.write();
    /// assert!(table.try_read().is_none());
    /// ```
    #[doc(alias = "down_read_trylock")]
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> Option<RwSemaphoreReadGuard<'_, T>> {
        self.try_enter(Access::Shared).then(|| RwSemaphoreReadGuard { lock: self, _stays: PhantomData })
    }

    /// Goes in to write; sleeps until it can: Linux's `down_write`.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Panics
    /// If somebody has died inside: who can go on then asks with `write_killable`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::RwSemaphore;
    /// static TABLE: RwSemaphore<[u32; 4]> = RwSemaphore::new([0; 4]);
    /// TABLE.write()[2] = 7;
    /// assert_eq!(TABLE.read()[2], 7);
    /// ```
    #[doc(alias = "down_write")]
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwSemaphoreWriteGuard<'_, T> {
        if self.enter(Access::Exclusive, &Sleep::DEEP).is_err() {
            owner_is_dead();
        }
        RwSemaphoreWriteGuard { lock: self, _stays: PhantomData }
    }

    /// The same; a fatal signal ends the wait: Linux's `down_write_killable`.
    ///
    /// Context: thread, may sleep. Acquire on success.
    ///
    /// # Errors
    /// `Interrupted` (`EINTR`), or `OwnerDead` (`EOWNERDEAD`) if somebody has died inside.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{LockError, RwSemaphore};
    /// fn set_third(table: &RwSemaphore<[u32; 4]>, value: u32) -> Result<(), LockError> {
    ///     table.write_killable()?[2] = value; // a fatal signal: nothing was changed
    ///     Ok(())
    /// }
    /// assert_eq!(set_third(&RwSemaphore::new([0; 4]), 7), Ok(()));
    /// ```
    #[doc(alias = "down_write_killable")]
    #[inline]
    #[track_caller]
    pub fn write_killable(&self) -> Result<RwSemaphoreWriteGuard<'_, T>, LockError> {
        self.enter(Access::Exclusive, &Sleep::KILLABLE)?;
        Ok(RwSemaphoreWriteGuard { lock: self, _stays: PhantomData })
    }

    /// Goes in to write if nobody is inside: Linux's `down_write_trylock`.
    ///
    /// Context: thread. Acquire on success.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::RwSemaphore;
    /// let table = RwSemaphore::new([0; 4]);
    /// let reader = table.read();
    /// assert!(table.try_write().is_none());
    /// drop(reader);
    /// assert!(table.try_write().is_some());
    /// ```
    #[doc(alias = "down_write_trylock")]
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> Option<RwSemaphoreWriteGuard<'_, T>> {
        self.try_enter(Access::Exclusive).then(|| RwSemaphoreWriteGuard { lock: self, _stays: PhantomData })
    }

    /// Somebody is inside: Linux's `rwsem_is_locked`. A hint. Context: any.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::RwSemaphore;
    /// let table = RwSemaphore::new([0; 4]);
    /// let reader = table.read();
    /// assert!(table.is_locked());
    /// ```
    #[doc(alias = "rwsem_is_locked")]
    pub fn is_locked(&self) -> bool {
        self.word.read() & !WAITERS != 0
    }

    #[inline(always)]
    #[track_caller]
    fn enter(&self, access: Access, sleep: &Sleep) -> Result<(), LockError> {
        might_sleep();
        self.meta.acquire(access, 0);
        if !self.enter_fast(access) {
            self.enter_slow(access, sleep)?;
        }
        self.meta.acquired(access, 0);
        Ok(())
    }

    #[inline(always)]
    #[track_caller]
    fn try_enter(&self, access: Access) -> bool {
        must_be_thread("rw-semaphore");
        let is_in = self.enter_fast(access);
        if is_in {
            self.meta.acquired(access, 0);
        }
        is_in
    }

    /// Goes in if nobody is in the way or waits.
    #[inline(always)]
    fn enter_fast(&self, access: Access) -> bool {
        if access == Access::Exclusive {
            return self.word.cmpxchg_zero_acquire(arch::current()).is_ok();
        }
        self.word.add_unless_any_acquire::<{ READER as u64 }, { NO_READER as u64 }>()
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn enter_slow(&self, access: Access, sleep: &Sleep) -> Result<(), LockError> {
        let kind = if access == Access::Exclusive { Kind::Exclusive } else { Kind::Shared };
        let wait = self.meta.contended(access, 0);
        let is_hopeless = || self.who_died(kind).is_some();
        let waited = self.room.wait_for_turn(
            *sleep,
            kind,
            |waiters| self.enter_or_queue(kind, waiters),
            |waiters| self.let_in(waiters),
            is_hopeless,
        );
        let waited = waited.map_err(|why| match why {
            None => self.find_dead(kind),
            // These waits have no end in time.
            Some(_) => LockError::Interrupted,
        });
        // The figures of a wait are a core's.
        let _pinned = PreemptGuard::new();
        let _ended_first = wait;
        waited
    }

    /// Who has died inside and is in the way of this kind.
    fn who_died(&self, kind: Kind) -> Option<&'static Task> {
        let word = self.word.read();
        if word & WRITER != 0 {
            return writer(word).filter(|writer| upcalls::is_over(writer));
        }
        let is_in_the_way = kind == Kind::Exclusive && word >= READER;
        if is_in_the_way { upcalls::is_held_by_dead(self.meta.identity()) } else { None }
    }

    #[cold]
    #[track_caller]
    fn find_dead(&self, kind: Kind) -> LockError {
        let dead = self.who_died(kind);
        let before = self.word.fetch_or_relaxed(OWNER_DEAD);
        if let Some(dead) = dead.filter(|_| before & OWNER_DEAD == 0) {
            let (me, access) = (cpu::current(), if before & WRITER != 0 { "write" } else { "read" });
            let place = self.meta.place().unwrap_or(Location::caller());
            upcalls::bug_report(
                format_args!("{me} waits for a rw-semaphore that {dead} has died with, taken to {access}; it stays taken"),
                place,
            );
        }
        LockError::OwnerDead
    }

    /// Goes in after all, or says that somebody waits. Context: under the room's lock.
    fn enter_or_queue(&self, kind: Kind, waiters: &Waiters) -> bool {
        let (in_the_way, entry) = if kind == Kind::Exclusive { (!WAITERS, arch::current()) } else { (WRITER, READER) };
        let mut word = self.word.read();
        loop {
            assert!(word & WRITER != 0 || word & TOO_MANY == 0, "too many readers of a rw-semaphore: their guards are leaked somewhere");
            let may_enter = word & in_the_way == 0 && waiters.is_empty();
            let new = if may_enter { word + entry } else { word | WAITERS };
            if self.word.try_cmpxchg_acquire(&mut word, new) {
                return may_enter;
            }
        }
    }

    /// Lets in whose turn it is: a writer, or all readers before the next one. Context: under the room's lock.
    fn let_in(&self, waiters: &mut Waiters) {
        loop {
            waiters.pass_over_dead();
            let Some((next, kind)) = waiters.first() else { break };
            // Acquire: what those who went out have done. While `WAITERS` is set the word changes here and by going out alone.
            let inside = self.word.load_acquire() & !WAITERS;
            let writes = ptr::from_ref(next).addr();
            let (in_the_way, entry) = if kind == Kind::Exclusive { (inside, writes) } else { (inside & WRITER, READER) };
            if in_the_way != 0 {
                return;
            }
            self.word.fetch_add_relaxed(entry);
            waiters.call_first();
        }
        self.word.fetch_andnot_relaxed(WAITERS);
    }

    #[inline(always)]
    fn leave_read(&self) {
        self.meta.release(Access::Shared);
        let before = self.word.fetch_sub_const_release::<{ READER as u64 }>();
        if before & !WAITERS == READER && before & WAITERS != 0 {
            self.call_next();
        }
    }

    #[inline(always)]
    fn leave_write(&self) {
        self.meta.release(Access::Exclusive);
        if !self.word.cmpxchg_to_zero_release(arch::current()) {
            // Whoever waits has set its flag; all else is the writer's.
            self.word.fetch_and_release(WAITERS);
            self.call_next();
        }
    }

    #[cold]
    #[inline(never)]
    fn call_next(&self) {
        self.room.with(|waiters| self.let_in(waiters));
    }
}

/// The writer that a word names.
fn writer(word: usize) -> Option<&'static Task> {
    let address = (word & !FLAGS) as *const Task;
    // SAFETY: with `WRITER`, 0 or what `arch::current` gave, or the address of a waiter's block: a block in a static table.
    unsafe { address.as_ref() }
}

#[cold]
#[inline(never)]
#[track_caller]
fn owner_is_dead() -> ! {
    panic!("somebody has died inside this rw-semaphore: its turn never comes");
}

impl<T: ?Sized> fmt::Debug for RwSemaphore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwSemaphore").field("locked", &self.is_locked()).finish_non_exhaustive()
    }
}

/// The right to read. Goes out when it drops: Linux's `up_read`. `!Send`: the thread is known to the checks as a holder.
#[doc(alias = "up_read")]
#[must_use = "the semaphore is given back as soon as the guard drops"]
pub struct RwSemaphoreReadGuard<'a, T: ?Sized> {
    lock: &'a RwSemaphore<T>,
    _stays: PhantomData<*mut ()>,
}

/// The right to write. Goes out when it drops: Linux's `up_write`. `!Send`, as the reader's.
#[doc(alias = "up_write")]
#[must_use = "the semaphore is given back as soon as the guard drops"]
pub struct RwSemaphoreWriteGuard<'a, T: ?Sized> {
    lock: &'a RwSemaphore<T>,
    _stays: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives shared access to the data only.
unsafe impl<T: ?Sized + Sync> Sync for RwSemaphoreReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwSemaphoreWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwSemaphoreWriteGuard<'a, T> {
    /// Turns writing into reading with no writer in between, and lets in the readers that come next: Linux's `downgrade_write`.
    ///
    /// Context: thread. Release.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::sync::{RwSemaphore, RwSemaphoreWriteGuard};
    /// let table = RwSemaphore::new([0; 4]);
    /// let mut writer = table.write();
    /// writer[2] = 7;
    /// let reader = RwSemaphoreWriteGuard::downgrade(writer);
    /// assert!(table.try_read().is_some() && table.try_write().is_none());
    /// ```
    #[doc(alias = "downgrade_write")]
    #[track_caller]
    pub fn downgrade(guard: Self) -> RwSemaphoreReadGuard<'a, T> {
        let lock = ManuallyDrop::new(guard).lock;
        lock.meta.release(Access::Exclusive);
        let before = lock.word.fetch_add_release(READER.wrapping_sub(arch::current()));
        if before & WAITERS != 0 {
            lock.call_next();
        }
        lock.meta.acquired(Access::Shared, 0);
        RwSemaphoreReadGuard { lock, _stays: PhantomData }
    }
}

impl<T: ?Sized> Deref for RwSemaphoreReadGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: while a reader is inside there is no writer.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> Deref for RwSemaphoreWriteGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the writer is alone; a shared borrow of its guard allows shared access.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwSemaphoreWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the writer is alone, and its guard is borrowed alone.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for RwSemaphoreReadGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.leave_read();
    }
}

impl<T: ?Sized> Drop for RwSemaphoreWriteGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.leave_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwSemaphoreReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwSemaphoreWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
