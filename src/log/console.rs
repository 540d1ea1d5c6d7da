//! Where the log is shown: a few consoles, each with a cursor of its own.
//!
//! A writer never waits for a console. It leaves its record in the ring and wakes the consoles, which means, by [`Mode`]: nothing yet, drain them on the
//! spot by polling (early boot), or have them drained soon by the transmit interrupt or a thread (`upcalls::console_kick`). Whoever is told to drain
//! tries [`DrainFlag`]; the one who has it works for all. Nothing here takes a lock, and a console may itself log: that is one more request.
//!
//! A panic goes past all of it: [`PanicWriter`] polls the device whatever state its driver is in, and [`flush_in_panic`] shows first what the
//! consoles had not come to.
//!
//! # Invariants
//! 1. `Slot::work` is touched by the owner of `Slot::flag` only.
//! 2. `Slot::shown` is where the last whole line ended; the owner of the flag stores it, a panic on another core reads it.

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::drain_flag::DrainFlag;
use super::printer::{Printer, Style};
use super::reader::{Patience, Reader, Step};
use super::record::Place;
use super::{RING_WORDS, RINGS, level::Level, threshold};
use crate::arch::NR_CPUS;
use crate::{cpu, upcalls};
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use spin::Once;

/// How many consoles there can be.
pub const NR_CONSOLES: usize = 2;
/// Records that one call shows at most before it lets others run and asks for another.
const RECORDS_PER_DRAIN: usize = 64;

/// A device that can show the log.
pub trait Console: Sync {
    /// Its name, such as `"ttyAMA0"`.
    fn name(&self) -> &'static str;

    /// Takes as many bytes as there is room for, without waiting, and says how many. If not all, the driver calls [`drain`] when there is room again.
    ///
    /// Context: any, hardirq included; one caller at a time. A newline is `\n`; a terminal that wants `\r\n` gets it from the driver.
    fn write_bytes(&self, bytes: &[u8]) -> usize;

    /// Writes all bytes, polling the device: no lock, no buffer, whatever state the driver is in.
    ///
    /// Context: any, fault handlers and a panic on another core included. May mix with output in progress.
    fn write_polled(&self, bytes: &[u8]);
}

/// How new messages come to the consoles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// They wait in the rings.
    Silent = 0,
    /// Whoever logs shows them at once, polling.
    Polled = 1,
    /// `upcalls::console_kick` has them drained soon.
    Deferred = 2,
    /// They stay in the rings: a panic speaks for itself.
    Panic = 3,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Silent as u8);
static SLOTS: [Slot; NR_CONSOLES] = [const { Slot::new() }; NR_CONSOLES];
static NR_SLOTS: AtomicUsize = AtomicUsize::new(0);
/// The next tick shall kick the consoles: see [`retry_at_tick`].
static RETRIES: AtomicBool = AtomicBool::new(false);

struct Slot {
    console: Once<&'static dyn Console>,
    flag: DrainFlag,
    work: UnsafeCell<Work>,
    /// [`Place`] on each ring up to which this console has shown all.
    shown: [AtomicU64; NR_CPUS],
}

/// What a console is at.
struct Work {
    reader: Reader,
    /// The line that is not out yet.
    line: Option<Printer>,
}

// SAFETY: `work` is the only part that is not Sync by itself, and by invariant 1 only one drainer at a time touches it; `DrainFlag` hands it on with
// acquire and release.
unsafe impl Sync for Slot {}

/// Why a drainer stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// All is shown, or the device is full: whoever changes that asks again.
    NothingToDo,
    /// A message is still being written. Its end asks again; a tick does too, since it may never end and patience with it has a limit.
    Waiting,
    /// It has worked enough for one call.
    Tired,
}

impl Slot {
    const fn new() -> Self {
        Self {
            console: Once::new(),
            flag: DrainFlag::of_zero(AtomicU32::new(0)),
            work: UnsafeCell::new(Work { reader: Reader::from_oldest(), line: None }),
            shown: [const { AtomicU64::new(0) }; NR_CPUS],
        }
    }

    /// True if it stopped with more to show, or another drainer is at it.
    fn drain(&self, console: &dyn Console, mode: Mode) -> bool {
        if !self.flag.request() {
            return true;
        }
        loop {
            self.flag.take_up();
            // SAFETY: `request` was true, so this is the only drainer until `is_done` or `give_up` (invariant 1).
            let work = unsafe { &mut *self.work.get() };
            let stopped = work.drain(console, mode, &self.shown);
            if stopped == Stopped::Tired {
                self.flag.give_up();
                upcalls::console_kick();
                return true;
            }
            if self.flag.is_done() {
                if stopped == Stopped::Waiting {
                    retry_at_tick();
                }
                return stopped == Stopped::Waiting;
            }
        }
    }
}

