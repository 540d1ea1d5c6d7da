//! The boot audit: is the machine in the state that the kernel relies on? One line a fact, `ok` or `WARN` with the reason.
//!
//! Shown at boot and by `audit`. Decisions on devices are pure functions in `drivers::audit`, tested on the host; what they mean on a board, and what
//! to do, is in docs/real-hardware.md.

use super::{firmware, memory, smp};
use crate::arch::{NR_CPUS, boot, layout, mmu, sysreg};
use crate::drivers::audit::{self as device, Verdict};
use crate::drivers::mailbox::MailboxError;
use crate::platform::{hardware, rpi4};
use crate::{cpu, drivers};
use core::fmt::{self, Display, Write};
use core::sync::atomic::{AtomicU32, Ordering};

/// Width of the column that names the fact.
const WHAT: usize = 18;
const BAUD: u32 = 115_200;

/// A table that is being written: text out, warnings counted.
struct Table<'a> {
    out: &'a mut dyn Write,
    warnings: usize,
}

impl Table<'_> {
    fn row(&mut self, what: &str, seen: fmt::Arguments<'_>, complaint: Option<&dyn Display>) -> fmt::Result {
        match complaint {
            None => writeln!(self.out, "ok    {what:WHAT$} {seen}"),
            Some(why) => {
                self.warnings += 1;
                writeln!(self.out, "WARN  {what:WHAT$} {seen}: {why}")
            }
        }
    }

    /// A row whose check is a comparison.
    fn expect(&mut self, what: &str, seen: fmt::Arguments<'_>, is_good: bool, why: &str) -> fmt::Result {
        self.row(what, seen, (!is_good).then_some(&why as &dyn Display))
    }

    /// A row whose check is a driver's.
    fn device(&mut self, what: &str, seen: fmt::Arguments<'_>, verdict: Verdict) -> fmt::Result {
        match verdict {
            Verdict::Ok => self.row(what, seen, None),
            Verdict::Warn(reason) => self.row(what, seen, Some(&reason)),
        }
    }
}

/// Writes the table; gives the number of warnings.
///
/// Context: thread; asks the mailbox.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write) -> Result<usize, fmt::Error> {
    let mut table = Table { out, warnings: 0 };
    cores(&mut table)?;
    translation(&mut table)?;
    exclusives(&mut table)?;
    memory_map(&mut table)?;
    devices(&mut table)?;
    firmware_state(&mut table)?;
    Ok(table.warnings)
}

fn cores(table: &mut Table<'_>) -> fmt::Result {
    let registers = sysreg::snapshot();
    table.expect(
        "exception level",
        format_args!("EL{}", registers.current_el),
        registers.current_el == 1,
        "the kernel runs at EL1 only",
    )?;

    let is_a72 = registers.midr & 0xff00_fff0 == 0x4100_d080;
    table.expect("processor", format_args!("MIDR {:#x}", registers.midr), is_a72, "not a Cortex-A72: errata and caches may differ")?;

    let levels: [u8; NR_CPUS] = core::array::from_fn(|cpu| smp::entry_level(cpu).unwrap_or(0));
    let wanted = super::params::max_cpus();
    let why = "some did not come up: look for their message in dmesg";
    table.expect("cores", format_args!("{} online, entered at EL {levels:?}", cpu::nr_online()), cpu::nr_online() == wanted, why)?;

    // The register itself: the kernel's own clock assumes the board's crystal where the boot stub has set nothing.
    let hz = registers.cntfrq;
    table.device("counter", format_args!("{hz} Hz"), device::counter_frequency(hz))
}

fn translation(table: &mut Table<'_>) -> fmt::Result {
    let registers = sysreg::snapshot();
    let why = "another value than boot wrote: MMU, caches or write-implies-no-execute are not as they must be";
    table.expect("MMU and caches", format_args!("SCTLR_EL1 {:#x}", registers.sctlr), registers.sctlr == boot::SCTLR_EL1_ON, why)?;
    table.expect(
        "memory types",
        format_args!("MAIR_EL1 {:#x}", registers.mair),
        registers.mair == boot::MAIR_EL1,
        "not what boot wrote",
    )?;
    let low_off = registers.tcr & (1 << 7) != 0;
    table.expect("low addresses", format_args!("TCR_EL1 {:#x}", registers.tcr), low_off, "TTBR0 walks are on: NULL may be mapped")?;

    let attributes = mmu::translate(&raw const PROBE as usize).map(|(_, attributes)| attributes);
    let is_cached = attributes == Some(mmu::Attributes::Data);
    table.expect("kernel data", format_args!("mapped {attributes:?}"), is_cached, "exclusives need Normal write-back memory")?;

    let guards = (0..NR_CPUS).flat_map(layout::guard_pages).filter(|page| mmu::translate(*page).is_none()).count();
    table.expect("guard pages", format_args!("{guards} unmapped"), guards == 3 * NR_CPUS, "a stack overflow would go unnoticed")
}

