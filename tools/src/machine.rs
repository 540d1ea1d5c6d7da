//! The emulated Raspberry Pi 4: the QEMU command line that every run shares, and the kernel's boot arguments.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::dtb::DeviceTree;
use crate::kernel::{Kernel, Log};
use crate::workspace;

/// One guest to start.
#[derive(Clone, Debug)]
pub struct Machine {
    pub kernel: Kernel,
    /// What the kernel sends on its console.
    pub log: Log,
    pub device_tree: DeviceTree,
    /// Boot arguments.
    pub append: String,
    /// Further arguments for QEMU, split at spaces.
    pub qemu_args: Vec<String>,
}

impl Machine {
    /// A machine with the project's own device tree and nothing special.
    pub fn new(kernel: Kernel, log: Log) -> Result<Self> {
        let device_tree = DeviceTree::parse(None)?;
        Ok(Self { kernel, log, device_tree, append: String::new(), qemu_args: Vec::new() })
    }

    /// Adds boot arguments.
    pub fn append(&mut self, arguments: &str) {
        if !arguments.trim().is_empty() {
            self.append = format!("{} {}", self.append, arguments.trim()).trim().to_owned();
        }
    }

    /// Lets the shell run `commands` as if typed, and then power off.
    pub fn run(&mut self, commands: &str) {
        self.append(&run_argument(commands));
    }

    /// QEMU, without a console: the caller says where that goes.
    pub fn command(&self) -> Command {
        let mut command = Command::new(workspace::program("QEMU", "qemu-system-aarch64"));
        command.args(["-M", "raspi4b", "-display", "none", "-semihosting-config", "enable=on,target=native"]);
        // The raw image, as the Pi loads it: an ELF would be entered at EL3 with all cores at once.
        command.arg("-kernel").arg(&self.kernel.image);
        if let DeviceTree::File(path) = &self.device_tree {
            command.arg("-dtb").arg(path);
        }
        if !self.append.is_empty() {
            command.args(["-append", &self.append]);
        }
        command.args(&self.qemu_args);
        command
    }
}

/// Checks `CPUS=` and returns the boot argument for it: raspi4b always has four cores, the kernel leaves some asleep.
pub fn cpus_argument(cpus: Option<u64>) -> Result<String> {
    let Some(cpus) = cpus else { return Ok(String::new()) };
    ensure!((1..=4).contains(&cpus), "CPUS={cpus}: must be 1 to 4");
    Ok(format!("maxcpus={cpus}"))
}

/// Quotes shell commands for the command line: in `run="..."` a backslash makes the next `"` or `\` an ordinary character.
fn run_argument(commands: &str) -> String {
    format!("run=\"{}\"", commands.trim().replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_commands_are_escaped() {
        assert_eq!(run_argument("cpus; dmesg "), r#"run="cpus; dmesg""#);
        assert_eq!(run_argument(r#"echo "a\b""#), r#"run="echo \"a\\b\"""#);
    }

    #[test]
    fn cores_are_one_to_four() {
        assert_eq!(cpus_argument(Some(2)).unwrap(), "maxcpus=2");
        assert_eq!(cpus_argument(None).unwrap(), "");
        assert!(cpus_argument(Some(0)).is_err() && cpus_argument(Some(5)).is_err());
    }
}
