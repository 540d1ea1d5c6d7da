//! The reader-writer algorithm: parallel readers, no starved writer, and a reader in an interrupt that waits only for a writer that *holds*.
//!
//! Who finds the word open goes in; who does not, stands in a queue (a ticket lock), and only the queue's head works on the word. A writer at
//! the head closes the word to readers that come later; then those inside leave, and it enters. A reader at the head enters as soon as no writer
//! holds. So arrivals are served in order and nobody starves. Readers in interrupts do not queue: the writer that they would queue behind may
//! wait for the very thread that they interrupted.
//!
//! A writer releases by a blind store, which a waiting writer's mark in the same word would not survive; so what to store lies in a cell of its own,
//! `after`, that the waiting head sets. Without it a writer that releases and comes right back would find the word free before the head sees it,
//! again and again.
//!
//! # State
//! Numbers are made so that one bit test decides and so that the value for "held" is the zero register: a writer enters and leaves in six
//! instructions, a reader in nine.
//!
//! | `state` | meaning | bit 31: readers may enter | bit 30: a writer may enter |
//! |---|---|---|---|
//! | `FREE` = 0xc000_0000 | nobody is inside | 1 | 1 |
//! | `FREE - n` | n readers are inside | 1 | 0 |
//! | `CLOSED` = 0x2000_0000 | nobody is inside, a writer waits at the head | 0 | 0 |
//! | `CLOSED - n` | n readers are inside, a writer waits at the head | 0 | 0 |
//! | `HELD` = 0 | a writer is inside | 0 | 0 |
//!
//! Invariants. 1: `after` is `CLOSED` while a writer waits at the head, else `FREE`; the head alone writes it. 2: `state` leaves `HELD` by the
//! holder's store only. 3: `state` is `CLOSED - n` only while a writer waits at the head, or until that one, being inside, has reset `after`.
//!
//! # Memory ordering
//! Entering acquires: it pairs with the writer's store-release and with each reader's release-decrement, of which later ones continue the release
//! sequence of earlier ones. `after` orders nothing; a writer that reads it late lets one more writer in before the head, and no more.
//!
//! Neighbours: `arch::gate` has the two loops, `sync::rwlock` the lock. Source of the idea of a queue beside a counter: Mellor-Crummey and Scott,
//! "Scalable Reader-Writer Synchronization for Shared-Memory Multiprocessors" (1991).

use super::{RawLock, TicketLock, wait_round};
use crate::arch::{gate, spin};
use crate::cpu;
use crate::sync::atomic::AtomicU32;

const READERS_BIT: u32 = 31;
const WRITER_BIT: u32 = 30;
/// Nobody is inside.
const FREE: u32 = 1 << READERS_BIT | 1 << WRITER_BIT;
/// Nobody is inside; a writer waits.
const CLOSED: u32 = 1 << 29;
/// A writer is inside.
const HELD: u32 = 0;
/// Readers inside at once that the word can count.
const MAX_READERS: u32 = CLOSED - 1;

const _: () = {
    assert!(is_open_to_both(FREE) && is_open_to_readers_only(FREE - 1) && is_open_to_readers_only(FREE - MAX_READERS));
    assert!(is_closed(CLOSED) && is_closed(CLOSED - MAX_READERS) && is_closed(HELD));
};

/// Reader-writer exclusion between cores.
#[derive(Debug)]
#[repr(C)]
pub struct RawRwLock {
    /// Who is inside; table in the head of this file.
    pub(super) state: AtomicU32,
    /// What a writer that leaves stores into `state`.
    pub(super) after: AtomicU32,
    /// Those who wait, in order of arrival.
    queue: TicketLock,
}

impl RawRwLock {
    /// A free lock.
    #[expect(clippy::declare_interior_mutable_const, reason = "an initial value for statics, copied at each use on purpose")]
    pub const INIT: Self = Self { state: AtomicU32::new(FREE), after: AtomicU32::new(FREE), queue: TicketLock::INIT };

