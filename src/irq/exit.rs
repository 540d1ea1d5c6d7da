//! What happens when a count reaches 0 while something waits: after an interrupt, or at the end of a section.
//!
//! What can wait: an answer that this core owes (another one wants its backtrace), and a more urgent thread. The mark in the count word says that
//! something does; it is cleared before the look, so what comes meanwhile marks it anew.

use crate::arch::{self, count};
use crate::cpu;
use crate::irq::ipi::{self, Sgi};
use crate::sched::{self, preempt};
use crate::upcalls;

/// Upcall of arch: the count is 0 and something waits; irqs are masked, on the exception stack. True: switch the interrupted thread out.
#[unsafe(no_mangle)]
fn tetra_irq_exit_work() -> bool {
    do_pending();
    preempt::may_preempt_from_irq()
}

/// Upcall of arch: only after `tetra_irq_exit_work` said so; on the thread's own stack, where its frame lies as long as it is switched out.
#[unsafe(no_mangle)]
fn tetra_preempt_from_irq() {
    sched::preempt_schedule_irq();
}

/// Upcall of arch: a thread left its last section while something waits.
#[unsafe(no_mangle)]
fn tetra_count_zero_work() {
    if arch::irq::is_masked() {
        // Not now: the mark stays, and an SGI to this core comes as soon as irqs are on. Its way out finds the mark.
        ipi::send(Sgi::Reschedule, 1 << cpu::id());
        return;
    }
    do_pending();
    if preempt::IS_FULL {
        sched::preempt_schedule();
    }
}

fn do_pending() {
    count::clear_work();
    upcalls::answer_attention();
}
