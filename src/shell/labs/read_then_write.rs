//! `lab read-then-write`: a reader that wants to become the writer waits for itself.

use super::notebook::{Notebook, YesNo};
use super::{Place, team};
use crate::cpu::NR_CPUS;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::RwLock;
use core::time::Duration;

shell::lab! {
    name: "read-then-write",
    place: Place::notes(4, 0),
    title: "read_lock, then write_lock of the same lock",
    needs: 1,
    idea: "\
A writer waits until all readers are out. If one of them is the writer
itself, that is never. There is no way up from reading to writing, also not
for one reader alone: two that both wanted up would wait for each other.

Look first as a reader; if something is to be done, let go, take the lock as
a writer, and LOOK AGAIN: others were there in between.",
    next: "lab reader-writer-irq; src/sync/rwlock.rs, src/sync/raw/rw.rs",
    run: run,
}

static VALUE: RwLock<u64> = RwLock::new(0);
const PATIENCE: Duration = Duration::from_millis(5);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("read_lock(&l); write_lock(&l)")?;
    let reading = VALUE.read();
    let (writing, nr_tries) = team::try_for(PATIENCE, || VALUE.try_write());
    book.value("tries to write in 5 ms", nr_tries)?;
    book.claim("none succeeds while the reader is inside", writing.is_none())?;
    drop((reading, writing));
    lockdep_says(book)?;

    book.right("all cores: look; if it is 0, let go, take it to write, look again")?;
    *VALUE.write() = 0;
    let cores = team::on_cores(NR_CPUS, |_| {
        if *VALUE.read() == 0 {
            let mut value = VALUE.write();
            if *value == 0 {
                *value = 1;
            }
        }
    })?;
    let value = *VALUE.read();
    book.value("cores that wanted to set it", cores)?;
    book.claim("it was set, by one of them", value == 1)?;

    book.right("nor is there a way down: a new look is a new read_lock")?;
    *VALUE.write() += 1;
    let seen = *VALUE.read();
    book.value("lock free again", YesNo(!VALUE.is_locked()))?;
    Ok(book.claim("what was written is read", seen == 2)?)
}

#[cfg(feature = "lockdep")]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    use super::paper::Paper;
    use crate::sync::meta::{Access, LockKind};

    let mut paper = Paper::new();
    let lock = paper.lock(LockKind::Spinning);
    let found = paper.take(lock, Access::Shared).and_then(|()| paper.take(lock, Access::Exclusive)).err();
    book.claim("lockdep says:", found.is_some())?;
    found.map_or(Ok(()), |violation| paper.tell(book, &violation))
}

#[cfg(not(feature = "lockdep"))]
fn lockdep_says(book: &mut Notebook<'_>) -> core::fmt::Result {
    book.note("(this build has no lockdep: `make qemu` has)")
}
