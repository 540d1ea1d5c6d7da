//! `make qemu`: builds the kernel and runs it, with a person at the terminal or without.
//!
//! The exit status is the guest's. Without a terminal nothing waits for keys: what stdin holds is typed, then
//! `poweroff`, and a guest that falls silent is ended with a report.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::console::Decoder;
use crate::dtb::DeviceTree;
use crate::guest::{self, End, Limits};
use crate::kernel::{self, Log};
use crate::machine::{Machine, cpus_argument};
use crate::workspace::{number, variable};

/// Exit status for a guest that was ended by a limit, as `timeout` uses.
const EXIT_HANG: u8 = 124;
/// Exit status for a QEMU that died.
const EXIT_CRASH: u8 = 125;

/// `tetra-tools qemu`; its arguments are the variables of the Makefile.
pub fn main() -> Result<ExitCode> {
    let machine = machine()?;
    let commands = variable("RUN");
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        attended(machine, commands.as_deref())
    } else {
        unattended(machine, commands.as_deref())
    }
}

/// The machine that the variables describe, its kernel built.
pub fn machine() -> Result<Machine> {
    let log = Log::from_env()?;
    let cpus = cpus_argument(number("CPUS")?)?;
    let device_tree = DeviceTree::parse(variable("DTB").as_deref())?;
    let features = kernel::features(&["checks"], log);
    let kernel = kernel::build("tetra", Some("kernel8"), &features, kernel::Profile::Checked, "qemu")?.remove(0);

    let mut machine = Machine { kernel, log, device_tree, append: String::new(), qemu_args: Vec::new() };
    machine.append(&cpus);
    machine.append(&variable("APPEND").unwrap_or_default());
    machine.qemu_args = variable("QEMU_ARGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    Ok(machine)
}

fn attended(mut machine: Machine, commands: Option<&str>) -> Result<ExitCode> {
    explain(&machine);
    if let Some(commands) = commands {
        machine.run(commands);
    }
    let mut command = machine.command();
    if commands.is_some() {
        // Whoever waits for an exit status does not want a second boot.
        command.arg("-no-reboot");
    }
    command.args(["-serial", "mon:stdio"]);
    if machine.log == Log::Text {
        return Err(command.exec()).context("cannot start QEMU");
    }

    // QEMU has the terminal in raw mode: a line feed alone would not return to the left.
    let mut decoder = Decoder::new(&machine, "\r\n")?;
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start QEMU")?;
    let mut output = child.stdout.take().context("QEMU has no output")?;
    let mut buffer = [0; 4096];
    while let length @ 1.. = output.read(&mut buffer)? {
        print(&decoder.text(&buffer[..length]))?;
    }
    Ok(exit_code(child.wait()?.code().unwrap_or(EXIT_CRASH.into())))
}

fn explain(machine: &Machine) {
    let device_tree = match &machine.device_tree {
        DeviceTree::None => "no device tree".into(),
        DeviceTree::File(path) => format!("device tree {}", path.file_name().unwrap_or_default().to_string_lossy()),
    };
    let append = if machine.append.is_empty() { "none" } else { &machine.append };
    println!("Raspberry Pi 4 in QEMU, {device_tree}, boot arguments: {append}");
    println!("To leave: `poweroff`, or Ctrl-A then X. QEMU's monitor: Ctrl-A then C.\n");
}

fn unattended(mut machine: Machine, commands: Option<&str>) -> Result<ExitCode> {
    let input = match commands {
        Some(commands) => {
            machine.run(commands);
            Vec::new()
        }
        None => [typed(), b"\npoweroff\n".to_vec()].concat(),
    };
    let mut printed = Ok(());
    let outcome = guest::run(&machine, Limits::default(), &input, |text| {
        if printed.is_ok() {
            printed = print(text);
        }
    })?;
    printed?;
    Ok(match outcome.end {
        End::Exit(code) => exit_code(code),
        End::Reset => ExitCode::SUCCESS,
        End::Hang(report) => {
            eprintln!("\nThe guest was ended: {report}");
            ExitCode::from(EXIT_HANG)
        }
        End::Crash(reason) => {
            eprintln!("\n{reason}");
            ExitCode::from(EXIT_CRASH)
        }
    })
}

/// What stdin holds; nothing if it is a pipe that stays open without an end.
fn typed() -> Vec<u8> {
    const PATIENCE: Duration = Duration::from_secs(3);

    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_default()
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