impl Work {
    fn drain(&mut self, console: &dyn Console, mode: Mode, shown: &[AtomicU64; NR_CPUS]) -> Stopped {
        let mut left = if mode == Mode::Deferred { RECORDS_PER_DRAIN } else { usize::MAX };
        loop {
            if let Some(line) = &mut self.line {
                if !send(line, &self.reader, console, mode) {
                    return Stopped::NothingToDo;
                }
                self.line = None;
            }
            store_places(shown, self.reader.places());
            if left == 0 {
                return Stopped::Tired;
            }
            left -= 1;
            self.line = match self.reader.advance() {
                Step::Record(record) => threshold::is_shown(record.level()).then(|| Printer::of_record(record, Style::Plain)),
                Step::Lost(lost) => Some(Printer::of_lost(lost)),
                Step::Waiting => return Stopped::Waiting,
                Step::End => return Stopped::NothingToDo,
            };
        }
    }
}

/// Sends what is left of a line; false if the device is full.
fn send(line: &mut Printer, reader: &Reader, console: &dyn Console, mode: Mode) -> bool {
    loop {
        let piece = line.piece(reader);
        if piece.is_empty() {
            return true;
        }
        let sent = if mode == Mode::Deferred {
            console.write_bytes(piece)
        } else {
            console.write_polled(piece);
            piece.len()
        };
        if sent == 0 {
            return false;
        }
        line.consume(sent);
    }
}

fn store_places(shown: &[AtomicU64; NR_CPUS], places: [Place; NR_CPUS]) {
    for (shown, place) in shown.iter().zip(places) {
        shown.store(place.pack(), Ordering::Relaxed);
    }
}

/// Adds a console; it shows first what the rings have kept. False if there are [`NR_CONSOLES`] already.
///
/// Context: thread, or early boot.
pub fn register(console: &'static dyn Console) -> bool {
    let index = NR_SLOTS.fetch_add(1, Ordering::Relaxed);
    let Some(slot) = SLOTS.get(index) else { return false };
    slot.console.call_once(|| console);
    if mode() != Mode::Panic {
        wake(Level::Emerg);
    }
    true
}

/// Sets how messages come to the consoles, and brings them what has gathered.
///
/// Context: thread, or early boot; [`Mode::Panic`] in any.
pub fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
    wake(Level::Emerg);
}

/// The mode in force.
///
/// Context: any.
#[must_use]
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        0 => Mode::Silent,
        1 => Mode::Polled,
        2 => Mode::Deferred,
        _ => Mode::Panic,
    }
}

/// Sees to it that a message just written is shown. Also for one below the console level: others may wait behind it.
#[inline]
pub(super) fn wake(_level: Level) {
    match mode() {
        Mode::Silent | Mode::Panic => {}
        Mode::Polled => {
            drain();
        }
        Mode::Deferred => upcalls::console_kick(),
    }
}

/// Shows on every console what it has not shown, as far as the device takes it. What `upcalls::console_kick` has called soon, and a driver calls when its
/// device has room again. True if there is more to show, of which another drainer, a kick or a tick will take care.
///
/// Context: any; never sleeps, holds the core (not its interrupts) while it works. Bounded work a call in [`Mode::Deferred`].
pub fn drain() -> bool {
    let mode = mode();
    if matches!(mode, Mode::Silent | Mode::Panic) {
        return false;
    }
    let _pinned = cpu::PreemptGuard::new(); // a drainer that is switched out would keep the flag
    consoles().fold(false, |has_more, (slot, console)| slot.drain(console, mode) | has_more)
}

/// Has the consoles kicked at the next tick: for what nobody else will bring to an end. Context: any.
pub fn retry_at_tick() {
    RETRIES.store(true, Ordering::Relaxed);
}

/// Kicks the consoles if that was asked for. Context: hardirq, at each tick of each core.
#[inline]
pub fn on_tick() {
    if RETRIES.load(Ordering::Relaxed) && RETRIES.swap(false, Ordering::Relaxed) {
        upcalls::console_kick();
    }
}

fn consoles() -> impl Iterator<Item = (&'static Slot, &'static dyn Console)> {
    SLOTS.iter().filter_map(|slot| Some((slot, *slot.console.get()?)))
}

/// The consoles' names.
///
/// Context: any.
pub fn names() -> impl Iterator<Item = &'static str> {
    consoles().map(|(_, console)| console.name())
}

/// Writes straight to every console, past rings, flags and locks. Before there is a console it writes nothing.
///
/// Context: any, a second panic included.
#[derive(Clone, Copy, Debug, Default)]
pub struct PanicWriter;

