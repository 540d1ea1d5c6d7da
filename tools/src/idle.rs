//! A machine at its prompt, with nothing to do, must leave the host alone: what QEMU's process computes meanwhile.
//!
//! Cores that sleep in WFI cost QEMU nothing, and a tick that is not stopped shows at once. Measured is the process's CPU time, not the time on the wall, so
//! other work on the host changes little.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::test::report::{Report, Verdict};

const GROUP: &str = "idle";
const NAME: &str = "qemu_sleeps_at_the_prompt";
/// What the shell shows when it waits.
const PROMPT: &str = "tetra# ";
/// How long the machine is looked at.
const WATCHED: Duration = Duration::from_secs(10);
/// What boot still has to do when the prompt is there.
const SETTLES: Duration = Duration::from_secs(2);
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// Of one host core.
const MAX_PERCENT: f64 = 5.0;
/// Ticks a second of the times in /proc/PID/stat: `USER_HZ`, 100 on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Says whether the test is to be run.
pub fn is_selected(report: &Report) -> bool {
    report.selects(GROUP, NAME)
}

/// Boots `kernel` to its prompt and measures.
pub fn test(kernel: &Kernel, report: &Report) {
    if !is_selected(report) {
        return;
    }
    let started = Instant::now();
    let verdict = match measure(kernel) {
        Ok(percent) if percent < MAX_PERCENT => Verdict::Passed,
        Ok(percent) => Verdict::Failed(format!(
            "QEMU used {percent:.1} % of a host core for {} s with an idle guest; less than {MAX_PERCENT} % are expected",
            WATCHED.as_secs()
        )),
        Err(error) => Verdict::Failed(format!("{error:#}")),
    };
    report.add(GROUP, NAME, Some(started.elapsed()), verdict);
}

fn measure(kernel: &Kernel) -> Result<f64> {
    let machine = Machine::new(kernel.clone(), Log::Text)?;
    let mut child = machine
        .command()
        .args(["-no-reboot", "-monitor", "none", "-serial", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start QEMU")?;
    let percent = watch(&mut child);
    child.kill().ok();
    child.wait()?;
    percent
}

/// Waits for the prompt, then compares the CPU time at both ends of the time.
fn watch(child: &mut Child) -> Result<f64> {
    wait_for_prompt(child)?;
    std::thread::sleep(SETTLES);
    let (before, start) = (cpu_ticks(child.id())?, Instant::now());
    std::thread::sleep(WATCHED);
    let used = (cpu_ticks(child.id())? - before) as f64 / TICKS_PER_SECOND;
    let percent = used / start.elapsed().as_secs_f64() * 100.0;
    // A guest that died uses nothing either.
    let stdin = child.stdin.as_mut().context("QEMU has no input")?;
    stdin.write_all(b"poweroff\r")?;
    stdin.flush()?;
    let deadline = Instant::now() + BOOT_LIMIT;
    while child.try_wait()?.is_none() {
        ensure!(Instant::now() < deadline, "the guest did not power off when it was told to");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(percent)
}

fn wait_for_prompt(child: &mut Child) -> Result<()> {
    let mut output = child.stdout.take().context("QEMU has no output")?;
    let (found, is_found) = channel();
    // Goes on reading to the end: a guest whose console is full waits, and does not sleep.
    std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            text.extend_from_slice(&buffer[..length]);
            if text.windows(PROMPT.len()).any(|window| window == PROMPT.as_bytes()) {
                found.send(()).ok();
                text.clear();
            }
        }
    });
    if is_found.recv_timeout(BOOT_LIMIT).is_err() {
        bail!("no prompt within {} s", BOOT_LIMIT.as_secs());
    }
    Ok(())
}

/// User and system time of a process in ticks: fields 14 and 15 of its stat, counted from behind its name, which may hold blanks.
fn cpu_ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("QEMU's times cannot be read")?;
    ticks_in(&stat).context("/proc/PID/stat has another form")
}

fn ticks_in(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_blanks() {
        let stat = "42 (CPU 0/TCG (x) y) S 1 42 42 0 -1 4194304 100 0 0 0 733 21 5 6 20 0 7 0 12345 1000 200";
        assert_eq!(ticks_in(stat), Some(754));
        assert_eq!(ticks_in("42 nothing"), None);
    }
}
