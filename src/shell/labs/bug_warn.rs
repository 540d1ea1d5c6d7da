//! `lab bug-warn`: two ways to say that something cannot be.

use super::Place;
use super::journal::Journal;
use super::notebook::Notebook;
use crate::debug::bug::nr_warnings;
use crate::debug::oops::nr_oopses;
use crate::proc::ViewError;
use crate::sched::kthread;
use crate::shell;
use crate::util::errno::Errno;
use crate::{BUG_ON, WARN_ON, WARN_ON_ONCE};
use core::hint::black_box;

shell::lab! {
    name: "bug-warn",
    place: Place::course(3, 2, 3),
    title: "BUG_ON ends the thread, WARN_ON goes on",
    needs: 1,
    idea: "\
BUG_ON(c): if c holds, going on would do damage. The thread ends by an oops;
where a thread cannot end (a lock held, a handler) the kernel panics. The
course says that BUG_ON panics: in Linux, too, only where an oops cannot be
survived, or with panic_on_oops.

WARN_ON(c): a report with place and backtrace, and it gives back c, so that
the function can leave with an error. Mostly this is the better one.",
    next: "lab null-pointer; src/debug/bug.rs, docs/debugging.md",
    run: run,
}

/// The course's `checked_function`, in its two forms.
fn checked_or_dead(important: Option<u32>) -> u32 {
    BUG_ON!(important.is_none());
    important.unwrap_or(0)
}

fn checked_with_error(important: Option<u32>) -> Result<u32, Errno> {
    if WARN_ON!(important.is_none()) {
        return Err(Errno::EINVAL);
    }
    Ok(important.unwrap_or(0))
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let mut journal = Journal::begin();
    book.part("BUG_ON(important == NULL), in a thread made for it")?;
    let (good, before) = (checked_or_dead(black_box(Some(7))), nr_oopses());
    let result = kthread::run("lab victim", || checked_or_dead(black_box(None))).map_err(Errno::from)?.join();
    let is_reported = journal.quote(book, "kernel BUG at")?;
    book.value("oopses", nr_oopses() - before)?;
    book.claim("the thread is dead, and the report has file and line", good == 7 && result.is_err() && is_reported)?;

    book.right("if (WARN_ON(important == NULL)) return -EINVAL")?;
    let (before, good) = (nr_warnings(), checked_with_error(black_box(Some(7))));
    let result = checked_with_error(black_box(None));
    let is_reported = journal.quote(book, "WARNING")?;
    book.value("warnings", nr_warnings() - before)?;
    book.claim("a warning, -EINVAL, and on it goes", good == Ok(7) && result == Err(Errno::EINVAL) && is_reported)?;

    book.right("WARN_ON_ONCE in a loop of 1000")?;
    let before = nr_warnings();
    let nr_held = (0..1000).filter(|round| WARN_ON_ONCE!(black_box(*round) < 1000)).count();
    book.value("times that it held", nr_held)?;
    book.value("warnings", nr_warnings() - before)?;
    drop(journal);
    Ok(book.claim("one at most since boot; the condition is given each time", nr_held == 1000 && nr_warnings() - before <= 1)?)
}
