//! The text of a stall's report.
//!
//! ```text
//! rcu: stall: grace period 41 has waited 21003 ms for cpu2 (noticed on cpu0)
//! rcu: cpu2 runs spinner (pid 14), count 0x1, in a read section that began at src/labs/spin.rs:20:17; now at:
//!   0xffffffff80091234 labs::spin::forever+0x12/0x40
//! rcu: a section there does not end: look for a loop in it, ...
//! ```
//! A core is asked where it is through its attention word, so it answers if it takes interrupts or spins for a lock; if it does neither the report says so.
//!
//! Neighbours: `stall` (when), `debug::attention`, `debug::backtrace`.

use super::read;
use crate::arch::NR_CPUS;
use crate::cpu::local::attention::BACKTRACE;
use crate::cpu::{self, Task};
use crate::debug::attention;
use crate::debug::backtrace::{self, Trace};
use crate::debug::symbols::Named;
use crate::log::{Level, emit};
use core::fmt;

/// How long cores are waited for that are asked where they are.
const WAIT_MILLIS: u64 = 200;

/// Prints a report on the cores in `stalled`. Context: hardirq.
#[cold]
pub(super) fn print(number: u64, waited_ms: u64, stalled: u32) {
    let here = cpu::id();
    line(format_args!("stall: grace period {number} has waited {waited_ms} ms for {} (noticed on cpu{here})", Cpus(stalled)));
    let others = stalled & cpu::online_mask() & !(1 << here);
    attention::request(others, BACKTRACE);
    attention::wait_for_answers(others, WAIT_MILLIS);
    for cpu in (0..NR_CPUS).filter(|cpu| stalled & (1 << cpu) != 0) {
        if cpu == here {
            core(cpu, cpu::preempt_count(), cpu::task::try_current(), &Trace::from(backtrace::here()));
        } else if let Some(answer) = attention::answer_of(cpu) {
            core(cpu, answer.count, answer.task, &answer.trace);
        } else {
            line(format_args!(
                "cpu{cpu} does not answer: it has interrupts off and does not spin for a lock. Look for a loop with interrupts off."
            ));
        }
    }
}

/// What one core does. Its count has this interrupt in it.
fn core(cpu: usize, count: u32, task: Option<&Task>, trace: &Trace) {
    let section = Section { cpu, count };
    match task {
        Some(task) => line(format_args!("cpu{cpu} runs {task}, count {count:#x}, {section}; now at:")),
        None => line(format_args!("cpu{cpu} runs no thread yet, count {count:#x}, {section}; now at:")),
    }
    emit(Level::Err, "", format_args!("  {:#018x} {}", trace.pc, Named::exact(trace.pc)));
    for frame in &trace.frames {
        emit(Level::Err, "", format_args!("  {:#018x} {}", frame.address, Named::return_to(frame.address)));
    }
    line(format_args!("{}", section.advice()));
}

/// What keeps a core from a quiescent state. `count` was taken by who answered.
struct Section {
    cpu: usize,
    count: u32,
}

impl Section {
    /// Preemption or bottom halves are off.
    fn is_in_section(&self) -> bool {
        self.count & 0xffff != 0
    }

    /// It answered in a loop that looks at the attention word, and not in the interrupt that asked.
    fn has_irqs_off(&self) -> bool {
        self.count & 0xf_0000 == 0
    }

    fn advice(&self) -> &'static str {
        if self.has_irqs_off() {
            "interrupts are off there: look for a loop with interrupts off, or a lock that is not given back."
        } else if self.is_in_section() {
            "a section there does not end: look for a loop inside of rcu_read_lock(), a spinlock or a preemption-off section, and let it end now and then."
        } else {
            "nothing is held there: look for interrupts that storm, or (preempt_none) a loop without cond_resched()."
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match read::place_on(self.cpu) {
            Some(place) => write!(f, "in a read section that began at {place}"),
            None if self.has_irqs_off() => f.write_str("with interrupts off"),
            None if self.is_in_section() => f.write_str("with preemption or bottom halves off"),
            None => f.write_str("in no section"),
        }
    }
}

/// `cpu1, cpu3`.
struct Cpus(u32);

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for cpu in (0..NR_CPUS).filter(|cpu| self.0 & (1 << cpu) != 0) {
            write!(f, "{separator}cpu{cpu}")?;
            separator = ", ";
        }
        Ok(())
    }
}

fn line(text: fmt::Arguments<'_>) {
    emit(Level::Err, "", format_args!("rcu: {text}"));
}
