//! What the detectors of lockups and hung tasks go by, and their settings under Linux's paths.

use crate::arch::counter;
use crate::cpu;
use crate::debug::detectors::provoke::Lockup;
use crate::debug::detectors::settings::Setting;
use crate::debug::detectors::{hung_task, watchdog};
use crate::debug::show::Seconds;
use crate::proc::{self, ViewError};
use crate::shell::complete::Request;
use crate::shell::{self, CommandError, Context};
use crate::util::errno::Errno;
use core::fmt::Write;
use core::time::Duration;

proc::view! {
    name: "watchdog",
    path: "/sys/kernel/debug/watchdog",
    help: "when each core last beat and could switch threads; lockups and hung tasks so far",
    show: show,
}

shell::command! {
    name: "lockup",
    usage: "lockup soft|hard|task [SECONDS [CPU]]",
    help: "makes something stand still for 30 seconds, to see it reported",
    details: "soft: preemption off. hard: irqs off. task: a thread waits for a mutex. With CPU in a thread on that core, else in the\nshell's own. docs/detectors.md shows the reports, and how to get through to a shell that hangs.",
    complete: complete_lockup,
    run: lockup,
}

fn complete_lockup(request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    if request.args.is_empty() {
        Lockup::ALL.iter().for_each(|(_, name)| offer(name));
    }
}

fn lockup(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (name, seconds, cpu) = match *args {
        [name] => (name, 30, None),
        [name, seconds] => (name, shell::number(seconds)?, None),
        [name, seconds, cpu] => (name, shell::number(seconds)?, Some(shell::number(cpu)?)),
        _ => return Err(CommandError::Usage),
    };
    let (kind, _) = Lockup::ALL.iter().find(|(_, known)| *known == name).ok_or(CommandError::Usage)?;
    let time = Duration::from_secs(seconds as u64);
    writeln!(ctx.out, "standing still for {seconds} s")?;
    match cpu {
        None => kind.run(time),
        Some(cpu) => kind.run_on(cpu, time).map_err(|error| ctx.fail(format_args!("cpu{cpu}: {:#}", Errno::from(error))))?,
    }
    Ok(())
}

macro_rules! setting_view {
    ($name:literal, $path:literal, $help:literal, $setting:expr) => {
        proc::view! {
            name: $name,
            path: $path,
            help: $help,
            show: |out| Ok(writeln!(out, "{}", $setting.get())?),
            write: |text| set($setting, text),
        }
    };
}

setting_view!(
    "watchdog_thresh",
    "/proc/sys/kernel/watchdog_thresh",
    "seconds without an interrupt that are a hard lockup, twice as many without a switch a soft one; 0: off",
    Setting::WatchdogThresh
);
setting_view!(
    "hung_task_timeout_secs",
    "/proc/sys/kernel/hung_task_timeout_secs",
    "seconds that a thread may sleep uninterruptibly before it is reported; 0: off",
    Setting::HungTaskTimeout
);
setting_view!("softlockup_panic", "/proc/sys/kernel/softlockup_panic", "1: a soft lockup is a panic", Setting::SoftlockupPanic);
setting_view!("hardlockup_panic", "/proc/sys/kernel/hardlockup_panic", "1: a hard lockup is a panic", Setting::HardlockupPanic);
setting_view!("hung_task_panic", "/proc/sys/kernel/hung_task_panic", "1: a hung task is a panic", Setting::HungTaskPanic);

fn set(setting: Setting, text: &str) -> Result<(), Errno> {
    let value = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    Ok(setting.set(value)?)
}

fn show(out: &mut dyn Write) -> Result<(), ViewError> {
    let now = counter::now();
    let ago = |then: u64| Seconds(now.saturating_sub(then));
    writeln!(out, "cpu  last beat  last switch point  soft  hard")?;
    for cpu in cpu::online() {
        let core = watchdog::of_core(cpu);
        let (soft, hard) = core.nr_lockups;
        match core.beat {
            Some(beat) => writeln!(out, "{cpu:3}  {} ago, {} ago  {soft:4}  {hard:4}", ago(beat), ago(core.switch_point))?,
            None => writeln!(out, "{cpu:3}  not watched: watchdog_thresh is 0")?,
        }
    }
    writeln!(out, "hung tasks: {}", hung_task::nr_reported())?;
    Ok(())
}
