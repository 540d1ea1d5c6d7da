//! The shell's `bench`: the rows of the image, by name.

use super::{BENCHES, Meter, Row};
use crate::shell::{self, CommandError, Context};
use core::cmp::Ordering;
use core::fmt::{self, Write};

shell::command! {
    name: "bench",
    usage: "bench [WORD]",
    help: "cost of each operation, or of those with WORD in their name: instructions and cycles",
    details: "The least of 31 warm calls. Instructions are exact under `make bench`, `-` where the machine does not count them; cycles mean something on a board only.",
    run: bench,
}

fn bench(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let word = match *args {
        [] => "",
        [word] => word,
        _ => return Err(CommandError::Usage),
    };
    let Some(meter) = Meter::start() else {
        return Err(ctx.fail(format_args!("this core has no performance monitor")));
    };
    if !BENCHES.iter().any(|row| row.name.contains(word)) {
        return Err(ctx.fail(format_args!("{word}: no row has that in its name; `bench` alone shows all")));
    }
    writeln!(ctx.out, "{:34} {:>28} {:>12} {:>12}", "operation", "by", "instructions", "cycles")?;
    let mut last = None;
    while let Some(row) = following(last).filter(|_| !ctx.interrupted()) {
        if row.name.contains(word) {
            show(ctx.out, row, &meter)?;
        }
        last = Some(row);
    }
    write_caveats(ctx.out, &meter)?;
    Ok(())
}

/// What the figures above are not.
fn write_caveats(out: &mut dyn Write, meter: &Meter) -> fmt::Result {
    if !meter.counts_instructions() {
        writeln!(out, "instructions are not counted by this machine; on an emulator, cycles are its host's time: `make bench` counts")?;
    }
    if cfg!(feature = "debug") {
        writeln!(out, "this kernel has its checks in, and they are in the figures: `make image` builds one without")?;
    }
    Ok(())
}

/// The row behind `last` by name: the linker's order is nobody's.
fn following(last: Option<&Row>) -> Option<&'static Row> {
    BENCHES.iter().filter(|row| last.is_none_or(|last| by_name(row, last) == Ordering::Greater)).min_by(|a, b| by_name(a, b))
}

fn by_name(a: &Row, b: &Row) -> Ordering {
    (a.name, a.peer).cmp(&(b.name, b.peer))
}

fn show(out: &mut dyn Write, row: &Row, meter: &Meter) -> fmt::Result {
    let reading = (row.measure)(meter);
    let each = |total: u64| (total + u64::from(row.per_call) / 2) / u64::from(row.per_call);
    write!(out, "{:34} {:>28} ", row.name, row.peer.unwrap_or("tetra"))?;
    match reading.instructions {
        Some(instructions) => write!(out, "{:12} ", each(instructions))?,
        None => write!(out, "{:>12} ", "-")?,
    }
    writeln!(out, "{:12}", each(reading.cycles))
}
