//! Threads and the scheduler at the prompt: `ps`, `kill`, `taskset`, `chrt`, `threads`, and the views `schedstat`, `sched_features`.

use crate::arch::counter;
use crate::cpu;
use crate::debug::backtrace::{Start, Trace};
use crate::proc::{self, ViewError};
use crate::sched::features::{self, FEATURES};
use crate::sched::{self, Priority, Signal, ThreadRef, load, signal, stack, thread};
use crate::shell::{self, CommandError, Context};
use crate::util::errno::Errno;
use core::fmt::Write;

proc::view! { name: "ps", path: "/proc/threads", help: "threads: state, core, affinity, priority, switches, time run, stack used", show: ps }
proc::view! { name: "schedstat", path: "/proc/schedstat", help: "the scheduler's figures for each core", show: schedstat }
proc::view! {
    name: "sched_features",
    path: "/sys/kernel/debug/sched_features",
    help: "decisions of the scheduler; echo NO_IDLE_PULL > sched_features switches one off",
    show: show_features,
    write: set_feature,
}

fn ps(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "  PID S CPU CPUS PRI  VOL-SW  INV-SW      TIME STACK NAME")?;
    for thread in thread::all() {
        let (voluntary, involuntary) = thread.nr_switches();
        let millis = thread.run_time() * 1000 / counter::frequency_hz();
        write!(out, "{:5} {} {:3} {:4x} ", thread.pid(), thread.state().letter(), thread.cpu(), thread.affinity())?;
        if thread.is_idle() {
            write!(out, "  -")?
        } else {
            write!(out, "{:3?}", thread.priority().number())?
        }
        write!(out, " {voluntary:7} {involuntary:7} {:5}.{:03} ", millis / 1000, millis % 1000)?;
        match stack::used(thread.id()) {
            Some(bytes) => write!(out, "{bytes:5}")?,
            None => write!(out, "    -")?,
        }
        writeln!(out, " {}", thread.name())?;
    }
    Ok(())
}

fn schedstat(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "cpu  running   switches    wakeups     pulled       idle")?;
    for cpu in cpu::online() {
        let core = load::of_core(cpu);
        let idle = core.idle_time * 1000 / counter::frequency_hz();
        write!(out, "{cpu:3} {:8} {:10} {:10} {:10}", core.nr_running, core.nr_switches, core.nr_wakeups, core.nr_pulled)?;
        writeln!(out, " {:6}.{:03}", idle / 1000, idle % 1000)?;
    }
    Ok(())
}

fn show_features(out: &mut dyn Write) -> Result<(), ViewError> {
    let words = FEATURES.iter().map(|(feature, name)| (if features::is_on(*feature) { "" } else { "NO_" }, name));
    for (index, (no, name)) in words.enumerate() {
        write!(out, "{}{no}{name}", if index == 0 { "" } else { " " })?;
    }
    writeln!(out)?;
    Ok(())
}

fn set_feature(text: &str) -> Result<(), Errno> {
    let text = text.trim();
    let (name, on) = text.strip_prefix("NO_").map_or((text, true), |name| (name, false));
    let (feature, _) = FEATURES.iter().find(|(_, known)| *known == name).ok_or(Errno::EINVAL)?;
    features::set(*feature, on);
    Ok(())
}

shell::command! {
    name: "kill",
    usage: "kill [-SIGNAL] PID",
    help: "sends a thread a signal: HUP INT KILL USR1 USR2 TERM (the default)",
    details: "A signal ends a wait that permits it, and is there for the thread to see. Nothing else ends a kernel thread: it may hold locks.",
    run: |ctx, args| {
        let (signal, pid) = match *args {
            [pid] => (Signal::Term, pid),
            [name, pid] => {
                let known = name.strip_prefix('-').and_then(Signal::parse);
                (known.ok_or_else(|| ctx.fail(format_args!("{name}: no such signal")))?, pid)
            }
            _ => return Err(CommandError::Usage),
        };
        signal::send(&*thread_of(ctx, pid)?, signal);
        Ok(())
    },
}

shell::command! {
    name: "taskset",
    usage: "taskset PID [MASK]",
    help: "shows or sets the cores that a thread may run on, as a hexadecimal mask",
    run: |ctx, args| {
        let (pid, mask) = match *args {
            [pid] => (pid, None),
            [pid, mask] => (pid, Some(mask)),
            _ => return Err(CommandError::Usage),
        };
        let thread = thread_of(ctx, pid)?;
        if let Some(text) = mask {
            let mask = u32::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|_| ctx.fail(format_args!("{text}: no hexadecimal mask")))?;
            sched::set_affinity(&thread, mask).map_err(|_| ctx.fail(format_args!("{mask:x}: none of these cores runs")))?;
        }
        writeln!(ctx.out, "pid {}'s affinity mask: {:x}", thread.pid(), thread.affinity())?;
        Ok(())
    },
}

shell::command! {
    name: "chrt",
    usage: "chrt PID [PRIORITY]",
    help: "shows or sets a thread's priority, 0 to 31, higher first",
    run: |ctx, args| {
        let (pid, priority) = match *args {
            [pid] => (pid, None),
            [pid, priority] => (pid, Some(shell::number(priority)?)),
            _ => return Err(CommandError::Usage),
        };
        let thread = thread_of(ctx, pid)?;
        if let Some(number) = priority {
            let priority = Priority::new(number).map_err(|_| ctx.fail(format_args!("{number}: priorities are 0 to 31")))?;
            sched::set_priority(&thread, priority);
        }
        writeln!(ctx.out, "pid {}'s priority: {}", thread.pid(), thread.priority().number())?;
        Ok(())
    },
}

shell::command! {
    name: "threads",
    usage: "threads [PID]",
    help: "where each thread sleeps or waits: backtraces",
    run: |ctx, args| match *args {
        [] => thread::all().filter(|thread| !thread.is_idle()).try_for_each(|thread| write_backtrace(ctx, &thread)),
        [pid] => {
            let thread = thread_of(ctx, pid)?;
            write_backtrace(ctx, &thread)
        }
        _ => Err(CommandError::Usage),
    },
}

fn write_backtrace(ctx: &mut Context<'_>, thread: &ThreadRef) -> Result<(), CommandError> {
    writeln!(ctx.out, "{}: {}", **thread, thread.state().letter())?;
    // Names and terminal would take long with a run queue locked: only the addresses are taken there.
    let trace = sched::with_position(thread, |position| position.map(|(pc, fp)| Trace::from(Start { pc, lr: 0, fp })));
    match trace {
        Some(trace) => Ok(write!(ctx.out, "{trace}")?),
        None => match thread.oops_number() {
            Some(number) => Ok(writeln!(ctx.out, "  died of oops #{number}: its report says where")?),
            None => Ok(writeln!(ctx.out, "  runs on cpu{} now", thread.cpu())?),
        },
    }
}

fn thread_of(ctx: &Context<'_>, pid: &str) -> Result<ThreadRef, CommandError> {
    let number = shell::number(pid)?;
    let found = u32::try_from(number).ok().and_then(thread::find);
    found.ok_or_else(|| ctx.fail(format_args!("{pid}: no such thread; `ps` lists them")))
}
