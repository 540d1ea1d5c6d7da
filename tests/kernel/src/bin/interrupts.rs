//! Interrupt lines: requesting, sharing, freeing, moving; lines that run wild; calls between cores.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use tetra::drivers::gicv2::IntId;
use tetra::irq::ipi::{self, AsyncCall, AsyncError};
use tetra::irq::{self, IrqError, IrqReturn, lines, wild_line};
use tetra::platform::hardware::gic;
use tetra::{arch, cpu, init, sched, time};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Lines of no device; made pending by software.
const FREE_LINE: u16 = 200;

fn wait_until(done: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(10);
    while !done() {
        if time::uptime() > deadline {
            return false;
        }
        arch::relax();
    }
    true
}

fn intid(line: u16) -> IntId {
    IntId::new(line).expect("a line of the controller")
}

/// Raises the line as its device would.
fn raise(line: u16) {
    check!(gic().set_pending(intid(line)).is_ok());
}

static CALLS: [AtomicU32; 8] = [const { AtomicU32::new(0) }; 8];

fn calls(which: usize) -> u32 {
    CALLS[which].load(Ordering::Relaxed)
}

/// Counts, and claims the interrupt.
fn claim(which: usize) -> IrqReturn {
    CALLS[which].fetch_add(1, Ordering::Relaxed);
    IrqReturn::Handled
}

/// Counts, and says that it was somebody else's.
fn decline(which: usize) -> IrqReturn {
    CALLS[which].fetch_add(1, Ordering::Relaxed);
    IrqReturn::None
}

case!(a_line_is_requested_taken_and_freed);
fn a_line_is_requested_taken_and_freed() {
    let before = calls(0);
    let action = irq::request(FREE_LINE, "test", claim, 0).expect("nobody has it");
    check_eq!(irq::request(FREE_LINE, "other", claim, 1), Err(IrqError::Busy));
    check_eq!(irq::request_shared(FREE_LINE, "other", claim, 1), Err(IrqError::Busy));
    raise(FREE_LINE);
    check!(wait_until(|| calls(0) == before + 1));
    check!(lines::status().any(|status| status.line == FREE_LINE as usize && status.names[..] == ["test"]));

    check_eq!(irq::free(action), Ok(()));
    check_eq!(irq::free(action), Err(IrqError::NotRequested));
    check!(!gic().is_enabled(intid(FREE_LINE)));
    check!(irq::request(FREE_LINE, "again", claim, 0).is_ok_and(|again| again != action && irq::free(again).is_ok()));
    check_eq!(irq::request(1000, "none", claim, 0), Err(IrqError::NoSuchLine));
}

case!(devices_share_a_line);
fn devices_share_a_line() {
    const LINE: u16 = 201;
    let first = irq::request_shared(LINE, "first", decline, 1).expect("nobody has it");
    let second = irq::request_shared(LINE, "second", claim, 2).expect("the first shares it");
    let third = irq::request_shared(LINE, "third", decline, 3).expect("they share it");
    check_eq!(irq::request(LINE, "alone", claim, 4), Err(IrqError::Busy));
    for round in 1..=3 {
        raise(LINE);
        check!(wait_until(|| calls(1) == round && calls(2) == round && calls(3) == round));
    }
    check_eq!(irq::free(second), Ok(()));
    raise(LINE);
    check!(wait_until(|| calls(3) == 4));
    check_eq!((calls(1), calls(2)), (4, 3));
    check!(gic().is_enabled(intid(LINE)) && irq::free(first).is_ok() && irq::free(third).is_ok());
    check!(!gic().is_enabled(intid(LINE)));
}

case!(free_waits_for_a_handler_that_runs);
fn free_waits_for_a_handler_that_runs() {
    const LINE: u16 = 202;
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static ENDED: AtomicBool = AtomicBool::new(false);
    fn slow(_: usize) -> IrqReturn {
        BEGUN.store(true, Ordering::Release);
        time::udelay(30_000);
        ENDED.store(true, Ordering::Release);
        IrqReturn::Handled
    }
    let action = irq::request(LINE, "slow", slow, 0).expect("nobody has it");
    check_eq!(irq::set_affinity(LINE, 1 << 2), Ok(()));
    raise(LINE);
    check!(wait_until(|| BEGUN.load(Ordering::Acquire)));
    check_eq!(irq::free(action), Ok(()));
    check!(ENDED.load(Ordering::Acquire));
}

case!(a_line_goes_to_the_core_that_it_is_given_to);
fn a_line_goes_to_the_core_that_it_is_given_to() {
    const LINE: u16 = 203;
    static TAKEN_BY: AtomicU32 = AtomicU32::new(99);
    fn note(_: usize) -> IrqReturn {
        TAKEN_BY.store(cpu::id() as u32, Ordering::Relaxed);
        IrqReturn::Handled
    }
    let action = irq::request(LINE, "wanderer", note, 0).expect("nobody has it");
    for cpu in [3, 1, 2, 0] {
        check_eq!(irq::set_affinity(LINE, 1 << cpu), Ok(()));
        raise(LINE);
        check!(wait_until(|| TAKEN_BY.load(Ordering::Relaxed) == cpu));
    }
    check_eq!(irq::set_affinity(LINE, 0), Err(IrqError::NoSuchCpu));
    check_eq!(irq::set_affinity(27, 1), Err(IrqError::PerCpu));
    check_eq!(irq::free(action), Ok(()));
}

