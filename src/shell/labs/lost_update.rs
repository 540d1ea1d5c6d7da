//! `lab lost-update`: an addition is three steps, and another core fits between them.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu::NR_CPUS;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::IrqSpinLock;
use crate::sync::atomic::AtomicU64;
use crate::time;

shell::lab! {
    name: "lost-update",
    place: Place::course(1, 1, 0),
    title: "cores add to one counter, without a lock and with one",
    needs: 2,
    idea: "\
`counter++` is a load, an addition and a store. If two cores load the same
value, both store the same sum, and one addition is lost:

  CPU0  load 7            store 8
  CPU1          load 7             store 8      two additions, one more

A lock lets one core at a time from the load to the store.",
    next: "lab percpu, lab spin-or-sleep; docs/locking.md, src/sync/spinlock.rs",
    run: run,
}

/// Additions of a core without a lock, and time between load and store: long, so that cores that take turns on a busy PC meet as well.
const HASTY: u64 = 1000;
const STRETCH_NS: u64 = 1000;
/// Repeats until something was lost.
const MAX_REPEATS: u64 = 500;
/// Additions of a core under the lock: few, since a fair lock goes round at the pace at which a PC lets emulated cores run.
const LOCKED: u64 = 50;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("counter = counter + 1 on all cores")?;
    let counter = AtomicU64::new(0);
    let mut made = 0;
    for _ in 0..MAX_REPEATS {
        // A load and a store, each whole: all that the documents' `int` promises, without the undefined behaviour of a data race.
        made += additions(HASTY, || {
            let seen = counter.read();
            time::ndelay(STRETCH_NS);
            counter.set(seen + 1);
        })?;
        if counter.read() < made {
            break;
        }
    }
    book.value("additions", made)?;
    book.value("counter", counter.read())?;
    book.value("lost", made - counter.read())?;
    book.claim("some are lost", counter.read() < made)?;

    book.right("the same under spin_lock_irqsave")?;
    let counter = IrqSpinLock::new(0_u64);
    let made = additions(LOCKED, || *counter.lock() += 1)?;
    let total = counter.into_inner();
    book.value("additions", made)?;
    book.value("counter", total)?;
    book.claim("none is lost", total == made)?;

    book.right("the same by atomic_inc: a value that stands alone needs no lock")?;
    let counter = AtomicU64::new(0);
    let made = additions(HASTY, || counter.inc())?;
    book.value("counter", counter.read())?;
    Ok(book.claim("none is lost", counter.read() == made)?)
}

/// Adds so many times on each core, all at once. Gives the number of additions.
fn additions(rounds: u64, add: impl Fn() + Sync) -> Result<u64, ViewError> {
    let cores = team::on_cores(NR_CPUS, |_| (0..rounds).for_each(|_| add()))?;
    Ok(cores as u64 * rounds)
}
