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
    write!(out, "             ")?;
    cpu::online().try_for_each(|cpu| write!(out, "       CPU{cpu}"))?;
    writeln!(out)?;
    for which in Softirq::ALL {
        write!(out, "{:>12}:", which.name())?;
        cpu::online().try_for_each(|cpu| write!(out, " {:10}", softirq::nr_served(cpu, which)))?;
        writeln!(out)?;
    }
    write!(out, "{:>12}:", "overload")?;
    cpu::online().try_for_each(|cpu| write!(out, " {:10}", softirq::nr_overloads(cpu)))?;
    writeln!(out)?;
    Ok(())
}

/// Linux's words where there is the same thing; its lists of single timers are left out.
fn timers(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "Timer List Version: v0.10\nHRTIMER_MAX_CLOCK_BASES: 1\nnow at {} nsecs", time::ktime_get().as_ns())?;
    writeln!(out, "jiffies: {} of {} Hz", time::jiffies(), time::HZ)?;
    for cpu in cpu::online() {
        let (stops, is_stopped) = tick::stops_of(cpu);
        writeln!(out, "\ncpu: {cpu}")?;
        match hrtimer::next_event(cpu) {
            None => writeln!(out, "  .expires_next   : none")?,
            Some(when) => writeln!(out, "  .expires_next   : {} nsecs", when.as_ns())?,
        }
        match timer::next_jiffy(cpu) {
            u64::MAX => writeln!(out, "  .next_timer     : none")?,
            jiffy => writeln!(out, "  .next_timer     : jiffy {jiffy}")?,
        }
        writeln!(out, "  .nr_ticks       : {}", time::ticks_of(cpu))?;
        writeln!(out, "  .tick_stopped   : {}", u8::from(is_stopped))?;
        writeln!(out, "  .idle_sleeps    : {stops}")?;
    }
    Ok(())
}
