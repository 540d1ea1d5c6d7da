//! Every call from a lower layer to a higher one, declared once.
//!
//! A module calls its own layer or those below (`lib.rs` lists them; a host test enforces it). Where the low must reach the high it calls a
//! function declared here and defined above with `#[unsafe(no_mangle)]`; the linker joins them. Host tests and loom supply their own.
//!
//! The declarations are `safe`: each definition is a safe Rust function of exactly this signature, which the comment beside it names.

#[cfg(target_os = "none")]
use crate::arch::boot::BootInfo;
#[cfg(target_os = "none")]
use crate::arch::exception::{ExceptionFrame, Vector};

#[cfg(target_os = "none")]
macro_rules! upcalls {
    ($($(#[$doc:meta])* fn $name:ident = $symbol:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)?;)*) => {
        unsafe extern "Rust" {
            $($(#[$doc])* safe fn $symbol($($arg: $type),*) $(-> $ret)?;)*
        }
        $($(#[$doc])* #[inline] pub fn $name($($arg: $type),*) $(-> $ret)? { $symbol($($arg),*) })*
    };
}

#[cfg(target_os = "none")]
upcalls! {
    /// arch::boot -> init: core 0 has reached Rust.
    fn boot_primary = tetra_boot_primary(info: BootInfo) -> !;
    /// arch::boot -> init::smp: another core has reached Rust.
    fn boot_secondary = tetra_boot_secondary(cpu: usize, entry_el: u8) -> !;
    /// arch::exception -> irq::dispatch: an interrupt was taken; hardirq is counted, irqs are masked.
    fn handle_irq = tetra_handle_irq(frame: &mut ExceptionFrame);
    /// arch::exception -> irq::exit: the count is 0 and something waits. True: switch the thread out.
    fn irq_exit_work = tetra_irq_exit_work() -> bool;
    /// arch::exception -> irq::exit: on the thread's stack, irqs masked: switch it out.
    fn preempt_from_irq = tetra_preempt_from_irq();
    /// arch::count -> irq::exit: a thread left its last section while something waits.
    fn count_zero_work = tetra_count_zero_work();
    /// arch::exception -> debug::fault: a synchronous exception, SError, or a vector that must never be taken.
    fn handle_fault = tetra_handle_fault(frame: &mut ExceptionFrame, vector: Vector);
    /// arch::exception -> debug::fault: a stack pointer left its stack.
    fn handle_stack_overflow = tetra_handle_stack_overflow(frame: &mut ExceptionFrame, vector: Vector);
    /// cpu, sync -> debug::attention: a core that spins with irqs off looks here whether a panic or a backtrace is wanted of it.
    fn answer_attention = tetra_answer_attention();
    /// log -> drivers: new records may be drained to the consoles.
    fn console_kick = tetra_console_kick();
    /// irq, debug -> platform: takes the highest pending interrupt; low ten bits: INTID, 1020 and above: none.
    fn irqchip_acknowledge = tetra_irqchip_acknowledge() -> u32;
    /// irq -> platform: ends what `irqchip_acknowledge` gave.
    fn irqchip_end = tetra_irqchip_end(raw: u32);
    /// irq, debug -> platform: a software-generated interrupt to the cores in `targets`; what was written before is visible to them.
    fn irqchip_send_sgi = tetra_irqchip_send_sgi(sgi: u8, targets: u32);
    /// irq -> platform: lets a line through, or not. False if the controller has no such line.
    fn irqchip_set_enabled = tetra_irqchip_set_enabled(line: u16, enabled: bool) -> bool;
    /// irq -> platform: the cores that may take a shared line. False if the controller has no such line.
    fn irqchip_set_affinity = tetra_irqchip_set_affinity(line: u16, cpus: u32) -> bool;
    /// time -> platform: this core's timer interrupts when the counter reaches this value; `u64::MAX`: never.
    fn timer_set_deadline = tetra_timer_set_deadline(deadline: u64);
    /// debug -> platform: what the board does after a panic's report: blink the code, then reboot after `reboot_after_s` seconds; 0: never.
    fn panic_end = tetra_panic_end(reboot_after_s: u32) -> !;
    /// init -> the image: its own code, on core 0, when everything runs. Defined by `tetra::entry!`.
    fn image_main = tetra_image_main() -> !;
    /// debug -> sched::thread: whose stack, or guard page below it, an address is in.
    fn thread_of_stack = tetra_thread_of_stack(address: usize) -> Option<&'static crate::cpu::Task>;
    /// sync -> debug::lock_report: return addresses of the caller, innermost first, 0 behind the last.
    fn lock_trace = tetra_lock_trace(trace: &[core::sync::atomic::AtomicUsize]);
    /// sync -> debug::lock_report: a lock's misuse or long wait: what, where it was taken, and the core to ask where it is now.
    fn lock_report = tetra_lock_report(what: core::fmt::Arguments<'_>, taken_at: &[core::sync::atomic::AtomicUsize], ask: Option<usize>);
    /// mm -> irq::ipi: runs the function on each core that runs the kernel, irqs masked, and waits. Context: thread, irqs on; at boot, on one core, any.
    fn on_all_cores = tetra_on_all_cores(f: &(dyn Fn() + Sync));
    /// mm -> sched::timeout: sleeps for about a tick where that is possible, else pauses for a moment. Context: any.
    fn wait_a_tick = tetra_wait_a_tick();
    /// sync -> sched::blocking: gives the core away in the state that the thread has set, until it is woken. Context: thread, irqs on, no section counted.
    fn schedule = tetra_schedule();
    /// sync -> sched::blocking: the same for at most `timeout`; what is left of it.
    fn schedule_timeout = tetra_schedule_timeout(timeout: core::time::Duration) -> core::time::Duration;
    /// sync -> sched::blocking: wakes `task` if it sleeps in a state that an event ends; full barrier before the look. Context: any.
    fn wake_task = tetra_wake_task(task: &'static crate::cpu::Task) -> bool;
    /// sync -> sched::blocking: a signal waits that ends a sleep of the running thread in `state`.
    fn is_signal_pending = tetra_is_signal_pending(state: crate::cpu::task::TaskState) -> bool;
    /// sync -> sched::blocking: reports a caller that must not sleep.
    fn might_sleep = tetra_might_sleep(place: &'static core::panic::Location<'static>);
    /// sync -> sched::blocking: `owner` runs on another core, and nothing more urgent waits for this one.
    fn may_spin_on = tetra_may_spin_on(owner: &'static crate::cpu::Task) -> bool;
    /// sync -> sched::blocking: the thread is over and gives nothing back any more.
    fn is_over = tetra_is_over(task: &'static crate::cpu::Task) -> bool;
    /// sync -> sched::blocking: one more lock of `owner` is waited for: it gets the urgency of `lender`, if that is more.
    fn begin_lending = tetra_begin_lending(owner: &'static crate::cpu::Task, lender: &'static crate::cpu::Task);
    /// sync -> sched::blocking: one more waiter for a lock of `owner`, and for those that `owner` itself waits for.
    fn raise_lending = tetra_raise_lending(owner: &'static crate::cpu::Task, lender: &'static crate::cpu::Task);
    /// sync -> sched::blocking: one lock less of `owner` is waited for; with the last one it has its own urgency again.
    fn end_lending = tetra_end_lending(owner: &'static crate::cpu::Task);
    /// sync -> sched::blocking: where the running thread notes the locks that it holds; `None` before there are threads.
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    fn held_locks = tetra_held_locks() -> Option<&'static crate::sync::held_locks::HeldLocks>;
    /// any -> debug::bug_report: misuse of an API that was survived: one WARN-like block with a backtrace.
    fn bug_report = tetra_bug_report(what: core::fmt::Arguments<'_>, place: &'static core::panic::Location<'static>);
}

#[cfg(not(target_os = "none"))]
mod host {
    /// Host: nobody else asks for attention.
    pub fn answer_attention() {}
    /// Host: nothing drains.
    pub fn console_kick() {}
    /// Host: no stack is walked.
    pub fn lock_trace(_trace: &[core::sync::atomic::AtomicUsize]) {}
    /// Host: misuse fails the test that did it.
    pub fn lock_report(what: core::fmt::Arguments<'_>, _taken_at: &[core::sync::atomic::AtomicUsize], _ask: Option<usize>) {
        panic!("{what}");
    }
    /// Host: no deferred work.
    pub fn count_zero_work() {}
    /// Host: each test thread looks after its own core.
    pub fn on_all_cores(f: &(dyn Fn() + Sync)) {
        f();
    }
    /// Host: others run.
    pub fn wait_a_tick() {
        crate::arch::relax();
    }
    /// Host: a test thread has no scheduler to give its core to.
    pub fn schedule() {
        crate::arch::relax();
    }
    /// Host: the whole time passes at once.
    pub fn schedule_timeout(_timeout: core::time::Duration) -> core::time::Duration {
        crate::arch::relax();
        core::time::Duration::ZERO
    }
    /// Host: waiters look again by themselves.
    pub fn wake_task(_task: &'static crate::cpu::Task) -> bool {
        false
    }
    /// Host: no signals.
    pub fn is_signal_pending(_state: crate::cpu::task::TaskState) -> bool {
        false
    }
    /// Host: test threads may always sleep.
    pub fn might_sleep(_place: &'static core::panic::Location<'static>) {}
    /// Host: who runs is not known.
    pub fn may_spin_on(_owner: &'static crate::cpu::Task) -> bool {
        false
    }
    /// Host: threads are not watched.
    pub fn is_over(_task: &'static crate::cpu::Task) -> bool {
        false
    }
    /// Host: no priorities.
    pub fn begin_lending(_owner: &'static crate::cpu::Task, _lender: &'static crate::cpu::Task) {}
    /// Host: no priorities.
    pub fn raise_lending(_owner: &'static crate::cpu::Task, _lender: &'static crate::cpu::Task) {}
    /// Host: no priorities.
    pub fn end_lending(_owner: &'static crate::cpu::Task) {}
    /// Host: nothing is noted.
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    pub fn held_locks() -> Option<&'static crate::sync::held_locks::HeldLocks> {
        None
    }
    /// Host: misuse fails the test that did it.
    pub fn bug_report(what: core::fmt::Arguments<'_>, place: &'static core::panic::Location<'static>) {
        panic!("{what} at {place}");
    }
}
#[cfg(not(target_os = "none"))]
pub use host::*;
