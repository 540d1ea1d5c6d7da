//! `lab stack-overflow`: recursion without an end, and the page that is not there.

use super::Place;
use super::bad_pointer::crash;
use super::notebook::Notebook;
use crate::arch;
use crate::arch::layout::STACK_SIZE;
use crate::proc::ViewError;
use crate::sched::kthread;
use crate::shell;
use crate::util::errno::Errno;
use core::hint::black_box;

shell::lab! {
    name: "stack-overflow",
    place: Place::course(3, 2, 2),
    title: "a function that calls itself for ever",
    needs: 1,
    idea: "\
A kernel stack is small (16 KiB) and cannot grow. Below it lies a page that is
mapped to nothing: the first store beyond the end faults, before it can hit
the neighbour. The fault's own frame needs a stack too: the vector looks at
one bit of SP and changes to an overflow stack if the old one is full.

Loops instead of recursion, large things on the heap, and a bound on depth.",
    next: "src/arch/aarch64/vectors.S, src/sched/stack.rs; docs/architecture.md",
    run: run,
}

/// Depth to which the bounded recursion goes.
const DEPTH: u32 = 40;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("dangerous_function() calls dangerous_function()")?;
    crash(book, "stack", "below the stack of lab victim")?;

    book.right("a depth that is known: 40 calls")?;
    let used = kthread::run("lab", || descend(DEPTH, arch::stack_pointer())).map_err(Errno::from)?.join().map_err(Errno::from)?;
    book.value("bytes of a stack", STACK_SIZE)?;
    book.value("bytes that 40 calls use", used)?;
    book.claim("a part of it", used > 0 && used < STACK_SIZE / 2)?;

    book.right("a loop: depth has no price")?;
    let sum = (1..=1_000_000_u64).fold(0, |sum, number| black_box(sum + number));
    book.value("1 + 2 + ... + 1000000", sum)?;
    Ok(book.claim("right", sum == 500_000_500_000)?)
}

/// Calls itself `depth` times; gives how far down the last call's stack pointer was.
#[inline(never)]
fn descend(depth: u32, top: usize) -> usize {
    let frame = black_box([depth; 8]);
    let used = if depth == 0 { top - arch::stack_pointer() } else { descend(depth - 1, top) };
    black_box(frame);
    used
}
