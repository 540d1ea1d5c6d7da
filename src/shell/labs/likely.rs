//! `lab likely`: a hint for the branch that is taken.

use super::Place;
use super::notebook::{Hex, Notebook};
use super::team;
use crate::arch::pmu::{Event, Pmu};
use crate::cpu::PreemptGuard;
use crate::proc::ViewError;
use crate::shell;
use core::hint::{black_box, cold_path};

shell::lab! {
    name: "likely",
    place: Place::course(4, 2, 0),
    title: "likely() and unlikely(): a hint moves code, never the result",
    needs: 1,
    idea: "\
likely(x) tells the compiler which way a branch mostly goes: that way runs
straight on, the other one is put aside. In Rust: `cold_path()` in the rare
branch, or a function marked #[cold]. The result is the same in any case; a
hint that lies costs time and nothing else. The processor's own predictor
learns the branch by itself; what the hint saves is the jump and the cache.",
    next: "src/sync/raw/ticket.rs (the wait out of line); docs/performance.md",
    run: run,
}

const ROUNDS: i64 = 20_000;
const WARM_UP: i64 = 2000;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.right("hinted: if (likely(x > 0)) common; if (unlikely(x < 0)) error; edge")?;
    let hinted = measure(book, fast_path)?;
    book.wrong("hinted the wrong way round")?;
    let mistaken = measure(book, wrongly_hinted)?;
    book.claim("both give the same", hinted == mistaken)?;
    book.claim("and what they should", (fast_path(7), fast_path(-7), fast_path(0)) == (14, -22, 0))?;

    book.part("where the code went")?;
    book.value("fast_path at", Hex(fast_path as *const () as usize as u64))?;
    book.value("handle_error_case (#[cold]) at", Hex(handle_error_case as *const () as usize as u64))?;
    Ok(book.note("`make objdump` shows that fast_path falls through for x > 0")?)
}

/// Time and mispredicted branches of common cases, with a rare one now and then. Gives the sum of the results.
fn measure(book: &mut Notebook<'_>, f: fn(i64) -> i64) -> Result<i64, ViewError> {
    let f = black_box(f);
    // Once before: an emulator translates code when it comes to it first.
    (0..WARM_UP).for_each(|round| _ = black_box(f(black_box(round))));
    let _pinned = PreemptGuard::new();
    let pmu = Pmu::start();
    let counter = pmu.as_ref().and_then(|pmu| pmu.count(0, Event::BrMisPred));
    let (sum, time) = team::timed(|| (0..ROUNDS).map(|round| f(black_box(if round % 1000 == 999 { -round } else { round }))).sum::<i64>());
    let missed = pmu.as_ref().zip(counter).map_or(0, |(pmu, counter)| pmu.read(counter));
    drop(_pinned);
    book.value("ns a call", time.as_nanos() / ROUNDS as u128)?;
    book.value("mispredicted branches, by the PMU (QEMU: 0)", missed)?;
    book.value("sum of the results", sum)?;
    Ok(sum)
}

#[inline(never)]
fn fast_path(common_case: i64) -> i64 {
    if common_case > 0 {
        return handle_common_case(common_case);
    }
    if common_case < 0 {
        cold_path();
        return handle_error_case(common_case);
    }
    handle_edge_case(common_case)
}

#[inline(never)]
fn wrongly_hinted(common_case: i64) -> i64 {
    if common_case > 0 {
        cold_path();
        return handle_common_case(common_case);
    }
    if common_case < 0 {
        return handle_error_case(common_case);
    }
    handle_edge_case(common_case)
}

#[inline]
fn handle_common_case(value: i64) -> i64 {
    value * 2
}

/// `-EINVAL`, whatever the value.
#[cold]
#[inline(never)]
fn handle_error_case(value: i64) -> i64 {
    black_box(value);
    -i64::from(crate::util::errno::Errno::EINVAL.code())
}

#[inline]
fn handle_edge_case(value: i64) -> i64 {
    value
}
