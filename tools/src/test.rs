//! `make test`: host tests, then every suite under QEMU, two at a time.
//!
//! One line a case, and at the end `N passed, N failed` alone on a line. `ONLY=` chooses by a regular expression over
//! `group/case`. docs/testing.md is the guide for those who write cases.

pub mod case;
mod host;
mod ktap;
pub mod mutated_tree;
pub mod report;
mod smoke;
mod suite;
mod variants;

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result};
use regex::Regex;

use crate::kernel::{self, Log};
use crate::workspace::variable;
use crate::{console_noise, idle, sdcard, soak, verify, workspace};
use report::{Report, Verdict};

/// Guests that run at once: each has four cores, and CI has two.
const WORKERS: usize = 2;

type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// `tetra-tools test`.
pub fn main() -> Result<ExitCode> {
    let only = variable("ONLY").map(|pattern| Regex::new(&pattern)).transpose().context("ONLY= is no regular expression")?;
    let report = Report::new(only);
    if let Err(error) = sdcard::fetch_firmware() {
        eprintln!("the Pi's device tree cannot be had, so tests that read it are skipped: {error:#}");
    }
    host::run(&report)?;
    verify::test(&report)?;
    guests(&report)?;
    Ok(report.close())
}

/// Builds all kernels, then runs everything that boots one.
fn guests(report: &Report) -> Result<()> {
    let mut jobs: Vec<Job> = Vec::new();
    if workspace::root().join("tests/kernel/Cargo.toml").exists() {
        match kernel::build(suite::PACKAGE, None, &kernel::features(&["checks"], Log::Text), kernel::Profile::Checked, "test") {
            Ok(suites) => {
                jobs.extend(suites.into_iter().map(|kernel| Box::new(move || suite::run(&kernel, report)) as Job));
            }
            Err(error) => report.add("suites", "(build)", None, Verdict::Failed(format!("{error:#}"))),
        }
    }
    jobs.extend(smoke_jobs(report)?);
    if report.selects("image", "sdcard") {
        jobs.push(Box::new(|| sdcard(report)));
    }
    work_off(jobs);
    Ok(())
}

/// Smoke cases, entries, damaged trees, the noise and the soak test, each on the shipped kernel with the features that it asks for.
fn smoke_jobs(report: &Report) -> Result<Vec<Job<'_>>> {
    let mut groups = smoke::groups()?;
    for group in &mut groups {
        group.cases.retain(|case| report.selects(&group.name, &case.name));
    }
    let mut builds: BTreeSet<(Option<String>, Vec<String>)> =
        groups.iter().flat_map(|group| &group.cases).map(|case| (case.package.clone(), case.features.clone())).collect();
    let wants_plain = console_noise::is_selected(report)
        || idle::is_selected(report)
        || soak::is_selected(report)
        || variants::is_selected(report)
        || mutated_tree::is_selected(report);
    if wants_plain {
        builds.insert((None, Vec::new()));
    }

    let mut jobs: Vec<Job> = Vec::new();
    for (package, features) in builds {
        let mut all = vec!["checks"];
        all.extend(features.iter().map(String::as_str));
        let mut folder = vec!["smoke".to_owned()];
        folder.extend(package.iter().chain(&features).cloned());
        let folder = folder.join("-");
        let (name, bin) = package.as_deref().map_or(("tetra", Some("kernel8")), |package| (package, None));
        let kernel = match kernel::build(name, bin, &kernel::features(&all, Log::Text), kernel::Profile::Checked, &folder) {
            Ok(mut kernels) => kernels.remove(0),
            Err(error) => {
                report.add(&folder, "(build)", None, Verdict::Failed(format!("{error:#}")));
                continue;
            }
        };
        for group in &groups {
            for case in group.cases.iter().filter(|case| case.package == package && case.features == features) {
                let (name, case, kernel) = (group.name.clone(), case.clone(), kernel.clone());
                jobs.push(Box::new(move || smoke::run(&name, &case, &kernel, report)));
            }
        }
        if package.is_none() && features.is_empty() && wants_plain {
            let (noisy, entered, damaged, sleeping) = (kernel.clone(), kernel.clone(), kernel.clone(), kernel.clone());
            jobs.push(Box::new(move || idle::test(&sleeping, report)));
            jobs.push(Box::new(move || variants::test(&entered, report)));
            jobs.push(Box::new(move || mutated_tree::run(&damaged, mutated_tree::TREES, report)));
            jobs.push(Box::new(move || console_noise::test(&noisy, report)));
            jobs.push(Box::new(move || soak::test(&kernel, report)));
        }
    }
    Ok(jobs)
}

/// The SD card image, made and read back by its own subcommand.
fn sdcard(report: &Report) {
    let started = Instant::now();
    let image = workspace::target().join("test/sdcard.img");
    let run = || -> Result<Verdict> {
        let output = Command::new(std::env::current_exe()?).arg("sdcard").arg("--out").arg(&image).stdin(Stdio::null()).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(match output.status.success() {
            true => Verdict::Passed,
            false => Verdict::Failed(String::from_utf8_lossy(&text).into_owned()),
        })
    };
    let verdict = run().unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
    report.add("image", "sdcard", Some(started.elapsed()), verdict);
}

/// Works through the jobs with as many threads as there may be guests.
fn work_off(jobs: Vec<Job>) {
    let jobs = Mutex::new(jobs.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let job = jobs.lock().expect("a job runs without the lock").next();
                    match job {
                        Some(job) => job(),
                        None => break,
                    }
                }
            });
        }
    });
}
