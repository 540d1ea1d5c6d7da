//! `/proc/stat`, `/proc/uptime`, `/proc/loadavg`, `/proc/cpuinfo`: the machine's figures in Linux's words and columns.
//!
//! Times in `stat` are in hundredths of a second, as `USER_HZ` has it. There is no user space and nobody measures the share of interrupts, so all that is
//! not idle is `system`. What a core spends in its idle thread is read off that thread, so the figures of an idle core grow although it does not tick.

use crate::arch::{counter, sysreg};
use crate::cpu;
use crate::irq::ipi;
use crate::irq::lines;
use crate::irq::softirq::{self, Softirq};
use crate::proc::{self, ViewError};
use crate::sched::{load, thread};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU64, Ordering};

proc::view! { name: "stat", path: "/proc/stat", help: "time of each core, interrupts, switches, threads since boot", show: stat }
proc::view! { name: "uptime", path: "/proc/uptime", help: "seconds since the machine began, and seconds that the cores idled, in sum", show: uptime }
proc::view! { name: "loadavg", path: "/proc/loadavg", help: "load over 1, 5 and 15 minutes, threads that run and that exist, last pid", show: loadavg }
proc::view! { name: "cpuinfo", path: "/proc/cpuinfo", help: "what the cores are", show: cpuinfo }

/// Linux's unit of times for programs.
const USER_HZ: u64 = 100;

/// Hundredths of a second: of all, and in the idle thread.
struct Times {
    all: u64,
    idle: u64,
}

impl Times {
    fn of_core(cpu: usize) -> Self {
        let centis = |ticks: u64| (u128::from(ticks) * u128::from(USER_HZ) / u128::from(counter::frequency_hz())) as u64;
        // In this order, so that a core never idled longer than there was time.
        let idle = centis(load::idle_ticks(cpu));
        Self { all: centis(counter::now()), idle }
    }

    fn write(&self, out: &mut dyn Write, name: fmt::Arguments<'_>) -> fmt::Result {
        writeln!(out, "{name} 0 0 {} {} 0 0 0 0 0 0", self.all - self.idle, self.idle)
    }
}

fn stat(out: &mut dyn Write) -> Result<(), ViewError> {
    let times: arrayvec::ArrayVec<(usize, Times), { cpu::NR_CPUS }> = cpu::online().map(|cpu| (cpu, Times::of_core(cpu))).collect();
    let sum = |of: fn(&Times) -> u64| times.iter().map(|(_, times)| of(times)).sum();
    Times { all: sum(|times| times.all), idle: sum(|times| times.idle) }.write(out, format_args!("cpu "))?;
    times.iter().try_for_each(|(cpu, times)| times.write(out, format_args!("cpu{cpu}")))?;
    interrupts(out)?;
    let switches: u64 = cpu::online().map(|cpu| load::of_core(cpu).nr_switches).sum();
    writeln!(out, "ctxt {switches}")?;
    // There is no clock that knows the date.
    writeln!(out, "btime 0")?;
    writeln!(out, "processes {}", thread::last_pid())?;
    writeln!(out, "procs_running {}", load::nr_running())?;
    writeln!(out, "procs_blocked {}", load::nr_blocked())?;
    softirqs(out)?;
    Ok(())
}

/// All interrupts, then line by line from INTID 0 on.
fn interrupts(out: &mut dyn Write) -> fmt::Result {
    let total: u64 = lines::status().map(|line| sum(&line.counts)).sum();
    write!(out, "intr {total}")?;
    let mut next = 0;
    for line in lines::status() {
        (next..line.line).try_for_each(|_| out.write_str(" 0"))?;
        write!(out, " {}", sum(&line.counts))?;
        next = line.line + 1;
    }
    writeln!(out)
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

fn softirqs(out: &mut dyn Write) -> fmt::Result {
    let served = |which: Softirq| -> u64 { cpu::online().map(|cpu| u64::from(softirq::nr_served(cpu, which))).sum() };
    write!(out, "softirq {}", Softirq::ALL.into_iter().map(served).sum::<u64>())?;
    Softirq::ALL.into_iter().try_for_each(|which| write!(out, " {}", served(which)))?;
    writeln!(out)
}

fn uptime(out: &mut dyn Write) -> Result<(), ViewError> {
    let (all, idle) = cpu::online().map(Times::of_core).fold((0, 0), |(_, idle), times| (times.all, idle + times.idle));
    writeln!(out, "{}.{:02} {}.{:02}", all / USER_HZ, all % USER_HZ, idle / USER_HZ, idle % USER_HZ)?;
    Ok(())
}

fn loadavg(out: &mut dyn Write) -> Result<(), ViewError> {
    let [one, five, fifteen] = load::averages();
    writeln!(out, "{one} {five} {fifteen} {}/{} {}", load::nr_running(), thread::nr_threads(), thread::last_pid())?;
    Ok(())
}

/// Each core is asked for its own identification: they need not be alike.
fn cpuinfo(out: &mut dyn Write) -> Result<(), ViewError> {
    for cpu in cpu::online() {
        let midr = AtomicU64::new(0);
        ipi::call_on(cpu, || midr.store(sysreg::snapshot().midr, Ordering::Relaxed)).map_err(crate::util::errno::Errno::from)?;
        let midr = midr.into_inner();
        writeln!(out, "processor\t: {cpu}")?;
        // As Linux defines it on Arm: from the frequency of the counter.
        let bogomips = counter::frequency_hz() * 2 / 10_000;
        writeln!(out, "BogoMIPS\t: {}.{:02}", bogomips / 100, bogomips % 100)?;
        writeln!(out, "CPU implementer\t: {:#04x}", midr >> 24 & 0xff)?;
        writeln!(out, "CPU architecture: 8")?;
        writeln!(out, "CPU variant\t: {:#x}", midr >> 20 & 0xf)?;
        writeln!(out, "CPU part\t: {:#05x}", midr >> 4 & 0xfff)?;
        writeln!(out, "CPU revision\t: {}\n", midr & 0xf)?;
    }
    Ok(())
}
