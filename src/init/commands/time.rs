//! Views of bottom halves and timers: `softirqs`, `timers`.

use crate::cpu;
use crate::debug::symbols::Named;
use crate::irq::softirq::{self, Softirq};
use crate::proc::{self, ViewError};
use crate::time::timer_list::Pending;
use crate::time::{self, hrtimer, tick, timer};
use core::fmt::{self, Write};

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

/// Linux's words where there is the same thing. Of many timers the earliest are listed.
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
        write_hrtimers(out, cpu)?;
        write_timers(out, cpu)?;
    }
    Ok(())
}

fn write_hrtimers(out: &mut dyn Write, cpu: usize) -> fmt::Result {
    let list = hrtimer::list(cpu);
    writeln!(out, " active timers:")?;
    for (number, Pending { key, function }) in list.shown().iter().enumerate() {
        let (due, now) = (hrtimer::tick_time(*key).as_ns(), time::ktime_get().as_ns());
        writeln!(out, " #{number}: {}", Named::exact(*function))?;
        writeln!(out, " # expires at {due} nsecs [in {} nsecs]", due as i64 - now as i64)?;
    }
    write_others(out, list.nr_others())
}

fn write_timers(out: &mut dyn Write, cpu: usize) -> fmt::Result {
    let list = timer::list(cpu);
    writeln!(out, " active timers of the wheel:")?;
    for (number, Pending { key, function }) in list.shown().iter().enumerate() {
        writeln!(out, " #{number}: {}", Named::exact(*function))?;
        writeln!(out, " # expires at jiffy {key} [in {} jiffies]", *key as i64 - time::jiffies() as i64)?;
    }
    write_others(out, list.nr_others())
}

fn write_others(out: &mut dyn Write, nr_others: usize) -> fmt::Result {
    if nr_others == 0 { Ok(()) } else { writeln!(out, " and {nr_others} later ones") }
}
