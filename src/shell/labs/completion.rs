//! `lab completion`: who is woken, and what becomes of a signal that nobody waits for.

use super::notebook::Notebook;
use super::{Place, team};
use crate::proc::ViewError;
use crate::sched::{self, kthread};
use crate::shell;
use crate::sync::Completion;
use crate::sync::atomic::AtomicU64;
use crate::util::scope_guard::ScopeGuard;
use arrayvec::ArrayVec;
use core::time::Duration;

shell::lab! {
    name: "completion",
    place: Place::notes(6, 0),
    title: "complete() wakes one, complete_all() wakes all",
    needs: 1,
    idea: "\
\"Tell me when you are done\": one thread waits, another says so. The notes say
that complete() wakes *all* who wait. It wakes one; complete_all() wakes all,
and all who come later. A completion counts, so it does not matter whether
the one who waits or the one who completes comes first.",
    next: "src/sync/completion.rs; docs/locking.md (Sleeping locks)",
    run: run,
}

const WAITERS: u64 = 3;
const SOON: Duration = Duration::from_secs(5);

static DONE: Completion = Completion::new();
static WOKEN: AtomicU64 = AtomicU64::new(0);

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    DONE.reinit();
    WOKEN.set(0);
    let mut waiters = ArrayVec::<_, { WAITERS as usize }>::new();
    let mut all_made = Ok(());
    for _ in 0..WAITERS {
        match kthread::run("lab waiter", wait) {
            Ok(waiter) => waiters.push(waiter),
            Err(error) => all_made = Err(error),
        }
    }
    // However this ends, nobody waits for ever, nor into the next run.
    let waiters = ScopeGuard::new(waiters, |waiters| {
        DONE.complete_all();
        waiters.into_iter().for_each(|waiter| _ = waiter.join());
    });
    sched::msleep(20);

    book.wrong("complete(), as the notes have it: \"wakes all waiting tasks\"")?;
    book.value("threads that wait", waiters.len())?;
    DONE.complete();
    let woken = woken_after(1);
    book.value("woken by complete()", woken)?;
    book.claim("one", woken == 1)?;

    book.right("complete_all()")?;
    DONE.complete_all();
    let woken = woken_after(WAITERS);
    book.value("woken now", woken)?;
    book.claim("all", woken == WAITERS)?;
    for waiter in waiters.dismiss() {
        waiter.join().map_err(crate::util::errno::Errno::from)?;
    }
    all_made.map_err(crate::util::errno::Errno::from)?;
    book.claim("who comes later does not wait", DONE.is_done() && DONE.try_wait())?;

    book.right("complete() first, wait_for_completion() second: nothing is lost")?;
    DONE.reinit();
    DONE.complete();
    let first = DONE.wait_timeout(Duration::from_secs(1));
    let second = DONE.wait_timeout(Duration::from_millis(5));
    book.claim("the first wait finds it, the second times out", first.is_ok() && second.is_err())?;
    Ok(())
}

fn wait() {
    DONE.wait();
    WOKEN.inc();
}

/// The number woken once it is `expected`, and some time after, so that one too many would be seen.
fn woken_after(expected: u64) -> u64 {
    team::try_for(SOON, || {
        sched::msleep(1);
        (WOKEN.read() >= expected).then_some(())
    });
    sched::msleep(30);
    WOKEN.read()
}
