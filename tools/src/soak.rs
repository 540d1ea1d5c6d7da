//! `make soak`: many boots in a row, each of which must bring up its cores, in the ways a machine can start.
//!
//! Plainly, with both host cores kept busy, with QEMU's cores in lockstep (`-icount`), with the device tree of
//! Debian's kernel package, with none, and with arguments and work that SEED= chooses (`random.rs`).

mod random;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;

use crate::console_noise;
use crate::dtb::DeviceTree;
use crate::guest;
use crate::kernel::{self, Kernel, Log};
use crate::machine::Machine;
use crate::test::case::{Case, tail};
use crate::test::mutated_tree;
use crate::test::report::{Report, Verdict};
use crate::workspace::{number, target, variable};

const GROUP: &str = "soak";
/// Boots that `make soak` does unless N= says otherwise; `make test` does a tenth.
const BOOTS: u64 = 100;
/// Host threads that compute while a guest boots under load.
const LOAD_THREADS: usize = 4;
/// Bytes of noise for the console.
const NOISE_BYTES: usize = 10 << 20;

#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    UnderLoad,
    Icount,
    DebianTree,
    NoTree,
    Random,
}

impl Way {
    const ALL: [Self; 6] = [Self::Plain, Self::UnderLoad, Self::Icount, Self::DebianTree, Self::NoTree, Self::Random];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::UnderLoad => "under_load",
            Self::Icount => "icount",
            Self::DebianTree => "debian_tree",
            Self::NoTree => "no_tree",
            Self::Random => "random",
        }
    }
}

/// `tetra-tools soak`.
pub fn main() -> Result<ExitCode> {
    let boots = number("N")?.unwrap_or(BOOTS);
    let kernel =
        kernel::build("tetra", Some("kernel8"), &kernel::features(&["checks"], Log::Text), kernel::Profile::Checked, "soak")?.remove(0);
    let report = Report::new(None);
    run(&kernel, boots, &report);
    mutated_tree::run(&kernel, boots, &report);
    console_noise::run(&kernel, NOISE_BYTES, &report);
    Ok(report.close())
}

/// Says whether any of its cases is to be run.
pub fn is_selected(report: &Report) -> bool {
    Way::ALL.into_iter().any(|way| report.selects(GROUP, way.name()))
}

/// The short form for `make test`.
pub fn test(kernel: &Kernel, report: &Report) {
    run(kernel, BOOTS / 10, report);
}

/// Shares `boots` boots out among the ways; each way is one case.
fn run(kernel: &Kernel, boots: u64, report: &Report) {
    let ways: Vec<Way> = Way::ALL.into_iter().filter(|way| report.selects(GROUP, way.name())).collect();
    for (number, &way) in ways.iter().enumerate() {
        let count = (boots + number as u64) / Way::ALL.len() as u64;
        let started = Instant::now();
        let verdict = match way {
            Way::Random => boot_at_random(kernel, count.max(1)),
            _ => boot_often(kernel, way, count.max(1)),
        };
        let verdict = verdict.unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
        report.add(GROUP, way.name(), Some(started.elapsed()), verdict);
    }
}

fn boot_often(kernel: &Kernel, way: Way, count: u64) -> Result<Verdict> {
    let mut machine = Machine::new(kernel.clone(), Log::Text)?;
    match way {
        Way::Plain | Way::UnderLoad | Way::Random => {}
        Way::Icount => machine.qemu_args.extend(["-icount", "shift=0,sleep=off"].map(str::to_owned)),
        Way::NoTree => machine.device_tree = DeviceTree::None,
        Way::DebianTree => match debian_tree() {
            Some(path) => machine.device_tree = DeviceTree::File(path),
            None => return Ok(Verdict::Missing("the device tree of Debian's kernel (`make image` fetches it)".to_owned())),
        },
    }
    let mut case = Case::new(way.name());
    case.set("run cpus")?;
    for core in 0..4 {
        case.set(&format!(r"expect ^\s*{core}\s+online\b"))?;
    }
    case.prepare(&mut machine)?;

    let boots = || -> Result<Verdict> {
        for number in 1..=count {
            let outcome = guest::run(&machine, case.limits(), &[], |_| ())?;
            if let Err(why) = case.judge(&outcome) {
                return Ok(Verdict::Failed(format!("boot {number} of {count}: {why}\n{}", tail(&outcome.console))));
            }
        }
        Ok(Verdict::Passed)
    };
    if matches!(way, Way::UnderLoad) { under_load(boots) } else { boots() }
}

fn boot_at_random(kernel: &Kernel, count: u64) -> Result<Verdict> {
    let seed = number("SEED")?.unwrap_or(1);
    for boot in (0..count).map(|number| random::boot(seed, number)) {
        let mut machine = Machine::new(kernel.clone(), Log::Text)?;
        let mut case = Case::new(Way::Random.name());
        case.set(&format!("append {}", boot.arguments))?;
        case.set(&format!("run {}", boot.commands))?;
        case.set(&format!("expect ^{}", random::END))?;
        case.prepare(&mut machine)?;
        let outcome = guest::run(&machine, case.limits(), &[], |_| ())?;
        if let Err(why) = case.judge(&outcome) {
            return Ok(Verdict::Failed(format!(
                "APPEND=\"{}\" RUN=\"{}\": {why}\n{}",
                boot.arguments,
                boot.commands,
                tail(&outcome.console)
            )));
        }
    }
    Ok(Verdict::Passed)
}

/// Runs `work` while other threads keep the host busy.
fn under_load<T>(work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..LOAD_THREADS {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    std::hint::black_box((0..10_000_u64).sum::<u64>());
                }
            });
        }
        let result = work();
        is_done.store(true, Ordering::Relaxed);
        result
    })
}

/// The Pi's own device tree, if the SD card's firmware files have been fetched or `FIRMWARE_DIR=` has them.
pub fn debian_tree() -> Option<PathBuf> {
    const NAME: &str = "bcm2711-rpi-4-b.dtb";

    // Each version of the packages has a folder of its own.
    let fetched = std::fs::read_dir(target().join("firmware")).into_iter().flatten().flatten().map(|folder| folder.path());
    let given = variable("FIRMWARE_DIR").map(PathBuf::from);
    given.into_iter().chain(fetched).map(|folder| folder.join(NAME)).find(|path| path.exists())
}
