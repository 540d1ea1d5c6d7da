//! `make torture`: the suite of that name, for as long as is asked, with its report on the terminal.
//!
//! `make test` runs the same image for some seconds. SEED= chooses what is random; with ICOUNT=1 QEMU counts instructions instead of time, and a seed
//! repeats its run to the last count.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::guest::{self, End, Limits};
use crate::kernel::{self, Log, Profile};
use crate::machine::Machine;
use crate::test::case::describe;
use crate::workspace::{number, variable};

/// Seconds in all, unless SECONDS= says otherwise.
const SECONDS: u64 = 60;
/// Beside the time asked for: boot, the twins, and a host that has other things to do.
const SLACK: Duration = Duration::from_secs(300);

/// `tetra-tools torture`.
pub fn main() -> Result<ExitCode> {
    let (seconds, seed) = (number("TORTURE_SECONDS")?.unwrap_or(SECONDS), number("SEED")?.unwrap_or(1));
    let features = kernel::features(&["checks"], Log::Text);
    let kernel = kernel::build("tetra-tests", Some("torture"), &features, Profile::Checked, "torture")?.remove(0);
    let mut machine = Machine::new(kernel, Log::Text)?;
    machine.append(&format!("torture_seconds={seconds} torture_seed={seed}"));
    if let Some(only) = variable("ONLY") {
        ensure!(only.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "ONLY={only}: a part of a primitive's name, such as `rw`");
        machine.append(&format!("torture_only={only}"));
    }
    if variable("ICOUNT").is_some() {
        machine.qemu_args.extend(["-icount", "shift=0,sleep=off"].map(str::to_owned));
    }

    let limits = Limits { silence: Duration::from_secs(60 + seconds), wall: SLACK + Duration::from_secs(2 * seconds) };
    let mut unfinished = String::new();
    let outcome = guest::run(&machine, limits, &[], |piece| {
        unfinished.push_str(piece);
        while let Some(end) = unfinished.find('\n') {
            let line: String = unfinished.drain(..=end).collect();
            if let Some((_, text)) = line.split_once("torture: ") {
                println!("{}", text.trim_end());
            }
        }
    })?;
    if outcome.end == End::Exit(0) {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", outcome.console);
    println!("torture: the kernel {}", describe(&outcome.end));
    Ok(ExitCode::FAILURE)
}
