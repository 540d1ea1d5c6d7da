//! The console on the PL011: interrupt driven both ways, with a polled way around everything for a panic.
//!
//! Three speak on it: the log (`log::Console`), the shell's terminal, and the panic port, which takes no lock. Output goes to a queue that the
//! transmit interrupt drains; who logs from an interrupt or under a lock only makes the UART's line pending (`kick`), so no I/O happens there.
//! A line or packet that the log has begun is ended before the terminal goes on; the terminal's unfinished line (the prompt) does not hold up the log.
//! BREAK and a key within [`SYSRQ_WINDOW`] are not input but a call for `debug::sysrq`, made by the handler itself.
//! When the input queue is full the receive interrupt is paused instead of dropping bytes: an emulator or a sender with flow control waits. A queue that
//! nobody reads for [`READER_LIMIT`] drops what comes, counted, so that SysRq is heard where the reader hangs.
//!
//! # Locks
//! `STATE` is an irq-off spinlock, innermost; nothing is logged under it.

use super::pl011::{self, LineSnapshot, PanicPort, Pl011, RxEvent};
use crate::cpu;
use crate::cpu::task::{TaskState, set_current_state};
use crate::debug::panic;
use crate::irq::{self, IrqReturn};
use crate::log::OpenLine;
use crate::sched::{self, RcuWait};
use crate::sync::IrqSpinLock;
use crate::util::queue::ByteQueue;
use crate::{arch, log, time, upcalls};
use core::fmt;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use core::time::Duration;

const TX_BYTES: usize = 8192;
const RX_BYTES: usize = 4096;
/// The longest packet that is sent in one piece.
pub const PACKET_MAX: usize = 2048;
/// How long after a BREAK a key is taken for SysRq.
const SYSRQ_WINDOW: Duration = Duration::from_secs(5);
/// A full queue takes 0.7 s at 115200 baud, and the log may hold some of them more.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// How long a thread sleeps for room in the queue.
const ROOM_POLL: Duration = Duration::from_millis(10);
/// How long the receiver is paused for a reader that takes nothing.
const READER_LIMIT: Duration = Duration::from_secs(5);
/// Received bytes must leave this much room again before a paused receiver goes on.
const RX_RESUME_ROOM: usize = RX_BYTES / 2;

/// Made in place, in its static: with its queues it is nearly as large as a stack.
struct State {
    /// `None` until `start`; see `as_mut`.
    port: Option<Pl011>,
    /// What the log has begun and not ended; the terminal waits for it, so that neither a line nor a packet is torn.
    log: OpenLine,
    tx: ByteQueue<TX_BYTES>,
    rx: ByteQueue<RX_BYTES>,
    input: Input,
    /// When the receiver was paused, or the reader last took a byte since.
    paused_at: Duration,
    /// Up to this time of the clock since boot the next byte is a key for SysRq: a BREAK came. Zero: none did; that and the rest of an unused state being
    /// all zero, the buffers take no room in the image.
    sysrq_until: Duration,
    /// That key, until the handler has given the lock back.
    sysrq_key: Option<u8>,
    figures: Figures,
}

/// What becomes of a byte that is received.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Input {
    /// It is queued.
    Open,
    /// It stays in the FIFO: the queue is full.
    Paused,
    /// It is queued if there is room, else dropped: nobody reads.
    Unread,
}

/// What the line has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Bytes received and queued.
    pub received: u64,
    /// Bytes that were lost because nobody read them in time.
    pub overruns: u64,
    /// Bytes with a framing or parity error.
    pub errors: u64,
    /// BREAK conditions.
    pub breaks: u64,
}

static STATE: IrqSpinLock<State> = IrqSpinLock::new(State::new());
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

/// Takes an initialised PL011 whose registers are at `base`, and what it had received before. Output is polled until `go_interrupt_driven`.
///
/// # Safety
/// `base` is the virtual address of the port's registers, mapped as device memory for ever.
pub unsafe fn start(base: usize, port: Pl011, typed_early: &[RxEvent]) {
    {
        let mut state = STATE.lock();
        state.port = Some(port);
        typed_early.iter().for_each(|event| state.take(*event));
        HAS_INPUT.store(!state.rx.is_empty(), Ordering::Release);
    }
    BASE.store(base, Ordering::Release);
}

/// From here on interrupts move the bytes: the line `intid` calls `on_interrupt`.
pub fn go_interrupt_driven(intid: u16) {
    LINE.store(intid, Ordering::Release);
}

/// What the line has seen so far. Context: any.
pub fn figures() -> Figures {
    STATE.lock().figures
}

/// Handler of the UART's line. Context: hardirq.
pub fn on_interrupt(_data: usize) -> IrqReturn {
    while let Some(key) = serve() {
        upcalls::sysrq(key);
    }
    if HAS_INPUT.load(Ordering::Acquire) {
        READER.wake_up();
    }
    // The queue may have room again for what the log has kept back, and a kick comes here too.
    log::drain();
    IrqReturn::Handled
}

