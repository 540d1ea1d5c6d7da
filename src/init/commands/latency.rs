//! The view `latency`: histograms of irqs off, preemption off and wake-ups.

use crate::arch::counter;
use crate::cpu;
use crate::cpu::latency::{self, Latency, NR_BUCKETS};
use crate::proc::{self, ViewError};
use crate::util::errno::Errno;
use core::fmt::Write;

proc::view! {
    name: "latency",
    path: "/sys/kernel/debug/latency",
    help: "how long irqs and preemption stay off and woken threads wait; write 1, 0 or clear",
    show: show,
    write: write,
}

fn write(text: &str) -> Result<(), Errno> {
    match text.trim() {
        // Said, not done in silence: nothing would ever be counted.
        "1" if !cfg!(feature = "latency_hist") => return Err(Errno::EOPNOTSUPP),
        "1" => latency::set_on(true),
        "0" => latency::set_on(false),
        "clear" => latency::clear(),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

fn show(out: &mut dyn Write) -> Result<(), ViewError> {
    if !cfg!(feature = "latency_hist") {
        writeln!(out, "this build does not measure: build with the feature latency_hist")?;
        return Ok(());
    }
    writeln!(out, "{}", if latency::is_on() { "on" } else { "off: echo 1 > latency" })?;
    Latency::ALL.into_iter().try_for_each(|kind| show_kind(out, kind))
}

fn show_kind(out: &mut dyn Write, kind: Latency) -> Result<(), ViewError> {
    write!(out, "{:>22}", kind.name())?;
    cpu::online().try_for_each(|cpu| write!(out, "       CPU{cpu}"))?;
    writeln!(out)?;
    for bucket in 0..NR_BUCKETS {
        let count = |cpu| latency::of_core(cpu, kind).0[bucket];
        if cpu::online().any(|cpu| count(cpu) != 0) {
            match bucket {
                LAST => write!(out, "{:>22}", "longer")?,
                _ => write!(out, "{:>9} {:>9} ns", "below", ns(1 << bucket))?,
            }
            cpu::online().try_for_each(|cpu| write!(out, " {:10}", count(cpu)))?;
            writeln!(out)?;
        }
    }
    write!(out, "{:>22}", "longest, ns")?;
    cpu::online().try_for_each(|cpu| write!(out, " {:10}", ns(latency::of_core(cpu, kind).1)))?;
    writeln!(out)?;
    Ok(())
}

const LAST: usize = NR_BUCKETS - 1;

fn ns(ticks: u64) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(counter::frequency_hz())) as u64
}
