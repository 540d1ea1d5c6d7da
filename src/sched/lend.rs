//! A body that borrows from its caller, run in a thread of its own while the caller waits: so that its end by a fault is not the caller's.
//!
//! What the shell runs commands in. A thread made by `kthread` must own what it uses, since nobody can promise that its maker's frames stand; here they
//! do, because the maker waits in them. Rejected: a copy of all that a command may use, which for the shell is a terminal, its history and 64 KiB.

use super::kthread::{Builder, Oopsed, SpawnError};
use super::thread::current;

/// Body and result, in the frame of who waits.
struct Lent<F, R> {
    body: Option<F>,
    result: Option<R>,
}

/// Runs `body` in a thread called `name`, with the priority and on the cores of the caller, and waits for it.
///
/// Context: thread, may sleep.
///
/// # Errors
/// `SpawnError` if there is no thread to be had; `body` was dropped then. `Oopsed`, inside, if it died.
///
/// # Safety
/// `body` may use what it captures on another thread while the caller waits: no guard of the caller's is among it. After `Oopsed` the caller does not use
/// what `body` could change by exclusive borrows, but makes it anew: it may be half changed, and no destructor has run to mend it.
pub unsafe fn run_lent<R>(name: &str, body: impl FnOnce() -> R) -> Result<Result<R, Oopsed>, SpawnError> {
    let mut lent = Lent { body: Some(body), result: None };
    let (at, call) = ((&raw mut lent).addr(), caller_of(&lent));
    // The address is exposed for the thread, which makes a pointer of it again.
    let _ = (&raw mut lent).expose_provenance();
    let me = current();
    let builder = Builder::new(name).priority(me.priority()).affinity(me.affinity());
    let handle = builder.run(move || {
        // SAFETY: `call` is for what lies at this address, which stands until this thread is over, since the join below comes back for nothing else.
        unsafe { call(at) }
    })?;
    Ok(handle.join().and_then(|()| lent.result.take().ok_or(Oopsed)))
}

/// The function that runs what `lent` holds: its types cannot be named in a thread's closure, which must live longer than they do.
fn caller_of<F: FnOnce() -> R, R>(_lent: &Lent<F, R>) -> unsafe fn(usize) {
    run::<F, R>
}

/// Runs the body and leaves its result.
///
/// # Safety
/// At `at` stands a `Lent<F, R>` that nobody else uses meanwhile.
unsafe fn run<F: FnOnce() -> R, R>(at: usize) {
    let lent: *mut Lent<F, R> = core::ptr::with_exposed_provenance_mut(at);
    // SAFETY: by the contract.
    let lent = unsafe { &mut *lent };
    lent.result = lent.body.take().map(|body| body());
}
