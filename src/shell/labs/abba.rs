//! `lab abba`: two locks, taken in both orders.

use super::notebook::Notebook;
use super::{Place, team};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::SpinLock;
use crate::sync::atomic::{AtomicU32, AtomicU64};
use core::time::Duration;

shell::lab! {
    name: "abba",
    place: Place::notes(3, 1),
    title: "two locks in two orders: A then B, B then A",
    needs: 2,
    idea: "\
CPU0 holds A and wants B, CPU1 holds B and wants A: both wait for ever. It
happens only if the two meet, which may take months; lockdep finds it the
first time that each order was *used*, met or not.

The way out is one order for all, written down where the locks are.",
    next: "docs/lockdep.md; src/sync/lockdep/validator.rs; type `lockdep`",
    run: run,
}

static A: SpinLock<u64> = SpinLock::new(0);
static B: SpinLock<u64> = SpinLock::new(0);

/// How long each tries for its second lock.
const PATIENCE: Duration = Duration::from_millis(20);
const ROUNDS: u64 = 40;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("CPU0: A, B. CPU1: B, A. Each holds its first and tries 20 ms")?;
    let (both_hold, successes) = (AtomicU32::new(0), AtomicU64::new(0));
    team::on_cores(2, |member| {
        let (first, second) = if member == 0 { (&A, &B) } else { (&B, &A) };
        let _first = first.lock();
        both_hold.inc();
        // They meet: the second tries begin when both first locks are held.
        team::try_for(Duration::from_secs(5), || (both_hold.read() == 2).then_some(()));
        let (second, _) = team::try_for(PATIENCE, || second.try_lock());
        successes.add(u64::from(second.is_some()));
        // Nobody lets go before both have seen it.
        both_hold.inc();
        team::try_for(Duration::from_secs(5), || (both_hold.read() == 4).then_some(()));
    })?;
    book.value("cores that got both", successes.read())?;
    book.claim("neither: with `lock` they would stand there still", successes.read() == 0)?;
    lockdep_says(book)?;

    book.right("A before B on both")?;
    team::on_cores(2, |_| {
        for _ in 0..ROUNDS {
            let mut a = A.lock();
            *B.lock() += 1;
            *a += 1;
        }
    })?;
    let (a, b) = (core::mem::take(&mut *A.lock()), core::mem::take(&mut *B.lock()));
    book.value("rounds of both cores", a)?;
    Ok(book.claim("all rounds done", a == 2 * ROUNDS && b == a)?)
}

#[cfg(feature = "lockdep")]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    use super::paper::Paper;
    use crate::sync::meta::{Access::Exclusive, LockKind};

    let mut paper = Paper::new();
    let a = paper.lock(LockKind::Spinning);
    let b = paper.lock(LockKind::Spinning);
    let in_order = paper.take(a, Exclusive).and(paper.take(b, Exclusive)).is_ok();
    paper.give_back(b);
    paper.give_back(a);
    let found = paper.take(b, Exclusive).and(paper.take(a, Exclusive)).err();
    book.claim("lockdep, of one core that did A, B and later B, A:", in_order && found.is_some())?;
    found.map_or(Ok(()), |violation| paper.tell(book, &violation))
}

#[cfg(not(feature = "lockdep"))]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    book.note("(this build has no lockdep: `make qemu` has)")
}
