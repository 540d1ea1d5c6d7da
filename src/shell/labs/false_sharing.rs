//! `lab false-sharing`: words that nobody shares, in a line that all share.

use super::notebook::{Hex, Notebook};
use super::{Place, team};
use crate::arch::pmu::{Event, Pmu};
use crate::cpu::{NR_CPUS, PreemptGuard};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::AtomicU64;
use core::ptr;

shell::lab! {
    name: "false-sharing",
    place: Place::course(4, 2, 2),
    title: "four counters in one cache line, and in four",
    needs: 2,
    idea: "\
Caches move lines of 64 bytes. Four counters of four cores in one line: no
core uses another's word, and yet the line goes from core to core at each
addition. A line for each, and each stays where it is.

The A72's monitor counts refills of the L1 cache: on a Pi the first way shows
thousands, the second next to none. QEMU has no cache and counts 0.",
    next: "lab cache-line, lab percpu; src/sync/percpu_counter.rs",
    run: run,
}

const LINE: usize = 64;
const ROUNDS: u64 = 20_000;

/// All in one line.
#[repr(align(64))]
struct Together([AtomicU64; NR_CPUS]);

/// One with a line for itself.
#[repr(align(64))]
struct Apart(AtomicU64);

static TOGETHER: Together = Together([const { AtomicU64::new(0) }; NR_CPUS]);
static APART: [Apart; NR_CPUS] = [const { Apart(AtomicU64::new(0)) }; NR_CPUS];

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("counter[4], 32 bytes")?;
    let lines = count(book, |member| &TOGETHER.0[member])?;
    book.claim("one line, and all additions are there", lines == 1)?;

    book.right("each aligned to 64 bytes")?;
    let lines = count(book, |member| &APART[member].0)?;
    Ok(book.claim("a line for each core", lines == crate::cpu::nr_online())?)
}

/// Each core counts in its word. Shows time and refills; gives the number of lines, 0 if an addition was lost.
fn count(book: &mut Notebook<'_>, word: impl Fn(usize) -> &'static AtomicU64 + Sync) -> Result<usize, ViewError> {
    let refills = AtomicU64::new(0);
    (0..NR_CPUS).for_each(|member| word(member).set(0));
    let (cores, time) = team::timed(|| {
        team::on_cores(NR_CPUS, |member| {
            refills.add(refills_of(|| (0..ROUNDS).for_each(|_| word(member).inc())));
        })
    });
    let cores = cores?;
    let line = |member: usize| ptr::from_ref(word(member)).addr() / LINE;
    book.value("first word at", Hex(ptr::from_ref(word(0)).addr() as u64))?;
    book.value("bytes from one word to the next", ptr::from_ref(word(1)).addr() - ptr::from_ref(word(0)).addr())?;
    let nr_lines = 1 + (1..cores).filter(|member| line(*member) != line(member - 1)).count();
    book.value("cache lines", nr_lines)?;
    book.value("time, us (an emulator's: not to be trusted)", time.as_micros())?;
    book.value("refills of the L1 cache, by the PMU", refills.read())?;
    let is_exact = (0..cores).all(|member| word(member).read() == ROUNDS);
    Ok(if is_exact { nr_lines } else { 0 })
}

/// Runs `f` on this core and counts how often a line was brought into its L1 data cache.
fn refills_of(f: impl FnOnce()) -> u64 {
    let _pinned = PreemptGuard::new();
    let pmu = Pmu::start();
    let counter = pmu.as_ref().and_then(|pmu| pmu.count(0, Event::L1dCacheRefill));
    f();
    match (pmu, counter) {
        (Some(pmu), Some(counter)) => u64::from(pmu.read(counter)),
        _ => 0,
    }
}
