//! The committed figures, tests/bench/baseline.csv, and what counts as worse.
//!
//! Another compiler makes other code, so the file names the one that it is for; with another the targets are what is left to compare with, and for the rows
//! that are over theirs, each for a reason in docs/performance.md, the baseline.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::table::{Line, Verdict};
use crate::workspace;

/// A row is worse if it is over the baseline by more than this, in percent, and by more than one instruction.
const SLACK_PERCENT: u64 = 2;
const SLACK_INSTRUCTIONS: u64 = 1;
const COMPILER: &str = "# compiler: ";

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    pub compiler: String,
    pub costs: BTreeMap<String, u64>,
}

/// `rustc --version` of the kernel's compiler.
pub fn compiler() -> Result<String> {
    let output = Command::new(workspace::program("RUSTC", "rustc")).arg("--version").output().context("cannot start rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn path() -> PathBuf {
    workspace::root().join("tests/bench/baseline.csv")
}

/// Reads the committed file.
pub fn read() -> Result<Baseline> {
    let text = std::fs::read_to_string(path()).context("no baseline; `make bench-baseline` writes one")?;
    parse(&text).with_context(|| path().display().to_string())
}

/// Replaces the committed file by what was measured.
pub fn write(lines: &[Line]) -> Result<PathBuf> {
    let mut text = format!("{COMPILER}{}\noperation,instructions\n", compiler()?);
    for line in lines {
        if let Some(count) = line.instructions {
            text.push_str(&format!("{},{count}\n", line.target.operation));
        }
    }
    std::fs::write(path(), text)?;
    Ok(path())
}

fn parse(text: &str) -> Result<Baseline> {
    let mut baseline = Baseline::default();
    for line in text.lines() {
        if let Some(compiler) = line.strip_prefix(COMPILER) {
            baseline.compiler = compiler.trim().to_owned();
        } else if !line.starts_with('#') && line != "operation,instructions" && !line.is_empty() {
            let (operation, count) = line.split_once(',').with_context(|| format!("`{line}` is not operation,instructions"))?;
            baseline.costs.insert(operation.to_owned(), count.parse().with_context(|| format!("`{count}` is no number"))?);
        }
    }
    ensure!(!baseline.compiler.is_empty(), "no line `{COMPILER}...`");
    Ok(baseline)
}

/// What got worse, one complaint a row; empty if nothing did.
pub fn complaints(baseline: &Baseline, compiler: &str, lines: &[Line]) -> Vec<String> {
    if baseline.compiler != compiler {
        return lines.iter().filter_map(|line| over_target(line, baseline.costs.get(&line.target.operation).copied())).collect();
    }
    let measured = |operation: &String| lines.iter().find(|line| line.target.operation == *operation).and_then(|line| line.instructions);
    baseline
        .costs
        .iter()
        .filter_map(|(operation, &before)| match measured(operation) {
            None => Some(format!("{operation}: has a baseline of {before} and is not measured any more")),
            Some(now) if is_worse(before, now) => Some(format!("{operation}: {now}, baseline {before}")),
            Some(_) => None,
        })
        .collect()
}

fn is_worse(before: u64, now: u64) -> bool {
    now > before + SLACK_INSTRUCTIONS && now * 100 > before * (100 + SLACK_PERCENT)
}

fn over_target(line: &Line, before: Option<u64>) -> Option<String> {
    let Verdict::Over(by) = line.verdict() else { return None };
    let is_as_before = before.zip(line.instructions).is_some_and(|(before, now)| !is_worse(before, now));
    (!is_as_before).then(|| format!("{}: over its target by {by}", line.target.operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::targets::Target;

    fn line(operation: &str, instructions: Option<u64>) -> Line {
        let target = Target { operation: operation.to_owned(), target: Some(10), linux: None, limit: None };
        Line { target, instructions, cycles: None }
    }

    fn baseline() -> Baseline {
        parse("# compiler: rustc 1\noperation,instructions\na.small,10\na.large,1000\n").unwrap()
    }

    #[test]
    fn worse_is_more_than_one_instruction_and_more_than_two_percent() {
        let found = |small, large| complaints(&baseline(), "rustc 1", &[line("a.small", small), line("a.large", large)]);
        assert!(found(Some(11), Some(1020)).is_empty());
        assert_eq!(found(Some(12), Some(1020)), ["a.small: 12, baseline 10"]);
        assert_eq!(found(Some(11), Some(1021)), ["a.large: 1021, baseline 1000"]);
        assert!(found(Some(1), Some(1)).is_empty());
    }

    #[test]
    fn a_row_that_vanished_is_a_failure() {
        let found = complaints(&baseline(), "rustc 1", &[line("a.small", Some(10)), line("a.large", None)]);
        assert!(found.len() == 1 && found[0].contains("not measured any more"));
    }

    #[test]
    fn another_compiler_is_held_to_the_targets() {
        let found = |small, large| complaints(&baseline(), "rustc 2", &[line("a.small", small), line("a.large", large)]);
        assert_eq!(found(Some(12), None), ["a.small: over its target by 2"]);
        assert!(found(Some(10), Some(1001)).is_empty(), "its baseline is over the target already, for a reason that is written down");
        assert_eq!(found(Some(10), Some(1050)), ["a.large: over its target by 1040"]);
    }
}
