//! `make test`: host tests, and every suite under QEMU, with two things going on at any time.
//!
//! Two lanes begin at once. One builds kernels and queues what boots them; the other builds and runs what runs on the host. Whichever is done takes
//! guests from the queue. So the single-threaded ends of the builds cost nothing, and there are never more than two guests, or one beside a build:
//! more would only make cases miss their limits.
//!
//! One line a case, and at the end `N passed, N failed` alone on a line. `ONLY=` chooses by a regular expression over
//! `group/case`. docs/testing.md is the guide for those who write cases.

pub mod case;
mod host;
mod kallsyms;
mod ktap;
pub mod mutated_tree;
pub mod report;
mod smoke;
pub mod suite;
mod variants;

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Context, Result};
use regex::Regex;

use crate::kernel::{self, Kernel, Log};
use crate::workspace::variable;
use crate::{console_noise, idle, sdcard, soak, torture, verify, workspace};
use report::{Report, Verdict};

/// Something that boots guests, one at a time.
type Job<'a> = Box<dyn FnOnce() + Send + 'a>;

/// `tetra-tools test`.
pub fn main() -> Result<ExitCode> {
    let only = variable("ONLY").map(|pattern| Regex::new(&pattern)).transpose().context("ONLY= is no regular expression")?;
    let report = Report::new(only);
    if let Err(error) = sdcard::fetch_firmware() {
        eprintln!("the Pi's device tree cannot be had, so tests that read it are skipped: {error:#}");
    }
    run(&report)?;
    Ok(report.close())
}

/// The two lanes.
fn run(report: &Report) -> Result<()> {
    let (queue, jobs) = channel();
    let jobs = Mutex::new(jobs);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let result = verify::test(report).and_then(|()| host::run(report));
            work_off(&jobs);
            result
        });
        let built = build_kernels(report, queue);
        work_off(&jobs);
        host.join().expect("failures are results")?;
        built
    })
}

/// Works through the jobs until there are none, and none to come.
fn work_off(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // A name for it, or the lock would be held while the job runs.
        let job = jobs.lock().expect("a job runs without the lock").recv();
        match job {
            Ok(job) => job(),
            Err(_) => break,
        }
    }
}

/// Builds all kernels, each of which puts into the queue what boots it: the shipped one, with the longest tests, first.
fn build_kernels<'a>(report: &'a Report, queue: Sender<Job<'a>>) -> Result<()> {
    let add = |job: Job<'a>| queue.send(job).expect("both lanes read until this end is closed");
    let mut groups = smoke::groups()?;
    for group in &mut groups {
        group.cases.retain(|case| report.selects(&group.name, &case.name));
    }
    let mut variants: BTreeSet<Variant> =
        groups.iter().flat_map(|group| &group.cases).map(|case| (case.package.clone(), case.features.clone())).collect();
    if wants_shipped(report) {
        variants.insert(Variant::default());
    }
    for variant in variants {
        if let Some(kernel) = build_variant(&variant, report) {
            add_boots(&variant, &kernel, &groups, report, &add);
        }
    }

    if torture::is_selected(report) || suite::names()?.iter().any(|name| report.may_select(name)) {
        match kernel::build(suite::PACKAGE, None, &kernel::features(&["checks"], Log::Text), kernel::Profile::Checked, "test") {
            Ok(kernels) => kernels.into_iter().for_each(|kernel| {
                if kernel.name == torture::NAME && torture::is_selected(report) {
                    let tortured = kernel.clone();
                    add(Box::new(move || torture::test(&tortured, report)));
                }
                add(Box::new(move || suite::run(&kernel, report)));
            }),
            Err(error) => report.add("suites", "(build)", None, Verdict::Failed(format!("{error:#}"))),
        }
    }
    // Not in the queue: nearly all of it is one more build.
    if report.selects("image", "sdcard") {
        sdcard(report);
    }
    Ok(())
}

/// A kernel to build: whose package, if not Tetra's own, and with which features beside `checks`.
type Variant = (Option<String>, Vec<String>);

/// Whether the shipped kernel is wanted for more than smoke cases.
fn wants_shipped(report: &Report) -> bool {
    console_noise::is_selected(report)
        || soak::is_selected(report)
        || variants::is_selected(report)
        || mutated_tree::is_selected(report)
        || kallsyms::is_selected(report)
        || idle::is_selected(report)
}

/// Builds one kernel; if that fails, so does a case of its name.
fn build_variant((package, features): &Variant, report: &Report) -> Option<Kernel> {
    let mut all = vec!["checks"];
    all.extend(features.iter().map(String::as_str));
    let mut folder = vec!["smoke"];
    folder.extend(package.iter().chain(features).map(String::as_str));
    let folder = folder.join("-");
    let (name, bin) = package.as_deref().map_or(("tetra", Some("kernel8")), |package| (package, None));
    match kernel::build(name, bin, &kernel::features(&all, Log::Text), kernel::Profile::Checked, &folder) {
        Ok(mut kernels) => Some(kernels.remove(0)),
        Err(error) => {
            report.add(&folder, "(build)", None, Verdict::Failed(format!("{error:#}")));
            None
        }
    }
}

/// Adds what boots this kernel: for the shipped one noise, soak test, entries and damaged trees; for all their smoke cases.
fn add_boots<'a>(variant: &Variant, kernel: &Kernel, groups: &[smoke::Group], report: &'a Report, add: &impl Fn(Job<'a>)) {
    if *variant == Variant::default() && wants_shipped(report) {
        let [noisy, soaked, entered, damaged, named, sleeping] = [(); 6].map(|()| kernel.clone());
        add(Box::new(move || console_noise::test(&noisy, report)));
        add(Box::new(move || soak::test(&soaked, report)));
        add(Box::new(move || variants::test(&entered, report)));
        add(Box::new(move || mutated_tree::run(&damaged, mutated_tree::TREES, report)));
        add(Box::new(move || kallsyms::test(&named, report)));
        add(Box::new(move || idle::test(&sleeping, report)));
    }
    let (package, features) = variant;
    for group in groups {
        for case in group.cases.iter().filter(|case| case.package == *package && case.features == *features) {
            let (name, case, kernel) = (group.name.clone(), case.clone(), kernel.clone());
            add(Box::new(move || smoke::run(&name, &case, &kernel, report)));
        }
    }
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
