//! The lock algorithms under loom, with two threads: nobody else is inside, and everyone sees what the one before did. A broken twin of each
//! part that keeps an order must be caught by the checker's own message.

use super::*;
use crate::sync::barrier;
use core::mem::ManuallyDrop;
use core::pin::pin;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Loom's cells are made at the first access, which must be before they are shared.
trait Ready {
    fn ready(&self);
}

impl<R: RawLock> Ready for R {
    fn ready(&self) {
        assert!(!self.is_locked() && !self.is_contended());
    }
}

impl Ready for RawRwLock {
    fn ready(&self) {
        assert!(!self.is_locked() && !self.is_contended() && self.after.read() == self.state.read());
    }
}

struct Shared<L> {
    lock: L,
    data: UnsafeCell<u32>,
}

/// Two threads run `section` with a lock and what it protects; both must have counted.
fn exclusive<L: Ready + Send + Sync + 'static>(new: impl Fn() -> L + Send + Sync + 'static, section: fn(&L, &dyn Fn())) {
    loom::model(move || {
        let shared = Arc::new(Assume(Shared { lock: new(), data: UnsafeCell::new(0) }));
        shared.0.lock.ready();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || section(&shared.0.lock, &|| add(&shared.0.data)))
        };
        section(&shared.0.lock, &|| add(&shared.0.data));
        other.join().expect("the other thread does not panic");
        // SAFETY: both threads are done.
        assert_eq!(shared.0.data.with(|data| unsafe { *data }), 2);
    });
}

/// Lets threads share what loom checks.
struct Assume<T>(T);
// SAFETY: loom reports every unordered access.
unsafe impl<T> Send for Assume<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Assume<T> {}

fn add(data: &UnsafeCell<u32>) {
    // SAFETY: loom checks the access; a report ends the model.
    data.with_mut(|data| unsafe { *data += 1 });
}

fn look(data: &UnsafeCell<u32>) -> u32 {
    // SAFETY: as in `add`.
    data.with(|data| unsafe { *data })
}

fn by_lock<R: RawLock<Node = ()>>(lock: &R, inside: &dyn Fn()) {
    let token = lock.lock();
    inside();
    // SAFETY: taken above.
    unsafe { lock.unlock(token) };
}

fn by_tries<R: RawLock<Node = ()>>(lock: &R, inside: &dyn Fn()) {
    match lock.try_lock() {
        Some(token) => {
            inside();
            // SAFETY: taken above.
            unsafe { lock.unlock(token) };
        }
        None => by_lock(lock, inside),
    }
}

fn by_node(lock: &McsLock, inside: &dyn Fn()) {
    // Not dropped: a node that goes away in a panic would be a second one.
    let node = pin!(ManuallyDrop::new(McsNode::new()));
    // SAFETY: pinned, and unlocked below.
    let token = unsafe { lock.lock_with(NonNull::from(&**node)) };
    inside();
    // SAFETY: taken above.
    unsafe { lock.unlock(token) };
}

fn as_writer(lock: &RawRwLock, inside: &dyn Fn()) {
    lock.write();
    inside();
    // SAFETY: entered above.
    unsafe { lock.unlock_write() };
}

#[test]
fn ticket_excludes() {
    exclusive(|| TicketLock::INIT, by_lock);
}

#[test]
fn ticket_excludes_by_tries() {
    exclusive(|| TicketLock::INIT, by_tries);
}

#[test]
fn tas_excludes() {
    exclusive(|| TasLock::INIT, by_lock);
}

#[test]
fn mcs_excludes() {
    exclusive(|| McsLock::INIT, by_node);
}

#[test]
fn rw_excludes_writers() {
    exclusive(|| RawRwLock::INIT, as_writer);
}

/// A writer and a reader, the writer first or the reader: the reader sees all or nothing.
fn writer_and_reader(unlock_read: fn(&RawRwLock), unlock_write: fn(&RawRwLock)) {
    loom::model(move || {
        let shared = Arc::new(Assume(Shared { lock: RawRwLock::INIT, data: UnsafeCell::new(0) }));
        shared.0.lock.ready();
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.0.lock.read();
                assert!(look(&shared.0.data) <= 1);
                unlock_read(&shared.0.lock);
            })
        };
        shared.0.lock.write();
        add(&shared.0.data);
        unlock_write(&shared.0.lock);
        reader.join().expect("the reader does not panic");
        assert!(!shared.0.lock.is_locked() && !shared.0.lock.is_contended());
    });
}

