//! `make gdb`: the kernel stopped at its first instruction, QEMU and GDB side by side where tmux is there.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::{qemu, workspace};

/// Debuggers that know AArch64, as distributions name them.
const DEBUGGERS: [&str; 4] = ["gdb-multiarch", "aarch64-none-elf-gdb", "aarch64-linux-gnu-gdb", "gdb"];
const SESSION: &str = "tetra";

/// `tetra-tools gdb`; its arguments are the variables of the Makefile.
pub fn main() -> Result<ExitCode> {
    let mut machine = qemu::machine()?;
    if let Some(commands) = workspace::variable("RUN") {
        machine.run(&commands);
    }
    machine.qemu_args.extend(["-s", "-S", "-serial", "mon:stdio"].map(str::to_owned));
    let guest = shell_words(&machine.command());
    let debugger = format!(
        "{} -q -x {} {}",
        DEBUGGERS.into_iter().find(|name| is_there(name)).unwrap_or(DEBUGGERS[0]),
        quoted(&workspace::root().join("tools/tetra.gdb").to_string_lossy()),
        quoted(&machine.kernel.elf.to_string_lossy()),
    );
    if is_there("tmux") && std::io::stdin().is_terminal() {
        side_by_side(&guest, &debugger)
    } else {
        println!("In one terminal, the machine (Ctrl-A X ends it):\n\n    {guest}\n\nin another, the debugger:\n\n    {debugger}\n");
        println!("Then, for example: `c`, Ctrl-C, `info threads` (the cores), `bt`, `hbreak NAME`.");
        Ok(ExitCode::SUCCESS)
    }
}

fn side_by_side(guest: &str, debugger: &str) -> Result<ExitCode> {
    // Both panes go when the debugger does.
    let debugger = format!("{debugger}; tmux kill-session -t {SESSION}");
    let mut tmux = Command::new("tmux");
    tmux.args(["new-session", "-s", SESSION, guest, ";", "split-window", "-h", &debugger]);
    tmux.args([";", "set-option", "mouse", "on"]);
    Err(tmux.exec()).context("cannot start tmux")
}

fn is_there(program: &str) -> bool {
    let version = if program == "tmux" { "-V" } else { "--version" };
    Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A command as a shell reads it.
fn shell_words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("-M"), "-M");
        assert_eq!(quoted(r#"run="cpus; it's""#), r#"'run="cpus; it'\''s"'"#);
    }
}