case!(a_disabled_line_waits);
fn a_disabled_line_waits() {
    const LINE: u16 = 204;
    let before = calls(4);
    let action = irq::request(LINE, "sleeper", claim, 4).expect("nobody has it");
    check!(lines::disable(LINE).is_ok() && lines::disable(LINE).is_ok() && lines::enable(LINE).is_ok());
    raise(LINE);
    time::udelay(10_000);
    check_eq!(calls(4), before);
    check_eq!(lines::enable(LINE), Ok(()));
    check!(wait_until(|| calls(4) == before + 1));
    check_eq!(irq::free(action), Ok(()));
}

case!(each_core_has_a_line_of_its_own);
fn each_core_has_a_line_of_its_own() {
    // The physical timer's, which nobody uses: made pending by software on each core.
    const LINE: u16 = 30;
    static SEEN: AtomicU32 = AtomicU32::new(0);
    fn note(_: usize) -> IrqReturn {
        SEEN.fetch_or(1 << cpu::id(), Ordering::Relaxed);
        IrqReturn::Handled
    }
    let action = irq::request(LINE, "per core", note, 0).expect("nobody has it");
    for cpu in 0..4 {
        check!(ipi::call_on(cpu, || check!(lines::enable_on_this_cpu(LINE).is_ok() && gic().set_pending(intid(LINE)).is_ok())).is_ok());
    }
    check!(wait_until(|| SEEN.load(Ordering::Relaxed) == 0b1111));
    for cpu in 0..4 {
        check!(ipi::call_on(cpu, || check!(lines::disable_on_this_cpu(LINE).is_ok())).is_ok());
    }
    check_eq!(irq::free(action), Ok(()));
}

case!(a_line_that_no_handler_claims_is_masked);
fn a_line_that_no_handler_claims_is_masked() {
    const LINE: u16 = 205;
    let action = irq::request(LINE, "not mine", decline, 5).expect("nobody has it");
    let mut raised = 0;
    while gic().is_enabled(intid(LINE)) && raised < 2000 {
        raised += 1;
        let before = calls(5);
        // Raised by the kernel, so that it is no storm, however fast this goes.
        wild_line::note_software(LINE);
        raise(LINE);
        check!(wait_until(|| calls(5) > before || !gic().is_enabled(intid(LINE))));
    }
    check!(!gic().is_enabled(intid(LINE)));
    check_eq!(calls(5), 1000);
    check_eq!(irq::free(action), Ok(()));
}

case!(a_storm_on_one_line_leaves_the_machine_usable);
fn a_storm_on_one_line_leaves_the_machine_usable() {
    const LINE: u16 = 206;
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    /// A device that never takes its level back.
    fn stuck(which: usize) -> IrqReturn {
        if !IS_OVER.load(Ordering::Relaxed) {
            let _ = gic().set_pending(intid(LINE));
        }
        claim(which)
    }
    for cpu in [0, 2] {
        let action = irq::request(LINE, "stuck", stuck, 6).expect("nobody has it");
        check_eq!(irq::set_affinity(LINE, 1 << cpu), Ok(()));
        raise(LINE);
        // On core 0 this thread goes on only because the line is masked.
        check!(wait_until(|| !gic().is_enabled(intid(LINE))));
        check!(calls(6) > 1000);
        IS_OVER.store(true, Ordering::Relaxed);
        check_eq!(lines::enable(LINE), Ok(()));
        check!(wait_until(|| !gic().is_pending(intid(LINE))));
        check_eq!(irq::free(action), Ok(()));
        IS_OVER.store(false, Ordering::Relaxed);
    }
}

case!(a_call_that_nobody_waits_for_runs_once);
fn a_call_that_nobody_waits_for_runs_once() {
    static RAN_ON: AtomicU32 = AtomicU32::new(0);
    static CALL: AsyncCall = AsyncCall::new(&|| _ = RAN_ON.fetch_or(1 << cpu::id(), Ordering::Relaxed));
    for cpu in 0..4 {
        check_eq!(CALL.send(cpu), Ok(()));
        check!(wait_until(|| !CALL.is_pending()));
    }
    check_eq!(RAN_ON.load(Ordering::Relaxed), 0b1111);
    check_eq!(CALL.send(7), Err(AsyncError::Offline));
    {
        let _irqs_off = cpu::IrqGuard::new();
        check_eq!(CALL.send(cpu::id()), Ok(()));
        check_eq!(CALL.send(cpu::id()), Err(AsyncError::Busy));
    }
    check!(wait_until(|| !CALL.is_pending()));
}

