//! A command in a thread of its own: one that faults ends itself, and the prompt comes back.
//!
//! The shell waits in its own thread, which the kernel cannot do without. If there is no thread to be had, a thousand oopses later or without memory, the
//! command runs in the shell's: then its fault is the kernel's end, but the prompt still answers.

use super::command::CommandError;
#[cfg(target_os = "none")]
use crate::sched::lend;

/// Runs `body`, which `name` stands for, and gives its result.
///
/// What `body` changes by exclusive borrows must not be used after `Oopsed`, but made anew.
///
/// Context: thread, may sleep.
///
/// # Errors
/// `Oopsed` if it died, else what it returned.
#[cfg(target_os = "none")]
pub(super) fn run(name: &str, body: impl FnOnce() -> Result<(), CommandError>) -> Result<(), CommandError> {
    let mut body = Some(body);
    let mut call = || body.take().map_or(Ok(()), |body| body());
    // SAFETY: a shell holds no guard while it runs a command. After `Oopsed` it goes on with its terminal, whose cells are whole words, and with filters
    // and buffers that are made anew for each line.
    match unsafe { lend::run_lent(name, &mut call) } {
        Ok(Ok(result)) => result,
        Ok(Err(_oopsed)) => Err(CommandError::Oopsed),
        Err(_) => call(),
    }
}

/// Host: a test's command runs in the test's thread.
#[cfg(not(target_os = "none"))]
pub(super) fn run(_name: &str, body: impl FnOnce() -> Result<(), CommandError>) -> Result<(), CommandError> {
    body()
}
