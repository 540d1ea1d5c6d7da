//! Interrupt lines: who handles which INTID, and how often each core took it.
//!
//! A slot is written once, under the table's lock, before its line is enabled; dispatch reads it without a lock. `HANDLER` is stored last, with
//! release, and loaded first, with acquire, so who sees a handler sees its data.

use crate::cpu::NR_CPUS;
use crate::per_cpu;
use crate::sync::SpinLock;
use crate::upcalls;
use crate::util::errno::Errno;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// INTIDs that have a slot: all of the GIC-400 on the BCM2711 (HARDWARE: table to 223 and more).
pub const NR_LINES: usize = 256;

/// Runs in hardirq context, irqs masked, with the number that was given when the line was requested.
pub type Handler = fn(data: usize);

struct Line {
    handler: AtomicUsize,
    data: AtomicUsize,
    name: spin::Once<&'static str>,
}

static LINES: [Line; NR_LINES] =
    [const { Line { handler: AtomicUsize::new(0), data: AtomicUsize::new(0), name: spin::Once::new() } }; NR_LINES];

/// Serialises `request`.
static REQUESTS: SpinLock<()> = SpinLock::new(());

per_cpu! {
    /// Interrupts of each line that this core took. Written by the core itself, in hardirq.
    static COUNTS: [AtomicU32; NR_LINES] = [const { AtomicU32::new(0) }; NR_LINES];
}

/// Why a line was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// The controller has no such line.
    NoSuchLine,
    /// It has a handler already.
    Busy,
}

impl From<IrqError> for Errno {
    fn from(error: IrqError) -> Self {
        match error {
            IrqError::NoSuchLine => Errno::EINVAL,
            IrqError::Busy => Errno::EBUSY,
        }
    }
}

/// Gives line `line` to `handler` and enables it. `name` is what reports call it.
///
/// Context: thread; takes a spinlock. The handler may run before this returns.
///
/// # Errors
/// `IrqError`; nothing is changed then.
pub fn request(line: u16, name: &'static str, handler: Handler, data: usize) -> Result<(), IrqError> {
    let _one_at_a_time = REQUESTS.lock();
    let slot = LINES.get(line as usize).ok_or(IrqError::NoSuchLine)?;
    if slot.handler.load(Ordering::Relaxed) != 0 {
        return Err(IrqError::Busy);
    }

    slot.name.call_once(|| name);
    slot.data.store(data, Ordering::Relaxed);
    slot.handler.store(handler as usize, Ordering::Release);
    if upcalls::irqchip_set_enabled(line, true) { Ok(()) } else { Err(IrqError::NoSuchLine) }
}

/// Enables a banked line on this core too: the handler that core 0 requested serves all.
///
/// # Errors
/// `NoSuchLine` if nobody requested it.
pub fn enable_on_this_cpu(line: u16) -> Result<(), IrqError> {
    let slot = LINES.get(line as usize).ok_or(IrqError::NoSuchLine)?;
    if slot.handler.load(Ordering::Acquire) == 0 || !upcalls::irqchip_set_enabled(line, true) {
        return Err(IrqError::NoSuchLine);
    }
    Ok(())
}

/// Counts an interrupt of `line` on this core and runs its handler. False if it has none.
///
/// Context: hardirq.
#[inline]
pub(super) fn run(line: usize) -> bool {
    let Some(slot) = LINES.get(line) else { return false };
    let count = &COUNTS.this()[line];
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);

    let handler = slot.handler.load(Ordering::Acquire);
    if handler == 0 {
        return false;
    }
    // SAFETY: the only non-zero values stored are `Handler`s.
    let handler: Handler = unsafe { core::mem::transmute(handler) };
    handler(slot.data.load(Ordering::Relaxed));
    true
}

/// A line as `irq` shows it.
#[derive(Clone, Copy, Debug)]
pub struct LineStatus {
    /// INTID.
    pub line: usize,
    /// Who has it; `None`: an interrupt came that nobody had asked for.
    pub name: Option<&'static str>,
    /// How often each core took it.
    pub counts: [u32; NR_CPUS],
}

/// All lines that have a handler or have fired. Context: any.
pub fn status() -> impl Iterator<Item = LineStatus> {
    (0..NR_LINES).filter_map(|line| {
        let counts = core::array::from_fn(|cpu| COUNTS.on(cpu)[line].load(Ordering::Relaxed));
        let name = LINES[line].name.get().copied();
        (name.is_some() || counts.iter().any(|count| *count != 0)).then_some(LineStatus { line, name, counts })
    })
}
