//! Smoke cases: the kernel that `make image` ships, driven from its console. Each file of tests/smoke is a group.
//!
//! A file has lines `case NAME`, then `key value` lines for that case; lines with `#` are comments.

use std::path::Path;

use anyhow::{Context, Result};

use super::case::Case;
use super::report::{Report, Verdict};
use super::suite;
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::workspace;

/// A group of cases, by the name of its file.
pub struct Group {
    pub name: String,
    pub cases: Vec<Case>,
}

/// Reads all files of tests/smoke.
pub fn groups() -> Result<Vec<Group>> {
    let folder = workspace::root().join("tests/smoke");
    let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut groups = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            groups.push(read(&path).with_context(|| format!("in {}", path.display()))?);
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

fn read(path: &Path) -> Result<Group> {
    let name = path.file_stem().context("a smoke file needs a name")?.to_string_lossy().into_owned();
    Ok(Group { name, cases: parse(&std::fs::read_to_string(path)?)? })
}

fn parse(text: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix("case ") {
            Some(name) => cases.push(Case::new(name.trim())),
            None => cases.last_mut().context("the first line must be `case NAME`")?.set(line)?,
        }
    }
    Ok(cases)
}

/// Runs one case on `kernel`, which has the features that it asks for.
pub fn run(group: &str, case: &Case, kernel: &Kernel, report: &Report) {
    let log = if case.features.iter().any(|feature| feature == "defmt") { Log::Defmt } else { Log::Text };
    let result = Machine::new(kernel.clone(), log).and_then(|mut machine| {
        case.prepare(&mut machine)?;
        suite::boot(&machine, group, case, report)
    });
    if let Err(error) = result {
        report.add(group, &case.name, None, Verdict::Failed(format!("{error:#}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_cases() {
        let cases = parse("# comment\ncase one\n  run cpus\n  expect cpu3\n\ncase two\n  exit 1\n").unwrap();
        assert_eq!(cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert!(parse("run cpus\n").is_err());
    }

    #[test]
    fn all_files_are_well_formed() {
        groups().unwrap();
    }
}
