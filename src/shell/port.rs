//! The shell's end of the terminal: bytes in, text out, Ctrl-C while a command runs.
//!
//! While a command runs nobody edits, yet Ctrl-C must be seen and what is typed ahead or pasted must not be lost. So whoever asks for
//! an interruption moves what the console has received into the type-ahead ring and looks at it on the way. Ctrl-C throws away what
//! was typed before it, as a Unix terminal does. A full ring goes on being filled by nobody: what does not fit is dropped, counted and
//! reported, because a runaway command that cannot be stopped is the greater evil.
//!
//! The state is in cells because the output of a command and its context share it; it belongs to one thread.

use core::cell::Cell;
use core::fmt::{self, Write};
use core::time::Duration;

use arrayvec::ArrayString;

/// What the shell needs of a terminal. Bytes are raw in both directions: the shell sends its own carriage returns.
pub trait Console: Sync {
    /// Takes a byte that was received, if there is one.
    ///
    /// Context: thread; does not sleep.
    fn try_read(&self) -> Option<u8>;

    /// Sends `bytes`.
    ///
    /// Context: thread; may sleep until there is room for them.
    fn write_bytes(&self, bytes: &[u8]);

    /// Sends a packet that nothing may break into, such as a log record for the host to decode.
    ///
    /// Context: thread; may sleep until there is room for it.
    fn write_packet(&self, packet: &[u8]) {
        self.write_bytes(packet);
    }

    /// Waits until a byte may have been received, or until `timeout` has passed. May return early, for no reason.
    ///
    /// Context: thread; sleeps.
    fn wait_for_input(&self, timeout: Option<Duration>);
}

/// Bytes that can be typed ahead of a running command.
const TYPE_AHEAD: usize = 16 * 1024;
const CTRL_C: u8 = 3;

/// A terminal and what was typed ahead on it.
pub(super) struct Port {
    console: Cell<Option<&'static dyn Console>>,
    ring: [Cell<u8>; TYPE_AHEAD],
    head: Cell<usize>,
    len: Cell<usize>,
    dropped: Cell<usize>,
    is_interrupted: Cell<bool>,
    /// Whether something stands in the row of the terminal's cursor.
    is_mid_row: Cell<bool>,
}

impl Port {
    pub(super) const fn new() -> Self {
        Self {
            console: Cell::new(None),
            ring: [const { Cell::new(0) }; TYPE_AHEAD],
            head: Cell::new(0),
            len: Cell::new(0),
            dropped: Cell::new(0),
            is_interrupted: Cell::new(false),
            is_mid_row: Cell::new(false),
        }
    }

    pub(super) fn attach(&self, console: &'static dyn Console) {
        self.console.set(Some(console));
    }

    /// The next byte: what was typed ahead comes first.
    pub(super) fn read(&self) -> Option<u8> {
        self.read_ahead().or_else(|| self.console.get()?.try_read())
    }

    /// The next byte that was typed ahead: what [`poll_interrupt`](Self::poll_interrupt) has looked at.
    pub(super) fn read_ahead(&self) -> Option<u8> {
        if self.len.get() == 0 {
            return None;
        }
        let head = self.head.get();
        self.head.set((head + 1) % TYPE_AHEAD);
        self.len.set(self.len.get() - 1);
        self.ring.get(head).map(Cell::get)
    }

    /// Waits until [`read`](Self::read) may give a byte.
    pub(super) fn wait(&self) {
        if let (0, Some(console)) = (self.len.get(), self.console.get()) {
            console.wait_for_input(None);
        }
    }

    /// Waits for about `time`, or until a byte arrives.
    pub(super) fn pause(&self, time: Duration) {
        if let Some(console) = self.console.get() {
            console.wait_for_input(Some(time));
        }
    }

    /// Forgets an interruption, before a line is run.
    pub(super) fn clear_interrupt(&self) {
        self.is_interrupted.set(false);
    }

    /// Whether Ctrl-C was seen; reads ahead to find out.
    pub(super) fn poll_interrupt(&self) -> bool {
        while let Some(byte) = self.console.get().and_then(Console::try_read) {
            if byte == CTRL_C {
                self.is_interrupted.set(true);
                self.len.set(0);
                self.dropped.set(0);
            } else {
                self.keep(byte);
            }
        }
        self.is_interrupted.get()
    }

    /// The bytes typed ahead that had to be dropped, since this was last asked.
    pub(super) fn take_dropped(&self) -> usize {
        self.dropped.take()
    }

    /// Goes to the next row, unless the cursor is in the first column already.
    pub(super) fn finish_row(&self) {
        if self.is_mid_row.get() {
            self.write_text("\n");
        }
    }

    /// Writes `name: why` in a row of its own.
    pub(super) fn complain(&self, name: &str, why: fmt::Arguments<'_>) {
        self.finish_row();
        writeln!(Text(self), "{name}: {why}").expect("a port takes all text");
    }

    /// Writes text whose lines end in `\n`.
    pub(super) fn write_text(&self, text: &str) {
        for line in text.split_inclusive('\n') {
            match line.strip_suffix('\n') {
                Some(line) => {
                    self.write_raw(line);
                    self.write_raw("\r\n");
                }
                None => self.write_raw(line),
            }
            self.is_mid_row.set(!line.ends_with('\n'));
        }
    }

    /// Sends a packet in a row of its own.
    pub(super) fn write_packet(&self, packet: &[u8]) {
        self.finish_row();
        if let Some(console) = self.console.get() {
            console.write_packet(packet);
        }
    }

    fn write_raw(&self, text: &str) {
        if let Some(console) = self.console.get() {
            console.write_bytes(text.as_bytes());
        }
    }

    fn keep(&self, byte: u8) {
        let len = self.len.get();
        if len == TYPE_AHEAD {
            self.dropped.set(self.dropped.get() + 1);
        } else if let Some(slot) = self.ring.get((self.head.get() + len) % TYPE_AHEAD) {
            slot.set(byte);
            self.len.set(len + 1);
        }
    }
}

/// Writes to the terminal as it is, for the editor. Never fails. What one key changes is sent in one piece, when this is dropped: the editor writes
/// character by character, and each piece takes the console's lock.
pub(super) struct Raw<'a> {
    port: &'a Port,
    piece: ArrayString<PIECE>,
}

/// Bytes that are sent at a time: more than most keys change.
const PIECE: usize = 128;

impl<'a> Raw<'a> {
    pub(super) const fn new(port: &'a Port) -> Self {
        Self { port, piece: ArrayString::new_const() }
    }

    fn flush(&mut self) {
        if !self.piece.is_empty() {
            self.port.write_raw(&self.piece);
            self.piece.clear();
        }
    }
}

impl Write for Raw<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.piece.try_push_str(text).is_err() {
            self.flush();
            if self.piece.try_push_str(text).is_err() {
                self.port.write_raw(text);
            }
        }
        Ok(())
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes lines to the terminal, for the shell's own words. Never fails.
pub(super) struct Text<'a>(pub(super) &'a Port);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_text(text);
        Ok(())
    }
}

/// Writes lines to the terminal until Ctrl-C, for commands.
pub(super) struct Interruptible<'a>(pub(super) &'a Port);

impl Write for Interruptible<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.contains('\n') && self.0.poll_interrupt() {
            return Err(fmt::Error);
        }
        self.0.write_text(text);
        Ok(())
    }
}
