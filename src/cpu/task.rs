//! The task block: what is known of a thread, and `current`.
//!
//! Here is what boot needs: each core's idle task, whose stack is the one it booted on. TPIDR_EL0 names the running one, so `current` is one
//! instruction, and constant for a thread wherever it runs.

use super::NR_CPUS;
use crate::arch;
use core::fmt;

/// A thread, as reports and `current` know it.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Task {
    /// Number, unique as long as the thread lives; idle tasks have 0, as in Linux.
    pub pid: u32,
    /// Name, for reports.
    pub name: &'static str,
}

const fn idle(name: &'static str) -> Task {
    Task { pid: 0, name }
}

/// The idle task of each core: the first thing it runs, and what it runs when nothing else is ready.
static IDLE: [Task; NR_CPUS] = [idle("idle/0"), idle("idle/1"), idle("idle/2"), idle("idle/3")];

/// The idle task of core `cpu`.
pub fn idle_task(cpu: usize) -> &'static Task {
    &IDLE[cpu]
}

/// Makes this core's idle task the running one. Once for each core, before anything asks for `current`.
pub fn adopt_idle() {
    let task = &raw const IDLE[super::id()];
    // SAFETY: this core runs on its idle stack, and the block is a static.
    unsafe { arch::set_current(task as usize) };
}

/// The running thread; in a handler, the interrupted one. `None` before `adopt_idle`.
///
/// Context: any.
#[inline]
pub fn try_current() -> Option<&'static Task> {
    let address = arch::current() as *const Task;
    // SAFETY: TPIDR_EL0 is 0 or the address of a task block that outlives its thread, by the contract of `set_current`.
    unsafe { address.as_ref() }
}

/// The running thread; in a handler, the interrupted one.
///
/// # Panics
/// Before this core has adopted its idle task.
#[inline]
pub fn current() -> &'static Task {
    try_current().expect("a core adopts its idle task before it runs anything that asks")
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}
