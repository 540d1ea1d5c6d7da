//! Where things lie: the source tree, the build folder, and the programs that `tools/setup.sh` chose.
//!
//! The Makefile exports the choices. Without them (the tools started by hand) the plain names are used.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root of the source tree: the one we were started in, else the one that the tools were built in.
pub fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let is_root = |folder: &&Path| folder.join("tools/Cargo.toml").exists() && folder.join("linker.ld").exists();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tools/ lies in the source tree");
    here.ancestors().find(is_root).unwrap_or(built_in).to_owned()
}

/// The folder for everything that is built, `target/` unless `CARGO_TARGET_DIR` says otherwise.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A variable of the Makefile; unset and empty are the same.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A variable of the Makefile that is a number.
pub fn number(name: &str) -> Result<Option<u64>> {
    variable(name).map(|value| value.trim().parse().with_context(|| format!("{name}={value} is not a number"))).transpose()
}

/// The program that `variable` names, else `default` from the PATH.
pub fn program(name: &str, default: &str) -> String {
    variable(name).unwrap_or_else(|| default.to_owned())
}

/// `cargo` of the chosen toolchain, at the root of the source tree.
pub fn cargo() -> Command {
    let mut command = Command::new(program("CARGO", "cargo"));
    command.current_dir(root());
    command
}

/// Runs a command to its end; its failure is an error that names it.
pub fn run(command: &mut Command) -> Result<()> {
    if variable("V").is_some() {
        eprintln!("+ {command:?}");
    }
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!("{name} failed: {status}");
    }
    Ok(())
}
