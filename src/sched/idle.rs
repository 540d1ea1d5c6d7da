//! What a core does when no thread is ready: it sleeps until an interrupt.
//!
//! An interrupt that makes a thread ready switches to it on its way out; the loop only has to look again before it sleeps.

use super::run_queue::need_resched;
use super::switch::schedule;
use crate::arch;
use crate::cpu::{self, IrqGuard};
use crate::sync::rcu;
use crate::time;

/// The idle thread of this core. Context: on the core's idle stack, irqs on, nothing held.
pub fn idle() -> ! {
    loop {
        sleep_until_interrupt();
        if need_resched() {
            schedule();
        }
    }
}

/// Sleeps unless a thread is ready. With irqs masked nothing can slip in between the look and the WFI, which wakes for a masked interrupt as well.
fn sleep_until_interrupt() {
    let _irqs_off = IrqGuard::new();
    if cfg!(feature = "debug") {
        let extra = cpu::irq_guard::extra_depth();
        assert!(extra == 0, "an irq guard was leaked: idle found {extra} extra");
    }
    if !need_resched() {
        time::idle_enter();
        // Next to the sleep: in between the core reads nothing, and a grace period does not wait for it.
        if rcu::idle_enter() {
            arch::wfi();
            rcu::idle_exit();
        }
        time::idle_exit();
    }
}
