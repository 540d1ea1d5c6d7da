//! The frame of a suite: cases in KTAP on the console, chosen by the boot argument `ktap=`, exit code by semihosting.
//!
//! A suite is a binary of this package: a kernel that links Tetra as a crate, as anybody's does. It registers cases with `case!` and ends with
//! `suite!()`. The runner boots it with `ktap=list`, then with `ktap=run:a,b,c`, and each destructive case alone. docs/testing.md is the guide.
#![no_std]
#![cfg(target_os = "none")]

pub mod memory;
pub mod objects;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use tetra::{init, platform::hardware, printk, sched, time};

#[doc(hidden)]
pub use linkme as __linkme;

/// One case of a suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name, unique in the suite.
    pub name: &'static str,
    /// What it does; a failed `check!` or a panic fails it.
    pub run: fn(),
    /// For a case that ends its kernel: what must come of it, one `key value` a line, in the runner's words.
    pub alone: Option<&'static str>,
}

/// The cases of the suite.
#[linkme::distributed_slice]
pub static CASES: [Case];

/// Failed checks of the case that runs.
static FAILURES: AtomicUsize = AtomicUsize::new(0);

/// Registers a case: `case!(name)` for a function of that name; `case!(name, alone: "expect ...\nexit 101")` for one that does not come back.
#[macro_export]
macro_rules! case {
    ($name:ident) => {
        $crate::case!(@register $name, None);
    };
    ($name:ident, alone: $demands:expr) => {
        $crate::case!(@register $name, Some($demands));
    };
    (@register $name:ident, $alone:expr) => {
        const _: () = {
            #[$crate::__linkme::distributed_slice($crate::CASES)]
            #[linkme(crate = $crate::__linkme)]
            static CASE: $crate::Case = $crate::Case { name: stringify!($name), run: $name, alone: $alone };
        };
    };
}

/// Makes the binary a suite.
#[macro_export]
macro_rules! suite {
    () => {
        tetra::entry!($crate::main);
    };
}

/// Fails the case, with the values, unless the two are equal; the case goes on.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) if left == right => (),
            (left, right) => {
                $crate::fail(format_args!("{} is {left:?}, must be {right:?}", stringify!($left)), core::panic::Location::caller())
            }
        }
    };
}

/// Fails the case unless the condition holds; the case goes on.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        if !$condition {
            $crate::fail(format_args!("{} does not hold", stringify!($condition)), core::panic::Location::caller());
        }
    };
}

/// Notes a failed check.
pub fn fail(what: core::fmt::Arguments<'_>, place: &core::panic::Location<'_>) {
    FAILURES.fetch_add(1, Ordering::Relaxed);
    printk!(KERN_NOTICE "# {}:{}: {}", place.file(), place.line(), what);
}

/// Waits, asleep between the looks, until `condition` holds; false after 20 s. Context: thread.
pub fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(20);
    while !condition() {
        if time::uptime() > deadline {
            return false;
        }
        sched::msleep(1);
    }
    true
}

/// Entry of every suite.
pub fn main() -> ! {
    let failed = match init::argument().string("ktap") {
        Some("list") => list(),
        Some(wanted) => run(wanted.strip_prefix("run:").unwrap_or("")),
        None => run(""),
    };
    // The console is drained by interrupts; the exit must not cut the last lines off.
    time::udelay(20_000);
    hardware::power_off(u32::from(failed != 0))
}

fn list() -> usize {
    for case in CASES {
        printk!(KERN_NOTICE "ktap-list: case {}{}", case.name, if case.alone.is_some() { " alone" } else { "" });
        for line in case.alone.unwrap_or("").lines().map(str::trim).filter(|line| !line.is_empty()) {
            printk!(KERN_NOTICE "ktap-list: {}", line);
        }
    }
    printk!(KERN_NOTICE "ktap-list: end {}", CASES.len());
    0
}

/// Runs the cases in `wanted`, separated by commas; all that come back, if it is empty. Gives the number of failures.
fn run(wanted: &str) -> usize {
    let is_wanted = |case: &&Case| match wanted {
        "" => case.alone.is_none(),
        names => names.split(',').any(|name| name == case.name),
    };
    printk!(KERN_NOTICE "KTAP version 1");
    printk!(KERN_NOTICE "1..{}", CASES.iter().filter(is_wanted).count());
    let mut failed = 0;
    for (number, case) in CASES.iter().filter(is_wanted).enumerate() {
        FAILURES.store(0, Ordering::Relaxed);
        let start = time::uptime();
        (case.run)();
        let took = (time::uptime() - start).as_micros();
        let is_ok = FAILURES.load(Ordering::Relaxed) == 0;
        failed += usize::from(!is_ok);
        printk!(KERN_NOTICE "{} {} {} # {} us", if is_ok { "ok" } else { "not ok" }, number + 1, case.name, took as u64);
    }
    failed
}
