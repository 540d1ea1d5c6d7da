//! Host tests: the unit tests of the kernel's pure code and of the tools, and the models that loom explores, each with a line and a time of its own.
//!
//! cargo builds them; the runner starts them itself, because only then can it ask for times and end one that hangs.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use super::report::{Report, Verdict};
use crate::{kernel, workspace};

/// What is built and run: a group's name, cargo's arguments, and what the tests' names begin with.
const GROUPS: [(&str, &[&str], &str); 5] = [
    ("host", &["-p", "tetra", "--lib", "--features", "tetra/checks"], ""),
    ("one-core", &["-p", "tetra", "--lib", "--features", "tetra/up"], "sync::"),
    ("one-core-unchecked", &["-p", "tetra", "--lib", "--features", "tetra/up_unchecked,tetra/preempt_none"], "sync::"),
    ("tools", &["-p", "tetra-tools", "--bins", "--features", "tetra-tools/defmt"], ""),
    (MODELS, &["-p", "tetra", "--lib", "--features", "tetra/checks"], ""),
];

/// The group of the models: the kernel's algorithms under loom, in all orders that the C11 memory model allows.
const MODELS: &str = "loom";

/// How the groups of the uniprocessor's forms begin.
const ONE_CORE: &str = "one-core";

/// Builds and runs all host tests that the report selects.
pub fn run(report: &Report) -> Result<()> {
    for (group, arguments, prefix) in GROUPS.into_iter().filter(|(group, ..)| report.may_select(group)) {
        let mut command = cargo_test();
        if group == MODELS {
            // A folder of its own: the flag is for all crates, so everything is built anew for it.
            command.env("RUSTFLAGS", "--cfg loom").env("CARGO_TARGET_DIR", workspace::target().join("host/loom"));
        }
        if group.starts_with(ONE_CORE) {
            // Few tests, over in a second whichever way: what counts is that they build quickly.
            command.env("CARGO_PROFILE_TOOLS_OPT_LEVEL", "0");
        }
        command.args(["--no-run", "--message-format=json-render-diagnostics"]).args(arguments);
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        if !output.status.success() {
            report.add(group, "(build)", None, Verdict::Failed("it does not build".to_owned()));
            continue;
        }
        for (_, binary) in kernel::executables(&output.stdout) {
            run_binary(group, &binary, prefix, report)?;
        }
    }
    run_doc_tests(report)
}

/// `cargo test` in the tools' build folder and profile, whose dependencies are built already. Kernel builds have another
/// folder: they set RUSTC_BOOTSTRAP, and sharing would rebuild both.
fn cargo_test() -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--profile", "tools"]).env("CARGO_TARGET_DIR", workspace::target().join("host"));
    command
}

fn run_binary(group: &str, binary: &Path, prefix: &str, report: &Report) -> Result<()> {
    let mut names = list(binary)?;
    if group == MODELS {
        names.retain(|name| is_model(name));
    }
    let selected: Vec<&String> = names.iter().filter(|name| name.starts_with(prefix) && report.selects(group, name)).collect();
    if selected.is_empty() {
        return Ok(());
    }
    let mut command = Command::new(binary);
    // The folder that cargo itself would start it in.
    let package = if group == "tools" { workspace::root().join("tools") } else { workspace::root() };
    command.current_dir(package).env("RUSTC_BOOTSTRAP", "1").args(["-Zunstable-options", "--report-time"]);
    if selected.len() < names.len() || group == MODELS {
        command.arg("--exact").args(&selected);
    }
    let output = command.stdin(Stdio::null()).output().context("cannot start a test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seen = add_results(group, &text, report);
    for name in selected.iter().filter(|name| !seen.contains_key(name.as_str())) {
        let why = format!("no result; the test program ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        report.add(group, name, None, Verdict::Failed(why));
    }
    Ok(())
}

/// Whether a test explores a model: those lie in modules that say so. The others run without loom, in the group `host`.
fn is_model(name: &str) -> bool {
    let module = name.rsplit("::").nth(1);
    module.is_some_and(|module| module == "model" || module == "loom_tests" || module.ends_with("_model"))
}

fn list(binary: &Path) -> Result<Vec<String>> {
    let output = Command::new(binary).args(["--list", "--format", "terse"]).output().context("cannot start a test")?;
    ensure!(output.status.success(), "{} does not list its tests", binary.display());
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// The examples in the documentation, with all checks on: what they show breaks no rule. Those of the target alone are `make check`'s.
fn run_doc_tests(report: &Report) -> Result<()> {
    const GROUP: &str = "doc";
    if !report.may_select(GROUP) {
        return Ok(());
    }
    let output = cargo_test()
        .args(["-p", "tetra", "--doc", "--features", "tetra/checks"])
        .stdin(Stdio::null())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seen = add_results(GROUP, &text, report);
    if !output.status.success() && !seen.values().any(|passed| !passed) {
        report.add(GROUP, "(build)", None, Verdict::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(())
}

/// Reads the lines of Rust's test harness; returns which tests had a result, and whether they passed.
fn add_results(group: &str, text: &str, report: &Report) -> HashMap<String, bool> {
    static RESULT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, (.*?))?(?: <([\d.]+)s>)?$").expect("a fixed pattern")
    });
    let mut seen = HashMap::new();
    for line in text.lines() {
        let Some(found) = RESULT.captures(line) else { continue };
        let name = found[1].to_owned();
        if !report.selects(group, &name) {
            continue;
        }
        let duration = found.get(4).and_then(|time| time.as_str().parse().ok()).map(Duration::from_secs_f64);
        let verdict = match &found[2] {
            "ok" => Verdict::Passed,
            "ignored" => Verdict::Skipped(found.get(3).map_or("ignored", |reason| reason.as_str()).to_owned()),
            _ => Verdict::Failed(output_of(&name, text)),
        };
        seen.insert(name.clone(), !matches!(verdict, Verdict::Failed(_)));
        report.add(group, &name, duration, verdict);
    }
    seen
}

/// What a failed test printed; the harness shows it in a part of its own.
fn output_of(name: &str, text: &str) -> String {
    let head = format!("---- {name} stdout ----");
    let part = text.split_once(&head).map_or("", |(_, rest)| rest);
    let end = ["\n---- ", "\nfailures:\n"].iter().filter_map(|mark| part.find(mark)).min().unwrap_or(part.len());
    part[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_by_their_module() {
        for (name, expected) in [
            ("sync::raw::model::tas_excludes", true),
            ("sched::wake_model::a_sleeper_is_queued", true),
            ("util::ring::loom_tests::bytes_arrive", true),
            ("log::model::record::tests::a_mark", false),
            ("mm::slab::model_test::agrees_with_the_model", false),
        ] {
            assert_eq!(is_model(name), expected, "{name}");
        }
    }

    #[test]
    fn the_output_of_a_failure_is_found() {
        let text = "failures:\n\n---- a::b stdout ----\nleft 1\n\n---- c stdout ----\nother\n\nfailures:\n    a::b\n";
        assert_eq!(output_of("a::b", text), "left 1");
        assert_eq!(output_of("c", text), "other");
    }
}
