//! Boots of the bench image: commands typed, rows read back.
//!
//! Under `-icount` the emulator's clock is the count of instructions, so a run does not depend on the host at all, and two runs are the same in every digit.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guest::{self, End, Limits};
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::test::case::{describe, tail};

/// One line of the guest's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub operation: String,
    /// Whose code: `tetra`, or a peer.
    pub by: String,
    pub instructions: u64,
}

/// Whose rows are the kernel's own.
pub const SELF: &str = "tetra";

/// How long a guest may take. The figures do not depend on the host, and so a busy one must not end it: a first fit with 100000 holes takes minutes there.
const SILENCE: Duration = Duration::from_secs(900);
const WALL: Duration = Duration::from_secs(3600);

/// Makes cores take turns every microsecond. In lockstep a core has its turn until the next timer of the emulator's clock, divided by the cores: with the
/// kernel's own timers alone that is a million instructions, in which who waits only wastes its turn. This is a timer that the guest does not see.
const SHORT_TURNS: [&str; 4] =
    ["-netdev", "hubport,id=turns,hubid=0", "-object", "filter-buffer,id=timer,netdev=turns,queue=rx,interval=1"];

/// Runs shell commands on `kernel` in lockstep and returns what they said.
fn run(kernel: &Kernel, commands: &str, qemu_args: &[&str]) -> Result<String> {
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    // What lies above 1 GiB, out of the kernel's sight, is for the heaps that the image compares: tests/bench/src/arena.rs.
    machine.append("quiet mem=512M");
    machine.run(commands);
    machine.qemu_args.extend(["-icount", "shift=0,sleep=off"].iter().chain(qemu_args).map(|&arg| arg.to_owned()));
    let limits = Limits { silence: SILENCE, wall: WALL };
    let outcome = guest::run(&machine, limits, &[], |_| ())?;
    ensure!(outcome.end == End::Exit(0), "`{commands}`: the kernel {}\n{}", describe(&outcome.end), tail(&outcome.console));
    Ok(outcome.console)
}

/// Runs `bench WORD`, or `bench-WORD` where the word begins so, and returns its rows.
pub fn rows(kernel: &Kernel, word: &str) -> Result<Vec<Row>> {
    rows_of(kernel, word, &[])
}

/// The rows of `bench-locks`: cores that wait for one another, in short turns.
pub fn rows_of_locks(kernel: &Kernel) -> Result<Vec<Row>> {
    rows_of(kernel, "-locks", &SHORT_TURNS)
}

fn rows_of(kernel: &Kernel, word: &str, qemu_args: &[&str]) -> Result<Vec<Row>> {
    let command = if word.starts_with('-') { format!("bench{word}") } else { format!("bench {word}") };
    let console = run(kernel, &command, qemu_args)?;
    let rows: Vec<Row> = console.lines().filter_map(row).collect();
    ensure!(!rows.is_empty(), "`{command}` shows no row with a count:\n{}", tail(&console));
    Ok(rows)
}

/// Checks the rows that say whether a count is a count: nothing costs 0 instructions, a load costs 1.
pub fn check_meter(rows: &[Row]) -> Result<()> {
    for (name, must) in [("bench.nothing", 0), ("bench.load", 1)] {
        let row = rows.iter().find(|row| row.operation == name).with_context(|| format!("row {name} is missing"))?;
        ensure!(row.instructions == must, "the meter is wrong: {name} counts {} instructions, must be {must}", row.instructions);
    }
    Ok(())
}

/// Reads `operation by instructions cycles`.
fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [operation, by @ .., instructions, cycles] = fields.as_slice() else { return None };
    let _: u64 = cycles.parse().ok()?;
    let is_row = operation.contains('.') && !by.is_empty();
    is_row.then_some(Row { operation: (*operation).to_owned(), by: by.join(" "), instructions: instructions.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(operation: &str, by: &str, instructions: u64) -> Row {
        Row { operation: operation.to_owned(), by: by.to_owned(), instructions }
    }

    #[test]
    fn rows_are_told_from_other_lines() {
        assert_eq!(row("sync.spin_lock     tetra     12      19"), Some(made("sync.spin_lock", "tetra", 12)));
        assert_eq!(row("sync.spin_lock     spin::Mutex     6      6"), Some(made("sync.spin_lock", "spin::Mutex", 6)));
        assert_eq!(row("sync.spin_lock     tetra     -      19"), None);
        assert_eq!(row("operation          by instructions cycles"), None);
        assert_eq!(row("tetra# bench"), None);
    }

    #[test]
    fn a_meter_that_counts_the_call_is_refused() {
        assert!(check_meter(&[made("bench.nothing", SELF, 0), made("bench.load", SELF, 1)]).is_ok());
        assert!(check_meter(&[made("bench.nothing", SELF, 2), made("bench.load", SELF, 3)]).is_err());
        assert!(check_meter(&[made("bench.load", SELF, 1)]).is_err());
    }
}