case!(a_call_to_a_set_of_cores_runs_on_those);
fn a_call_to_a_set_of_cores_runs_on_those() {
    let ran = AtomicU32::new(0);
    check_eq!(ipi::call_on_mask(0b1010, || _ = ran.fetch_or(1 << cpu::id(), Ordering::Relaxed)), Ok(()));
    check_eq!(ran.load(Ordering::Relaxed), 0b1010);
    check_eq!(ipi::call_on_mask(0b1_0010, || _ = ran.fetch_or(1, Ordering::Relaxed)), Err(ipi::CpuOffline(4)));
    check_eq!(ran.load(Ordering::Relaxed), 0b1010);
}

case!(busy_cores_take_their_interrupts);
fn busy_cores_take_their_interrupts() {
    check!(init::call_in_idle_thread(1, || time::mdelay(100)));
    let before = calls(7);
    let action = irq::request(207, "busy", claim, 7).expect("nobody has it");
    check_eq!(irq::set_affinity(207, 1 << 1), Ok(()));
    raise(207);
    check!(wait_until(|| calls(7) == before + 1));
    check_eq!(irq::free(action), Ok(()));
}

case!(a_threaded_handler_does_the_rest_in_its_thread);
fn a_threaded_handler_does_the_rest_in_its_thread() {
    const LINE: u16 = 208;
    static QUIETED: AtomicU32 = AtomicU32::new(0);
    static SERVED: AtomicU32 = AtomicU32::new(0);
    fn quiet(_: usize) -> IrqReturn {
        check!(cpu::in_hardirq());
        QUIETED.fetch_add(1, Ordering::Relaxed);
        IrqReturn::WakeThread
    }
    fn serve(_: usize) {
        check!(cpu::in_task() && !cpu::is_atomic());
        sched::msleep(2);
        SERVED.fetch_add(1, Ordering::Relaxed);
    }
    let action = irq::request_threaded(LINE, "irq/208-slow", quiet, serve, 0).expect("nobody has it");
    for round in 1..=3 {
        raise(LINE);
        check!(wait_until(|| SERVED.load(Ordering::Relaxed) == round));
    }
    check_eq!(QUIETED.load(Ordering::Relaxed), 3);
    // Asked for and not begun: done before the end.
    raise(LINE);
    check!(wait_until(|| QUIETED.load(Ordering::Relaxed) == 4));
    check_eq!(action.free(), Ok(()));
    check_eq!(SERVED.load(Ordering::Relaxed), 4);
    check!(irq::request(LINE, "again", claim, 0).is_ok_and(|again| irq::free(again).is_ok()));
}

case!(a_oneshot_line_is_masked_until_its_thread_has_run);
fn a_oneshot_line_is_masked_until_its_thread_has_run() {
    const LINE: u16 = 209;
    static SERVED: AtomicU32 = AtomicU32::new(0);
    static OVERLAPS: AtomicU32 = AtomicU32::new(0);
    static GO_ON: AtomicBool = AtomicBool::new(false);
    fn serve(_: usize) {
        OVERLAPS.fetch_add(u32::from(gic().is_enabled(intid(LINE))), Ordering::Relaxed);
        while !GO_ON.load(Ordering::Relaxed) {
            sched::msleep(2);
        }
        SERVED.fetch_add(1, Ordering::Relaxed);
    }
    let action = irq::request_threaded_oneshot(LINE, "irq/209-oneshot", serve, 0).expect("nobody has it");
    raise(LINE);
    check!(wait_until(|| !gic().is_enabled(intid(LINE))));
    // What comes while the thread runs waits for it, and a pair of calls in between does not let it through.
    raise(LINE);
    check_eq!((lines::disable(LINE), lines::enable(LINE)), (Ok(()), Ok(())));
    check!(!gic().is_enabled(intid(LINE)));
    check_eq!(SERVED.load(Ordering::Relaxed), 0);
    GO_ON.store(true, Ordering::Relaxed);
    check!(wait_until(|| SERVED.load(Ordering::Relaxed) == 2));
    check!(wait_until(|| gic().is_enabled(intid(LINE))));
    // Disabled meanwhile, the thread's end does not let it through.
    GO_ON.store(false, Ordering::Relaxed);
    raise(LINE);
    check!(wait_until(|| !gic().is_enabled(intid(LINE))));
    check_eq!(lines::disable(LINE), Ok(()));
    GO_ON.store(true, Ordering::Relaxed);
    check!(wait_until(|| SERVED.load(Ordering::Relaxed) == 3));
    sched::msleep(20);
    check!(!gic().is_enabled(intid(LINE)));
    check_eq!(lines::enable(LINE), Ok(()));
    check!(gic().is_enabled(intid(LINE)));
    check_eq!(action.free(), Ok(()));
    check!(!gic().is_enabled(intid(LINE)));
    check_eq!(OVERLAPS.load(Ordering::Relaxed), 0);
}
