//! `top`: which threads use the cores, refreshed.
//!
//! Shares are of one core and of the time since the last round; the first round shows those since boot. What a running thread has used since it last came
//! on its core is counted in, which `run_time` alone is not. A thread that took over another one's block in between is told by its pid.

use crate::arch::counter;
use crate::cpu;
use crate::mm::{GfpFlags, KVec};
use crate::sched::load;
use crate::sched::thread::{self, Thread};
use crate::sched::thread_table::MAX_THREADS;
use crate::shell::{self, CommandError, Context, Options};
use crate::time;
use crate::util::errno::Errno;
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use core::time::Duration;

shell::command! {
    name: "top",
    usage: "top [-d SECONDS] [-n ROUNDS]",
    help: "the threads that use most of the cores, again every 2 seconds",
    details: "Until q, Ctrl-C, or ROUNDS times; another key refreshes at once. %CPU is the share of one core since the last round.",
    run: top,
}

/// Threads that are shown.
const MAX_ROWS: usize = 20;
/// What a terminal needs to begin anew at the top left.
const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

/// What a thread or a core had used at the last round.
#[derive(Clone, Copy, Default)]
struct Used {
    pid: u32,
    ticks: u64,
}

/// The last round.
struct Round {
    at: u64,
    idle: [u64; cpu::NR_CPUS],
    threads: KVec<Used>,
}

/// A line of the table.
struct Row {
    pid: u32,
    name: cpu::task::Name,
    letter: char,
    cpu: usize,
    priority: u8,
    total: u64,
    recent: u64,
}

fn top(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (mut seconds, mut rounds) = (2, usize::MAX);
    let mut options = Options::new(args, "dn");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'd' => seconds = shell::number(value)?,
            'n' => rounds = shell::number(value)?,
            _ => return Err(CommandError::Usage),
        }
    }
    if !options.operands().is_empty() || rounds == 0 || seconds == 0 {
        return Err(CommandError::Usage);
    }

    let mut last = Round { at: 0, idle: [0; cpu::NR_CPUS], threads: no_threads()? };
    for round in 1..=rounds {
        if ctx.is_terminal() {
            ctx.out.write_str(CLEAR_SCREEN)?;
        }
        show(ctx.out, &mut last)?;
        if round == rounds || ctx.key(Duration::from_secs(seconds as u64))? == Some(b'q') {
            break;
        }
    }
    Ok(())
}

fn no_threads() -> Result<KVec<Used>, Errno> {
    let mut threads = KVec::new();
    for _ in 0..MAX_THREADS {
        threads.push(Used::default(), GfpFlags::KERNEL).map_err(|_| Errno::ENOMEM)?;
    }
    Ok(threads)
}

fn show(out: &mut dyn Write, last: &mut Round) -> fmt::Result {
    let now = counter::now();
    let passed = (now - last.at).max(1);
    last.at = now;
    write_head(out, last, passed)?;
    writeln!(out, "  PID S CPU PRI  %CPU      TIME NAME")?;
    for row in busiest(last) {
        let (share, millis) = (Tenths::of(row.recent, passed), row.total * 1000 / counter::frequency_hz());
        write!(out, "{:5} {} {:3} {:3} {share} {:5}.{:03} ", row.pid, row.letter, row.cpu, row.priority, millis / 1000, millis % 1000)?;
        writeln!(out, "{}", row.name)?;
    }
    Ok(())
}

fn write_head(out: &mut dyn Write, last: &mut Round, passed: u64) -> fmt::Result {
    let up = time::uptime();
    let [one, five, fifteen] = load::averages();
    writeln!(out, "top - up {}.{:02} s, load average: {one}, {five}, {fifteen}", up.as_secs(), up.subsec_millis() / 10)?;
    writeln!(out, "Threads: {} total, {} running, {} blocked", thread::nr_threads(), load::nr_running(), load::nr_blocked())?;
    write!(out, "%Idle:")?;
    for cpu in cpu::online() {
        let idle = load::idle_ticks(cpu);
        let recent = idle.saturating_sub(last.idle[cpu]);
        last.idle[cpu] = idle;
        write!(out, "  cpu{cpu} {}", Tenths::of(recent, passed))?;
    }
    writeln!(out, "\n")
}

/// The threads that used most since the last round, which becomes this one.
fn busiest(last: &mut Round) -> ArrayVec<Row, MAX_ROWS> {
    let mut rows = ArrayVec::<Row, MAX_ROWS>::new();
    for thread in thread::all().filter(|thread| !thread.is_idle()) {
        let total = used(&thread);
        let known = &mut last.threads[usize::from(thread.id())];
        let before = if known.pid == thread.pid() { known.ticks } else { 0 };
        *known = Used { pid: thread.pid(), ticks: total };
        insert(&mut rows, row_of(&thread, total, total.saturating_sub(before)));
    }
    rows
}

/// Keeps the rows in order, and the last one out if there are too many.
fn insert(rows: &mut ArrayVec<Row, MAX_ROWS>, row: Row) {
    let at = rows.iter().position(|other| other.recent < row.recent).unwrap_or(rows.len());
    if at == MAX_ROWS {
        return;
    }
    if rows.is_full() {
        rows.pop();
    }
    rows.insert(at, row);
}

fn row_of(thread: &Thread, total: u64, recent: u64) -> Row {
    Row {
        pid: thread.pid(),
        name: thread.name(),
        letter: thread.state().letter(),
        cpu: thread.cpu(),
        priority: thread.priority().number(),
        total,
        recent,
    }
}

/// Counter ticks that `thread` has run, up to now.
fn used(thread: &Thread) -> u64 {
    let (ran, since) = (thread.run_time(), thread.switched_at());
    if thread.is_on_cpu() { ran + counter::now().saturating_sub(since) } else { ran }
}

/// A share, shown as per cent to one place.
struct Tenths(u64);

impl Tenths {
    fn of(part: u64, whole: u64) -> Self {
        // What is read a moment after the clock may be more than passed.
        Self((u128::from(part.min(whole)) * 1000 / u128::from(whole)) as u64)
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:3}.{}", self.0 / 10, self.0 % 10)
    }
}
