//! Random bytes into the console: the line editor and the shell must come out of it alive.

use std::time::Duration;

use anyhow::Result;

use crate::guest::{self, Limits};
use crate::kernel::{Kernel, Log};
use crate::machine::Machine;
use crate::test::case::{Case, tail};
use crate::test::report::{Report, Verdict};
use crate::workspace::number;

const GROUP: &str = "console";
const NAME: &str = "random_bytes";
/// Bytes for `make test`; the soak test sends ten times as many.
const BYTES: usize = 1 << 20;
/// Longest time for a run without noise, and for each MB of it.
const BASE_TIME: Duration = Duration::from_secs(60);
const TIME_PER_MB: Duration = Duration::from_secs(90);
/// The same in each run, so that a failure can be repeated; `SEED=` changes it.
const SEED: u64 = 0x7e72_a001;

/// Says whether the test is to be run.
pub fn is_selected(report: &Report) -> bool {
    report.selects(GROUP, NAME)
}

/// Sends the bytes as a test.
pub fn test(kernel: &Kernel, report: &Report) {
    if is_selected(report) {
        run(kernel, BYTES, report);
    }
}

/// Sends `bytes` random bytes and reports whether the shell still answers.
pub fn run(kernel: &Kernel, bytes: usize, report: &Report) {
    match try_run(kernel, bytes) {
        Ok((duration, verdict)) => report.add(GROUP, NAME, Some(duration), verdict),
        Err(error) => report.add(GROUP, NAME, None, Verdict::Failed(format!("{error:#}"))),
    }
}

fn try_run(kernel: &Kernel, bytes: usize) -> Result<(Duration, Verdict)> {
    let machine = Machine::new(kernel.clone(), Log::Text)?;
    let seed = number("SEED")?.unwrap_or(SEED);
    let mut input = noise(seed, bytes);
    // Ctrl-C and Ctrl-U give up whatever line the noise left, quoted or not.
    input.extend(b"\x03\x15\r\x03\x15\recho still alive\rpoweroff\r");
    let mut case = Case::new(NAME);
    case.set("expect ^still alive")?;
    let wall = BASE_TIME + TIME_PER_MB * u32::try_from(bytes >> 20)?;
    let limits = Limits { wall, ..Limits::default() };
    let outcome = guest::run(&machine, limits, &input, |_| ())?;
    let verdict = match case.judge(&outcome) {
        Ok(()) => Verdict::Passed,
        Err(why) => Verdict::Failed(format!("{why} (SEED={seed}, {bytes} bytes)\n{}", tail(&outcome.console))),
    };
    Ok((outcome.duration, verdict))
}

/// Bytes of a small generator (Marsaglia, "Xorshift RNGs", 2003).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}
