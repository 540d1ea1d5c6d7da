//! `make verify`: what was compiled, against Arm's memory model.
//!
//! QEMU on a PC never shows weak ordering, and loom checks a model of the source. So the functions of `tests/litmus`, each one thread's use
//! of the public API, are compiled as the kernel is, disassembled, put side by side into litmus tests, and run by herd7 with the model that
//! Arm publishes. For every outcome that the docs forbid the test says *never*; for every test there is a broken twin in which the checker
//! must find that outcome, and something that must be found.
//!
//! `code.rs` reads machine code, `translate.rs` makes a thread of it, `template.rs` reads the tests, `litmus.rs` writes them for herd7,
//! `herd.rs` runs it;
//! `mutants.rs` asks whether the tests would notice each single weakening.

mod answers;
mod code;
mod herd;
mod litmus;
mod mutants;
mod template;
mod translate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::test::report::{Report as Results, Verdict};
use crate::workspace;
use answers::Answers;
use code::Functions;
use herd::{Herd, Outcome, State};
use litmus::Litmus;
use template::{Condition, Test};
use translate::DONE;

/// What all tests need: the code, the checker, and a folder for what it reads.
struct Bench {
    functions: Functions,
    herd: Herd,
    folder: PathBuf,
    /// Earlier answers, where they may be taken.
    answers: Option<Answers>,
}

/// What one test showed.
struct Report {
    name: String,
    states: usize,
    executions: u64,
    twins: usize,
    faults: Vec<String>,
}

/// `tetra-tools verify [mutants] [FILTER]`: all tests and their twins, or every single weakening; of those whose name contains FILTER.
pub fn main(args: &[String]) -> Result<ExitCode> {
    let (is_mutants, rest) = match args {
        [first, rest @ ..] if first == "mutants" => (true, rest),
        rest => (false, rest),
    };
    let filter = match rest {
        [] => "",
        [filter] => filter.as_str(),
        _ => bail!("usage: verify [mutants] [FILTER]"),
    };

    let mut tests = template::read_folder(&code::folder())?;
    tests.retain(|test| test.name.contains(filter));
    anyhow::ensure!(!tests.is_empty(), "no test matches `{filter}`");
    let herd = match Herd::find() {
        Ok(herd) => herd,
        Err(why) => return Ok(skipped(tests.len(), &format!("no herd7: {why}"))),
    };
    let Some(functions) = code::load()? else {
        return Ok(skipped(tests.len(), "no objdump that knows AArch64"));
    };

    let start = Instant::now();
    println!("herd7 {}; {} tests", herd.version().unwrap_or_default(), tests.len());
    let bench = Bench::new(functions, herd, None)?;
    let reports = if is_mutants {
        mutants::run(&tests, &bench)
    } else {
        in_parallel(&tests, |test| verify(test, &bench).unwrap_or_else(|error| failed(&test.name, &error)))
    };
    Ok(print(&reports, start, is_mutants))
}

/// The group of these tests in `make test`.
const GROUP: &str = "verify";

/// The quick set, as part of `make test`: all tests that are not marked slow, with their twins, one case a test.
pub fn test(results: &Results) -> Result<()> {
    let mut tests = template::read_folder(&code::folder())?;
    tests.retain(|test| !test.is_slow && results.selects(GROUP, &test.name));
    if tests.is_empty() {
        return Ok(());
    }
    let nothing_proven = |what: String| {
        results.add(GROUP, "(all)", None, Verdict::Missing(what));
        Ok(())
    };
    let herd = match Herd::find() {
        Ok(herd) => herd,
        Err(why) => return nothing_proven(format!("NOTHING IS PROVEN about the order of memory: herd7 ({why})")),
    };
    let functions = match code::load() {
        Ok(Some(functions)) => functions,
        Ok(None) => return nothing_proven("NOTHING IS PROVEN about the order of memory: objdump for AArch64".to_owned()),
        Err(error) => {
            results.add(GROUP, "(build)", None, Verdict::Failed(format!("{error:#}")));
            return Ok(());
        }
    };

    let answers = herd.version().map(|version| Answers::of(&version));
    let bench = Bench::new(functions, herd, answers)?;
    in_parallel(&tests, |test| {
        let start = Instant::now();
        let report = verify(test, &bench).unwrap_or_else(|error| failed(&test.name, &error));
        let verdict = if report.faults.is_empty() { Verdict::Passed } else { Verdict::Failed(report.faults.join("\n")) };
        results.add(GROUP, &test.name, Some(start.elapsed()), verdict);
    });
    Ok(())
}

