//! Cores, memory map, interrupts, time, firmware: what the machine is and how it does.

use crate::arch::{NR_CPUS, counter, layout};
use crate::drivers::mailbox::{Clock, Mailbox};
use crate::drivers::serial;
use crate::init::{self, audit, firmware, memory, params, smp};
use crate::irq::{dispatch, ipi, lines};
use crate::mm::kernel_map;
use crate::platform::{hardware, rpi4};
use crate::proc::{self, ViewError};
use crate::shell::{self, CommandError, Context};
use crate::util::cmdline::PARAMS;
use crate::{cpu, time};
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

macro_rules! command_of_view {
    ($name:literal, $path:literal, $help:literal, $show:path) => {
        proc::view! { name: $name, path: $path, help: $help, show: $show }
    };
}

command_of_view!("version", "/proc/version", "which kernel this is, and how it was built", version);
command_of_view!("cmdline", "/proc/cmdline", "the boot arguments", cmdline);
command_of_view!("cpus", "/sys/kernel/debug/cpus", "the cores: state, level at entry, interrupts and ticks taken", cpus);
command_of_view!("irq", "/proc/interrupts", "interrupt lines: how often each core took which, and whose it is", interrupts);
command_of_view!("mem", "/sys/kernel/debug/memory_map", "the map of physical memory: RAM, what is reserved in it, devices", mem);
command_of_view!("iomem", "/proc/iomem", "physical addresses: RAM, what is reserved in it, devices", iomem);
command_of_view!("params", "/proc/params", "the boot arguments that are known, and which were given", known_params);

shell::command! {
    name: "audit",
    usage: "audit",
    help: "is the machine as the kernel relies on it: ok or WARN, fact by fact",
    details: "Fails if a line warns. docs/real-hardware.md says what each line means and what to do.",
    run: |ctx, args| {
        if !args.is_empty() {
            return Err(CommandError::Usage);
        }
        match audit::write(ctx.out)? {
            0 => Ok(()),
            warnings => Err(ctx.fail(format_args!("{warnings} of these need attention: see docs/real-hardware.md"))),
        }
    },
}

shell::command! {
    name: "mailbox",
    usage: "mailbox",
    help: "what the firmware says now: board, memory, clocks, temperature, throttling",
    run: mailbox,
}

fn version(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "Tetra {} ({}), build {:016x}", env!("CARGO_PKG_VERSION"), init::BUILD, crate::debug::report::build_id())?;
    let taint = crate::debug::taint::get_taint();
    if !taint.is_empty() {
        writeln!(out, "{taint}")?;
    }
    Ok(())
}

fn cmdline(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "{}", init::command_line())?;
    Ok(())
}

fn cpus(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "cpu  state    entry  interrupts      ticks")?;
    for cpu in 0..NR_CPUS {
        let Some(level) = smp::entry_level(cpu) else {
            writeln!(out, "{cpu:3}  offline")?;
            continue;
        };
        if !cpu::is_online(cpu) {
            writeln!(out, "{cpu:3}  stuck    EL{level}  entered, and did not come to take interrupts")?;
            continue;
        }
        let interrupts = cpu::local::local_of(cpu).nr_irqs.load(Ordering::Relaxed);
        writeln!(out, "{cpu:3}  online   EL{level}  {interrupts:12} {:10}", time::ticks_of(cpu))?;
    }
    writeln!(out, "counter {} Hz", counter::frequency_hz())?;
    Ok(())
}

fn interrupts(out: &mut dyn Write) -> Result<(), ViewError> {
    write!(out, "     ")?;
    for cpu in cpu::online() {
        write!(out, "{:>11}", CpuName(cpu))?;
    }
    writeln!(out)?;
    for status in lines::status() {
        let sgi = ipi::NAMES.iter().find(|(sgi, _)| usize::from(*sgi) == status.line);
        match sgi {
            Some((sgi, _)) => write!(out, "IPI{sgi}:")?,
            None => write!(out, "{:4}:", status.line)?,
        }
        for cpu in cpu::online() {
            write!(out, "{:11}", status.counts[cpu])?;
        }
        match (sgi, status.names.split_first()) {
            (Some((_, name)), _) => writeln!(out, "  {name}")?,
            (None, Some((first, others))) => {
                write!(out, "  GICv2 {:3}  {first}", status.line)?;
                others.iter().try_for_each(|name| write!(out, ", {name}"))?;
                writeln!(out)?;
            }
            (None, None) => writeln!(out, "  GICv2 {:3}  nobody's: masked", status.line)?,
        }
    }
    writeln!(out, " Err:{:11}", dispatch::nr_spurious())?;
    let line = serial::figures();
    writeln!(out, "ttyAMA0: {} received, {} overruns, {} errors, {} breaks", line.received, line.overruns, line.errors, line.breaks)?;
    Ok(())
}

struct CpuName(usize);

impl fmt::Display for CpuName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = arrayvec::ArrayString::<8>::new();
        write!(name, "CPU{}", self.0)?;
        f.pad(&name)
    }
}

