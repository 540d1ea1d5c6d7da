//! The mutex without its data: one word that names the owner, and a room for those who wait.
//!
//! Uncontended, lock and unlock are one exchange each. Contended, a thread first spins as long as the owner runs on another core (it will be done sooner
//! than two context switches take), nobody waits yet, and nothing more urgent wants this core; then it waits in the room. The owner hands the mutex to who
//! has waited longest, so a newcomer can never be quicker for ever: that costs the switch which stealing would save, and nobody starves. While threads
//! wait the owner has the urgency of the most urgent of them, and so has whoever it waits for (`sched::blocking`).
//!
//! # State of `word`
//! | bits | meaning | who sets it |
//! |---|---|---|
//! | all 0 | free | its owner, without the lock; under the lock if somebody waited |
//! | above 1 | address of the owner's block | the owner, from 0; who hands over, under the lock |
//! | [`WAITERS`] | somebody waits | the first waiter and who hands over, under the lock |
//! | [`OWNER_DEAD`] | the owner died with it, or ended with its guard forgotten; for ever | who finds that out |
//!
//! Only the owner changes a word without [`WAITERS`] that is not 0, and with it only who holds the room's lock does (`OWNER_DEAD` apart, whose owner does
//! nothing any more).
//!
//! # Memory ordering
//! Acquire by the exchange from 0, release by the one to 0; a hand-over is ordered by the waiter's call (`wait_room`).
//!
//! Neighbours: `mutex` puts data inside, `bkl` a depth.

use super::atomic::AtomicUsize;
use super::meta::{Access, IS_WATCHED, LockKind, LockMeta};
use super::wait_room::{Kind, Sleep, WaitError, WaitRoom, Waiters, might_sleep, must_be_thread};
use crate::arch::{self, spin};
use crate::cpu::{self, PreemptGuard, Task};
use crate::upcalls;
use crate::util::errno::Errno;
use core::panic::Location;
use core::ptr;

#[cfg(all(test, loom))]
mod model;

/// Somebody waits: whoever gives the mutex back hands it over.
const WAITERS: usize = 1 << 0;
/// The owner is dead.
const OWNER_DEAD: usize = 1 << 1;
const FLAGS: usize = WAITERS | OWNER_DEAD;

const _: () = assert!(align_of::<Task>() > FLAGS);

/// Why a mutex was not got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockError {
    /// A signal came.
    Interrupted,
    /// The owner ended without giving it back: nobody will ever have it again, since what it protects may be half changed.
    OwnerDead,
}

impl From<LockError> for Errno {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Interrupted => Errno::EINTR,
            LockError::OwnerDead => Errno::EOWNERDEAD,
        }
    }
}

/// Looks at the word before a thread stops spinning: about as long as two context switches take. Without an end, an owner that gives the mutex back and
/// takes it again would never hand it to who only spins.
const MAX_SPINS: u32 = 512;

/// Mutual exclusion between threads. The word comes first: LDXR has no offset, so any other place costs an addition.
#[repr(C)]
pub(super) struct RawMutex {
    word: AtomicUsize,
    room: WaitRoom,
    meta: LockMeta,
}

impl RawMutex {
    /// Free. The place of this call is its class.
    #[track_caller]
    pub const fn new() -> Self {
        Self { word: AtomicUsize::new(0), room: WaitRoom::new(), meta: LockMeta::with_kind(LockKind::Sleeping) }
    }

    /// Takes it, or waits for it.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Errors
    /// `LockError`.
    ///
    /// # Panics
    /// If the running thread has it: it would wait for itself.
    #[inline(always)]
    #[track_caller]
    pub fn lock(&self, sleep: &Sleep, subclass: u8) -> Result<(), LockError> {
        might_sleep();
        self.meta.acquire(Access::Exclusive, subclass);
        if self.word.cmpxchg_zero_acquire(arch::current()).is_err() {
            self.lock_slow(sleep, subclass)?;
        }
        self.meta.acquired(Access::Exclusive, subclass);
        Ok(())
    }

