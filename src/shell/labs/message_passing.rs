//! `lab message-passing`: data and a flag, and two cores that look at each other's.

use super::notebook::Notebook;
use super::{Place, team};
use crate::arch;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::barrier::{smp_mb, smp_rmb, smp_wmb};
use core::time::Duration;

shell::lab! {
    name: "message-passing",
    place: Place::notes(10, 0),
    title: "a message and its flag, without and with barriers",
    needs: 2,
    idea: "\
A message, and a flag that says that it is there:

  CPU0  data = 1; flag = 1           CPU1  if (flag) use(data)

An Arm core may make the two stores visible in either order, and may load
data before flag. smp_wmb() between the stores and smp_rmb() between the
loads, or a store-release with a load-acquire, forbid it. Both sides need one.

QEMU on a PC cannot show the failure: a PC never swaps two stores or two
loads, so 0 below proves nothing. What a PC does swap is a store with a later
load of something else (second part); only a full barrier forbids that.
`make verify` asks Arm's own model about the compiled code instead.",
    next: "docs/api.md (8.10), src/sync/barrier.rs, tests/litmus/barriers.litmus",
    run: run,
}

const TIME: Duration = Duration::from_millis(200);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("no barriers")?;
    let stale = pass_messages(book, || (), || ())?;
    book.value("messages older than their flag", stale)?;
    book.note("(on a Pi: some; here 0 says nothing)")?;

    book.right("smp_wmb() when sending, smp_rmb() when receiving")?;
    let stale = pass_messages(book, smp_wmb, smp_rmb)?;
    book.value("messages older than their flag", stale)?;
    book.claim("none", stale == 0)?;

    book.wrong("x = 1, look at y | y = 1, look at x, no barrier")?;
    let (rounds, both_blind) = store_then_look(|| ())?;
    book.value("rounds", rounds)?;
    book.value("neither saw the other (a PC does that, too)", both_blind)?;

    book.right("smp_mb() between store and look")?;
    let (rounds, both_blind) = store_then_look(smp_mb)?;
    book.value("rounds", rounds)?;
    book.value("neither saw the other", both_blind)?;
    Ok(book.claim("never", both_blind == 0 && rounds > 0)?)
}

/// One core sends 1, 2, 3, ...; the other looks at the flag, then at the data. Gives how often the data was older.
fn pass_messages(book: &mut Notebook<'_>, between_stores: fn(), between_loads: fn()) -> Result<u64, ViewError> {
    let (data, flag) = (AtomicU64::new(0), AtomicU64::new(0));
    let (looks, stale, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    team::on_cores(2, |member| {
        if member == 0 {
            team::try_for(TIME, || {
                for _ in 0..1000 {
                    let seen = flag.read();
                    between_loads();
                    stale.add(u64::from(data.read() < seen));
                    looks.inc();
                }
                None::<()>
            });
            is_over.set(true);
        } else {
            let mut message = 0;
            while !is_over.read() {
                message += 1;
                data.set(message);
                between_stores();
                flag.set(message);
            }
        }
    })?;
    book.value("looks", looks.read())?;
    Ok(stale.read())
}

/// Two cores: each stores in its word and looks at the other's, round by round. Gives the rounds, and those in which neither saw the other.
fn store_then_look(between: fn()) -> Result<(u64, u64), ViewError> {
    let words = [const { AtomicU64::new(0) }; 2];
    let seen = [const { AtomicU64::new(0) }; 2];
    // How far each is: two steps a round, so that nobody looks at the words of another round.
    let steps = [const { AtomicU64::new(0) }; 2];
    let (rounds, blind, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let deadline = crate::time::ktime_get() + TIME;
    team::on_cores(2, |me| {
        let other = 1 - me;
        let keep_step = |step: u64| {
            steps[me].store_release(step);
            while steps[other].load_acquire() < step && !is_over.read() {
                arch::relax();
            }
        };
        for round in 1_u64.. {
            keep_step(2 * round - 1);
            words[me].set(round);
            between();
            seen[me].set(words[other].read());
            keep_step(2 * round);
            if is_over.read() {
                break;
            }
            if me == 0 {
                blind.add(u64::from(seen[0].read() < round && seen[1].read() < round));
                rounds.inc();
                is_over.set(crate::time::ktime_get() >= deadline);
            }
        }
    })?;
    Ok((rounds.read(), blind.read()))
}
