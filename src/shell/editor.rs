//! The line editor: bytes from the terminal in, entered lines out.
//!
//! A state machine that is fed one byte at a time and writes what the terminal must show, so an interrupt-driven console, a test and a
//! fuzzer drive the same code. Fixed buffers, no allocation, no way to panic.
//!
//! Written here, because no library carries it: `noline` 0.5.1 is under MPL-2.0, has neither completion nor Ctrl-R nor a saved draft,
//! and panics on the three bytes `ESC [ R`; `embedded-cli` 0.2.1 drops all control keys but Enter, Tab and Backspace and completes
//! command names only. Both draw without knowledge of a width.
//!
//! # What is never lost in silence
//! - Malformed UTF-8 becomes U+FFFD in the line, shown as `?`; the parser refuses to run such a line and says where it is.
//! - Keys without a meaning, and characters that do not take exactly one cell, ring the bell and are counted at Enter.
//! - Characters beyond [`LINE_MAX`] ring the bell; if they are not edited away, Enter says how many there were and does not run the
//!   line, which stays in the history as far as it fit.
//!
//! Neighbours: `keys` (bytes to keys), `line` (the text), `row` and `window` (the screen), `history`, `search`, `complete`.

use core::fmt::{self, Write};

use super::complete::{self, Matches};
use super::history::History;
use super::keys::{Decoder, Key};
use super::line::{LINE_MAX, Line, Text};
use super::row::{COLUMNS_MAX, Row};
use super::search::Search;
use super::window;

/// What stands before the line.
pub const PROMPT: &str = "tetra# ";

/// The width taken until told otherwise.
const COLUMNS_DEFAULT: usize = 80;
/// The narrowest width that leaves room beside the longest search prompt.
const COLUMNS_MIN: usize = 72;

/// What a byte brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Event {
    /// Nothing to do: the line is still being edited.
    None,
    /// A line was entered: see [`Editor::entered`]. The terminal's cursor is in the first column of the next row.
    Line,
    /// Ctrl-C: the line was dropped. The terminal's cursor is in the first column of the next row.
    Interrupt,
    /// Ctrl-D in an empty line. The terminal's cursor is in the first column of the next row.
    EndOfInput,
}

/// The line editor of one terminal.
///
/// A new one is all zeroes, so that a static one costs no space in the image.
pub struct Editor {
    decoder: Decoder,
    line: Line,
    row: Row,
    /// The first character of the line that is visible.
    start: usize,
    /// The width of the terminal; 0 stands for the default.
    columns: usize,
    history: History,
    /// How many lines back the one shown is, if it came from the history.
    recalled: Option<usize>,
    /// What was typed before the history was opened.
    draft: Text,
    search: Search,
    is_searching: bool,
    /// What Ctrl-K, -U and -W removed last.
    killed: Text,
    entered: Text,
    lost: Lost,
}

/// What the current line does not hold.
struct Lost {
    keys: usize,
    chars: usize,
}

