//! `lab gfp-kernel-irq`: a request that may sleep where nobody can.

use super::Place;
use super::journal::Journal;
use super::notebook::Notebook;
use crate::irq::ipi;
use crate::mm::GfpFlags;
use crate::mm::kmalloc::{kfree, kmalloc};
use crate::mm::kmem_cache::nr_reports;
use crate::proc::ViewError;
use crate::shell;
use crate::sync::SpinLock;
use crate::sync::atomic::AtomicU64;

shell::lab! {
    name: "gfp-kernel-irq",
    place: Place::course(2, 2, 0),
    title: "GFP_KERNEL in an irq handler, and under a spinlock",
    needs: 1,
    idea: "\
GFP_KERNEL means: if there is no memory, sleep until some was given back. A
handler cannot sleep: it is nobody's thread. Mostly there *is* memory, so the
mistake shows only when it is scarce, a year later. Hence the request itself
is the bug, and it is reported whether it would have slept or not.

In a handler, and with a spinlock held or irqs off: GFP_ATOMIC.",
    next: "lab gfp-atomic, lab spin-or-sleep; src/mm/gfp.rs, docs/memory.md",
    run: run,
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let mut journal = Journal::begin();
    book.wrong("kmalloc(512, GFP_KERNEL) in a handler")?;
    let (successes, reports) = reports_of(|| in_handler(GfpFlags::KERNEL));
    show(book, successes, reports)?;
    journal.quote(book, "may sleep")?;
    book.claim("it worked this time, and is reported", successes == 1 && reports == expected_reports())?;

    book.wrong("kmalloc(512, GFP_KERNEL) under a spinlock")?;
    let lock = SpinLock::new(());
    let (successes, reports) = reports_of(|| {
        let _held = lock.lock();
        allocate(GfpFlags::KERNEL)
    });
    show(book, successes, reports)?;
    journal.quote(book, "may sleep")?;
    book.claim("reported as well", successes == 1 && reports == expected_reports())?;
    if !cfg!(feature = "debug") {
        book.note("(this build does not look at contexts: `make qemu` does)")?;
    }

    book.right("kmalloc(512, GFP_ATOMIC) in a handler")?;
    let (successes, reports) = reports_of(|| in_handler(GfpFlags::ATOMIC));
    show(book, successes, reports)?;
    Ok(book.claim("nothing to say", successes == 1 && reports == 0)?)
}

const fn expected_reports() -> u32 {
    cfg!(feature = "debug") as u32
}

fn show(book: &mut Notebook<'_>, successes: u64, reports: u32) -> core::fmt::Result {
    book.value("buffers got", successes)?;
    book.value("reports (`dmesg` has them)", reports)
}

fn in_handler(gfp: GfpFlags) -> u64 {
    let successes = AtomicU64::new(0);
    ipi::interrupt_self(|| successes.add(allocate(gfp)));
    successes.read()
}

fn allocate(gfp: GfpFlags) -> u64 {
    kmalloc(512, gfp).map_or(0, |buffer| {
        // SAFETY: allocated just now, given to nobody.
        unsafe { kfree(buffer.as_ptr()) };
        1
    })
}

fn reports_of(f: impl FnOnce() -> u64) -> (u64, u32) {
    let before = nr_reports();
    let successes = f();
    (successes, nr_reports() - before)
}
