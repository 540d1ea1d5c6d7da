//! A suite: one kernel image whose cases run under QEMU.
//!
//! It is booted once for its list, once for all cases that leave the kernel whole, and once for each case that does
//! not. If the kernel dies in an ordinary case, that case has failed and another boot runs those behind it.

use anyhow::{Context, Result};

use super::case::{Case, describe, tail};
use super::ktap;
use super::report::{Report, Verdict};
use crate::guest::{self, End, Limits};
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::workspace;

/// The suites' kernels are made of this package, which lies in tests/kernel.
pub const PACKAGE: &str = "tetra-tests";

/// The suites' names: those of their files.
///
/// # Errors
/// The folder cannot be read.
pub fn names() -> Result<Vec<String>> {
    let folder = workspace::root().join("tests/kernel/src/bin");
    let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let stem = |file: std::io::Result<std::fs::DirEntry>| Ok(file?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned());
    files.map(stem).collect()
}

/// Runs the cases of `kernel` that the report selects.
pub fn run(kernel: &Kernel, report: &Report) {
    if let Err(error) = try_run(kernel, report) {
        report.add(&kernel.name, "(suite)", None, Verdict::Failed(format!("{error:#}")));
    }
}

fn try_run(kernel: &Kernel, report: &Report) -> Result<()> {
    let listing = guest::run(&machine(kernel, "ktap=list")?, Limits::default(), &[], |_| ())?;
    let cases = match ktap::list(&listing.console) {
        Ok(cases) if listing.end == End::Exit(0) => cases,
        listed => {
            let why = listed.err().map_or_else(String::new, |error| format!("{error:#}; "));
            let text = format!("asked for its cases, the kernel {why}{}\n{}", describe(&listing.end), tail(&listing.console));
            report.add(&kernel.name, "(list)", Some(listing.duration), Verdict::Failed(text));
            return Ok(());
        }
    };
    let nr_ordinary = cases.iter().filter(|case| !case.alone).count();
    let (alone, together): (Vec<Case>, Vec<Case>) =
        cases.into_iter().filter(|case| report.selects(&kernel.name, &case.name)).partition(|case| case.alone);

    let mut waiting: Vec<&str> = together.iter().map(|case| case.name.as_str()).collect();
    // All of them need no names: a command line has its limits.
    let mut choice = if waiting.len() == nr_ordinary { "run".to_owned() } else { format!("run:{}", waiting.join(",")) };
    while !waiting.is_empty() {
        let done = run_together(kernel, &choice, &waiting, report)?;
        waiting.drain(..done);
        choice = format!("run:{}", waiting.join(","));
    }
    for case in &alone {
        run_alone(kernel, case, report)?;
    }
    Ok(())
}

/// Runs cases in one boot, `choice` being the boot argument for them; returns how many of them, from the first on, have a result now: all, or those up to the
/// one in which the kernel died.
fn run_together(kernel: &Kernel, choice: &str, names: &[&str], report: &Report) -> Result<usize> {
    let machine = machine(kernel, &format!("ktap={choice}"))?;
    let outcome = guest::run(&machine, Limits::default(), &[], |_| ())?;
    let results = ktap::results(&outcome.console);
    for (number, &name) in names.iter().enumerate() {
        let Some(result) = results.iter().find(|result| result.name == name) else {
            let text = format!("no result; the kernel {}\n{}", describe(&outcome.end), tail(&outcome.console));
            report.add(&kernel.name, name, None, Verdict::Failed(text));
            return Ok(number + 1);
        };
        let verdict = match &result.verdict {
            ktap::Verdict::Ok => Verdict::Passed,
            ktap::Verdict::NotOk if result.details.is_empty() => Verdict::Failed(tail(&outcome.console)),
            ktap::Verdict::NotOk => Verdict::Failed(result.details.clone()),
            ktap::Verdict::Skip(reason) => Verdict::Skipped(reason.clone()),
        };
        report.add(&kernel.name, name, result.duration, verdict);
    }
    // All cases have a result; the kernel must agree with them and come to its end.
    let should_be_zero = results.iter().all(|result| result.verdict != ktap::Verdict::NotOk);
    if !matches!(outcome.end, End::Exit(code) if (code == 0) == should_be_zero) {
        let text = format!("after its last case the kernel {}\n{}", describe(&outcome.end), tail(&outcome.console));
        report.add(&kernel.name, "(end)", Some(outcome.duration), Verdict::Failed(text));
    }
    Ok(names.len())
}

fn run_alone(kernel: &Kernel, case: &Case, report: &Report) -> Result<()> {
    let mut machine = machine(kernel, &format!("ktap=run:{}", case.name))?;
    case.prepare(&mut machine)?;
    boot(&machine, &kernel.name, case, report)
}

/// Boots `machine` for one case and reports how it went.
pub fn boot(machine: &Machine, group: &str, case: &Case, report: &Report) -> Result<()> {
    let outcome = guest::run_with_cues(machine, case.limits(), case.typed(), case.cues(), |_| ())?;
    let verdict = match case.judge(&outcome) {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(format!("{why}\n{}", tail(&outcome.console))),
    };
    report.add(group, &case.name, Some(outcome.duration), verdict);
    Ok(())
}

fn machine(kernel: &Kernel, append: &str) -> Result<Machine> {
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    machine.append(append);
    Ok(machine)
}
