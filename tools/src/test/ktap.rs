//! Readers of what a test kernel says: its list of cases, and results in KTAP.
//!
//! Lines may carry the prefix of the kernel's log. Source: the Linux documentation, "The Kernel Test Anything
//! Protocol (KTAP), version 1".

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use super::case::Case;

/// The result of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub verdict: Verdict,
    pub duration: Option<Duration>,
    /// The diagnostic lines before it.
    pub details: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    NotOk,
    Skip(String),
}

/// Takes the prefix of the log off a line: `[    1.234567] cpu2 `.
fn bare(line: &str) -> &str {
    static PREFIX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\[\s*\d+\.\d+\] (?:cpu\d+ )?").expect("a fixed pattern"));
    let line = line.trim_end();
    PREFIX.find(line).map_or(line, |prefix| &line[prefix.end()..])
}

/// Reads the list that a suite prints for `ktap=list`.
pub fn list(console: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut announced = None;
    for line in console.lines().filter_map(|line| bare(line).strip_prefix("ktap-list:")) {
        match line.trim().split_once(' ').unwrap_or((line.trim(), "")) {
            ("case", rest) => {
                let (name, mark) = rest.split_once(' ').unwrap_or((rest, ""));
                ensure!(mark.is_empty() || mark == "alone", "case {name}: `{mark}` is not understood");
                let mut case = Case::new(name);
                case.alone = mark == "alone";
                cases.push(case);
            }
            ("end", count) => announced = Some(count.parse::<usize>()?),
            _ => cases.last_mut().context("the list does not start with a case")?.set(line.trim())?,
        }
    }
    let announced = announced.context("the kernel printed no list of its cases, or not to its end")?;
    ensure!(announced == cases.len(), "the kernel listed {} cases but announced {announced}", cases.len());
    Ok(cases)
}

/// Reads all results in a console.
pub fn results(console: &str) -> Vec<Line> {
    static RESULT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\s*(not ok|ok) \d+ (?:- )?(\S+)\s*(?:# ?(.*))?$").expect("a fixed pattern"));
    let mut lines = Vec::new();
    let mut details = String::new();
    for line in console.lines().map(bare) {
        if let Some(found) = RESULT.captures(line) {
            let remark = found.get(3).map_or("", |remark| remark.as_str());
            let verdict = match (&found[1], remark.strip_prefix("SKIP")) {
                ("ok", None) => Verdict::Ok,
                (_, Some(reason)) => Verdict::Skip(reason.trim().to_owned()),
                _ => Verdict::NotOk,
            };
            let details = std::mem::take(&mut details);
            lines.push(Line { name: found[2].to_owned(), verdict, duration: duration(remark), details });
        } else if let Some(detail) = line.trim_start().strip_prefix('#') {
            details.push_str(&format!("{}\n", detail.trim()));
        }
    }
    lines
}

/// Finds a time such as `12 ms` in a remark.
fn duration(remark: &str) -> Option<Duration> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(\d+) ?(us|ms|s)\b").expect("a fixed pattern"));
    let found = TIME.captures(remark)?;
    let number = found[1].parse().ok()?;
    Some(match &found[2] {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        _ => Duration::from_secs(number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_cases_with_their_demands() {
        let cases =
            list("boot\n[    0.1] cpu0 ktap-list: case one\nktap-list: case two alone\nktap-list: exit hang\nktap-list: end 2\n").unwrap();
        assert_eq!(cases.iter().map(|case| (case.name.as_str(), case.alone)).collect::<Vec<_>>(), [("one", false), ("two", true)]);
    }

    #[test]
    fn a_list_cut_short_is_an_error() {
        assert!(list("ktap-list: case one\n").is_err());
        assert!(list("ktap-list: case one\nktap-list: end 2\n").is_err());
        assert!(list("ktap-list: exit hang\nktap-list: end 0\n").is_err());
        assert!(list("").is_err());
    }

    #[test]
    fn results_carry_verdict_time_and_details() {
        let console = "KTAP version 1\n1..3\n[   12.345678] cpu1 ok 1 one # 12 ms\n# two: 3 is not 4\nnot ok 2 two\nok 3 three # SKIP no such device\n";
        let lines = results(console);
        assert_eq!(lines[0].duration, Some(Duration::from_millis(12)));
        assert_eq!((&lines[1].verdict, lines[1].details.as_str()), (&Verdict::NotOk, "two: 3 is not 4\n"));
        assert_eq!(lines[2].verdict, Verdict::Skip("no such device".to_owned()));
        assert_eq!(lines.len(), 3);
    }
}