/// Moves the bytes. A key for SysRq stops it, so that each is answered.
fn serve() -> Option<u8> {
    let mut state = STATE.lock();
    let state = state.as_mut()?;
    let _ = state.port().take_causes();
    state.receive();
    state.transmit();
    if state.input == Input::Paused {
        state.look_at_reader();
    }
    state.sysrq_key.take()
}

/// How the line is set, for the audit. `None` before there is a console.
pub fn line_snapshot() -> Option<LineSnapshot> {
    STATE.lock().port.as_ref().map(Pl011::line_snapshot)
}

impl State {
    const fn new() -> Self {
        let figures = Figures { received: 0, overruns: 0, errors: 0, breaks: 0 };
        Self {
            port: None,
            log: OpenLine::NONE,
            tx: ByteQueue::new(),
            rx: ByteQueue::new(),
            input: Input::Open,
            paused_at: Duration::ZERO,
            sysrq_until: Duration::ZERO,
            sysrq_key: None,
            figures,
        }
    }

    /// The state, if there is a port: what calls `port` comes through here.
    fn as_mut(&mut self) -> Option<&mut Self> {
        self.port.is_some().then_some(self)
    }

    fn port(&mut self) -> &mut Pl011 {
        self.port.as_mut().expect("looked at by `as_mut`, and a port stays")
    }

    fn receive(&mut self) {
        while self.sysrq_key.is_none() && (self.rx.room() > 0 || self.input == Input::Unread) {
            let Some(event) = self.port().read_event() else { break };
            self.take(event);
        }
        if self.rx.room() == 0 && self.input == Input::Open {
            self.input = Input::Paused;
            self.paused_at = time::uptime();
            self.port().pause_receive();
            log::retry_at_tick();
        }
        HAS_INPUT.store(!self.rx.is_empty(), Ordering::Release);
    }

    fn take(&mut self, event: RxEvent) {
        match event {
            RxEvent::Byte(byte) if self.is_sysrq() => self.sysrq_key = Some(byte),
            RxEvent::Byte(byte) => self.queue_input(byte),
            RxEvent::Overrun(byte) => {
                self.figures.overruns += 1;
                self.queue_input(byte);
            }
            RxEvent::Break => {
                self.figures.breaks += 1;
                self.sysrq_until = time::uptime() + SYSRQ_WINDOW;
            }
            RxEvent::ParityError(_) | RxEvent::FramingError(_) => self.figures.errors += 1,
        }
    }

    fn queue_input(&mut self, byte: u8) {
        if self.rx.push(byte) {
            self.figures.received += 1;
        } else {
            self.figures.overruns += 1;
        }
    }

    /// Ends a pause in which nobody has read for long. What is in the FIFO is older than whoever sends a BREAK now to find out why, so it goes first.
    fn look_at_reader(&mut self) {
        if time::uptime().saturating_sub(self.paused_at) < READER_LIMIT {
            log::retry_at_tick();
            return;
        }
        self.input = Input::Unread;
        self.take_backlog();
        self.port().resume_receive();
    }

    /// Takes what gathered in the FIFO during a pause. A BREAK among it is no call for SysRq: what follows it may have come before it, as an emulator puts
    /// one into a full FIFO over the oldest byte.
    fn take_backlog(&mut self) {
        for _ in 0..=pl011::FIFO_DEPTH {
            let Some(event) = self.port().read_event() else { break };
            self.take(event);
            self.sysrq_until = Duration::ZERO;
        }
    }

    /// A BREAK came not long ago, and this is the first byte since.
    fn is_sysrq(&mut self) -> bool {
        let until = mem::take(&mut self.sysrq_until);
        !until.is_zero() && time::uptime() <= until
    }

    fn transmit(&mut self) {
        while let Some(byte) = self.tx.peek() {
            if !self.port().try_write_byte(byte) {
                self.port().enable_tx_interrupt();
                return;
            }
            self.tx.pop();
        }
        self.port().disable_tx_interrupt();
    }

    /// Queues as much of the log's `bytes` as fits; `\n` becomes `\r\n`.
    fn queue_log(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        for &byte in bytes {
            let needed = if byte == b'\n' { 2 } else { 1 };
            if self.tx.room() < needed {
                break;
            }
            if needed == 2 {
                self.tx.push(b'\r');
            }
            self.tx.push(byte);
            self.log.push(byte);
            taken += 1;
        }
        self.transmit();
        taken
    }

    /// Queues as much of the terminal's `bytes` as fits, and none while the log is within a line.
    fn queue_terminal(&mut self, bytes: &[u8]) -> usize {
        let taken = if self.log.is_open() { 0 } else { bytes.len().min(self.tx.room()) };
        for &byte in &bytes[..taken] {
            self.tx.push(byte);
        }
        self.transmit();
        taken
    }

