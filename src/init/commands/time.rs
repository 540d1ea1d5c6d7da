//! Views of bottom halves and timers: `softirqs`, `timers`.

use crate::cpu;
use crate::irq::softirq::{self, Softirq};
use crate::proc::{self, ViewError};
use crate::time::{self, hrtimer, tick, timer};
use core::fmt::Write;

proc::view! {
    name: "softirqs",
    path: "/proc/softirqs",
    help: "how often each core served which softirq",
    show: softirqs,
}

proc::view! {
    name: "timers",
    path: "/proc/timer_list",
    help: "clocks, ticks, and what each core's timers wait for",
    show: timers,
}

fn softirqs(out: &mut dyn Write) -> Result<(), ViewError> {
    write!(out, "          ")?;
    cpu::online().try_for_each(|cpu| write!(out, "      CPU{cpu}"))?;
    writeln!(out)?;
    for which in Softirq::ALL {
        write!(out, "{:>9}:", which.name())?;
        cpu::online().try_for_each(|cpu| write!(out, "{:10}", softirq::nr_served(cpu, which)))?;
        writeln!(out)?;
    }
    write!(out, " overload:")?;
    cpu::online().try_for_each(|cpu| write!(out, "{:10}", softirq::nr_overloads(cpu)))?;
    writeln!(out)?;
    Ok(())
}

fn timers(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "now at {} ns, jiffy {} of {} a second", time::ktime_get().as_ns(), time::jiffies(), time::HZ)?;
    writeln!(out, "cpu        ticks        stops  tick     next jiffy timer    next high-resolution timer")?;
    for cpu in cpu::online() {
        let (stops, is_stopped) = tick::stops_of(cpu);
        write!(out, "{cpu:3} {:12} {stops:12}  {:7}", time::ticks_of(cpu), if is_stopped { "stopped" } else { "runs" })?;
        match timer::next_jiffy(cpu) {
            u64::MAX => write!(out, "  {:19}", "-")?,
            jiffy => write!(out, "  {jiffy:<19}")?,
        }
        match hrtimer::next_event(cpu) {
            None => writeln!(out, "  -")?,
            Some(when) => writeln!(out, "  at {} ns", when.as_ns())?,
        }
    }
    Ok(())
}
