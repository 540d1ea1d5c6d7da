//! `lab percpu`: a counter for each core, and the core that one is no longer on.

use super::notebook::{Notebook, PerCore};
use super::{Place, team};
use crate::cpu::{self, NR_CPUS, PreemptGuard};
use crate::per_cpu;
use crate::proc::ViewError;
use crate::sched::{self, kthread};
use crate::shell;
use crate::sync::CounterCell;
use crate::sync::atomic::AtomicU64;
use crate::util::errno::Errno;

shell::lab! {
    name: "percpu",
    place: Place::notes(9, 0),
    title: "per-CPU counters, and why preemption must be off",
    needs: 2,
    idea: "\
A counter for each core needs no lock, and no cache line goes to and fro; who
wants the sum adds four numbers. But smp_processor_id() is old as soon as the
thread may be preempted: it can go on on another core and change a counter
that is not its own while the owner does. So: preempt_disable() from the
question to the last use, or an addition that is atomic.",
    next: "lab false-sharing; src/cpu/percpu.rs, src/sync/percpu_counter.rs",
    run: run,
}

/// Plain words, changed by a load and a store, as `this_cpu++` would.
static SLOTS: [AtomicU64; NR_CPUS] = [const { AtomicU64::new(0) }; NR_CPUS];
/// What others add in between.
const MEANWHILE: u64 = 100;
const ROUNDS: i64 = 5000;

per_cpu! {
    static HITS: CounterCell = CounterCell::new();
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    SLOTS.iter().for_each(|slot| slot.set(0));
    book.wrong("slot = &counter[smp_processor_id()]; *slot = *slot + 1, preemptible")?;
    let (here, there) = kthread::run("lab", migrate_in_the_middle).map_err(Errno::from)?.join().map_err(Errno::from)??;
    book.value("asked for its core on cpu", here)?;
    book.value("stored on cpu", there)?;
    book.value("additions to that core's counter", MEANWHILE + 1)?;
    book.value("counter", SLOTS[here].read())?;
    book.claim("what the owner added in between is lost", here != there && SLOTS[here].read() == 1)?;

    book.right("the same with preempt_disable()")?;
    SLOTS.iter().for_each(|slot| slot.set(0));
    let cores = team::on_cores(NR_CPUS, |_| {
        for _ in 0..ROUNDS {
            let _pinned = PreemptGuard::new();
            let slot = &SLOTS[cpu::id()];
            slot.set(slot.read() + 1);
        }
    })?;
    let counts = SLOTS.each_ref().map(AtomicU64::read);
    book.value("on each core", PerCore(&counts[..cores]))?;
    book.claim("none is lost", counts.iter().sum::<u64>() == cores as u64 * ROUNDS as u64)?;

    book.right("percpu_counter: one atomic word a core, added up when asked")?;
    let before = HITS.sum();
    let cores = team::on_cores(NR_CPUS, |_| (0..ROUNDS).for_each(|_| HITS.inc()))?;
    let sum = HITS.sum() - before;
    book.value("sum", sum)?;
    Ok(book.claim("exact", sum == cores as i64 * ROUNDS)?)
}

/// Asks for its core, is moved to another one, and stores as if it were there still. Gives both cores.
fn migrate_in_the_middle() -> Result<(usize, usize), Errno> {
    let here = cpu::id();
    let slot = &SLOTS[here];
    let seen = slot.read();
    sched::set_affinity(sched::current(), cpu::online_mask() & !(1 << here))?;
    // The owner's turn, on the core that the thread has left.
    kthread::Builder::new("lab owner")
        .bind(here)
        .run(move || (0..MEANWHILE).for_each(|_| SLOTS[here].set(SLOTS[here].read() + 1)))?
        .join()?;
    slot.set(seen + 1);
    Ok((here, cpu::id()))
}