impl Editor {
    /// Creates an editor for a terminal of 80 columns.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            line: Line::new(),
            row: Row::new(),
            start: 0,
            columns: 0,
            history: History::new(),
            recalled: None,
            draft: Text::new_const(),
            search: Search::new(),
            is_searching: false,
            killed: Text::new_const(),
            entered: Text::new_const(),
            lost: Lost { keys: 0, chars: 0 },
        }
    }

    /// Sets the width of the terminal; it is kept between 72 and 512.
    pub fn set_columns(&mut self, columns: usize) {
        self.columns = columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
    }

    /// The width of the terminal.
    #[must_use]
    pub const fn columns(&self) -> usize {
        if self.columns == 0 { COLUMNS_DEFAULT } else { self.columns }
    }

    /// The line that was entered last.
    #[must_use]
    pub fn entered(&self) -> &str {
        &self.entered
    }

    /// The lines entered so far.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// Takes one byte from the terminal and sends to `out`, raw, what the terminal must show. Errors of `out` are ignored.
    ///
    /// Context: thread, with exclusive use of the terminal; does not sleep unless `out` does.
    #[inline(never)] // Its frame must be gone when the line that was entered runs.
    pub fn feed(&mut self, byte: u8, out: &mut dyn Write) -> Event {
        let mut event = Event::None;
        for key in self.decoder.feed(byte) {
            event = self.press(key, out).unwrap_or(Event::None);
        }
        event
    }

    /// Draws prompt and line in a row that is empty, with the terminal's cursor in its first column.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn redraw(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.row.forget();
        self.refresh(out)
    }

    /// Blanks the row if it is drawn, so that others can write to the terminal; [`redraw`](Self::redraw) brings it back.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn hide(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.row.erase(out)
    }

    fn press(&mut self, key: Key, out: &mut dyn Write) -> Result<Event, fmt::Error> {
        if self.is_searching && self.search_key(key, out)? {
            self.refresh(out)?;
            return Ok(Event::None);
        }

        let event = match key {
            Key::Enter => self.enter(out)?,
            Key::Ctrl(b'C') => self.interrupt(out)?,
            Key::Ctrl(b'D') if self.line.is_empty() => self.end_of_input(out)?,
            _ => {
                self.edit(key, out)?;
                Event::None
            }
        };
        if event == Event::None {
            self.refresh(out)?;
        }
        Ok(event)
    }

    fn edit(&mut self, key: Key, out: &mut dyn Write) -> fmt::Result {
        match key {
            Key::Char(c) => return self.type_char(c, out),
            Key::Malformed => return self.type_char(char::REPLACEMENT_CHARACTER, out),
            Key::Unbound => return self.reject(out),
            _ => {}
        }
        // Whoever presses an editing key has seen the line, and enters what is seen.
        self.lost = Lost { keys: 0, chars: 0 };

        match key {
            Key::Left | Key::Ctrl(b'B') => self.line.move_to(self.line.left()),
            Key::Right | Key::Ctrl(b'F') => self.line.move_to(self.line.right()),
            Key::Home | Key::Ctrl(b'A') => self.line.move_to(0),
            Key::End | Key::Ctrl(b'E') => self.line.move_to(usize::MAX),
            Key::Alt(b'b') => self.line.move_to(self.line.word_left()),
            Key::Alt(b'f') => self.line.move_to(self.line.word_right()),
            Key::Backspace => return self.delete_to(self.line.left(), out),
            Key::Delete | Key::Ctrl(b'D') => return self.delete_to(self.line.right(), out),
            Key::Ctrl(b'K') => self.kill_to(usize::MAX),
            Key::Ctrl(b'U') => self.kill_to(0),
            Key::Ctrl(b'W') => self.kill_to(self.line.argument_left()),
            Key::Alt(b'd') => self.kill_to(self.line.word_right()),
            Key::Ctrl(b'Y') => return self.yank(out),
            Key::Ctrl(b'L') => return self.clear_screen(out),
            Key::Ctrl(b'R') => self.begin_search(),
            Key::Tab => return self.complete(out),
            Key::Up | Key::Ctrl(b'P') => return self.recall_older(out),
            Key::Down | Key::Ctrl(b'N') => return self.recall_newer(out),
            _ => return self.reject(out),
        }
        Ok(())
    }

    fn type_char(&mut self, c: char, out: &mut dyn Write) -> fmt::Result {
        if self.line.insert(c) {
            return Ok(());
        }
        self.lost.chars += 1;
        ring(out)
    }

    fn reject(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.lost.keys += 1;
        ring(out)
    }

    fn delete_to(&mut self, position: usize, out: &mut dyn Write) -> fmt::Result {
        let removed = self.line.remove_to(position);
        if removed.is_empty() { ring(out) } else { Ok(()) }
    }

    fn kill_to(&mut self, position: usize) {
        let removed = self.line.remove_to(position);
        if !removed.is_empty() {
            self.killed = removed;
        }
    }

    fn yank(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.lost.chars = self.line.insert_str(&self.killed);
        if self.lost.chars > 0 { ring(out) } else { Ok(()) }
    }

    fn clear_screen(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.row.forget();
        out.write_str(CLEAR_SCREEN)
    }

    fn enter(&mut self, out: &mut dyn Write) -> Result<Event, fmt::Error> {
        self.entered = self.line.text();
        self.history.push(&self.entered);
        let lost = self.drop_line(out)?;

        if lost.keys > 0 {
            write!(out, "shell: ignored: {} keys or characters that mean nothing here\r\n", lost.keys)?;
        }
        if lost.chars > 0 {
            let over = lost.chars;
            write!(out, "shell: not run: {over} characters more than {LINE_MAX} bytes; Up shows what fit\r\n")?;
            return Ok(Event::None);
        }
        Ok(Event::Line)
    }

    fn interrupt(&mut self, out: &mut dyn Write) -> Result<Event, fmt::Error> {
        self.line.move_to(usize::MAX);
        self.refresh(out)?;
        out.write_str("^C")?;
        self.drop_line(out)?;
        Ok(Event::Interrupt)
    }

    fn end_of_input(&mut self, out: &mut dyn Write) -> Result<Event, fmt::Error> {
        self.drop_line(out)?;
        Ok(Event::EndOfInput)
    }

    /// Begins a new line in the next row; gives what the old one did not hold.
    fn drop_line(&mut self, out: &mut dyn Write) -> Result<Lost, fmt::Error> {
        self.line.clear();
        self.start = 0;
        self.recalled = None;
        self.is_searching = false;
        self.row.leave(out)?;
        Ok(core::mem::replace(&mut self.lost, Lost { keys: 0, chars: 0 }))
    }

    fn recall_older(&mut self, out: &mut dyn Write) -> fmt::Result {
        let age = self.recalled.map_or(0, |age| age + 1);
        let Some(line) = self.history.get(age) else {
            return ring(out);
        };
        if self.recalled.is_none() {
            self.draft = self.line.text();
        }
        self.recalled = Some(age);
        self.line.set(line);
        Ok(())
    }

    fn recall_newer(&mut self, out: &mut dyn Write) -> fmt::Result {
        let Some(age) = self.recalled else {
            return ring(out);
        };
        self.recalled = age.checked_sub(1);
        let line = self.recalled.and_then(|age| self.history.get(age));
        self.line.set(line.unwrap_or(&self.draft));
        Ok(())
    }

    fn begin_search(&mut self) {
        self.search.begin(self.line.text());
        self.is_searching = true;
    }

    /// Takes a key while searching; false if it ends the search and is to be read as any other.
    fn search_key(&mut self, key: Key, out: &mut dyn Write) -> Result<bool, fmt::Error> {
        let is_served = match key {
            Key::Char(c) => self.search.extend(c, &self.history),
            Key::Ctrl(b'R') => self.search.older(&self.history),
            Key::Backspace => {
                self.search.shrink(&self.history);
                true
            }
            Key::Ctrl(b'G') => {
                self.line.set(self.search.original());
                self.is_searching = false;
                return Ok(true);
            }
            _ => {
                self.accept_search();
                self.refresh(out)?;
                return Ok(false);
            }
        };

        if let Some(line) = self.search.found().and_then(|age| self.history.get(age)) {
            self.line.set(line);
            self.line.move_to(self.search.position_in(line));
        }
        if !is_served || self.search.found().is_none() {
            ring(out)?;
        }
        Ok(true)
    }

    fn accept_search(&mut self) {
        self.is_searching = false;
        if self.search.found().is_none() {
            return;
        }
        if self.recalled.is_none() {
            self.draft = *self.search.original();
        }
        self.recalled = self.search.found();
    }

    fn complete(&mut self, out: &mut dyn Write) -> fmt::Result {
        let before = self.line.text_before_cursor();
        let survey = complete::survey(&before);

        match survey.matches {
            Matches::None => return ring(out),
            Matches::One | Matches::Many if survey.has_progress() => self.lost.chars = self.line.insert_str(survey.rest()),
            Matches::One => {}
            Matches::Many => return self.list_matches(&before, out),
        }
        if survey.is_finished_word() && !self.line.insert(' ') {
            return ring(out);
        }
        Ok(())
    }

    fn list_matches(&mut self, before: &str, out: &mut dyn Write) -> fmt::Result {
        self.row.leave(out)?;
        complete::list(before, self.columns(), out)
    }

    fn refresh(&mut self, out: &mut dyn Write) -> fmt::Result {
        let search_prompt = self.search.prompt();
        let prompt = if self.is_searching { search_prompt.as_str() } else { PROMPT };
        let indent = prompt.chars().count();
        let room = self.columns() - indent - 1;

        let (chars, cursor) = (self.line.chars(), self.line.cursor());
        self.start = window::start(self.start, cursor, chars.len(), room);
        let cells = prompt.chars().chain(window::cells(chars, self.start, room));
        self.row.draw(cells, indent + cursor - self.start, out)
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

/// Blanks the screen and puts the cursor in its first row and column.
pub(super) const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

fn ring(out: &mut dyn Write) -> fmt::Result {
    out.write_char('\x07')
}
