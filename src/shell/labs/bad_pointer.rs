//! `lab null-pointer`, `lab wild-pointer`: what a store through a bad address does to the thread, and what it does not do to the kernel.

use super::Place;
use super::journal::Journal;
use super::notebook::{Notebook, YesNo};
use crate::debug::oops::nr_oopses;
use crate::debug::provoke::CRASHES;
use crate::proc::ViewError;
use crate::sched::kthread;
use crate::shell;
use crate::util::errno::Errno;
use core::ptr::NonNull;

shell::lab! {
    name: "null-pointer",
    place: Place::course(3, 2, 0),
    title: "a NULL pointer is used: an oops, and the kernel runs on",
    needs: 1,
    idea: "\
Page 0 is never mapped, so a NULL pointer faults at its first use; FAR, the
address in the report, is the offset of the field that was wanted. The thread
ends (nothing says what else it broke), its stack and what it held are lost,
and the rest of the kernel runs on. With a spinlock held, in a handler or with
irqs off it would be a panic: others would see the half-done work.

In Rust a reference is never NULL. What may be missing is an Option, and
whoever wants the value has to say what happens without.",
    next: "lab wild-pointer, lab bug-warn; type `fault`; docs/debugging.md",
    run: null_pointer,
}

shell::lab! {
    name: "wild-pointer",
    place: Place::course(3, 2, 1),
    title: "a pointer into nowhere, and one into somebody else's memory",
    needs: 1,
    idea: "\
0xdeadbeef is as bad as NULL: nothing is mapped below the kernel's half. Worse
is a wild pointer that hits something: then nobody notices, until somebody
else's data is wrong. So as little as possible can be hit: text and constants
are read-only, data and stacks cannot be executed, and a page that is mapped to
nothing lies behind each stack and each vmalloc area.",
    next: "lab slab-reuse, lab stack-overflow; docs/boot.md (W^X)",
    run: wild_pointer,
}

fn null_pointer(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("char *ptr = NULL; *ptr, in a thread made for it")?;
    crash(book, "null-read", "read failed: nothing mapped")?;

    book.right("if (!ptr) return -EINVAL; in Rust the compiler asks for it")?;
    let mut value = 41;
    let some = store_through(NonNull::new(&raw mut value));
    let none = store_through(NonNull::new(core::ptr::null_mut()));
    book.value("with a value", value)?;
    Ok(book.claim("stored; without one -EINVAL, and no fault", some == Ok(()) && none == Err(Errno::EINVAL) && value == 42)?)
}

/// C's `*ptr = 42`, after the question.
fn store_through(ptr: Option<NonNull<i32>>) -> Result<(), Errno> {
    let ptr = ptr.ok_or(Errno::EINVAL)?;
    // SAFETY: the caller's own local, alive while this runs.
    unsafe { ptr.write(42) };
    Ok(())
}

fn wild_pointer(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("ptr = (char *)0xdeadbeef; *ptr = 0")?;
    crash(book, "wild-write", "write failed: nothing mapped")?;
    book.wrong("a store into the kernel's text")?;
    crash(book, "text-write", "text is read-only")?;
    book.wrong("a jump into data")?;
    crash(book, "data-exec", "data was executed")
}

/// Has a thread crash, and quotes the report. The thread's stack is lost for good: 16 KiB of memory a time.
pub(super) fn crash(book: &mut Notebook<'_>, name: &str, words: &str) -> Result<(), ViewError> {
    let crash = CRASHES.iter().find(|crash| crash.name == name).ok_or(Errno::ENOENT)?;
    let mut journal = Journal::begin();
    let before = nr_oopses();
    let result = kthread::run("lab victim", crash.run).map_err(Errno::from)?.join();
    let is_reported = journal.quote(book, words)?;
    drop(journal);
    book.value("oopses", nr_oopses() - before)?;
    book.value("the thread came to its end", YesNo(result.is_ok()))?;
    book.claim("it died, the report says why, and this line is printed", result.is_err() && is_reported)?;
    Ok(())
}
