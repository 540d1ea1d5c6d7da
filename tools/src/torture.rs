//! `make torture`: the suite of that name, for as long as is asked, with its report on the terminal.
//!
//! `make test` runs the same image for some seconds. SEED= chooses what is random; with ICOUNT=1 QEMU counts instructions instead of time, and a seed
//! repeats its run to the last count. `make test` proves that, too: two runs of one seed give one report, another seed another.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guest::{self, End, Limits};
use crate::kernel::{self, Kernel, Log, Profile};
use crate::machine::Machine;
use crate::test::case::{describe, tail};
use crate::test::report::{Report, Verdict};
use crate::test::suite;
use crate::workspace::{number, variable};

/// The suite's binary.
pub const NAME: &str = "torture";
/// Seconds in all, unless SECONDS= says otherwise.
const SECONDS: u64 = 60;
/// Beside the time asked for: boot, the twins, and a host that has other things to do.
const SLACK: Duration = Duration::from_secs(300);
const IN_LOCKSTEP: [&str; 2] = ["-icount", "shift=0,sleep=off"];
/// What each line of the report begins with, behind the log's prefix.
const MARK: &str = "torture: ";
const SEED_CASE: &str = "seed_repeats_in_lockstep";

/// `tetra-tools torture`.
pub fn main() -> Result<ExitCode> {
    let (seconds, seed) = (seconds()?, number("SEED")?.unwrap_or(1));
    let kernel = kernel::build(suite::PACKAGE, Some(NAME), &kernel::features(&["checks"], Log::Text), Profile::Checked, NAME)?.remove(0);
    let mut machine = machine(&kernel, seconds * 1000, seed)?;
    if let Some(only) = variable("ONLY") {
        ensure!(only.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "ONLY={only}: a part of a primitive's name, such as `rw`");
        machine.append(&format!("torture_only={only}"));
    }
    if variable("ICOUNT").is_some() {
        machine.qemu_args.extend(IN_LOCKSTEP.map(str::to_owned));
    }

    let limits = Limits { silence: Duration::from_secs(60 + seconds), wall: SLACK + Duration::from_secs(2 * seconds) };
    let mut unfinished = String::new();
    let outcome = guest::run(&machine, limits, &[], |piece| {
        unfinished.push_str(piece);
        while let Some(end) = unfinished.find('\n') {
            let line: String = unfinished.drain(..=end).collect();
            if let Some((_, text)) = line.split_once(MARK) {
                println!("{}", text.trim_end());
            }
        }
    })?;
    if outcome.end == End::Exit(0) {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", outcome.console);
    println!("torture: the kernel {}", describe(&outcome.end));
    Ok(ExitCode::FAILURE)
}

/// What `make torture SECONDS=` says; under another name, as SECONDS is a variable of the shell.
fn seconds() -> Result<u64> {
    let Some(text) = variable("TORTURE_SECONDS") else { return Ok(SECONDS) };
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.with_context(|| format!("SECONDS={text}: must be a number from 1 to 86400"))
}

fn machine(kernel: &Kernel, ms: u64, seed: u64) -> Result<Machine> {
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    machine.append(&format!("torture_ms={ms} torture_seed={seed}"));
    Ok(machine)
}

/// Whether the case in `make test` is to be run.
pub fn is_selected(report: &Report) -> bool {
    report.selects(NAME, SEED_CASE)
}

/// The case in `make test`.
pub fn test(kernel: &Kernel, report: &Report) {
    let started = Instant::now();
    let verdict = compare_seeds(kernel).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
    report.add(NAME, SEED_CASE, Some(started.elapsed()), verdict);
}

fn compare_seeds(kernel: &Kernel) -> Result<Verdict> {
    let (first, again, other) = (in_lockstep(kernel, 1)?, in_lockstep(kernel, 1)?, in_lockstep(kernel, 2)?);
    if first != again {
        return Ok(Verdict::Failed(format!("one seed, two runs:\n{}\n\n{}", first.join("\n"), again.join("\n"))));
    }
    if first == other {
        return Ok(Verdict::Failed(format!("another seed makes no difference:\n{}", first.join("\n"))));
    }
    Ok(Verdict::Passed)
}

/// The counts that a seed leads to, one line a primitive.
fn in_lockstep(kernel: &Kernel, seed: u64) -> Result<Vec<String>> {
    /// For all primitives that are spinlocks together.
    const MS: u64 = 150;

    let mut machine = machine(kernel, MS, seed)?;
    machine.append("ktap=run:every_primitive_holds torture_only=spinlock");
    machine.qemu_args.extend(IN_LOCKSTEP.map(str::to_owned));
    let outcome = guest::run(&machine, Limits::default(), &[], |_| ())?;
    ensure!(outcome.end == End::Exit(0), "seed {seed}: the kernel {}\n{}", describe(&outcome.end), tail(&outcome.console));
    // The first line names the seed.
    let lines: Vec<String> = outcome.console.lines().filter_map(|line| Some(line.split_once(MARK)?.1.to_owned())).skip(1).collect();
    ensure!(lines.len() > 3, "seed {seed}: no report\n{}", tail(&outcome.console));
    Ok(lines)
}
