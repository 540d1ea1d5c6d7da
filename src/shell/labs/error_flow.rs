//! `lab error-flow`: the course's diagram 4.1, each way through it.

use super::Place;
use super::notebook::{Notebook, padded};
use crate::mm::kmalloc::set_failslab;
use crate::mm::{GfpFlags, KBox};
use crate::proc::ViewError;
use crate::shell;
use crate::sync::atomic::AtomicI64;
use crate::util::errno::Errno;
use core::fmt::Write;
use core::ptr::NonNull;

shell::lab! {
    name: "error-flow",
    place: Place::course(4, 1, 0),
    title: "validate, allocate, process: EINVAL, ENOMEM, EIO or a result",
    needs: 1,
    idea: "\
The course's diagram:

  start -> validate ---no--> -EINVAL            nothing was acquired yet
             | yes
           allocate ---no--> -ENOMEM            what was acquired goes back
             | yes
           process  ---no--> release, -EIO
             | yes
           success

The order saves work: what costs nothing is checked first. Which way was taken
is in the error, and no way leaves anything behind.",
    next: "lab goto-drop; src/util/errno.rs; `cat failslab`",
    run: run,
}

/// Resources that are held.
static HELD: AtomicI64 = AtomicI64::new(0);

/// The buffer of a request.
struct Request {
    words: [u64; 32],
}

impl Request {
    fn new(words: [u64; 32]) -> Self {
        HELD.inc();
        Self { words }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        HELD.dec();
    }
}

/// Adds up the first `len` words; the device fails on 13.
fn kernel_function(len: usize) -> Result<u64, Errno> {
    if len == 0 || len > 32 {
        return Err(Errno::EINVAL);
    }
    let mut request = KBox::new(Request::new([1; 32]), GfpFlags::KERNEL)?;
    process(&mut request, len)
}

fn process(request: &mut Request, len: usize) -> Result<u64, Errno> {
    if len == 13 { Err(Errno::EIO) } else { Ok(request.words[..len].iter().sum()) }
}

/// The same with the clean-up forgotten where processing fails. Gives the request that is lost, so that the lab can give it back.
fn leaky_function(len: usize) -> Result<(Result<u64, Errno>, NonNull<Request>), Errno> {
    let mut request = KBox::new(Request::new([1; 32]), GfpFlags::KERNEL)?;
    let result = process(&mut request, len);
    // return -EIO; without kfree.
    Ok((result, KBox::into_raw(request)))
}

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    let before = HELD.read();
    book.wrong("return -EIO without releasing")?;
    let (result, forgotten) = leaky_function(13)?;
    let left = HELD.read() - before;
    row(book, "the device fails", result, left)?;
    book.claim("a request is lost at each failure", left == 1)?;
    // SAFETY: from `into_raw` in `leaky_function`; nothing else has it.
    drop(unsafe { KBox::from_raw(forgotten) });

    book.right("each way through the diagram")?;
    let mut is_right = true;
    for (name, len, expected) in [
        ("len 0", 0, Err(Errno::EINVAL)),
        ("len 33", 33, Err(Errno::EINVAL)),
        ("len 13: the device fails", 13, Err(Errno::EIO)),
        ("len 8", 8, Ok(8)),
    ] {
        let result = kernel_function(len);
        let left = HELD.read() - before;
        row(book, name, result, left)?;
        is_right &= result == expected && left == 0;
    }
    let result = without_memory()?;
    let left = HELD.read() - before;
    row(book, "len 8, no memory (failslab)", result, left)?;
    is_right &= result == Err(Errno::ENOMEM) && left == 0;
    Ok(book.claim("the error says which way, and nothing is left", is_right)?)
}

fn row(book: &mut Notebook<'_>, name: &str, result: Result<u64, Errno>, left: i64) -> core::fmt::Result {
    let answer = result.map_or_else(|error| padded(format_args!("-{error}")), |value| padded(format_args!("{value}")));
    writeln!(book, "  {name:32} {answer:16} left over: {left}")
}

/// Calls it while requests fail. Another thread's request may take the failure: tried again then.
fn without_memory() -> Result<Result<u64, Errno>, Errno> {
    let mut result = Ok(0);
    for _ in 0..100 {
        set_failslab("nth=1")?;
        result = kernel_function(8);
        if result.is_err() {
            break;
        }
    }
    set_failslab("off")?;
    Ok(result)
}