    /// Queues all of a packet of the terminal's, or nothing.
    fn queue_packet(&mut self, packet: &[u8]) -> usize {
        let fits = packet.len() <= self.tx.room() && !self.log.is_open();
        if fits { self.queue_terminal(packet) } else { 0 }
    }

    fn take_input(&mut self) -> Option<u8> {
        let byte = self.rx.pop();
        match self.input {
            Input::Open => {}
            Input::Paused if self.rx.room() < RX_RESUME_ROOM => self.paused_at = time::uptime(),
            Input::Paused => {
                self.input = Input::Open;
                self.take_backlog();
                self.port().resume_receive();
                self.receive();
            }
            Input::Unread => self.input = Input::Open,
        }
        HAS_INPUT.store(!self.rx.is_empty(), Ordering::Release);
        byte
    }
}

/// Sends all of `bytes` with `queue`, waiting for room. Without interrupts it polls.
fn write_all(bytes: &[u8], queue: fn(&mut State, &[u8]) -> usize) {
    let mut left = bytes;
    while !left.is_empty() {
        let taken = STATE.lock().as_mut().map_or(left.len(), |state| queue(state, left));
        left = &left[taken..];
        if taken == 0 {
            wait_for_room();
        }
    }
}

fn wait_for_room() {
    let polled = LINE.load(Ordering::Acquire) == 0 || arch::irq::is_masked();
    if polled {
        // The line that the log has begun may be what is waited for.
        log::drain();
        if let Some(state) = STATE.lock().as_mut() {
            state.transmit();
        }
        arch::relax();
    } else if cpu::is_atomic() {
        arch::wfi();
    } else {
        // A full queue lasts for many of these, so the wire does not run dry meanwhile.
        set_current_state(TaskState::IDLE);
        sched::schedule_timeout(ROOM_POLL);
    }
}

/// Sends what the queue still holds: it was said before what a panic has to say. The other cores have stopped, so the lock is free unless this very
/// core was at the queue; then it is as it was left, and what waits there is given up.
fn send_what_waits(port: &PanicPort) {
    if let Some(state) = STATE.try_lock().as_deref_mut().and_then(State::as_mut) {
        while let Some(byte) = state.tx.pop() {
            port.panic_putc(byte);
        }
        // The log's line is in the queue as far as there was room; it will be said once more, whole.
        if mem::replace(&mut state.log, OpenLine::NONE).is_open() {
            port.panic_putc(b'\r');
            port.panic_putc(b'\n');
        }
    }
}

/// Waits until all that was said has left the wire, at most a few seconds: after this a reset loses nothing. False if it has not.
///
/// Context: any but with the console's lock held; polls.
pub fn flush() -> bool {
    let deadline = time::uptime() + FLUSH_LIMIT;
    loop {
        let has_more = log::drain();
        let left = STATE.lock().as_mut().map_or(0, |state| {
            state.transmit();
            state.tx.len()
        });
        if left == 0 && !has_more {
            break;
        }
        if time::uptime() >= deadline {
            return false;
        }
        arch::relax();
    }
    STATE.lock().as_mut().is_none_or(|state| state.port().flush().is_ok())
}

impl log::Console for SerialConsole {
    fn name(&self) -> &'static str {
        "ttyAMA0"
    }

    fn write_bytes(&self, bytes: &[u8]) -> usize {
        STATE.lock().as_mut().map_or(bytes.len(), |state| state.queue_log(bytes))
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
            send_what_waits(&port);
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
    let mut state = STATE.lock();
    let state = state.as_mut()?;
    let byte = state.take_input();
    if state.sysrq_key.is_some() {
        // For the handler to answer.
        tetra_console_kick();
    }
    byte
}

/// Sends all of `bytes` as they are, waiting for room. Context: thread; sleeps where interrupts drain the queue, else polls.
pub fn write_raw(bytes: &[u8]) {
    write_all(bytes, State::queue_terminal);
}

/// Sends a log packet in one piece, up to `PACKET_MAX` bytes, so that nothing of the log's own comes between. Rules as for `write_raw`.
///
/// # Panics
/// If the packet is longer.
pub fn write_packet(packet: &[u8]) {
    assert!(packet.len() <= PACKET_MAX, "a packet of {} bytes never fits the queue", packet.len());
    write_all(packet, State::queue_packet);
}

/// Waits until a byte may have been received or `timeout` has passed. Context: thread, irqs on; sleeps. One thread at a time.
pub fn wait_for_input(timeout: Option<Duration>) {
    let has_input = || HAS_INPUT.load(Ordering::Acquire);
    // A time beyond all reckoning is for ever.
    let Some(deadline) = timeout.and_then(|timeout| time::uptime().checked_add(timeout)) else {
        return READER.wait_until(TaskState::IDLE, has_input);
    };
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
        irq::wild_line::note_software(line.number());
        // The line exists: it was enabled when its handler was requested.
        let _ = crate::platform::hardware::gic().set_pending(line);
    }
}
