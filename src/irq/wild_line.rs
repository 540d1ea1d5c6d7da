//! Lines that run wild: noticed, masked, and named.
//!
//! Two ways are told apart from a busy line. No handler claims it, `UNHANDLED_LIMIT` times in a row: a device that nobody drives, or a handler that
//! looks at the wrong one. Or it interrupts one core `STORM_PER_TICK` times in each of some ticks, claimed or not: a level that nobody takes back, or
//! a broken device; its core would do little else. `lines::enable` lets it through again.
//!
//! What the kernel makes pending itself ([`note_software`]) is no storm, however often: the console is kicked for every message.
//!
//! Neighbours: `lines` (tells of each interrupt), `time::tick` (calls [`look_for_storm`]).

use super::lines::{self, FIRST_SHARED_LINE, NR_LINES};
use crate::cpu;
use crate::per_cpu;
use crate::upcalls;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Interrupts in a row that no handler claims, until the line is masked.
const UNHANDLED_LIMIT: u32 = 1000;
/// Interrupts of one line on one core between two ticks that are too many: 20 000 a second. A UART without its FIFO makes half of that.
const STORM_PER_TICK: u32 = 200;
/// Ticks in a row with so many, until the line is masked.
const STORM_TICKS: u32 = 4;

struct Record {
    /// Interrupts since one was claimed. Written by whichever core takes the line.
    unhandled: AtomicU32,
    /// The kernel made it pending since this was last looked at. Cleared by whichever core looks for a storm.
    is_raised_by_software: AtomicBool,
}

static RECORDS: [Record; NR_LINES] =
    [const { Record { unhandled: AtomicU32::new(0), is_raised_by_software: AtomicBool::new(false) } }; NR_LINES];

/// What a core remembers from tick to tick. Written by the core itself, in hardirq.
struct Watch {
    /// The line of a device that it took last.
    last: AtomicU32,
    /// The same and its count, at the last tick; and for how many ticks it has stormed.
    last_at_tick: AtomicU32,
    count_at_tick: AtomicU32,
    storm_ticks: AtomicU32,
}

per_cpu! {
    static WATCH: Watch = Watch {
        last: AtomicU32::new(0),
        last_at_tick: AtomicU32::new(0),
        count_at_tick: AtomicU32::new(0),
        storm_ticks: AtomicU32::new(0),
    };
}

/// This core takes an interrupt of `line`. Context: hardirq.
#[inline]
pub(super) fn took(line: usize) {
    if line >= FIRST_SHARED_LINE {
        WATCH.this().last.store(line as u32, Ordering::Relaxed);
    }
}

/// The handlers of `line` have run. Context: hardirq.
#[inline]
pub(super) fn answered(line: usize, is_claimed: bool) {
    let unhandled = &RECORDS[line % NR_LINES].unhandled;
    if !is_claimed {
        unclaimed(line, unhandled);
    } else if unhandled.load(Ordering::Relaxed) != 0 {
        unhandled.store(0, Ordering::Relaxed);
    }
}

#[cold]
fn unclaimed(line: usize, unhandled: &AtomicU32) {
    let so_far = unhandled.load(Ordering::Relaxed) + 1;
    unhandled.store(so_far, Ordering::Relaxed);
    if so_far == UNHANDLED_LIMIT {
        mask(line, "no handler claims it");
    }
}

/// The line is let through again. Context: any.
pub(super) fn forgive(line: u16) {
    RECORDS[usize::from(line) % NR_LINES].unhandled.store(0, Ordering::Relaxed);
}

/// Notes that the kernel itself makes `line` pending, as often as it has something to say: that is no storm.
///
/// Context: any.
#[inline]
pub fn note_software(line: u16) {
    if let Some(record) = RECORDS.get(usize::from(line)) {
        record.is_raised_by_software.store(true, Ordering::Relaxed);
    }
}

/// Masks the line of a device that has kept this core busy for some ticks. At each tick of a core.
///
/// Context: hardirq.
pub fn look_for_storm() {
    let watch = WATCH.this();
    let line = watch.last.load(Ordering::Relaxed);
    let count = lines::nr_taken_here(line as usize);
    let since = count.wrapping_sub(watch.count_at_tick.load(Ordering::Relaxed));
    let is_ours = RECORDS[line as usize % NR_LINES].is_raised_by_software.swap(false, Ordering::Relaxed);
    let is_storm = line == watch.last_at_tick.load(Ordering::Relaxed) && since > STORM_PER_TICK && !is_ours;
    let ticks = if is_storm { watch.storm_ticks.load(Ordering::Relaxed) + 1 } else { 0 };
    watch.storm_ticks.store(ticks, Ordering::Relaxed);
    watch.last_at_tick.store(line, Ordering::Relaxed);
    watch.count_at_tick.store(count, Ordering::Relaxed);
    if ticks == STORM_TICKS {
        mask(line as usize, "it leaves this core no time");
    }
}

#[cold]
fn mask(line: usize, why: &str) {
    upcalls::irqchip_set_enabled(line as u16, false);
    crate::pr_warn!(
        "irq: INTID {} ({}) masked on cpu{}: {}. Mend the device or its handler, then irq::lines::enable.",
        line,
        lines::try_name_of(line).unwrap_or("?"),
        cpu::id(),
        why
    );
}
