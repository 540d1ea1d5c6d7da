//! `lab reader-writer-irq`: a thread reads, its interrupt wants to write.

use super::notebook::Notebook;
use super::{Place, team};
use crate::cpu;
use crate::irq::ipi::{self, AsyncCall};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::RwLock;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::util::errno::Errno;
use core::time::Duration;

shell::lab! {
    name: "reader-writer-irq",
    place: Place::notes(4, 1),
    title: "a reader in a thread, a writer or a reader in an irq handler",
    needs: 1,
    idea: "\
If a handler writes, the thread's *readers* need interrupts off: the handler
would wait for a reader that it interrupted. If handlers only read, readers
may leave interrupts on; then it is the writers that need them off.

  handler   thread reads by        thread writes by
  reads     read_lock              write_lock_irqsave
  writes    read_lock_irqsave      write_lock_irqsave",
    next: "lab irqsave; src/sync/raw/rw.rs; docs/locking.md (Readers and writers)",
    run: run,
}

/// Read with interrupts on, wrongly; apart from `TABLE`, since lockdep would report the two together.
static READ_WRONGLY: RwLock<u64> = RwLock::new(0);
static TABLE: RwLock<u64> = RwLock::new(0);
static WRITER: AsyncCall = AsyncCall::new(&|| *TABLE.write_irqsave() += 1);
const PATIENCE: Duration = Duration::from_millis(5);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("read_lock in the thread, the handler writes")?;
    let (tries, has_written) = (AtomicU64::new(0), AtomicBool::new(false));
    {
        let _reading = READ_WRONGLY.read();
        ipi::interrupt_self(|| {
            let (writing, nr_tries) = team::try_for(PATIENCE, || READ_WRONGLY.try_write_irqsave());
            tries.set(nr_tries);
            has_written.set(writing.is_some());
        });
    }
    book.value("tries of the handler, in 5 ms", tries.read())?;
    book.claim("none succeeds: it waits for whom it interrupted", !has_written.read())?;

    book.right("read_lock_irqsave in the thread: the handler waits outside")?;
    let before = *TABLE.read_irqsave();
    let (seen_twice, was_pending) = {
        let reading = TABLE.read_irqsave();
        let first = *reading;
        WRITER.send(cpu::id()).map_err(Errno::from)?;
        (first == *reading, WRITER.is_pending())
    };
    let (has_run, _) = team::try_for(Duration::from_secs(2), || (!WRITER.is_pending()).then_some(()));
    let after = *TABLE.read_irqsave();
    book.claim("the value stays as long as the reader is inside", seen_twice && was_pending)?;
    book.claim("then the handler writes", has_run.is_some() && after == before + 1)?;

    book.right("read_lock in the thread, and the handler reads too: no wait")?;
    Ok(book.claim("both are inside at once", readers_meet())?)
}

/// A handler reads a lock that the thread under it reads with interrupts on: one that nobody writes in a handler.
fn readers_meet() -> bool {
    static READ_IN_IRQ: RwLock<u64> = RwLock::new(7);
    let seen = AtomicU64::new(0);
    let reading = READ_IN_IRQ.read();
    ipi::interrupt_self(|| {
        if let Some(value) = READ_IN_IRQ.try_read() {
            seen.set(*value);
        }
    });
    seen.read() == *reading
}
