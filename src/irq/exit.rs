//! What happens when a count reaches 0 while something waits: after an interrupt, or at the end of a section.
//!
//! The only work that a core can be left with today is an answer that it owes: another core wants its backtrace. Bottom halves and reschedules
//! hook in here.

use crate::arch::count;
use crate::upcalls;

/// Upcall of arch: the count is 0 and something waits; irqs are masked, on the exception stack. True: switch the interrupted thread out.
#[unsafe(no_mangle)]
fn tetra_irq_exit_work() -> bool {
    do_pending();
    false
}

/// Upcall of arch: only after `tetra_irq_exit_work` said so.
#[unsafe(no_mangle)]
fn tetra_preempt_from_irq() {
    unreachable!("nothing asks for a switch of threads");
}

/// Upcall of arch: a thread left its last section while something waits.
#[unsafe(no_mangle)]
fn tetra_count_zero_work() {
    do_pending();
}

fn do_pending() {
    count::clear_work();
    upcalls::answer_attention();
}