/// Says loudly that nothing was checked. Under CI that is a failure.
fn skipped(nr_tests: usize, why: &str) -> ExitCode {
    let is_ci = workspace::variable("CI").is_some_and(|value| value == "true");
    eprintln!("verify: SKIPPED, nothing is proven: {why}");
    if is_ci {
        println!("0 passed, {nr_tests} failed");
        return ExitCode::FAILURE;
    }
    println!("0 passed, 0 failed, {nr_tests} skipped");
    ExitCode::SUCCESS
}

/// Runs a test and all its twins.
fn verify(test: &Test, bench: &Bench) -> Result<Report> {
    let litmus = Litmus::new(test, &bench.functions)?;
    let outcome = bench.run(&litmus, &test.name)?;
    let mut faults = judge(test, &outcome);
    for (number, twin) in test.twins.iter().enumerate() {
        let weakened = litmus.weakened(twin)?;
        let outcome = bench.run(&weakened, &format!("{}.twin{number}", test.name))?;
        if !is_broken(test, &outcome) {
            let without: Vec<&str> = twin.iter().map(|change| change.from.as_str()).collect();
            faults.push(format!("twin without {} is not rejected", without.join(" and ")));
        }
    }
    Ok(Report { name: test.name.clone(), states: outcome.states.len(), executions: outcome.executions, twins: test.twins.len(), faults })
}

/// What is wrong with an outcome: a forbidden one seen, an expected one not seen, nothing run.
fn judge(test: &Test, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    if outcome.executions == 0 || !outcome.states.iter().any(is_complete) {
        faults.push("no execution reaches the end: proves nothing".to_owned());
    }
    for condition in test.never.iter().filter(|condition| is_seen(condition, outcome)) {
        faults.push(format!("FORBIDDEN outcome seen: {}", litmus::show(condition)));
    }
    for condition in test.sometimes.iter().filter(|condition| !is_seen(condition, outcome)) {
        faults.push(format!("expected outcome not seen: {}", litmus::show(condition)));
    }
    faults
}

/// Whether a forbidden outcome is seen.
fn is_broken(test: &Test, outcome: &Outcome) -> bool {
    test.never.iter().any(|condition| is_seen(condition, outcome))
}

/// Whether every thread reached its end.
fn is_complete(state: &State) -> bool {
    state.iter().filter(|(name, _)| name.ends_with(&format!(":X{DONE}"))).all(|(_, value)| value == "1")
}

/// Whether a complete run ends so.
fn is_seen(condition: &Condition, outcome: &Outcome) -> bool {
    let holds = |state: &State| condition.iter().all(|(name, value)| state.get(&litmus::state_name(name)) == Some(value));
    outcome.states.iter().any(|state| is_complete(state) && holds(state))
}

impl Bench {
    fn new(functions: Functions, herd: Herd, answers: Option<Answers>) -> Result<Self> {
        let folder = workspace::target().join("verify");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { functions, herd, folder, answers })
    }

    /// Writes a test for herd7, where it stays so that it can be run by hand, and runs it, unless it is known what comes of it.
    fn run(&self, litmus: &Litmus, name: &str) -> Result<Outcome> {
        let (file, text) = (self.folder.join(format!("{name}.litmus")), litmus.render()?);
        if let Some(answer) = self.answers.as_ref().and_then(|answers| answers.find(&file, &text)) {
            return herd::parse(&answer);
        }
        std::fs::write(&file, &text).with_context(|| file.display().to_string())?;
        let answer = self.herd.run(&file)?;
        let outcome = herd::parse(&answer).with_context(|| format!("{}: {answer}", file.display()))?;
        self.answers.iter().try_for_each(|answers| answers.keep(&file, &text, &answer))?;
        Ok(outcome)
    }
}