    /// Enters as a reader if no writer holds or waits. Acquire on success.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn begin_read(&self) -> bool {
        gate::dec_if_bit::<READERS_BIT>(self.state.cell())
    }

    /// Enters as a reader after `begin_read` failed: in order of arrival; in an interrupt, as soon as no writer holds.
    ///
    /// Context: any in which a writer that holds cannot be what this core interrupted.
    #[cold]
    pub fn wait_read(&self, watch: &mut dyn FnMut()) {
        if !cpu::in_task() {
            return self.enter_unless_held(watch);
        }
        let place = self.queue(watch);
        self.enter_unless_held(watch);
        // SAFETY: queued above.
        unsafe { self.queue.unlock(place) };
    }

    /// Enters as a reader.
    #[inline(always)]
    pub fn read(&self) {
        if !self.begin_read() {
            spin::call_out_of_line::<UnwatchedRead>((&raw const *self).cast(), 0);
        }
    }

    /// Leaves as a reader. Release.
    ///
    /// # Safety
    /// The caller is inside as a reader, and leaves once.
    #[inline(always)]
    pub unsafe fn unlock_read(&self) {
        self.state.fetch_inc_release();
    }

    /// Enters as a writer if nobody is inside and nobody at the head. Acquire on success.
    ///
    /// Context: any.
    #[inline(always)]
    pub fn begin_write(&self) -> bool {
        gate::clear_if_bit::<WRITER_BIT>(self.state.cell())
    }

    /// Enters as a writer after `begin_write` failed: in order of arrival.
    ///
    /// Context: any in which whoever is inside cannot be what this core interrupted.
    #[cold]
    pub fn wait_write(&self, watch: &mut dyn FnMut()) {
        let place = self.queue(watch);
        self.after.set(CLOSED);
        loop {
            match self.state.read() {
                HELD => wait_round(&self.state, HELD, watch),
                FREE | CLOSED => {
                    if self.try_enter_as_head() {
                        break;
                    }
                }
                read if read > CLOSED => {
                    // Closes the word. Lost to another change: the next round sees to it.
                    let _ = self.state.cmpxchg_relaxed(read, read - (FREE - CLOSED));
                }
                draining => wait_round(&self.state, draining, watch),
            }
        }
        self.after.set(FREE);
        // SAFETY: queued above.
        unsafe { self.queue.unlock(place) };
    }

    /// Enters as the writer at the queue's head if nobody is inside. Acquire on success.
    ///
    /// Context: any; only the head may enter past the mark that keeps others out, as `wait_write` does.
    #[inline(always)]
    pub fn try_enter_as_head(&self) -> bool {
        let empty = self.state.read();
        matches!(empty, FREE | CLOSED) && self.state.cmpxchg_acquire(empty, HELD).is_ok()
    }

    /// Enters as a writer.
    #[inline(always)]
    pub fn write(&self) {
        if !self.begin_write() {
            spin::call_out_of_line::<UnwatchedWrite>((&raw const *self).cast(), 0);
        }
    }

    /// Leaves as a writer. Release.
    ///
    /// # Safety
    /// The caller is inside as a writer, and leaves once.
    #[inline(always)]
    pub unsafe fn unlock_write(&self) {
        self.state.store_release(self.after.read());
    }

    /// Someone is inside. A hint.
    pub fn is_locked(&self) -> bool {
        !matches!(self.state.read(), FREE | CLOSED)
    }

    /// A writer is inside. A hint.
    pub fn is_write_locked(&self) -> bool {
        self.state.read() == HELD
    }

    /// Someone waits in the queue. A hint.
    pub fn is_contended(&self) -> bool {
        self.queue.is_locked()
    }

    /// Number of readers inside. A hint.
    pub fn nr_readers(&self) -> u32 {
        match self.state.read() {
            HELD => 0,
            open if open > CLOSED => FREE - open,
            closed => CLOSED - closed,
        }
    }

    /// Waits to be the queue's head.
    fn queue(&self, watch: &mut dyn FnMut()) -> u32 {
        // SAFETY: a `()` is valid wherever it is said to be.
        let (place, is_head) = unsafe { self.queue.begin(core::ptr::NonNull::dangling()) };
        if !is_head {
            self.queue.wait(place, watch);
        }
        place
    }

    /// Enters as a reader as soon as no writer is inside.
    fn enter_unless_held(&self, watch: &mut dyn FnMut()) {
        loop {
            match self.state.read() {
                HELD => wait_round(&self.state, HELD, watch),
                open => {
                    if self.state.cmpxchg_acquire(open, open - 1).is_ok() {
                        return;
                    }
                }
            }
        }
    }
}

/// The contended path of `read`.
struct UnwatchedRead;

impl spin::OutOfLine for UnwatchedRead {
    extern "C" fn run(lock: *const (), _: usize) {
        // SAFETY: `read` passes a borrow of its own lock, which outlives the call.
        let lock = unsafe { &*lock.cast::<RawRwLock>() };
        lock.wait_read(&mut || ());
    }
}

/// The contended path of `write`.
struct UnwatchedWrite;

impl spin::OutOfLine for UnwatchedWrite {
    extern "C" fn run(lock: *const (), _: usize) {
        // SAFETY: as for `UnwatchedRead`.
        let lock = unsafe { &*lock.cast::<RawRwLock>() };
        lock.wait_write(&mut || ());
    }
}

const fn is_open_to_both(state: u32) -> bool {
    state & FREE == FREE
}

const fn is_open_to_readers_only(state: u32) -> bool {
    state & FREE == 1 << READERS_BIT
}

const fn is_closed(state: u32) -> bool {
    state & FREE == 0
}
