//! `lab torn-read`: two words that belong together, read while they are written.

use super::notebook::Notebook;
use super::{Place, team};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{SeqCount, SeqLock};
use crate::time;
use core::time::Duration;

shell::lab! {
    name: "torn-read",
    place: Place::notes(8, 0),
    title: "a pair of words read without a sequence lock and with one",
    needs: 2,
    idea: "\
A clock is seconds and nanoseconds: two words. A reader that comes between
the two stores sees the new one with the old one, a time that never was.

A sequence lock counts: odd while a writer is at it. The reader looks at the
count, copies, looks again, and copies again if it changed. Readers store
nothing, so a thousand of them do not slow the writer.",
    next: "lab seq-number; src/sync/seqlock.rs; docs/locking.md",
    run: run,
}

/// The writer keeps `high == !low`.
struct Pair {
    low: AtomicU64,
    high: AtomicU64,
}

impl Pair {
    const fn new() -> Self {
        Self { low: AtomicU64::new(0), high: AtomicU64::new(!0) }
    }

    fn set(&self, value: u64) {
        self.low.set(value);
        // As long as a larger structure would take: so that the two meet also where cores take turns on a busy PC.
        time::ndelay(WRITE_NS);
        self.high.set(!value);
    }

    fn is_whole(seen: (u64, u64)) -> bool {
        seen.1 == !seen.0
    }

    fn look(&self) -> (u64, u64) {
        (self.low.read(), self.high.read())
    }
}

const LOOKS: u64 = 2000;
/// How long a write takes, and the pause behind it.
const WRITE_NS: u64 = 1000;
const PAUSE_NS: u64 = 2000;
const LIMIT: Duration = Duration::from_secs(5);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("one core writes both words, another reads both")?;
    let pair = Pair::new();
    let (looks, torn) = watch(|value| pair.set(value), || Pair::is_whole(pair.look()), |torn| torn > 0)?;
    book.value("looks", looks)?;
    book.value("torn", torn)?;
    book.claim("some are torn", torn > 0)?;

    book.right("write_seqcount around the stores; read again if the count changed")?;
    let (pair, count, retries) = (Pair::new(), SeqCount::new(), AtomicU64::new(0));
    let write = |value| {
        let sequence = count.write_begin();
        pair.set(value);
        count.write_end(sequence);
    };
    let read = || loop {
        let begun = count.begin();
        let seen = pair.look();
        if !count.retry(begun) {
            return Pair::is_whole(seen);
        }
        retries.inc();
    };
    let (looks, torn) = watch(write, read, |_| false)?;
    book.value("looks", looks)?;
    book.value("copied again", retries.read())?;
    book.value("torn", torn)?;
    book.claim("none is torn", torn == 0)?;

    book.right("SeqLock<[u64; 2]>: the data inside, and a lock among writers")?;
    let pair = SeqLock::<[u64; 2]>::new([0, !0]);
    let (looks, torn) = watch(
        |value| pair.write().set([value, !value]),
        || {
            let [low, high] = pair.read();
            Pair::is_whole((low, high))
        },
        |_| false,
    )?;
    book.value("looks", looks)?;
    Ok(book.claim("none is torn", torn == 0)?)
}

/// One core writes 1, 2, 3, ... while another looks. Gives the looks and those that were not whole. Ends after enough looks, and, where `is_enough` is to
/// come, when it has, or after some seconds.
fn watch(
    write: impl Fn(u64) + Sync,
    is_whole: impl Fn() -> bool + Sync,
    is_enough: impl Fn(u64) -> bool + Sync,
) -> Result<(u64, u64), ViewError> {
    let (looks, torn, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let waits_for_it = is_enough(1);
    team::on_cores(2, |member| {
        if member == 0 {
            team::try_for(LIMIT, || {
                (0..100).for_each(|_| {
                    looks.inc();
                    torn.add(u64::from(!is_whole()));
                });
                let is_done = if waits_for_it { is_enough(torn.read()) } else { looks.read() >= LOOKS };
                is_done.then_some(())
            });
            is_over.set(true);
        } else {
            let mut value = 0;
            while !is_over.read() {
                value += 1;
                write(value);
                time::ndelay(PAUSE_NS);
            }
        }
    })?;
    Ok((looks.read(), torn.read()))
}