/// The report of a test that could not be run.
fn failed(name: &str, error: &anyhow::Error) -> Report {
    Report { name: name.to_owned(), states: 0, executions: 0, twins: 0, faults: vec![format!("{error:#}")] }
}

/// Does `work` for every test on all cores; the results are in the tests' order.
fn in_parallel<R: Send>(tests: &[Test], work: impl Fn(&Test) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((index, test)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, tests.get(index)?)))
                {
                    let result = work(test);
                    results.lock().expect("no worker panics while it holds this").push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("all workers are done");
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Prints the table and the closing line.
fn print(reports: &[Report], start: Instant, is_mutants: bool) -> ExitCode {
    let (what, good) = if is_mutants { ("mutants", "noticed") } else { ("twins rejected", "holds") };
    println!("{:<44} {:>7} {:>11} {:>15}  verdict", "test", "states", "executions", what);
    for report in reports {
        let verdict = if report.faults.is_empty() { good } else { "FAILED" };
        println!("{:<44} {:>7} {:>11} {:>15}  {verdict}", report.name, report.states, report.executions, report.twins);
        report.faults.iter().for_each(|fault| println!("    {fault}"));
    }
    let failed = reports.iter().filter(|report| !report.faults.is_empty()).count();
    println!("{:.1} s", start.elapsed().as_secs_f32());
    println!("{} passed, {failed} failed", reports.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(states: &[&[(&str, &str)]]) -> Outcome {
        let state = |pairs: &&[(&str, &str)]| pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Outcome { states: states.iter().map(state).collect(), executions: states.len() as u64 }
    }

    /// Whoever adds a value-returning operation adds its tests: it is a full barrier, and passes messages either way.
    #[test]
    fn every_full_operation_is_tested() {
        let folder = workspace::root().join("src/sync/atomic");
        let form = regex::Regex::new(r"(?m)^ +(\w+), \w+_relaxed, \w+_acquire, \w+_release\(").unwrap();
        let text: String = ["mod.rs", "arith.rs", "logic.rs"].map(|file| std::fs::read_to_string(folder.join(file)).unwrap()).concat();
        let operations: Vec<&str> = form.captures_iter(&text).map(|found| found.get(1).unwrap().as_str()).collect();
        assert!(operations.len() > 15, "{operations:?}");

        let tests: Vec<String> = template::read_folder(&code::folder()).unwrap().into_iter().map(|test| test.name).collect();
        for operation in operations {
            for name in [format!("SB+{operation}"), format!("MP+publish_{operation}"), format!("MP+look_{operation}")] {
                assert!(tests.contains(&name), "no test {name}");
            }
        }
    }

    #[test]
    fn verdicts_count_complete_runs_only() {
        let test = &template::parse("test T\nP0 f\nnever P0=1\nsometimes P0=2\ntwin dmb -> drop\n").unwrap()[0];
        assert!(judge(test, &outcome(&[&[("0:X0", "2"), ("0:X26", "1")]])).is_empty());
        assert_eq!(judge(test, &outcome(&[])).len(), 2);
        assert_eq!(judge(test, &outcome(&[&[("0:X0", "1"), ("0:X26", "1")], &[("0:X0", "2"), ("0:X26", "1")]])).len(), 1);
        let cut_short = outcome(&[&[("0:X0", "1"), ("0:X26", "0")], &[("0:X0", "2"), ("0:X26", "1")]]);
        assert!(judge(test, &cut_short).is_empty());
    }
}
