//! Several cores at one thing: a thread on each, all let go at the same moment.
//!
//! The threads borrow from the caller, who waits for them; so a lab's counters are locals. They are bound to their cores, since a lab counts cores.
//!
//! # Memory ordering
//! `arrived` only lets the threads begin together; the join orders what they did before what the caller reads.

use crate::arch;
use crate::cpu;
use crate::sched;
use crate::sched::kthread::{Builder, JoinHandle};
use crate::time;
use crate::util::errno::Errno;
use arrayvec::ArrayVec;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

/// What the threads of a team share.
struct Team<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    size: usize,
    arrived: AtomicUsize,
    /// A thread is missing: nobody begins.
    is_off: AtomicBool,
}

impl Team<'_> {
    fn run(&self, member: usize) {
        self.arrived.fetch_add(1, Relaxed);
        while self.arrived.load(Relaxed) < self.size {
            if self.is_off.load(Relaxed) {
                return;
            }
            sched::yield_now();
        }
        (self.work)(member);
    }
}

/// Calls `work` with 0, 1, 2, ... on as many cores at once, in a thread of each, `size` at most; waits for all and gives their number.
///
/// Context: thread, sleeps.
///
/// # Errors
/// `ENOMEM` if there is no room for a thread, `EOWNERDEAD` if one ended by a fault.
pub fn on_cores(size: usize, work: impl Fn(usize) + Sync) -> Result<usize, Errno> {
    let size = size.min(cpu::nr_online());
    let builder = Builder::new("lab");
    in_threads(cpu::online().take(size).map(|cpu| builder.bind(cpu)), size, &work).map(|()| size)
}

/// The same in two threads that may share a core.
///
/// Context and errors: as `on_cores`.
pub fn in_two_threads(work: impl Fn(usize) + Sync) -> Result<(), Errno> {
    in_threads([Builder::new("lab"); 2].into_iter(), 2, &work)
}

fn in_threads(builders: impl Iterator<Item = Builder>, size: usize, work: &(dyn Fn(usize) + Sync)) -> Result<(), Errno> {
    let team = Team { work, size, arrived: AtomicUsize::new(0), is_off: AtomicBool::new(false) };
    // SAFETY: only the lifetime is changed. All threads that use it are joined below, on every path, before `team` goes.
    let shared = unsafe { mem::transmute::<&Team<'_>, &'static Team<'static>>(&team) };

    let mut result = Ok(());
    let mut threads = ArrayVec::<JoinHandle<()>, { cpu::NR_CPUS }>::new();
    for (member, builder) in builders.enumerate() {
        match builder.run(move || shared.run(member)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                team.is_off.store(true, Relaxed);
                result = Err(error.into());
                break;
            }
        }
    }
    for thread in threads {
        if thread.join().is_err() {
            result = Err(Errno::EOWNERDEAD);
        }
    }
    result
}

/// Tries until it succeeds or `time` has passed; gives the success, if it came, and the number of tries. Spins: for what a lock would do, with a bound.
///
/// Context: any.
pub fn try_for<T>(time: Duration, mut attempt: impl FnMut() -> Option<T>) -> (Option<T>, u64) {
    let deadline = time::ktime_get() + time;
    let mut nr_tries = 0;
    loop {
        nr_tries += 1;
        let success = attempt();
        if success.is_some() || time::ktime_get() >= deadline {
            return (success, nr_tries);
        }
        arch::relax();
    }
}

/// Runs `f` and gives how long it took. Context: any.
pub fn timed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = time::ktime_get();
    let result = f();
    (result, time::ktime_get() - start)
}
