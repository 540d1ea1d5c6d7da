//! `lab tasklet`: the notes' four questions on tasklets and softirqs.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu::NR_CPUS;
use crate::irq::Tasklet;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::time::{self, Timer};
use core::time::Duration;

shell::lab! {
    name: "tasklet",
    place: Place::notes(3, 2),
    title: "the four questions: must data be locked that only ... share?",
    needs: 2,
    idea: "\
Bottom halves run after handlers, before threads. A tasklet never runs on two
cores at once; a softirq does. On one core none interrupts another. Hence:

  1 tasklets of one type share data         no lock
  2 tasklets of different types             lock: they run on two cores
  3 one softirq with itself                 lock: it runs on two cores
  4 different softirqs                      lock
  a thread with any of them                 spin_lock_bh, on every core

Shown by two that wait inside for each other: they meet only if they are
inside at the same time.",
    next: "docs/interrupts-and-time.md; src/irq/tasklet.rs, src/irq/run_state.rs",
    run: run,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    question_1(book)?;

    book.part("2: two different tasklets, each scheduled on a core of its own")?;
    static ONE: Tasklet<()> = Tasklet::new((), |_| MEETING.meet());
    static OTHER: Tasklet<()> = Tasklet::new((), |_| MEETING.meet());
    let met = meet(|member| _ = if member == 0 { ONE.schedule() } else { OTHER.schedule() })?;
    book.claim("they meet: lock what they share", met)?;

    book.part("3: the timers' softirq on two cores")?;
    static FIRST: Timer<()> = Timer::new((), |_| MEETING.meet());
    static SECOND: Timer<()> = Timer::new((), |_| MEETING.meet());
    let met = meet(|member| _ = if member == 0 { FIRST.start(Duration::ZERO) } else { SECOND.start(Duration::ZERO) })?;
    book.claim("they meet: lock what it shares with itself", met)?;

    book.part("4: the timers' softirq on one core, a tasklet on another")?;
    let met = meet(|member| _ = if member == 0 { FIRST.start(Duration::ZERO) } else { OTHER.schedule() })?;
    Ok(book.claim("they meet: lock what they share", met)?)
}

/// All cores schedule one tasklet, which changes a number by a load and a store.
fn question_1(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    static OVERLAPS: AtomicU64 = AtomicU64::new(0);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    static PLAIN: AtomicU64 = AtomicU64::new(0);
    static SHARED: Tasklet<()> = Tasklet::new((), |_| {
        OVERLAPS.add(u64::from(INSIDE.xchg(true)));
        let seen = PLAIN.read();
        time::udelay(2);
        PLAIN.set(seen + 1);
        RUNS.inc();
        INSIDE.set(false);
    });

    book.part("1: one tasklet, scheduled 500 times on each core")?;
    [&OVERLAPS, &RUNS, &PLAIN].iter().for_each(|count| count.set(0));
    team::on_cores(NR_CPUS, |_| (0..500).for_each(|_| _ = SHARED.schedule()))?;
    SHARED.kill();
    book.value("runs (scheduled again before it began: one run)", RUNS.read())?;
    book.value("runs that overlapped", OVERLAPS.read())?;
    book.claim("none, and no addition is lost: no lock", OVERLAPS.read() == 0 && RUNS.read() > 0 && PLAIN.read() == RUNS.read())?;
    Ok(())
}

/// Where two bottom halves wait for each other.
struct Meeting {
    inside: AtomicU64,
    met: AtomicU64,
    left: AtomicU64,
}

static MEETING: Meeting = Meeting { inside: AtomicU64::new(0), met: AtomicU64::new(0), left: AtomicU64::new(0) };
/// How long a bottom half waits for the other: the core does nothing else meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

impl Meeting {
    fn meet(&self) {
        self.inside.inc();
        let (met, _) = team::try_for(PATIENCE, || (self.inside.read() == 2).then_some(()));
        self.met.add(u64::from(met.is_some()));
        self.left.inc();
    }
}

/// Starts two bottom halves on two cores. True if both were inside at once.
fn meet(start: impl Fn(usize) + Sync) -> Result<bool, ViewError> {
    [&MEETING.inside, &MEETING.met, &MEETING.left].iter().for_each(|count| count.set(0));
    team::on_cores(2, start)?;
    team::try_for(2 * PATIENCE, || (MEETING.left.read() == 2).then_some(()));
    Ok(MEETING.met.read() == 2)
}