fn unlock_read(lock: &RawRwLock) {
    // SAFETY: the models enter before.
    unsafe { lock.unlock_read() };
}

fn unlock_write(lock: &RawRwLock) {
    // SAFETY: the models enter before.
    unsafe { lock.unlock_write() };
}

#[test]
fn rw_keeps_readers_and_writers_apart() {
    writer_and_reader(unlock_read, unlock_write);
}

#[test]
fn rw_lets_two_readers_in() {
    loom::model(|| {
        let lock = Arc::new(RawRwLock::INIT);
        lock.ready();
        lock.read();
        let other = {
            let lock = Arc::clone(&lock);
            thread::spawn(move || {
                assert!(lock.begin_read(), "a reader was kept out by a reader");
                unlock_read(&lock);
            })
        };
        other.join().expect("the reader does not panic");
        unlock_read(&lock);
    });
}

/// Defines a ticket lock with one part replaced.
macro_rules! ticket_twin {
    ($name:ident, |$lock:ident, $ticket:ident| begin $begin:expr, unlock $unlock:expr) => {
        struct $name(TicketLock);

        // SAFETY: not kept, on purpose: the model must notice.
        unsafe impl RawLock for $name {
            const INIT: Self = Self(TicketLock::INIT);
            type Node = ();
            type Token = u32;

            unsafe fn begin(&self, _: NonNull<()>) -> (u32, bool) {
                let $lock = &self.0;
                let $ticket = $lock.next.fetch_inc_relaxed();
                ($ticket, $begin)
            }

            fn wait(&self, ticket: u32, _: &mut dyn FnMut()) {
                while self.0.owner.load_acquire() != ticket {
                    crate::arch::relax();
                }
            }

            unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<u32> {
                None
            }

            unsafe fn unlock(&self, $ticket: u32) {
                let $lock = &self.0;
                $unlock
            }

            fn is_locked(&self) -> bool {
                self.0.is_locked()
            }

            fn is_contended(&self) -> bool {
                self.0.is_contended()
            }
        }
    };
}

ticket_twin!(TakesRelaxed, |lock, ticket| begin lock.owner.read() == ticket, unlock lock.owner.store_release(ticket.wrapping_add(1)));
ticket_twin!(GivesRelaxed, |lock, ticket| begin lock.owner.load_acquire() == ticket, unlock lock.owner.set(ticket.wrapping_add(1)));

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_ticket_that_takes_without_acquire() {
    exclusive(|| TakesRelaxed::INIT, by_lock);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_ticket_that_gives_without_release() {
    exclusive(|| GivesRelaxed::INIT, by_lock);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_tas_that_gives_without_release() {
    exclusive(
        || TasLock::INIT,
        |lock, inside| {
            let () = lock.lock();
            inside();
            lock.word.set(0);
        },
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_tas_that_looks_and_then_takes() {
    exclusive(
        || TasLock::INIT,
        |lock, inside| {
            while lock.word.load_acquire() != 0 {
                crate::arch::relax();
            }
            lock.word.set(1);
            inside();
            lock.word.store_release(0);
        },
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_mcs_that_takes_an_empty_queue_without_acquire() {
    exclusive(
        || McsLock::INIT,
        |lock, inside| {
            let node = pin!(ManuallyDrop::new(McsNode::new()));
            let mine = NonNull::from(&**node);
            // A swap into an empty queue by release alone; if it is not empty, the proper way.
            if lock.tail.cmpxchg_release(core::ptr::null_mut(), mine.as_ptr()).is_err() {
                return by_node(lock, inside);
            }
            node.state.set(2);
            inside();
            // SAFETY: the node heads the queue.
            unsafe { lock.unlock(mcs::McsToken::from_word(mine.as_ptr().expose_provenance())) };
        },
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_rw_reader_that_leaves_without_release() {
    writer_and_reader(
        |lock| {
            lock.state.fetch_inc_relaxed();
        },
        unlock_write,
    );
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_rw_writer_that_leaves_without_release() {
    writer_and_reader(unlock_read, |lock| lock.state.set(lock.after.read()));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn twin_barrier_of_the_wrong_kind() {
    // A load barrier does not release.
    writer_and_reader(unlock_read, |lock| {
        barrier::smp_rmb();
        lock.state.set(lock.after.read());
    });
}
