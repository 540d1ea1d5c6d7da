//! One line a case as it ends, and the count that closes a run.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use regex::Regex;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// With what to show: why, and the end of the console.
    Failed(String),
    /// With the reason.
    Skipped(String),
    /// A program that the case needs is not on this machine; a failure where CI=true, since nobody would read of it.
    Missing(String),
}

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    failures: Vec<String>,
}

/// Collects the results of a run; any thread may add to it.
pub struct Report {
    only: Option<Regex>,
    counts: Mutex<Counts>,
}

impl Report {
    /// A report over the cases whose `group/name` matches `only`.
    pub fn new(only: Option<Regex>) -> Self {
        Self { only, counts: Mutex::default() }
    }

    /// Says whether a case is to be run.
    pub fn selects(&self, group: &str, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(&format!("{group}/{name}")))
    }

    /// Says whether a group may hold a case to run, so that nothing is built for none. Only what stands before a `/` can tell, and only if each
    /// alternative has one: a pattern that was cut within parentheses is none, and is taken for a yes.
    pub fn may_select(&self, group: &str) -> bool {
        let Some(whole) = self.only.as_ref().map(Regex::as_str) else { return true };
        let is_alternative = |text: &str| Regex::new(text).is_ok();
        let alternatives = if whole.split('|').all(is_alternative) { whole.split('|').collect() } else { vec![whole] };
        alternatives.into_iter().any(|alternative| {
            let Some((of_group, _)) = alternative.split_once('/') else { return true };
            Regex::new(of_group).map_or(true, |of_group| of_group.is_match(group))
        })
    }

    /// Adds a result and prints its line.
    pub fn add(&self, group: &str, name: &str, duration: Option<Duration>, verdict: Verdict) {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        let verdict = match verdict {
            Verdict::Missing(what) if is_ci => Verdict::Failed(format!("{what} is missing")),
            Verdict::Missing(what) => Verdict::Skipped(format!("{what} is missing")),
            other => other,
        };
        let mut counts = self.counts.lock().expect("a thread that reports does not panic");
        let case = format!("{group}/{name}");
        let time = duration.map(|duration| format!("  {}", short(duration))).unwrap_or_default();
        match verdict {
            Verdict::Passed => {
                counts.passed += 1;
                println!("ok    {case}{time}");
            }
            Verdict::Failed(why) => {
                counts.failed += 1;
                println!("FAIL  {case}{time}");
                why.trim_end().lines().for_each(|line| println!("      {line}"));
                counts.failures.push(case);
            }
            Verdict::Skipped(reason) => {
                counts.skipped += 1;
                println!("skip  {case}: {reason}");
            }
            Verdict::Missing(_) => unreachable!("replaced above"),
        }
    }

    /// Prints the failures again and the count, alone on the last line; the status is a failure if nothing ran.
    pub fn close(self) -> ExitCode {
        let counts = self.counts.into_inner().expect("a thread that reports does not panic");
        println!();
        for case in &counts.failures {
            println!("FAIL  {case}");
        }
        if counts.passed + counts.failed == 0 {
            println!("Nothing ran.");
        }
        let skipped = if counts.skipped == 0 { String::new() } else { format!(", {} skipped", counts.skipped) };
        println!("{} passed, {} failed{skipped}", counts.passed, counts.failed);
        if counts.failed > 0 || counts.passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn short(duration: Duration) -> String {
    if duration < Duration::from_secs(1) { format!("{} ms", duration.as_millis()) } else { format!("{:.1} s", duration.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_chooses_cases_and_groups() {
        let report = |only: &str| Report::new(Some(Regex::new(only).unwrap()));
        assert!(report("null").selects("faults", "null_read") && !report("null").selects("faults", "text_write"));
        assert!(report("null").may_select("faults") && report("^(host|tools)/").may_select("tools"));
        assert!(!report("^(host|tools)/").may_select("soak") && !report("soak/plain").may_select("host"));
        assert!(
            report("host/a|boot/b").may_select("host")
                && report("host/a|boot/b").may_select("boot")
                && report("a|boot/b").may_select("host")
        );
        assert!(!report("host/a|boot/b").may_select("soak"));
        assert!(Report::new(None).selects("any", "case") && Report::new(None).may_select("any"));
    }
}
