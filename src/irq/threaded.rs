//! Lines whose devices are served by a thread: the handler only quiets the device and wakes it.
//!
//! For devices that need long, or a lock that sleeps. Each such line has a thread of its own, more urgent than ordinary ones, so that one slow device does
//! not hold up another, as it would in a work queue.
//!
//! | | who quiets the device | the line meanwhile |
//! |---|---|---|
//! | [`request_threaded`] | the handler makes it take its level back | open: other devices may share it |
//! | [`request_threaded_oneshot`] | the thread: the device is behind a bus that sleeps, say | masked until the thread has run, and nobody else's |
//!
//! Neighbours: [`lines`] (the action, and the word between handler and thread), `sched::kthread`.

use super::lines::{self, Action, Handler, IrqError, IrqReturn};
use crate::sched::kthread::{Builder, JoinHandle};
use crate::sched::{Priority, Thread};

/// Runs in the line's thread, and may sleep, with the number that was given when the line was requested.
pub type ThreadFn = fn(data: usize);

/// A handler and its thread on a line, to be given back by [`ThreadedAction::free`].
#[must_use = "dropped, the line and its thread stay for ever; say so with `leak`"]
#[derive(Debug)]
pub struct ThreadedAction {
    action: Action,
    thread: JoinHandle<()>,
}

/// Gives line `line` to `handler`, and what that leaves to `thread_fn` in a thread called `name`: Linux's `request_threaded_irq`. However often the handler
/// returns `WakeThread` while the function runs, it runs once more afterwards.
///
/// Context: thread. The handler may run before this returns.
///
/// # Errors
/// As for [`lines::request`]; `NoMemory` also if there is none for a thread.
///
/// # Examples
/// ```no_run
/// use tetra::irq::{self, IrqReturn};
/// fn quiets_device(_: usize) -> IrqReturn { IrqReturn::WakeThread }
/// fn does_the_rest(_: usize) { /* a thread: may sleep */ }
/// let action = irq::request_threaded(153, "uart", quiets_device, does_the_rest, 0)?;
/// action.free()?;
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn request_threaded(
    line: u16,
    name: &'static str,
    handler: Handler,
    thread_fn: ThreadFn,
    data: usize,
) -> Result<ThreadedAction, IrqError> {
    start_thread(lines::request(line, name, handler, data)?, name, thread_fn, data)
}

/// Gives line `line` to `thread_fn` alone, which serves the device in a thread called `name`. From the interrupt until the function has returned the line is
/// masked: Linux's `request_threaded_irq` without a handler and with `IRQF_ONESHOT`. What comes meanwhile comes then.
///
/// Context and errors: as for [`request_threaded`].
///
/// # Examples
/// ```no_run
/// use tetra::irq;
/// fn serves_device(_: usize) { /* a thread: may sleep; the line is masked until this returns */ }
/// irq::request_threaded_oneshot(153, "uart", serves_device, 0)?.leak(); // for ever
/// # Ok::<(), irq::IrqError>(())
/// ```
pub fn request_threaded_oneshot(line: u16, name: &'static str, thread_fn: ThreadFn, data: usize) -> Result<ThreadedAction, IrqError> {
    let action = lines::request_oneshot(line, name, |_| IrqReturn::WakeThread, data)?;
    start_thread(action, name, thread_fn, data)
}

fn start_thread(action: Action, name: &'static str, thread_fn: ThreadFn, data: usize) -> Result<ThreadedAction, IrqError> {
    let priority = Priority::IRQ_THREAD;
    let body = move || {
        while lines::wait_until_wanted(action) {
            thread_fn(data);
            lines::thread_is_done(action);
        }
    };
    match Builder::new(name).priority(priority).run(body) {
        Ok(thread) => Ok(ThreadedAction { action, thread }),
        Err(_) => {
            lines::free(action)?;
            Err(IrqError::NoMemory)
        }
    }
}

/// Says so if `thread`, which dies of an oops, was serving a line: nobody does its work from now on. A line that was masked for it stays so, since its
/// device was not quieted; the handler of another goes on, and asks in vain.
///
/// Context: the dying thread, irqs masked.
pub(crate) fn on_death(thread: &Thread) {
    if let Some((line, is_masked)) = lines::abandoned_by(thread) {
        let consequence = if is_masked { "the line stays masked" } else { "what its handler leaves to it is not done" };
        pr_err!("line {}: its thread {} has died: {}; give it back with `free` and request it anew", line, *thread, consequence);
    }
}

impl ThreadedAction {
    /// Takes the handler off its line, lets the thread do what it was asked for, and waits for the end of both.
    ///
    /// Context: thread, may sleep; not the line's own.
    ///
    /// # Errors
    /// As for [`lines::free`].
    pub fn free(self) -> Result<(), IrqError> {
        lines::take_off(self.action)?;
        // A thread that ended by a fault has ended as well.
        let _ = self.thread.stop();
        lines::release(self.action);
        Ok(())
    }

    /// Keeps line and thread for ever.
    pub fn leak(self) {
        self.thread.detach();
    }
}
