//! The symbol table as the running kernel shows it, against the ELF that it was made from: every address, kind and name.

use anyhow::{Context, Result};

use super::case::Case;
use super::report::{Report, Verdict};
use crate::elf;
use crate::guest;
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;

const GROUP: &str = "views";
const NAME: &str = "kallsyms_against_the_elf";
/// Only lines longer than this may be cut.
const LONG: usize = 500;

/// Says whether the test is to be run.
pub fn is_selected(report: &Report) -> bool {
    report.selects(GROUP, NAME)
}

/// Boots `kernel` and compares.
pub fn test(kernel: &Kernel, report: &Report) {
    if !is_selected(report) {
        return;
    }
    match compare(kernel) {
        Ok(verdict) => report.add(GROUP, NAME, None, verdict),
        Err(error) => report.add(GROUP, NAME, None, Verdict::Failed(format!("{error:#}"))),
    }
}

fn compare(kernel: &Kernel) -> Result<Verdict> {
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    machine.append("loglevel=4");
    machine.run("cat /proc/kallsyms");
    let case = Case::new(NAME);
    let outcome = guest::run(&machine, case.limits(), &[], |_| ())?;
    if let Err(why) = case.judge(&outcome) {
        return Ok(Verdict::Failed(why));
    }
    let bytes = std::fs::read(&kernel.elf).with_context(|| kernel.elf.display().to_string())?;
    let wanted: Vec<String> = elf::symbols(&bytes)?
        .into_iter()
        .map(|symbol| format!("{:016x} {} {}", symbol.address, if symbol.is_data { 'd' } else { 't' }, symbol.name))
        .collect();
    Ok(match first_difference(&wanted, &listed(&outcome.console)) {
        None => Verdict::Passed,
        Some(difference) => Verdict::Failed(difference),
    })
}

/// The lines of the console that are entries of the list.
fn listed(console: &str) -> Vec<&str> {
    let is_entry = |line: &&str| {
        let mut words = line.splitn(3, ' ');
        words.next().is_some_and(|address| address.len() == 16 && u64::from_str_radix(address, 16).is_ok())
            && matches!(words.next(), Some("t" | "d"))
    };
    console.lines().filter(is_entry).collect()
}

/// The kernel cuts names that are longer than any line.
fn is_same(wanted: &str, found: &str) -> bool {
    wanted == found || found.strip_suffix("...").is_some_and(|head| wanted.starts_with(head) && head.len() > LONG)
}

fn first_difference(wanted: &[String], found: &[&str]) -> Option<String> {
    if let Some((wanted, found)) = wanted.iter().zip(found).find(|(wanted, found)| !is_same(wanted, found)) {
        return Some(format!("the ELF has `{wanted}` where the kernel shows `{found}`"));
    }
    (wanted.len() != found.len()).then(|| format!("the ELF has {} symbols, the kernel shows {}", wanted.len(), found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_between_other_lines() {
        let console = "tetra# cat /proc/kallsyms\nffffffff80080000 t a b\n[ 1.0] cpu0 hello\nffffffff80080010 d c\n";
        assert_eq!(listed(console), ["ffffffff80080000 t a b", "ffffffff80080010 d c"]);
    }

    #[test]
    fn a_missing_or_other_symbol_is_named() {
        let wanted = ["1 t a".to_owned(), "2 t b".to_owned()];
        assert_eq!(first_difference(&wanted, &["1 t a", "2 t b"]), None);
        assert!(first_difference(&wanted, &["1 t a", "2 t c"]).is_some_and(|text| text.contains("`2 t b`")));
        assert!(first_difference(&wanted, &["1 t a"]).is_some_and(|text| text.contains("2 symbols")));
    }

    #[test]
    fn a_long_name_may_be_cut_and_a_short_one_not() {
        let long = "x".repeat(2 * LONG);
        assert!(is_same(&long, &format!("{}...", &long[..LONG + 1])));
        assert!(!is_same("xyz", "xy...") && !is_same(&long, &format!("{}y...", &long[..LONG + 1])));
    }
}
