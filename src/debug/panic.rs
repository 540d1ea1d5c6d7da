//! The end of a kernel: one report, whatever the other cores and the logger are doing.
//!
//! No lock, no allocation, bounded waits. The first core to get here owns the report. It stops the others first, so that nothing is printed
//! between its lines and nobody runs on over broken data; one that panics meanwhile halts and is shown with its own cause. The owner coming
//! again means that the report itself failed, and then ever less is tried: first one line, then nothing but the end.
//!
//! | nesting on the owner | what is still done |
//! |---|---|
//! | 0 | all: log, report, other cores, end |
//! | 1 | one line with the cause of the second panic, end |
//! | 2 | the end: the emulator ends, a board blinks and reboots or waits |
//! | 3 and more | the core halts |

use super::attention;
use super::backtrace::{self, Start};
use super::fault::FaultCause;
use super::report;
use crate::arch::{self, semihosting};
use crate::cpu::local::attention::STOP;
use crate::cpu::{self, PreemptGuard};
use crate::log;
use crate::per_cpu;
use crate::upcalls;
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Exit code that QEMU ends with after a panic.
pub const EXIT_CODE: u32 = 101;
/// How long the other cores may take to stop; it is waited for only by who has lost one. Emulated cores share a busy host.
const STOP_MILLIS: u64 = 3000;
const NOBODY: usize = usize::MAX;

/// The core that writes the report.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);
static NESTING: AtomicUsize = AtomicUsize::new(0);
per_cpu! {
    /// What a core wanted to report that came second. It lies on that core's stack, which nobody leaves any more.
    static SECOND_CAUSE: AtomicPtr<Cause<'static>> = AtomicPtr::new(ptr::null_mut());
}

/// `panic=`: seconds until reboot; 0: halt.
static REBOOT_AFTER_S: AtomicU32 = AtomicU32::new(0);

/// Why the kernel ends.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// `panic!` and what uses it.
    Rust(&'a PanicInfo<'a>),
    /// An exception.
    Fault(FaultCause<'a>),
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust(info) => match info.location() {
                Some(place) => write!(f, "{} at {place}", info.message()),
                None => write!(f, "{}", info.message()),
            },
            Self::Fault(fault) => write!(f, "{fault}"),
        }
    }
}

/// Sets `panic=`: seconds from the report to the reboot; 0 halts.
pub fn set_reboot_after(seconds: u32) {
    REBOOT_AFTER_S.store(seconds, Ordering::Relaxed);
}

/// Ends the kernel and not only the thread that asks: Linux's `panic()`.
///
/// Context: any.
#[track_caller]
pub fn end_kernel(why: fmt::Arguments<'_>) -> ! {
    // With a depth counted no panic is an oops.
    let _kernel_and_not_thread = PreemptGuard::new();
    panic!("{why}");
}

/// True once a panic has begun. Context: any.
pub fn is_panicking() -> bool {
    OWNER.load(Ordering::Relaxed) != NOBODY
}

/// True once the report of a panic has itself panicked. Context: any.
pub fn is_nested() -> bool {
    NESTING.load(Ordering::Relaxed) != 0
}

#[cfg(not(test))]
#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    // Comes back if more than the thread is broken.
    upcalls::die_of_panic(info, backtrace::here());
    enter(Cause::Rust(info))
}

/// Reports `cause` and ends the kernel.
///
/// Context: any.
#[inline(never)]
pub fn enter(cause: Cause<'_>) -> ! {
    let here = backtrace::here();
    arch::irq::mask();
    let me = cpu::id();
    match OWNER.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => report_all(&cause, here),
        Err(owner) if owner != me => {
            SECOND_CAUSE.this().store((&raw const cause).cast_mut().cast(), Ordering::Relaxed);
            attention::record_and_halt()
        }
        Err(_) => report_less(&cause),
    }
}

fn report_all(cause: &Cause<'_>, here: Start) -> ! {
    let others = cpu::online_mask() & !(1 << cpu::id());
    attention::request(others, STOP);
    attention::wait_for_answers(others, STOP_MILLIS);

    log::raise_for_panic();
    log::flush_in_panic();
    let mut out = log::panic_writer();
    // A writer that fails has no better place to say so.
    let _ = write_report(&mut out, cause, here);
    let _ = write_other_cores(&mut out, others);
    end(&mut out);
}

fn report_less(cause: &Cause<'_>) -> ! {
    let mut out = log::panic_writer();
    match NESTING.fetch_add(1, Ordering::Relaxed) {
        0 => {
            let _ = writeln!(out, "\npanic while panicking on cpu{}: {cause}", cpu::id());
            end(&mut out);
        }
        1 => {
            semihosting::exit(EXIT_CODE);
            upcalls::panic_end(REBOOT_AFTER_S.load(Ordering::Relaxed))
        }
        _ => arch::halt(),
    }
}

fn write_report(out: &mut dyn Write, cause: &Cause<'_>, here: Start) -> fmt::Result {
    writeln!(out, "\nKernel panic on cpu{}: {cause}", cpu::id())?;
    report::write_context(out)?;
    match cause {
        Cause::Rust(_) => report::write_backtrace(out, here),
        Cause::Fault(fault) => {
            report::write_registers(out, fault.frame)?;
            report::write_backtrace(out, fault.start())
        }
    }
}

fn write_other_cores(out: &mut dyn Write, others: u32) -> fmt::Result {
    for cpu in cpu::online().filter(|cpu| others & (1 << cpu) != 0) {
        let Some(position) = attention::answer_of(cpu) else {
            writeln!(out, "cpu{cpu} did not answer within {STOP_MILLIS} ms: it runs with irqs off, or its stack is gone")?;
            continue;
        };
        // SAFETY: null, or on the stack of a core that has halted for good; its answer, loaded with acquire, came after this was stored.
        if let Some(cause) = unsafe { SECOND_CAUSE.on(cpu).load(Ordering::Relaxed).as_ref() } {
            writeln!(out, "cpu{cpu} panicked as well: {cause}")?;
        }
        write!(out, "cpu{cpu} was in ")?;
        match position.task {
            Some(task) => write!(out, "{task}")?,
            None => out.write_str("no thread")?,
        }
        writeln!(out, ", count {:#x}, backtrace:", position.count)?;
        write!(out, "{}", position.trace)?;
    }
    Ok(())
}

fn end(out: &mut dyn Write) -> ! {
    let seconds = REBOOT_AFTER_S.load(Ordering::Relaxed);
    let _ = match (semihosting::is_available(), seconds) {
        (true, _) => writeln!(out, "end of report; leaving the emulator with code {EXIT_CODE}"),
        (_, 0) => writeln!(out, "end of report; halted (boot with panic=10 to reboot after 10 s)"),
        _ => writeln!(out, "end of report; rebooting in {seconds} s"),
    };
    semihosting::exit(EXIT_CODE);
    upcalls::panic_end(seconds)
}