impl fmt::Write for PanicWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        consoles().for_each(|(_, console)| console.write_polled(text.as_bytes()));
        Ok(())
    }
}

/// The writer for what a panic has to say.
///
/// Context: any.
#[must_use]
pub fn panic_writer() -> PanicWriter {
    PanicWriter
}

/// Shows on every console what it had not come to, passing over messages that will never be finished; from now on the rings are not drained.
///
/// Bounded, takes no lock, and a panic inside it that comes here again returns at once.
///
/// Context: the panic path, any; the other cores should be stopped (else their last lines may come twice or late).
pub fn flush_in_panic() {
    static IS_FLUSHING: AtomicBool = AtomicBool::new(false);

    MODE.store(Mode::Panic as u8, Ordering::Relaxed);
    if IS_FLUSHING.swap(true, Ordering::Acquire) {
        return;
    }
    for (slot, console) in consoles() {
        if slot.flag.is_busy() {
            console.write_polled(b"\n"); // its drainer may have been stopped within a line
        }
        flush_slot(slot, console);
    }
    IS_FLUSHING.store(false, Ordering::Release);
}

fn flush_slot(slot: &Slot, console: &dyn Console) {
    let places = core::array::from_fn(|cpu| Place::unpack(slot.shown[cpu].load(Ordering::Relaxed)));
    let mut reader = Reader::resume(&RINGS, places, Patience::Skip);
    for _ in 0..NR_CPUS * RING_WORDS {
        let line = match reader.advance() {
            Step::Record(record) if threshold::is_shown(record.level()) => Printer::of_record(record, Style::Plain),
            Step::Lost(lost) => Printer::of_lost(lost),
            Step::Record(_) => continue,
            Step::Waiting | Step::End => break,
        };
        line.print(&reader, |bytes| console.write_polled(bytes));
        store_places(&slot.shown, reader.places());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::level::KERN_EMERG;
    use crate::log::write;
    use std::string::String;
    use std::sync::Mutex;
    use std::vec::Vec;

    /// A device with room for a few bytes at a time.
    struct Narrow {
        room: Mutex<usize>,
        shown: Mutex<Vec<u8>>,
    }

    impl Narrow {
        fn set_room(&self, bytes: usize) {
            *self.room.lock().expect("not poisoned") = bytes;
        }

        fn shown(&self) -> String {
            String::from_utf8_lossy(&self.shown.lock().expect("not poisoned")).into_owned()
        }
    }

    impl Console for Narrow {
        fn name(&self) -> &'static str {
            "narrow"
        }

        fn write_bytes(&self, bytes: &[u8]) -> usize {
            let mut room = self.room.lock().expect("not poisoned");
            let taken = bytes.len().min(*room).min(7);
            *room -= taken;
            self.shown.lock().expect("not poisoned").extend_from_slice(&bytes[..taken]);
            taken
        }

        fn write_polled(&self, bytes: &[u8]) {
            self.shown.lock().expect("not poisoned").extend_from_slice(bytes);
        }
    }

    // One test, because the consoles and their mode are the kernel's own. Emergencies are shown at any console level that another test sets.
    #[test]
    fn a_console_shows_what_was_said_before_it_and_goes_on_where_it_stopped() {
        static NARROW: Narrow = Narrow { room: Mutex::new(0), shown: Mutex::new(Vec::new()) };
        write::emit(KERN_EMERG, "", format_args!("said early"));
        assert!(register(&NARROW));
        assert_eq!(NARROW.shown(), "", "silent until it is told");

        set_mode(Mode::Polled);
        assert!(NARROW.shown().contains(" said early\n"));
        write::emit(KERN_EMERG, "", format_args!("polled {}", 1));
        assert!(NARROW.shown().contains(" polled 1\n"), "a polled console shows it before the call returns");

        set_mode(Mode::Deferred);
        write::emit(KERN_EMERG, "", format_args!("deferred {}", 2));
        NARROW.set_room(10);
        drain();
        assert!(!NARROW.shown().contains("deferred 2"), "it does not wait for the device");
        NARROW.set_room(usize::MAX);
        drain();
        assert!(NARROW.shown().contains("] cpu0 deferred 2\n"), "the line goes on where it stopped: {}", NARROW.shown());

        NARROW.set_room(0);
        write::emit(KERN_EMERG, "", format_args!("last words"));
        drain();
        flush_in_panic();
        flush_in_panic();
        write::emit(KERN_EMERG, "", format_args!("not by itself"));
        drain();
        fmt::Write::write_str(&mut panic_writer(), "panic text").expect("never fails");
        let shown = NARROW.shown();
        assert_eq!(shown.matches("last words\n").count(), 1, "{shown}");
        assert!(shown.ends_with("panic text") && !shown.contains("not by itself"), "{shown}");
    }
}
