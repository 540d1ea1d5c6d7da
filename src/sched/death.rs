//! The end of a thread that cannot end by itself: who may die, and what becomes of what it leaves behind.
//!
//! | left behind | what becomes of it |
//! |---|---|
//! | stack and block | never used again: the block keeps a reference that nobody gives back |
//! | its notes in queues of waiters | stay, and are passed over by who would call it (`sync::wait_room`) |
//! | sleeping locks | stay taken; who waits for them is woken to find that out (`blocking`) |
//! | the big kernel lock | likewise; the scheduler does not give it back for the dead |
//! | a join, `park`, `stop` | comes back with `Oopsed` |
//! | a line that it served | has no thread any more, which is said; masked for it, it stays so (`irq::threaded`) |
//! | a worker's queue | gets a new worker; the piece of work at which it died is dead, and who wants it is told so (`workqueue`) |
//!
//! # Memory ordering
//! The dead says that it is over, passes a full barrier, and wakes who waits; see `blocking`.
//!
//! Neighbours: `debug::oops` reports and calls [`end`]; `switch` leaves.

use super::kthread;
use super::switch;
use super::thread::{self, Life, ThreadRef, current};
use super::{blocking, workqueue};
use crate::arch;
use crate::cpu::task::TaskState;
use crate::irq::threaded;
use core::mem;
use core::sync::atomic::{Ordering, fence};

/// The pid of the thread that ends the boot and serves the prompt.
const INIT: u32 = 1;

/// Whether the running thread may end: not an idle one, without which its core has nothing to run, and not thread 1, as in Linux. Context: any.
pub fn may_end() -> bool {
    let has_thread = crate::cpu::task::try_current().is_some();
    has_thread && !current().is_idle() && current().is_in(Life::Alive) && current().pid() != INIT
}

/// Ends the running thread, which is broken, by the oops of this number.
///
/// Context: thread, on the overflow stack of its core, irqs masked by one level, no depth counted. What was reported before is not undone by anything here.
///
/// # Panics
/// With irqs on: an interrupt between the choice of the next thread and the switch to it would run that thread twice.
pub(crate) extern "C" fn end(number: usize) -> ! {
    assert!(arch::irq::is_masked(), "a thread ends by an oops with irqs on");
    let me = current();
    mem::forget(ThreadRef::current());
    me.oops.store(number as u32, Ordering::Relaxed);
    // It may have died on its way to sleep. Who saw that state and is about to end the sleep has the lock; after that nobody finds it asleep.
    me.task().set_state(TaskState::RUNNING);
    drop(me.lock().lock());
    me.task().set_waits_for(None);
    me.task().set_waits_on(0);
    me.task().set_lock_depth(0);

    me.set_life(Life::Over);
    fence(Ordering::SeqCst);
    blocking::wake_who_waits_for_locks();
    workqueue::on_death(me);
    threaded::on_death(me);
    kthread::say_that_it_is_over(me);
    switch::leave_masked()
}

/// The threads that died, in the order of the table. Context: any.
pub fn all_dead() -> impl Iterator<Item = ThreadRef> {
    thread::all().filter(|thread| thread.oops_number().is_some())
}
