//! `lab rcu-nodata`: a read that finds nothing is an answer, too.

use super::Place;
use super::notebook::Notebook;
use super::team;
use crate::mm::{GfpFlags, RcuBox};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::SpinLock;
use crate::sync::rcu::{Rcu, rcu_read_lock};
use crate::util::errno::Errno;

shell::lab! {
    name: "rcu-nodata",
    place: Place::course(4, 2, 3),
    title: "read_data_lockfree(): the value, or -ENODATA",
    needs: 1,
    idea: "\
The pointer that RCU readers follow may be NULL: nothing was published yet, or
it was taken away. So a reader asks, in the section, and answers -ENODATA.
What it needs of the value it copies out before the section ends; a reference
that outlives the section does not compile here.",
    next: "lab rcu-update; src/sync/rcu/read.rs (What the types refuse)",
    run: run,
}

/// The course's `struct rcu_data`.
struct RcuData {
    value: i32,
}

static GLOBAL_DATA: Rcu<RcuData> = Rcu::empty();
const READS: u32 = 1000;

/// The course's `read_data_lockfree`.
fn read_data_lockfree() -> Result<i32, Errno> {
    let section = rcu_read_lock();
    GLOBAL_DATA.read(&section).map(|data| data.value).ok_or(Errno::ENODATA)
}

fn publish(value: i32) -> Result<(), Errno> {
    GLOBAL_DATA.assign(RcuBox::new(RcuData { value }, GfpFlags::KERNEL)?);
    Ok(())
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    drop(GLOBAL_DATA.take());
    book.right("before anything was published; after; when it was taken away")?;
    let before = read_data_lockfree();
    show(book, "nothing published", before)?;
    publish(42)?;
    let with = read_data_lockfree();
    show(book, "42 published", with)?;
    publish(43)?;
    let newer = read_data_lockfree();
    show(book, "43 published", newer)?;
    drop(GLOBAL_DATA.take());
    let after = read_data_lockfree();
    show(book, "taken away", after)?;
    let expected = [Err(Errno::ENODATA), Ok(42), Ok(43), Err(Errno::ENODATA)];
    book.claim("-ENODATA, 42, 43, -ENODATA", [before, with, newer, after] == expected)?;

    book.part("what a read costs, ns")?;
    publish(44)?;
    let lock = SpinLock::new(44);
    let ((), by_rcu) = team::timed(|| (0..READS).for_each(|_| _ = read_data_lockfree()));
    let ((), by_lock) = team::timed(|| (0..READS).for_each(|_| _ = *lock.lock()));
    drop(GLOBAL_DATA.take());
    book.value("under RCU", by_rcu.as_nanos() / u128::from(READS))?;
    Ok(book.value("under a spinlock (with all checks)", by_lock.as_nanos() / u128::from(READS))?)
}

fn show(book: &mut Notebook<'_>, when: &str, result: Result<i32, Errno>) -> core::fmt::Result {
    match result {
        Ok(value) => book.value(when, value),
        Err(error) => book.value(when, format_args!("-{error}")),
    }
}