    /// Takes it, or waits until it has it. In builds that watch no lock whoever finds it free pays nothing for the way that waits: that one keeps all
    /// registers.
    ///
    /// Context: thread, may sleep. Acquire.
    ///
    /// # Panics
    /// If the running thread has it, or its owner has ended with it.
    #[inline(always)]
    #[track_caller]
    pub fn lock_for_sure(&self, subclass: u8) {
        if IS_WATCHED {
            if self.lock(&Sleep::DEEP, subclass).is_err() {
                owner_is_dead();
            }
            return;
        }
        might_sleep();
        if self.word.cmpxchg_zero_acquire(arch::current()).is_err() {
            spin::call_out_of_line::<LockDeep>(ptr::from_ref(self).cast(), 0);
        }
    }

    /// Takes it if it is free. Context: thread.
    #[inline(always)]
    #[track_caller]
    pub fn try_lock(&self) -> bool {
        must_be_thread("mutex");
        let is_taken = self.word.cmpxchg_zero_acquire(arch::current()).is_ok();
        if is_taken {
            self.meta.acquired(Access::Exclusive, 0);
        }
        is_taken
    }

    /// Gives it back, or to who has waited longest. By another thread than the owner it is reported, and nothing happens.
    ///
    /// Context: thread. Release.
    #[inline(always)]
    #[track_caller]
    pub fn unlock(&self) {
        self.meta.release(Access::Exclusive);
        if !self.word.cmpxchg_to_zero_release(arch::current()) {
            self.unlock_slow(Location::caller());
        }
    }

    /// As `lock`, unknown to the checks: for the lock that is given back over a sleep.
    pub fn lock_unwatched(&self, sleep: &Sleep) -> Result<(), LockError> {
        if self.word.cmpxchg_zero_acquire(arch::current()).is_ok() || self.spin(sleep) { Ok(()) } else { self.wait(sleep) }
    }

    /// The reverse of `lock_unwatched`.
    #[track_caller]
    pub fn unlock_unwatched(&self) {
        if !self.word.cmpxchg_to_zero_release(arch::current()) {
            self.unlock_slow(Location::caller());
        }
    }

    /// Somebody has it. A hint, unless the caller asks about itself. Context: any.
    pub fn is_locked(&self) -> bool {
        self.word.read() != 0
    }

