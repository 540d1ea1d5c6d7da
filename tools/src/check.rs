//! `make check`: what a reviewer should not have to say. Format, lints, documentation, layers, licences.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use crate::test::report::{Report, Verdict};
use crate::workspace::variable;
use crate::{kernel, layers, licences, workspace};

/// Features that change much of the code; the kernel is linted with and without its checks, and in these forms.
const KERNEL_FORMS: [&str; 5] = ["", "tetra/checks", "tetra/defmt,tetra/tracepoints", "tetra/up", "tetra/up_unchecked,tetra/preempt_none"];

/// `tetra-tools check`.
pub fn main() -> Result<ExitCode> {
    let only = variable("ONLY").map(|pattern| Regex::new(&pattern)).transpose().context("ONLY= is no regular expression")?;
    let report = Report::new(only);
    let check = |name: &str, work: &dyn Fn() -> Result<()>| {
        if report.selects("check", name) {
            let started = Instant::now();
            let verdict = work().map_or_else(|error| Verdict::Failed(format!("{error:#}")), |()| Verdict::Passed);
            report.add("check", name, Some(started.elapsed()), verdict);
        }
    };

    check("format", &|| quiet(workspace::cargo().args(["fmt", "--all", "--check"])));
    check("layers", &layers::check);
    check("licences", &licences::check);
    for form in KERNEL_FORMS {
        let name = if form.is_empty() { "clippy kernel".to_owned() } else { format!("clippy kernel {form}") };
        check(&name, &|| quiet(kernel_clippy("tetra", form).env("CLIPPY_CONF_DIR", workspace::root().join("tools/lints"))));
    }
    check("no infallible allocation", &no_infallible_allocation);
    check("clippy suites", &|| quiet(&mut kernel_clippy("tetra-tests", "tetra/checks")));
    check("clippy first-driver", &|| quiet(&mut kernel_clippy("first-driver", "tetra/checks")));
    check("clippy host", &|| {
        let arguments =
            ["clippy", "--profile", "tools", "-p", "tetra", "--lib", "--tests", "--features", "tetra/checks", "--", "-Dwarnings"];
        quiet(host_cargo().args(arguments))
    });
    check("clippy tools", &|| {
        quiet(host_cargo().args([
            "clippy",
            "--profile",
            "tools",
            "-p",
            "tetra-tools",
            "--all-targets",
            "--all-features",
            "--",
            "-Dwarnings",
        ]))
    });
    check("documentation", &|| {
        let mut command = kernel::cargo("doc", kernel::Profile::Checked);
        command
            .args(["--no-deps", "-p", "tetra", "--lib", "--document-private-items", "--features", "tetra/checks"])
            .env("RUSTDOCFLAGS", "-Dwarnings -Arustdoc::private-intra-doc-links -Zfixed-x18");
        quiet(&mut command)
    });
    check("examples for the target", &examples_for_target);
    Ok(report.close())
}

/// clippy for a package of the kernel's side, warnings as errors.
fn kernel_clippy(package: &str, features: &str) -> Command {
    let mut command = kernel::cargo("clippy", kernel::Profile::Checked);
    command.args(["-p", package, "--features", features, "--", "-Dwarnings"]);
    command
}

/// The kernel builds with an `alloc` that has none of the calls that abort when memory is short: so no path of it can.
fn no_infallible_allocation() -> Result<()> {
    let mut command = kernel::cargo("check", kernel::Profile::Checked);
    command.args(["-p", "tetra", "--features", "tetra/checks"]);
    // `core` and `alloc` are built anew with this flag: in a folder of their own, or each build would undo the other's.
    command.env("CARGO_TARGET_DIR", workspace::target().join("no-infallible-allocation"));
    command.args(["--config", &format!(r#"target.{}.rustflags=["--cfg","no_global_oom_handling"]"#, kernel::TARGET)]);
    quiet(&mut command)
}

/// Compiles the examples in the documentation of what only the target has; `make test` compiles and runs the others.
///
/// rustdoc's own tests, by hand: `cargo test` would build the tests' dependencies for the target as well, and they need `std`. What is not run is not
/// linked either, so the library's metadata are enough. `src/lib.rs` makes the examples `no_std`.
fn examples_for_target() -> Result<()> {
    const TARGET_ONLY: &str = "src/arch src/irq src/time src/mm src/debug";
    let library = ["-p", "tetra", "--lib", "--features", "tetra/checks"];
    let mut build = kernel::cargo("check", kernel::Profile::Checked);
    build.args(library).arg("--message-format=json-render-diagnostics");
    let output = build.stdin(Stdio::null()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = kernel::metadata(&output.stdout, "tetra").context("cargo does not say where the library's metadata are")?;

    let mut command = kernel::cargo("rustdoc", kernel::Profile::Checked);
    command.args(library).args(["--", "--test", "--no-run", "-Zunstable-options", "--test-args", TARGET_ONLY]);
    command.arg("--extern").arg(format!("tetra={}", metadata.display()));
    command.arg("-L").arg(format!("dependency={}", metadata.with_file_name("").display()));
    quiet(command.env("RUSTDOCFLAGS", "-Zfixed-x18"))
}

/// cargo for host builds, with their own build folder.
fn host_cargo() -> Command {
    let mut command = workspace::cargo();
    command.env("CARGO_TARGET_DIR", workspace::target().join("host"));
    command
}

/// Runs a command and keeps its words for the case that it fails.
fn quiet(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("cannot start cargo")?;
    let text = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&text));
    Ok(())
}
