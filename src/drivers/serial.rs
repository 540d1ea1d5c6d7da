//! The console on the PL011: interrupt driven both ways, with a polled way around everything for a panic.
//!
//! Three speak on it: the log (`log::Console`), the shell's terminal, and the panic port, which takes no lock. Output goes to a queue that the
//! transmit interrupt drains; who logs from an interrupt or under a lock only makes the UART's line pending (`kick`), so no I/O happens there.
//! When the input queue is full the receive interrupt is paused instead of dropping bytes: an emulator or a sender with flow control waits.
//!
//! # Locks
//! `STATE` is an irq-off spinlock, innermost; nothing is logged under it.

use super::pl011::{LineSnapshot, PanicPort, Pl011, RxEvent};
use crate::cpu::task::TaskState;
use crate::debug::panic;
use crate::irq::IrqReturn;
use crate::sched::{self, RcuWait};
use crate::sync::IrqSpinLock;
use crate::util::queue::ByteQueue;
use crate::{arch, log, time};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use core::time::Duration;

const TX_BYTES: usize = 8192;
const RX_BYTES: usize = 4096;
/// Received bytes must leave this much room again before a paused receiver goes on.
const RX_RESUME_ROOM: usize = RX_BYTES / 2;

struct State {
    port: Pl011,
    tx: ByteQueue<TX_BYTES>,
    rx: ByteQueue<RX_BYTES>,
    is_paused: bool,
    figures: Figures,
}

/// What the line has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Bytes received and queued.
    pub received: u64,
    /// Bytes that the hardware lost because nobody read them in time.
    pub overruns: u64,
    /// Bytes with a framing or parity error.
    pub errors: u64,
    /// BREAK conditions.
    pub breaks: u64,
}

static STATE: IrqSpinLock<Option<State>> = IrqSpinLock::new(None);
/// Where the panic port finds the registers; 0 before there is a console.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// The UART's line, for `kick`; 0 while output is polled.
static LINE: AtomicU16 = AtomicU16::new(0);
static HAS_INPUT: AtomicBool = AtomicBool::new(false);
/// The thread that waits for input: the shell's.
static READER: RcuWait = RcuWait::new();

/// The console.
pub static CONSOLE: SerialConsole = SerialConsole;

/// The console's face to the log.
#[derive(Debug)]
pub struct SerialConsole;

/// Takes an initialised PL011 whose registers are at `base`. Output is polled until `go_interrupt_driven`.
///
/// # Safety
/// `base` is the virtual address of the port's registers, mapped as device memory for ever.
pub unsafe fn start(base: usize, port: Pl011) {
    let state = State { port, tx: ByteQueue::new(), rx: ByteQueue::new(), is_paused: false, figures: Figures::default() };
    *STATE.lock() = Some(state);
    BASE.store(base, Ordering::Release);
}

/// From here on interrupts move the bytes: the line `intid` calls `on_interrupt`.
pub fn go_interrupt_driven(intid: u16) {
    LINE.store(intid, Ordering::Release);
}

/// What the line has seen so far. Context: any.
pub fn figures() -> Figures {
    STATE.lock().as_ref().map_or_else(Figures::default, |state| state.figures)
}

/// Handler of the UART's line. Context: hardirq.
pub fn on_interrupt(_data: usize) -> IrqReturn {
    if let Some(state) = STATE.lock().as_mut() {
        let _ = state.port.take_causes();
        state.receive();
        state.transmit();
    }
    if HAS_INPUT.load(Ordering::Acquire) {
        READER.wake_up();
    }
    // The queue may have room again for what the log has kept back, and a kick comes here too.
    log::drain();
    IrqReturn::Handled
}

/// How the line is set, for the audit. `None` before there is a console.
pub fn line_snapshot() -> Option<LineSnapshot> {
    STATE.lock().as_ref().map(|state| state.port.line_snapshot())
}

impl State {
    fn receive(&mut self) {
        while self.rx.room() > 0 {
            let Some(event) = self.port.read_event() else { break };
            self.take(event);
        }
        if self.rx.room() == 0 && !self.is_paused {
            self.is_paused = true;
            self.port.pause_receive();
        }
        HAS_INPUT.store(!self.rx.is_empty(), Ordering::Release);
    }

    fn take(&mut self, event: RxEvent) {
        match event {
            RxEvent::Byte(byte) => {
                self.figures.received += 1;
                self.rx.push(byte);
            }
            RxEvent::Overrun(byte) => {
                self.figures.overruns += 1;
                self.rx.push(byte);
            }
            RxEvent::Break => self.figures.breaks += 1,
            RxEvent::ParityError(_) | RxEvent::FramingError(_) => self.figures.errors += 1,
        }
    }

