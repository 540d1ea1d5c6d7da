//! `lab bkl`: a lock that its owner's sleep gives back.

use super::notebook::Notebook;
use super::{Place, team};
use crate::proc::ViewError;
use crate::sched;
use crate::shell;
use crate::sync::atomic::{AtomicI64, AtomicU64};
use crate::sync::{Mutex, bkl};
use crate::util::errno::Errno;

shell::lab! {
    name: "bkl",
    place: Place::notes(7, 0),
    title: "the big kernel lock over a sleep: one seat, sold twice",
    needs: 1,
    idea: "\
lock_kernel() came from the time when kernels ran on one core: only one thread
in the kernel, and one that sleeps is not \"in\". So the lock is given back
while its owner sleeps and taken again when it wakes; what was checked before
the sleep need not be true after it. (The notes call it a global spinlock. It
is recursive, and may be held over a sleep, which no spinlock may.)

Two threads: if a seat is free, write the ticket (which sleeps), take it.",
    next: "lab spin-or-sleep; src/sync/bkl.rs; removed from Linux in 2011",
    run: run,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("if (seats) { write_ticket(); seats--; } under lock_kernel()")?;
    let (seats, sold) = (AtomicI64::new(1), AtomicU64::new(0));
    sell_twice(|buyer| {
        bkl::lock_kernel();
        if seats.read() > 0 {
            buyer.write_ticket();
            seats.dec();
            sold.inc();
        }
        bkl::unlock_kernel();
    })?;
    book.value("seats sold of 1", sold.read())?;
    book.value("seats left", seats.read())?;
    book.claim("sold twice", sold.read() == 2 && seats.read() == -1)?;

    book.right("look again after the sleep")?;
    let (seats, sold) = (AtomicI64::new(1), AtomicU64::new(0));
    sell_twice(|buyer| {
        bkl::lock_kernel();
        if seats.read() > 0 {
            buyer.write_ticket();
            if seats.read() > 0 {
                seats.dec();
                sold.inc();
            }
        }
        bkl::unlock_kernel();
    })?;
    book.value("seats sold of 1", sold.read())?;
    book.claim("sold once, and one ticket for nothing", sold.read() == 1 && seats.read() == 0)?;

    book.right("a mutex, which its owner keeps while it sleeps")?;
    let (seats, sold) = (Mutex::new(1), AtomicU64::new(0));
    sell_twice(|buyer| {
        let mut seats = seats.lock();
        if *seats > 0 {
            buyer.write_ticket();
            *seats -= 1;
            sold.inc();
        }
    })?;
    book.value("seats sold of 1", sold.read())?;
    Ok(book.claim("sold once", sold.read() == 1 && seats.into_inner() == 0)?)
}

/// One of the two; knows how many are writing tickets.
struct Buyer<'a> {
    nr_writing: &'a AtomicU64,
}

impl Buyer<'_> {
    /// Sleeps: until the other is writing as well, or for some ticks if it does not come.
    fn write_ticket(&self) {
        self.nr_writing.inc();
        for _ in 0..10 {
            sched::msleep(10);
            if self.nr_writing.read() == 2 {
                break;
            }
        }
    }
}

/// Two threads, on one core if there is no other.
fn sell_twice(buy: impl Fn(&Buyer<'_>) + Sync) -> Result<(), Errno> {
    let nr_writing = AtomicU64::new(0);
    team::in_two_threads(|_| buy(&Buyer { nr_writing: &nr_writing }))
}
