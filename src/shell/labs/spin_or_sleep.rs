//! `lab spin-or-sleep`: what the cores that wait do meanwhile, by how long the lock is held. The notes' table 8.6.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu::{self, NR_CPUS};
use crate::irq::ipi;
use crate::proc::ViewError;
use crate::sched::Priority;
use crate::sched::kthread::Builder;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{IrqSpinLock, Semaphore, SpinLock};
use crate::time;
use crate::util::errno::Errno;
use arrayvec::ArrayVec;
use core::time::Duration;

shell::lab! {
    name: "spin-or-sleep",
    place: Place::notes(5, 0),
    title: "spinlock or semaphore, by hold time: table 8.6, row by row",
    needs: 2,
    idea: "\
Who waits for a spinlock burns its core; who waits for a semaphore gives it to
another thread, at the price of two switches. So the time that the lock is
held decides, and where it is taken:

  little overhead wanted        spinlock
  held for a short time         spinlock
  held for a long time          semaphore (today: mutex)
  taken in an irq handler       spinlock, nothing else
  held over a sleep             semaphore, nothing else

A thread of lowest priority on each core counts: the time that is left over.",
    next: "lab which-lock, lab irqsave, lab bkl; docs/locking.md (Sleeping locks)",
    run: run,
}

const LONG: Duration = Duration::from_millis(2);
const SHORT: Duration = Duration::from_micros(2);
/// Holds in a contest, over all cores.
const HOLDS: u64 = 40;

/// Filled by the threads that count what is left over.
static IDLE_WORK: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What came of a contest.
struct Contest {
    time: Duration,
    left_over: u64,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let (spin, semaphore) = (SpinLock::new(()), Semaphore::new(1));
    let with_spin = |hold: Duration| contest(|| drop_after(hold, || spin.lock()));
    let with_semaphore = |hold: Duration| {
        contest(|| {
            semaphore.down();
            time::udelay(hold.as_micros() as u64);
            semaphore.up();
        })
    };

    book.wrong("a spinlock, held 2 ms, 40 times, on all cores")?;
    let spinning = with_spin(LONG)?;
    show(book, &spinning)?;
    book.right("a semaphore, held 2 ms, 40 times")?;
    let sleeping = with_semaphore(LONG)?;
    show(book, &sleeping)?;
    book.claim("who sleeps leaves the core to others, who spins does not", sleeping.left_over > 2 * spinning.left_over)?;

    book.part("held 2 us: nobody has time to do anything else")?;
    let (short_spin, short_semaphore) = (with_spin(SHORT)?, with_semaphore(SHORT)?);
    book.value("40 times by spinlock, us", short_spin.time.as_micros())?;
    book.value("40 times by semaphore, us", short_semaphore.time.as_micros())?;

    book.right("in an irq handler: a spinlock, with irqs off in the threads")?;
    let lock = IrqSpinLock::new(0);
    ipi::interrupt_self(|| *lock.lock() += 1);
    book.claim("taken and given back in a hardirq", lock.into_inner() == 1)?;
    rules(book)
}

fn drop_after<G>(hold: Duration, take: impl Fn() -> G) {
    let _held = take();
    time::udelay(hold.as_micros() as u64);
}

fn show(book: &mut Notebook<'_>, contest: &Contest) -> core::fmt::Result {
    book.value("time, ms", contest.time.as_millis())?;
    book.value("work of others meanwhile", contest.left_over)
}

/// All cores hold in turn until it was done often enough; threads of lowest priority count what time is left.
fn contest(hold: impl Fn() + Sync) -> Result<Contest, Errno> {
    IDLE_WORK.set(0);
    IS_OVER.set(false);
    let mut counters = ArrayVec::<_, NR_CPUS>::new();
    for cpu in cpu::online() {
        let counter = Builder::new("lab left over").bind(cpu).priority(Priority::LOWEST).run(count_what_is_left);
        // Those that were made would count for ever.
        counters.push(counter.inspect_err(|_| IS_OVER.set(true))?);
    }
    let nr_holds = AtomicU64::new(0);
    let (result, time) = team::timed(|| {
        team::on_cores(NR_CPUS, |_| {
            while nr_holds.inc_return() <= HOLDS {
                hold();
            }
            // The first who is done ends the count: from then on cores are idle for another reason.
            IS_OVER.set(true);
        })
    });
    IS_OVER.set(true);
    let left_over = IDLE_WORK.read();
    for counter in counters {
        counter.join()?;
    }
    result.map(|_| Contest { time, left_over })
}

fn count_what_is_left() {
    while !IS_OVER.read() {
        time::udelay(10);
        IDLE_WORK.inc();
    }
}

#[cfg(feature = "lockdep")]
fn rules(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    use super::paper::Paper;
    use crate::sync::lockdep::context::Context;
    use crate::sync::meta::{Access::Exclusive, LockKind};

    let mut paper = Paper::new();
    let semaphore = paper.lock(LockKind::Sleeping);
    let spin = paper.lock(LockKind::Spinning);
    let over_a_sleep = paper.take(spin, Exclusive).and_then(|()| paper.take(semaphore, Exclusive));
    paper.give_back(spin);
    paper.enter(Context::HARDIRQ);
    let in_handler = paper.take(semaphore, Exclusive);
    book.claim("lockdep: no sleeping lock inside a spinlock", over_a_sleep.is_err())?;
    Ok(book.claim("lockdep: no sleeping lock in a handler", in_handler.is_err())?)
}

#[cfg(not(feature = "lockdep"))]
fn rules(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    Ok(book.note("(the last row is lockdep's to show, which this build does not have)")?)
}
