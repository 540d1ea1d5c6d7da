//! Bytes that a log line takes on the serial line: what the UART sent, counted.
//!
//! Two boots that differ in the number of messages; the difference is the messages' own.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kernel::{Kernel, Log};
use crate::machine::Machine;

const FEW: u64 = 100;
const MANY: u64 = 600;
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes on the wire for each line of the benchmark's message.
pub fn bytes_per_line(kernel: &Kernel) -> Result<f64> {
    let (few, many) = (bytes(kernel, FEW)?, bytes(kernel, MANY)?);
    ensure!(many > few, "{MANY} messages took {many} bytes, {FEW} took {few}: they were not sent");
    Ok((many - few) as f64 / (MANY - FEW) as f64)
}

/// What the UART sends in a boot that logs `count` messages.
fn bytes(kernel: &Kernel, count: u64) -> Result<u64> {
    let folder = tempfile::Builder::new().prefix("tetra-").tempdir()?;
    let wire = folder.path().join("wire");
    // Nothing of the wire is decoded, whatever the kernel's log is.
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    machine.append("loglevel=8");
    machine.run(&format!("bench-messages {count}"));
    let mut child = machine
        .command()
        .args(["-icount", "shift=0,sleep=off", "-no-reboot", "-monitor", "none"])
        .arg("-serial")
        .arg(format!("file:{}", wire.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start QEMU")?;
    let started = Instant::now();
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("no end within {} s", PATIENCE.as_secs());
            }
        }
    };
    ensure!(status.success(), "the guest failed: {status}");
    Ok(wire.metadata()?.len())
}
