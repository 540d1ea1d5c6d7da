//! What happens when a count reaches 0 while something waits: after an interrupt, or at the end of a section.
//!
//! Four things can wait: an answer that another core wants, a quiescent state that RCU waits for, softirqs that were raised, a switch of threads. All are found by the one mark in the
//! count word and done here in this order. With irqs masked a section's end can do none of them: then the core interrupts itself, and they are
//! done after that interrupt, as soon as irqs are on.

use super::{ipi, softirq};
use crate::arch::{self, count};
use crate::cpu;
use crate::sched::{self, preempt};
use crate::sync::rcu;
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
        // The mark stays, for the end of that interrupt.
        ipi::send(ipi::Sgi::Reschedule, 1 << cpu::id());
        return;
    }
    arch::irq::mask();
    do_pending();
    // SAFETY: they were not masked on entry, and the mask above is the one level; `do_pending` leaves no guard.
    unsafe { arch::irq::unmask() };
    if preempt::IS_FULL {
        sched::preempt_schedule();
    }
}

/// Irqs masked by one level.
fn do_pending() {
    count::clear_work();
    if preempt::IS_FULL {
        sched::switch_point::pass();
    }
    upcalls::answer_attention();
    rcu::on_count_zero();
    softirq::serve_pending();
    // What came during those was asked to report where the count falls to 0: here.
    rcu::on_count_zero();
}