fn mem(out: &mut dyn Write) -> Result<(), ViewError> {
    // A copy: writing may wait for the wire, and nobody waits with a spinlock held.
    let map = memory::MEMBLOCK.lock().clone();
    for region in map.memory() {
        writeln!(out, "{:#013x}-{:#013x} RAM {}", region.range.start(), region.range.end(), region.name)?;
        for inner in map.reserved().iter().filter(|inner| inner.range.overlaps(region.range)) {
            writeln!(out, "  {:#013x}-{:#013x} {}", inner.range.start(), inner.range.end(), inner.name)?;
        }
    }
    for device in &rpi4::DEVICES {
        writeln!(out, "{:#013x}-{:#013x} {}", device.base, device.base + device.size, device.name)?;
    }
    writeln!(out, "{} MiB of RAM, {} MiB free", map.memory_bytes() >> 20, map.free_bytes() >> 20)?;
    writeln!(out, "linear map at {:#x}, image at {:#x}", layout::LINEAR_BASE, layout::LINK_BASE)?;
    let (used, all) = kernel_map::usage();
    writeln!(out, "{used} of {all} early page tables used")?;
    Ok(())
}

/// In Linux's format: both ends belong to the range, what lies in RAM is set in.
fn iomem(out: &mut dyn Write) -> Result<(), ViewError> {
    let map = memory::MEMBLOCK.lock().clone();
    let row =
        |out: &mut dyn Write, indent: &str, start: u64, end: u64, name: &str| writeln!(out, "{indent}{start:08x}-{:08x} : {name}", end - 1);
    for region in map.memory() {
        row(out, "", region.range.start().value(), region.range.end().value(), "System RAM")?;
        for inner in map.reserved().iter().filter(|inner| inner.range.overlaps(region.range)) {
            row(out, "  ", inner.range.start().value(), inner.range.end().value(), inner.name)?;
        }
    }
    for device in &rpi4::DEVICES {
        row(out, "", device.base, device.base + device.size, device.name)?;
    }
    Ok(())
}

fn known_params(out: &mut dyn Write) -> Result<(), ViewError> {
    for param in PARAMS {
        let given = if params::argument().get(param.name).is_some() { "given" } else { "" };
        let shape = if param.value.is_empty() { "" } else { "=" };
        let mut left = arrayvec::ArrayString::<40>::new();
        // Longer than the column: shown cut, the name at least is whole.
        let _ = write!(left, "{}{shape}{}", param.name, param.value);
        writeln!(out, "{left:24} {given:6} {}", param.help)?;
    }
    Ok(())
}

fn mailbox(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    if !args.is_empty() {
        return Err(CommandError::Usage);
    }
    let Some(mailbox) = hardware::mailbox() else {
        return Err(ctx.fail(format_args!("no mailbox: its buffer is out of the VideoCore's reach")));
    };
    // The lock's section must not last over the terminal: ask first, then write.
    let said = Said::ask(&mut mailbox.lock());
    Ok(said.write(ctx.out)?)
}

type Answer<T> = Result<T, crate::drivers::mailbox::MailboxError>;

/// Everything that `mailbox` shows.
struct Said {
    temperature: Answer<u32>,
    throttled: Answer<crate::drivers::mailbox::Throttled>,
    clocks: [(&'static str, Answer<u32>); 4],
}

impl Said {
    fn ask(mailbox: &mut Mailbox) -> Self {
        let clocks = [("ARM", Clock::Arm), ("core", Clock::Core), ("UART", Clock::Uart), ("EMMC2", Clock::Emmc2)];
        Self {
            temperature: mailbox.temperature_millicelsius(),
            throttled: mailbox.throttled(),
            clocks: clocks.map(|(name, clock)| (name, mailbox.clock_rate_hz(clock))),
        }
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let facts = firmware::mailbox();
        row(out, "board", facts.board.map(|board| board.code()), |f, _| match facts.board {
            Some(board) => write!(f, "{board}"),
            None => Ok(()),
        })?;
        row(out, "serial", facts.serial, |f, serial| write!(f, "{serial:016x}"))?;
        row(out, "firmware", facts.firmware, |f, date| write!(f, "built {date} s after 1970"))?;
        row(out, "ARM memory", facts.arm_memory, |f, range| write!(f, "{:#x}-{:#x}", range.start(), range.end()))?;
        row(out, "VC memory", facts.videocore_memory, |f, range| write!(f, "{:#x}-{:#x}", range.start(), range.end()))?;
        row(out, "temperature", self.temperature.ok(), |f, milli| write!(f, "{}.{} C", milli / 1000, milli % 1000 / 100))?;
        row(out, "throttled", self.throttled.ok(), |f, flags| if flags.is_empty() { f.write_str("no") } else { write!(f, "{flags:?}") })?;
        for (name, rate) in self.clocks {
            row(out, name, rate.ok(), |f, hz| write!(f, "{} MHz", hz / 1_000_000))?;
        }
        Ok(())
    }
}

fn row<T>(out: &mut dyn Write, what: &str, value: Option<T>, show: impl Fn(&mut dyn Write, T) -> fmt::Result) -> fmt::Result {
    write!(out, "{what:12} ")?;
    match value {
        Some(value) => show(out, value)?,
        None => out.write_str("not answered")?,
    }
    out.write_char('\n')
}