    /// The running thread has it. Context: thread.
    pub fn is_mine(&self) -> bool {
        self.word.read() & !FLAGS == arch::current()
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn lock_slow(&self, sleep: &Sleep, subclass: u8) -> Result<(), LockError> {
        assert!(!self.is_mine(), "{} locks a mutex that it has locked already: it would wait for itself for ever", cpu::current());
        let wait = self.meta.contended(Access::Exclusive, subclass);
        let result = if self.spin(sleep) { Ok(()) } else { self.wait(sleep) };
        // The figures of a wait are a core's.
        let _pinned = PreemptGuard::new();
        let _ended_first = wait;
        result
    }

    /// Spins while that promises to be quick. True if it got the mutex.
    fn spin(&self, sleep: &Sleep) -> bool {
        for _ in 0..MAX_SPINS {
            let word = self.word.read();
            if word == 0 {
                if self.word.cmpxchg_zero_acquire(arch::current()).is_ok() {
                    return true;
                }
            } else if word & FLAGS != 0 || sleep.is_ended() || !owner(word).is_some_and(upcalls::may_spin_on) {
                return false;
            }
            arch::relax();
        }
        false
    }

    fn wait(&self, sleep: &Sleep) -> Result<(), LockError> {
        let me = cpu::current();
        let is_owner_dead = || owner(self.word.read()).is_some_and(upcalls::is_over);
        let waited = self.room.wait_for_turn(*sleep, Kind::Exclusive, |_| self.enter(me), |waiters| self.leave(waiters), is_owner_dead);
        me.set_waits_for(None);
        waited.map_err(|why| match why {
            None => self.find_owner_dead(),
            // A mutex's waits have no end in time.
            Some(WaitError::Interrupted | WaitError::TimedOut) => LockError::Interrupted,
        })
    }

    /// Takes the mutex after all, or says that somebody waits and lends its owner a hand. Context: under the room's lock.
    fn enter(&self, me: &'static Task) -> bool {
        let mut word = self.word.read();
        loop {
            let new = if word == 0 { arch::current() } else { word | WAITERS };
            if self.word.try_cmpxchg_acquire(&mut word, new) {
                break;
            }
        }
        let Some(owner) = owner(word) else { return true };
        me.set_waits_for(Some(owner));
        if word & WAITERS == 0 {
            upcalls::begin_lending(owner, me);
        } else {
            upcalls::raise_lending(owner, me);
        }
        false
    }

    /// A waiter has gone without the mutex. Context: under the room's lock.
    fn leave(&self, waiters: &mut Waiters) {
        if waiters.is_empty() {
            let before = self.word.fetch_andnot_relaxed(WAITERS);
            if let Some(owner) = owner(before) {
                upcalls::end_lending(owner);
            }
        }
    }

    #[cold]
    #[track_caller]
    fn find_owner_dead(&self) -> LockError {
        let before = self.word.fetch_or_relaxed(OWNER_DEAD);
        if before & OWNER_DEAD == 0 {
            let me = cpu::current();
            let place = self.meta.place().unwrap_or(Location::caller());
            if let Some(dead) = owner(before) {
                upcalls::bug_report(
                    format_args!("{me} waits for a mutex whose owner has ended with it: {dead}; nobody gets it any more"),
                    place,
                );
            }
        }
        LockError::OwnerDead
    }

    #[cold]
    #[inline(never)]
    fn unlock_slow(&self, place: &'static Location<'static>) {
        let is_mine = self.room.with(|waiters| {
            let is_mine = self.is_mine();
            if is_mine {
                self.hand_over(waiters);
            }
            is_mine
        });
        if !is_mine {
            let (me, owner) = (cpu::current(), self.word.read());
            match self::owner(owner) {
                Some(owner) => upcalls::bug_report(format_args!("{me} unlocks a mutex that {owner} has locked; it stays locked"), place),
                None => upcalls::bug_report(format_args!("{me} unlocks a mutex that nobody has locked"), place),
            }
        }
    }

    /// Makes the first waiter the owner. Context: the owner, under the room's lock.
    fn hand_over(&self, waiters: &mut Waiters) {
        let nr_dead = waiters.pass_over_dead();
        let Some((next, _)) = waiters.first() else {
            // The last waiter has just given up, or is dead.
            self.word.store_release(0);
            if nr_dead != 0 {
                upcalls::end_lending(cpu::current());
            }
            return;
        };
        // The word first: the next owner runs as soon as it is called, and may unlock.
        let is_alone = waiters.is_single();
        self.word.store_release(ptr::from_ref(next).addr() | if is_alone { 0 } else { WAITERS });
        next.set_waits_for(None);
        waiters.call_first();
        waiters.for_each(|waiter| waiter.set_waits_for(Some(next)));
        if let Some((second, _)) = waiters.first() {
            upcalls::begin_lending(next, second);
            // From here on whoever becomes more urgent while it waits lends by itself; who was more urgent before is found here.
            let mut most_urgent = second;
            waiters.for_each(|waiter| {
                if upcalls::is_more_urgent(waiter, most_urgent) {
                    most_urgent = waiter;
                }
            });
            upcalls::raise_lending(next, most_urgent);
        }
        upcalls::end_lending(cpu::current());
    }
}

/// The way of `lock_for_sure` that waits.
struct LockDeep;

impl spin::OutOfLine for LockDeep {
    extern "C" fn run(mutex: *const (), _: usize) {
        // SAFETY: `lock_for_sure` passes a borrow of its own mutex, which outlives the call.
        let mutex = unsafe { &*mutex.cast::<RawMutex>() };
        if mutex.lock_slow(&Sleep::DEEP, 0).is_err() {
            owner_is_dead();
        }
    }
}

/// The owner that a word names.
fn owner(word: usize) -> Option<&'static Task> {
    let address = (word & !FLAGS) as *const Task;
    // SAFETY: 0 or what `arch::current` gave: the address of a block in a static table.
    unsafe { address.as_ref() }
}

#[cold]
#[inline(never)]
#[track_caller]
fn owner_is_dead() -> ! {
    panic!("the owner of this mutex has ended with it: what it protects may be half changed");
}
