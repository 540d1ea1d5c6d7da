//! What `debug_spinlock` found, printed: where the lock was taken, where it was noticed, and where its holder is now.
//!
//! Whoever reports may hold locks, have irqs off, or be in a handler; so this takes none, asks another core through its attention word, and goes on
//! without an answer if none comes. Reports of two cores do not mix: the second waits a bounded time for the first.

use super::attention;
use super::backtrace::{self, Trace};
use super::symbols::Named;
use crate::arch::{self, layout::STACK_SIZE};
use crate::cpu;
use crate::log::{Level, emit};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How long a core that is asked where it is, or another report, is waited for.
const WAIT_MILLIS: u64 = 500;
const RECORD_SIZE: usize = 16;

/// A core prints a report.
static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// Upcall of sync: fills `trace` with the return addresses of the caller's frames on the stack in use; 0 behind the last.
///
/// Context: any. On each taking of a lock, so cheap: a frame is two loads, and no translation is asked for, since the frames lie on this
/// very stack.
#[unsafe(no_mangle)]
fn tetra_lock_trace(trace: &[AtomicUsize]) {
    let (_, mut fp) = arch::position();
    let stack = arch::stack_pointer() / STACK_SIZE;
    let mut slots = trace.iter();
    for slot in slots.by_ref() {
        let is_on_stack = fp % RECORD_SIZE == 0 && fp / STACK_SIZE == stack && fp >= arch::stack_pointer();
        if !is_on_stack {
            slot.store(0, Ordering::Relaxed);
            break;
        }
        // SAFETY: aligned, above the stack pointer and on the stack that it is on, which is mapped up to its end.
        let [next, address] = unsafe { (fp as *const [usize; 2]).read_volatile() };
        slot.store(address, Ordering::Relaxed);
        fp = if next > fp { next } else { 0 };
    }
    if let Some(end) = slots.next() {
        end.store(0, Ordering::Relaxed);
    }
}

/// Upcall of sync: prints a report. Context: any.
#[unsafe(no_mangle)]
fn tetra_lock_report(what: fmt::Arguments<'_>, taken_at: &[AtomicUsize], ask: Option<usize>) {
    let is_ours = attention::wait_until(WAIT_MILLIS, || !IS_BUSY.swap(true, Ordering::Acquire));
    line(format_args!("spinlock: {what}"));
    line(format_args!("spinlock: noticed on cpu{} in {}, at:", cpu::id(), cpu::context::name()));
    frames(&Trace::from(backtrace::here()));
    if ask.is_some() {
        line(format_args!("spinlock: taken at:"));
        for address in taken_at.iter().map(|slot| slot.load(Ordering::Relaxed)).take_while(|address| *address != 0) {
            line(format_args!("  {address:#018x} {}", Named::return_to(address)));
        }
    }
    if let Some(cpu) = ask.filter(|cpu| *cpu != cpu::id() && cpu::is_online(*cpu)) {
        ask_core(cpu);
    }
    if is_ours {
        IS_BUSY.store(false, Ordering::Release);
    }
}

/// Prints where core `cpu` is now.
fn ask_core(cpu: usize) {
    match attention::ask(cpu, WAIT_MILLIS) {
        Some(position) => {
            line(format_args!("spinlock: cpu{cpu} is now (count {:#x}) at:", position.count));
            frames(&position.trace);
        }
        None => line(format_args!("spinlock: cpu{cpu} does not say where it is: it runs with irqs off")),
    }
}

fn frames(trace: &Trace) {
    line(format_args!("  {:#018x} {}", trace.pc, Named::exact(trace.pc)));
    for frame in &trace.frames {
        line(format_args!("  {:#018x} {}", frame.address, Named::return_to(frame.address)));
    }
}

fn line(text: fmt::Arguments<'_>) {
    emit(Level::Err, "", text);
}
