//! `lab which-lock`: who is inside together with whom, and what the way in and out costs when nobody is there.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu::NR_CPUS;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::rcu::rcu_read_lock;
use crate::sync::{IrqSpinLock, Mutex, RwLock, RwSemaphore, Semaphore, SeqLock, SpinLock};
use core::fmt::Write;
use core::time::Duration;

shell::lab! {
    name: "which-lock",
    place: Place::course(1, 3, 0),
    title: "the locks compared: readers at once, cost, sleep, handlers",
    needs: 1,
    idea: "\
The course draws four: spinlock (short, fast), mutex (long, may sleep),
reader-writer lock (readers together), RCU (readers free). Measured here: how
many readers are inside at once, and the cost of a pair when nobody waits.

Times on an emulator with all checks on say little of a Pi; `make bench`
counts instructions without them.",
    next: "lab spin-or-sleep; docs/locking.md, docs/performance.md",
    run: run,
}

/// How long a reader stays inside to meet the others: shortly where they cannot come in, else until a busy PC has let all cores run.
const ALONE: Duration = Duration::from_millis(5);
const TOGETHER: Duration = Duration::from_secs(3);
const PAIRS: u32 = 500;

/// A row of the table.
struct Row {
    name: &'static str,
    sleeps: &'static str,
    handler: &'static str,
    together: u64,
    pair_ns: u128,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.part("one lock, all cores come to read")?;
    writeln!(book, "  {:30}{:>9}{:>9}{:>12}{:>12}", "lock", "at once", "pair ns", "may sleep", "in handler")?;
    let rows = [spin()?, spin_irq()?, rw()?, seq()?, rcu()?, mutex()?, rw_semaphore()?, semaphore()?];
    for Row { name, sleeps, handler, together, pair_ns } in &rows {
        writeln!(book, "  {name:30}{together:>9}{pair_ns:>9}{sleeps:>12}{handler:>12}")?;
    }
    let all = crate::cpu::nr_online() as u64;
    let [spin, spin_irq, rw, seq, rcu, mutex, rw_semaphore, semaphore] = rows.map(|row| row.together);
    book.claim("one at a time: spinlock, mutex, semaphore(1)", [spin, spin_irq, mutex, semaphore] == [1; 4])?;
    Ok(book.claim("all together: rwlock, seqlock, RCU, rw_semaphore", [rw, seq, rcu, rw_semaphore] == [all; 4])?)
}

/// Sends all cores in, where each waits a while for the others. Gives the most that were inside at once and the cost of a pair alone.
fn measure(stay: Duration, pass: impl Fn(&dyn Fn()) + Sync) -> Result<(u64, u128), ViewError> {
    let (inside, have_met) = (AtomicU64::new(0), AtomicBool::new(false));
    // The most that each core has seen, in a word of its own.
    let most = [const { AtomicU64::new(0) }; NR_CPUS];
    let cores = crate::cpu::nr_online() as u64;
    let meet = |member: usize| {
        let now = inside.inc_return();
        most[member].set(now);
        if now == cores {
            have_met.set(true);
        }
        team::try_for(stay, || have_met.read().then_some(()));
        inside.dec();
    };
    team::on_cores(NR_CPUS, |member| pass(&|| meet(member)))?;
    let ((), time) = team::timed(|| (0..PAIRS).for_each(|_| pass(&|| ())));
    let most = most.iter().map(AtomicU64::read).max().unwrap_or(0);
    Ok((most, time.as_nanos() / u128::from(PAIRS)))
}

fn row(
    name: &'static str,
    sleeps: &'static str,
    handler: &'static str,
    stay: Duration,
    pass: impl Fn(&dyn Fn()) + Sync,
) -> Result<Row, ViewError> {
    let (together, pair_ns) = measure(stay, pass)?;
    Ok(Row { name, sleeps, handler, together, pair_ns })
}

fn spin() -> Result<Row, ViewError> {
    let lock = SpinLock::new(());
    row("spin_lock", "no", "no", ALONE, |inside| {
        let _held = lock.lock();
        inside();
    })
}

fn spin_irq() -> Result<Row, ViewError> {
    let lock = IrqSpinLock::new(());
    row("spin_lock_irqsave", "no", "yes", ALONE, |inside| {
        let _held = lock.lock();
        inside();
    })
}

fn rw() -> Result<Row, ViewError> {
    let lock = RwLock::new(());
    row("read_lock", "no", "to read", TOGETHER, |inside| {
        let _held = lock.read();
        inside();
    })
}

fn seq() -> Result<Row, ViewError> {
    let lock = SeqLock::<u64>::new(0);
    row("read_seqbegin, read_seqretry", "no", "to read", TOGETHER, |inside| {
        let section = lock.begin();
        let copied = section.copy();
        inside();
        // Nobody writes here, so the first look is good.
        let _ = section.end(copied);
    })
}

fn rcu() -> Result<Row, ViewError> {
    row("rcu_read_lock", "no", "to read", TOGETHER, |inside| {
        let _section = rcu_read_lock();
        inside();
    })
}

fn mutex() -> Result<Row, ViewError> {
    let lock = Mutex::new(());
    row("mutex_lock", "yes", "no", ALONE, |inside| {
        let _held = lock.lock();
        inside();
    })
}

fn rw_semaphore() -> Result<Row, ViewError> {
    let lock = RwSemaphore::new(());
    row("down_read", "yes", "no", TOGETHER, |inside| {
        let _held = lock.read();
        inside();
    })
}

fn semaphore() -> Result<Row, ViewError> {
    let lock = Semaphore::new(1);
    row("down, up", "yes", "up only", ALONE, |inside| {
        lock.down();
        inside();
        lock.up();
    })
}
