//! What a report shows of a thread, of a core and of the locks held: the parts that detectors and SysRq have in common.
//!
//! They are asked while something stands still, maybe with a lock held that the answer needs. So nothing here waits without end: a lock is tried a bounded
//! number of times and the line then says that it was not to be had, and a core that is asked where it is has [`PATIENCE_MILLIS`] to say so. Lines go to
//! the log, one record each, so that a report survives in `dmesg`.
//!
//! Rejected: the panic writer, which goes past the log: these reports are survived, and other cores go on logging between their lines.
//!
//! Neighbours: `backtrace`, `attention`, `report_log` (whose turn it is to report); `lock_report` is the like for a lock's misuse.

use super::attention::{self, Position};
use super::backtrace::{self, Frames, Start, Trace};
use super::symbols::Named;
use crate::arch::counter;
use crate::cpu;
use crate::log::{Level, emit};
use crate::sched::thread::{self, Thread};
use crate::sched::{self, ThreadRef};
use core::fmt;

/// How long a core that is asked where it is may take.
const PATIENCE_MILLIS: u64 = 500;

/// Logs one line at `level`. Context: any.
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    emit(level, "", text);
}

/// Logs what this core was doing when the interrupt came that runs now: the frames from there on. Outside of an interrupt, all frames.
///
/// Context: any.
#[inline(never)]
pub fn interrupted_code(level: Level) {
    let start = backtrace::here();
    let is_in_handler = cpu::in_hardirq() && Frames::from(start).any(|frame| frame.is_exact);
    let skipped = if is_in_handler { Frames::from(start).take_while(|frame| !frame.is_exact).count() } else { 0 };
    frames(level, Frames::from(start).skip(skipped));
}

fn frames(level: Level, frames: impl IntoIterator<Item = backtrace::Frame>) {
    for frame in frames {
        let name = if frame.is_exact { Named::exact(frame.address) } else { Named::return_to(frame.address) };
        line(level, format_args!("  {:#018x} {name}", frame.address));
    }
}

/// Logs a thread: a header with Linux's fields, and its backtrace unless it runs.
///
/// Context: any. Waits for no lock.
pub fn task(level: Level, thread: &Thread) {
    let (state, cpu) = (thread.state().letter(), thread.cpu());
    let since = Seconds(counter::now().saturating_sub(thread.switched_at()));
    let verb = if thread.is_on_cpu() { "running" } else { "off its core" };
    line(
        level,
        format_args!(
            "task:{:16} state:{state} pid:{:<5} cpu:{cpu} prio:{:<2} {verb} for {since}",
            thread.name(),
            thread.pid(),
            prio(thread)
        ),
    );
    match position_of(thread) {
        Ok(Some(trace)) => {
            line(level, format_args!("  {:#018x} {}", trace.pc, Named::return_to(trace.pc)));
            frames(level, trace.frames);
        }
        Ok(None) => {}
        Err(sched::Busy) => line(level, format_args!("  its run queue is locked: no backtrace")),
    }
}

fn prio(thread: &Thread) -> usize {
    if thread.is_idle() { 0 } else { usize::from(thread.priority().number()) }
}

/// Where `thread` is, if it is off its core.
fn position_of(thread: &Thread) -> Result<Option<Trace>, sched::Busy> {
    // Names would take long with a run queue locked: only the addresses are taken there.
    sched::try_with_position(thread, |position| position.map(|(pc, fp)| Trace::from(Start { pc, lr: 0, fp })))
}

/// The thread that core `cpu` runs. Context: any; a hint for another core.
pub fn running_on(cpu: usize) -> Option<ThreadRef> {
    thread::all().find(|thread| thread.is_on_cpu() && thread.cpu() == cpu)
}

/// Asks core `cpu` where it is and logs the answer, or that none came and what is known all the same.
///
/// Context: any; waits up to half a second for another core.
pub fn core(level: Level, cpu: usize) {
    if cpu == cpu::id() {
        line(level, format_args!("cpu{cpu} is in {}, asking, backtrace:", *sched::current()));
        return interrupted_code(level);
    }
    match attention::ask(cpu, PATIENCE_MILLIS) {
        Some(position) => answer(level, cpu, &position),
        None => silent_core(level, cpu),
    }
}

fn answer(level: Level, cpu: usize, position: &Position) {
    match position.task {
        Some(task) => line(level, format_args!("cpu{cpu} is in {task}, count {:#x}, backtrace:", position.count)),
        None => line(level, format_args!("cpu{cpu} is in no thread, backtrace:")),
    }
    line(level, format_args!("  {:#018x} {}", position.trace.pc, Named::exact(position.trace.pc)));
    frames(level, position.trace.frames.iter().copied());
}

/// There is no interrupt that cannot be masked: what is left are the traces that the core left in memory.
fn silent_core(level: Level, cpu: usize) {
    line(level, format_args!("cpu{cpu} does not say where it is: it runs with irqs off and waits for no lock"));
    match running_on(cpu) {
        Some(thread) => {
            let since = Seconds(counter::now().saturating_sub(thread.switched_at()));
            line(level, format_args!("cpu{cpu} runs {} (state {}) since {since}", *thread, thread.state().letter()));
            held_locks(level, &thread);
        }
        None => line(level, format_args!("cpu{cpu} is between two threads")),
    }
    handler_locks(level, cpu);
    if let Some(address) = cpu::irq_guard::last_masked_at(cpu) {
        line(level, format_args!("cpu{cpu} last masked irqs at {:#018x} {}", address, Named::exact(address)));
    }
}

/// Logs the locks that `thread` holds, where builds note them. How many there are.
///
/// Context: any.
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
pub fn held_locks(level: Level, thread: &Thread) -> usize {
    thread.held_locks().iter().inspect(|lock| held_lock(level, format_args!("{thread}"), lock)).count()
}

/// Logs the locks that the handlers on core `cpu` hold, where builds note them. How many there are.
///
/// Context: any.
#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
pub fn handler_locks(level: Level, cpu: usize) -> usize {
    let contexts = ["softirq", "hardirq"].into_iter().zip(crate::sync::held_locks::held_by_handlers(cpu));
    contexts
        .map(|(context, locks)| locks.iter().inspect(|lock| held_lock(level, format_args!("{context} on cpu{cpu}"), lock)).count())
        .sum()
}

#[cfg(any(feature = "lockdep", feature = "lock_stat"))]
fn held_lock(level: Level, holder: fmt::Arguments<'_>, lock: &crate::sync::held_locks::HeldLock) {
    let kind = if lock.is_sleeping { "sleeping" } else { "spinning" };
    let since = Seconds(counter::now().saturating_sub(lock.since));
    line(level, format_args!("  {holder} holds a {kind} lock {}, taken {since} ago at {}", Named::exact(lock.lock), lock.at));
}

/// This build does not note who holds what.
#[cfg(not(any(feature = "lockdep", feature = "lock_stat")))]
pub fn held_locks(_level: Level, _thread: &Thread) -> usize {
    0
}

/// This build does not note who holds what.
#[cfg(not(any(feature = "lockdep", feature = "lock_stat")))]
pub fn handler_locks(_level: Level, _cpu: usize) -> usize {
    0
}

/// Counter ticks, shown as seconds to the millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u128::from(self.0) * 1000 / u128::from(counter::frequency_hz());
        write!(f, "{}.{:03} s", millis / 1000, millis % 1000)
    }
}
