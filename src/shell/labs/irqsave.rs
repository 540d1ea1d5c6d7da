//! `lab irqsave`: a handler wants the lock of the thread that it interrupted.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu;
use crate::irq::ipi::{self, AsyncCall};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::sync::{IrqSpinLock, SpinLock};
use crate::time;
use crate::util::errno::Errno;
use core::time::Duration;

shell::lab! {
    name: "irqsave",
    place: Place::notes(3, 0),
    title: "an irq handler against a lock that was taken without irqsave",
    needs: 1,
    idea: "\
A thread holds a spinlock and is interrupted; the handler takes the same lock.
It waits for a thread that cannot run before the handler returns: one core is
enough for this deadlock. So whoever shares data with a handler keeps
interrupts off while it holds the lock: spin_lock_irqsave. Here an
IrqSpinLock cannot be taken in another way.",
    next: "lab tasklet, lab reader-writer-irq; docs/locking.md (Choosing)",
    run: run,
}

/// For data that, it was believed, only threads touch.
static TOO_WEAK: SpinLock<u64> = SpinLock::new(0);
static STRICT: IrqSpinLock<u64> = IrqSpinLock::new(0);
static HANDLER: AsyncCall = AsyncCall::new(&|| *STRICT.lock() += 1);

/// How long the handler tries. `lock` would try for ever; `debug_spinlock` panics instead, with both places.
const PATIENCE: Duration = Duration::from_millis(5);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("spin_lock in the thread; the handler comes while it is held")?;
    let (tries, was_taken) = (AtomicU64::new(0), AtomicBool::new(false));
    {
        let _held = TOO_WEAK.lock();
        ipi::interrupt_self(|| {
            let (guard, nr_tries) = team::try_for(PATIENCE, || TOO_WEAK.try_lock());
            tries.set(nr_tries);
            was_taken.set(guard.is_some());
        });
    }
    book.value("tries of the handler, in 5 ms", tries.read())?;
    book.claim("none succeeds: `lock` there would never have come back", !was_taken.read())?;
    lockdep_says(book)?;

    book.right("spin_lock_irqsave in the thread: the handler waits outside")?;
    let before = *STRICT.lock();
    let was_kept_out = {
        let mut held = STRICT.lock();
        // Pending from here on, on this very core.
        HANDLER.send(cpu::id()).map_err(Errno::from)?;
        time::udelay(1000);
        *held += 1;
        HANDLER.is_pending()
    };
    let (has_run, _) = team::try_for(Duration::from_secs(2), || (!HANDLER.is_pending()).then_some(()));
    let additions = *STRICT.lock() - before;
    book.claim("it is pending for 1 ms, and does not come in", was_kept_out)?;
    book.value("additions by the thread and the handler", additions)?;
    Ok(book.claim("it comes when the lock is free again", has_run.is_some() && additions == 2)?)
}

#[cfg(feature = "lockdep")]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    use super::paper::Paper;
    use crate::sync::lockdep::context::Context;
    use crate::sync::meta::{Access, LockKind};

    let mut paper = Paper::new();
    let lock = paper.lock(LockKind::Spinning);
    let as_thread = paper.take(lock, Access::Exclusive);
    paper.give_back(lock);
    paper.enter(Context::HARDIRQ);
    let as_handler = paper.take(lock, Access::Exclusive);
    let found = as_thread.and(as_handler).err();
    book.claim("lockdep says so without the two having met:", found.is_some())?;
    found.map_or(Ok(()), |violation| paper.tell(book, &violation))
}

#[cfg(not(feature = "lockdep"))]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    book.note("(this build has no lockdep: `make qemu` has)")
}
