//! A button between GPIO17 (header pin 11) and ground (pin 9): counts how often it is pressed.
//!
//! The pin's own resistor pulls it up, a press pulls it down; the falling edge interrupts. The contact bounces for some milliseconds, so an edge
//! that follows too soon is counted apart. Rejected: asking for the level of the pin in a loop, which keeps a core busy and misses short presses.
//!
//! QEMU's GPIO block has no edge detection, so there the line stays silent: `press` at the prompt does in an interrupt what the handler does.
//! Neighbours: `tetra::drivers::gpio` (the pins), `tetra::irq` (the lines).

use core::fmt::Write;
use core::time::Duration;

use tetra::drivers::gicv2::IntId;
use tetra::drivers::gpio::{Detect, Function, PinNumber, PinSet, Pull};
use tetra::irq::{self, IrqReturn, ipi};
use tetra::platform::{hardware, rpi4};
use tetra::proc::{self, ViewError};
use tetra::shell::{self, CommandError, Context};
use tetra::sync::IrqSpinLock;
use tetra::time;
use tetra::util::errno::Errno;

/// What stands before each message of this module.
macro_rules! pr_fmt {
    () => {
        "button: "
    };
}

const PIN: PinNumber = PinNumber::of(17);
/// The line of pins 0 to 27.
const LINE: IntId = rpi4::INTID_GPIO[0];
/// Edges closer together than this are one press.
const BOUNCE: Duration = Duration::from_millis(20);

/// What is known of the button.
#[derive(Clone, Copy)]
struct Presses {
    count: u32,
    bounces: u32,
    /// Uptime at the last edge.
    last_edge: Option<Duration>,
}

impl Presses {
    const NONE: Self = Self { count: 0, bounces: 0, last_edge: None };
}

/// Written in the handler, read at the prompt. A hardirq touches it, so every holder has irqs off: `IrqSpinLock`. Innermost.
static PRESSES: IrqSpinLock<Presses> = IrqSpinLock::new(Presses::NONE);

/// Sets the pin up. Context: boot, thread.
pub fn init() {
    match set_up() {
        Ok(()) => pr_info!("{} on irq {}", PIN, LINE.number()),
        Err(error) => pr_err!("not there: {}", error),
    }
}

/// If a step fails, the pin is dropped, which makes it a plain input again and frees it.
fn set_up() -> Result<(), Errno> {
    let pin = hardware::gpio().claim(PIN)?;
    pin.set_function(Function::Input);
    pin.set_pull(Pull::Up);

    // The handler before the first event: a line that fires without one is masked.
    hardware::route_to(LINE, 0);
    irq::request(LINE.number(), "button", on_interrupt, 0)?;
    pin.enable_detect(Detect::FallingEdge);
    pin.leak();
    Ok(())
}

/// Context: hardirq.
fn on_interrupt(_data: usize) -> IrqReturn {
    let mine = PinSet::EMPTY.with(PIN);
    if hardware::gpio().take_events(mine).is_empty() {
        return IrqReturn::None;
    }
    note_edge();
    IrqReturn::Handled
}

/// Counts an edge. Context: hardirq; any.
fn note_edge() {
    let now = time::uptime();
    let mut presses = PRESSES.lock();
    let is_bounce = presses.last_edge.is_some_and(|last| now - last < BOUNCE);
    presses.last_edge = Some(now);
    if is_bounce {
        presses.bounces += 1;
        return;
    }
    presses.count += 1;
    let count = presses.count;
    drop(presses);

    pr_info!("press number {}", count);
}

proc::view! {
    name: "button",
    path: "/proc/button",
    help: "the button on GPIO17: how often it was pressed; `echo 0 > button` begins anew",
    show: show,
    write: reset,
}

fn show(out: &mut dyn Write) -> Result<(), ViewError> {
    // Copied out: nothing is written to a terminal while irqs are off.
    let presses = *PRESSES.lock();
    let level = if hardware::gpio().levels().contains(PIN) { "high: released" } else { "low: pressed" };
    writeln!(out, "{PIN} is {level}")?;
    writeln!(out, "pressed {} times, {} bounces", presses.count, presses.bounces)?;
    if let Some(last) = presses.last_edge {
        writeln!(out, "last edge at {}.{:03} s", last.as_secs(), last.subsec_millis())?;
    }
    Ok(())
}

fn reset(text: &str) -> Result<(), Errno> {
    if text != "0" {
        return Err(Errno::EINVAL);
    }
    *PRESSES.lock() = Presses::NONE;
    Ok(())
}

shell::command! {
    name: "press",
    usage: "press",
    help: "nothing: it does what a press of the button does, in an interrupt of this core",
    run: press,
}

fn press(_: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    if !args.is_empty() {
        return Err(CommandError::Usage);
    }
    ipi::interrupt_self(note_edge);
    Ok(())
}