    fn transmit(&mut self) {
        while let Some(byte) = self.tx.peek() {
            if !self.port.try_write_byte(byte) {
                self.port.enable_tx_interrupt();
                return;
            }
            self.tx.pop();
        }
        self.port.disable_tx_interrupt();
    }

    /// Queues as much of `bytes` as fits; `\n` becomes `\r\n` if `cooked`.
    fn queue(&mut self, bytes: &[u8], cooked: bool) -> usize {
        let mut taken = 0;
        for &byte in bytes {
            let needed = if cooked && byte == b'\n' { 2 } else { 1 };
            if self.tx.room() < needed {
                break;
            }
            if needed == 2 {
                self.tx.push(b'\r');
            }
            self.tx.push(byte);
            taken += 1;
        }
        self.transmit();
        taken
    }

    fn take_input(&mut self) -> Option<u8> {
        let byte = self.rx.pop();
        if self.is_paused && self.rx.room() >= RX_RESUME_ROOM {
            self.is_paused = false;
            self.port.resume_receive();
            self.receive();
        }
        HAS_INPUT.store(!self.rx.is_empty(), Ordering::Release);
        byte
    }
}

/// Sends all of `bytes`, waiting for room. Without interrupts it polls.
fn write_all(bytes: &[u8], cooked: bool) {
    let mut left = bytes;
    while !left.is_empty() {
        let taken = STATE.lock().as_mut().map_or(left.len(), |state| state.queue(left, cooked));
        left = &left[taken..];
        if taken == 0 {
            wait_for_room();
        }
    }
}

fn wait_for_room() {
    let polled = LINE.load(Ordering::Acquire) == 0 || arch::irq::is_masked();
    if polled {
        if let Some(state) = STATE.lock().as_mut() {
            state.transmit();
        }
        arch::relax();
    } else {
        arch::wfi();
    }
}

impl log::Console for SerialConsole {
    fn name(&self) -> &'static str {
        "ttyAMA0"
    }

    fn write_bytes(&self, bytes: &[u8]) -> usize {
        STATE.lock().as_mut().map_or(bytes.len(), |state| state.queue(bytes, true))
    }

    fn write_polled(&self, bytes: &[u8]) {
        let base = BASE.load(Ordering::Acquire);
        if base == 0 {
            return;
        }
        // SAFETY: `base` was given to `start` with the promise that it is a PL011's, mapped for ever.
        let mut port = unsafe { PanicPort::new(base) };
        if panic::is_panicking() {
            // The interrupts that would drain the queue and fill the input are over. Before a panic they are still wanted.
            port.take_over();
        }
        for chunk in bytes.utf8_chunks() {
            let _ = fmt::Write::write_str(&mut port, chunk.valid());
            chunk.invalid().iter().for_each(|byte| port.panic_putc(*byte));
        }
    }
}

/// Takes a byte that was received, if there is one. Context: thread.
pub fn try_read() -> Option<u8> {
    if !HAS_INPUT.load(Ordering::Acquire) {
        return None;
    }
    STATE.lock().as_mut().and_then(State::take_input)
}

/// Sends all of `bytes` as they are, waiting for room. Context: thread; sleeps in WFI where interrupts drain the queue, else polls.
pub fn write_raw(bytes: &[u8]) {
    write_all(bytes, false);
}

/// Waits until a byte may have been received or `timeout` has passed. Context: thread, irqs on; sleeps. One thread at a time.
pub fn wait_for_input(timeout: Option<Duration>) {
    let has_input = || HAS_INPUT.load(Ordering::Acquire);
    let Some(timeout) = timeout else {
        return READER.wait_until(TaskState::IDLE, has_input);
    };
    let deadline = time::uptime() + timeout;
    let left = || deadline.saturating_sub(time::uptime());
    READER.wait_with(
        TaskState::IDLE,
        || has_input() || left().is_zero(),
        || {
            sched::schedule_timeout(left());
        },
    );
}

/// Upcall of log: new records wait. Makes the UART's line pending, so that `on_interrupt` drains them on the core that owns the line.
#[unsafe(no_mangle)]
fn tetra_console_kick() {
    let line = LINE.load(Ordering::Acquire);
    if let Some(line) = super::gicv2::IntId::new(line).filter(|_| line != 0) {
        // The line exists: it was enabled when its handler was requested.
        let _ = crate::platform::hardware::gic().set_pending(line);
    }
}