static PROBE: AtomicU32 = AtomicU32::new(0);

fn exclusives(table: &mut Table<'_>) -> fmt::Result {
    let before = PROBE.fetch_add(1, Ordering::AcqRel);
    let after = PROBE.load(Ordering::Acquire);
    let is_good = after == before.wrapping_add(1);
    table.expect("exclusives", format_args!("LDXR/STXR on kernel data"), is_good, "an increment was lost")
}

fn memory_map(table: &mut Table<'_>) -> fmt::Result {
    let bytes = memory::MEMBLOCK.lock().memory_bytes();
    let Some(report) = memory::report() else { return Ok(()) };
    let first = report.notes().iter().find(|note| !note.is_harmless()).map(|note| note as &dyn Display);
    table.row("memory map", format_args!("{} MiB, from {}", bytes >> 20, report.source), first)?;

    let tree = firmware::device_tree();
    let warnings = tree.warnings.iter().count();
    let seen = format_args!("{} bytes, {} cores, {} warnings", tree.size_bytes, tree.cpus.len(), warnings);
    table.expect("device tree", seen, tree.is_present() && warnings == 0, "none, or not all of it was understood: see dmesg")
}

fn devices(table: &mut Table<'_>) -> fmt::Result {
    let clock = firmware::mailbox().uart_clock_hz.ok_or(MailboxError::TagNotAnswered);
    if let Some(line) = drivers::serial::line_snapshot() {
        table.device(
            "UART clock",
            format_args!("{} Hz, divisor {}/64", clock.unwrap_or(0), line.divisor_64ths),
            device::uart_clock(&line, clock, BAUD),
        )?;
    }
    let pins = hardware::gpio().console_snapshot();
    table.device("UART pins", format_args!("GPIO14, GPIO15: {:?}", pins.console), device::uart_pins(&pins))?;

    let group = hardware::gic().group_snapshot();
    let lines = hardware::gic().nr_lines();
    table.device("GIC", format_args!("{lines} lines, priority mask {:#x}", group.priority_mask), device::gic_group(&group))
}

fn firmware_state(table: &mut Table<'_>) -> fmt::Result {
    let Some(mailbox) = hardware::mailbox() else {
        return table.row("mailbox", format_args!("none"), Some(&"its buffer is out of the VideoCore's reach"));
    };
    // Asked first, shown then: writing may wait for the wire, and nobody waits with a spinlock held.
    let (board, throttled, now, limit) = {
        let mut mailbox = mailbox.lock();
        let temperatures = (mailbox.temperature_millicelsius(), mailbox.max_temperature_millicelsius());
        (mailbox.board_revision(), mailbox.throttled(), temperatures.0, temperatures.1)
    };
    match firmware::mailbox().board {
        Some(known) => table.device("board", format_args!("{known}"), device::board(board))?,
        None => table.device("board", format_args!("unknown"), device::board(board))?,
    }
    let videocore = firmware::mailbox().videocore_memory.unwrap_or(rpi4::DEFAULT_VIDEOCORE);
    let kernel_sees = memory::MEMBLOCK.lock().memory_bytes() + videocore.size();
    let seen = format_args!("{} MiB with the VideoCore's", kernel_sees >> 20);
    match super::params::memory_limit() {
        Some(limit) => table.row("board memory", format_args!("{seen}, limited by mem={}M", limit >> 20), None)?,
        None => table.device("board memory", seen, device::board_memory(board, kernel_sees))?,
    }
    let seen = throttled.map_or("not told", |flags| if flags.is_empty() { "none" } else { "now or since boot" });
    table.device("throttling", format_args!("{seen}"), device::throttling(throttled))?;
    table.device("temperature", format_args!("{} C", now.unwrap_or(0) / 1000), device::temperature(now, limit))
}

/// Logs the table, a record a line: `WARN` lines as warnings.
pub fn at_boot() {
    let mut lines = LogLines { line: arrayvec::ArrayString::new() };
    if let Ok(warnings) = write(&mut lines) {
        pr_info!("audit: {} warnings", warnings);
    }
}

/// Cuts text into log records.
struct LogLines {
    line: arrayvec::ArrayString<192>,
}

impl Write for LogLines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            let (text, ends) = part.strip_suffix('\n').map_or((part, false), |text| (text, true));
            // A line longer than the buffer is cut: the shell's `audit` shows it whole.
            let room = self.line.remaining_capacity().min(text.len());
            self.line.push_str(&text[..text.floor_char_boundary(room)]);
            if ends {
                match self.line.starts_with("WARN") {
                    true => pr_warn!("{}", self.line.as_str()),
                    false => pr_info!("{}", self.line.as_str()),
                }
                self.line.clear();
            }
        }
        Ok(())
    }
}
