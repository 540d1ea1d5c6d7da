//! One row of the terminal: what stands there, and the least that must be sent to change it.
//!
//! The row remembers its cells. To draw is to compare: skip what is equal, send the rest, move the cursor. So typing at the end sends
//! one character and a paste of 10 kB about 10 kB, while every editing command needs only to say what the row shall look like. It
//! never leaves its row nor writes the last column, so it needs to know the width but not how the terminal wraps.

use core::fmt::{self, Write};

use arrayvec::ArrayVec;

/// The widest terminal.
pub const COLUMNS_MAX: usize = 512;

/// The cells of the row in which a line is edited.
pub struct Row {
    cells: ArrayVec<char, COLUMNS_MAX>,
    cursor: usize,
}

impl Row {
    /// Creates a row that is empty, with the terminal's cursor in the first column.
    #[must_use]
    pub const fn new() -> Self {
        Self { cells: ArrayVec::new_const(), cursor: 0 }
    }

    /// Makes the row show `cells` and its cursor stand at column `cursor`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn draw<I>(&mut self, cells: I, cursor: usize, out: &mut dyn Write) -> fmt::Result
    where
        I: Iterator<Item = char> + Clone,
    {
        let same = self.cells.iter().zip(cells.clone()).take_while(|&(&old, new)| old == new).count();
        let changed = cells.skip(same).take(COLUMNS_MAX - same);
        let old_len = self.cells.len();

        self.cells.truncate(same);
        self.cells.extend(changed);
        if same < old_len || same < self.cells.len() {
            self.send_from(same, old_len, out)?;
        }
        self.move_to(cursor, out)
    }

    /// Blanks the row, if anything stands there.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn erase(&mut self, out: &mut dyn Write) -> fmt::Result {
        if self.cells.is_empty() {
            return Ok(());
        }
        self.forget();
        out.write_str("\r\x1b[K")
    }

    /// Goes to the next row, which is taken to be empty.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn leave(&mut self, out: &mut dyn Write) -> fmt::Result {
        self.forget();
        out.write_str("\r\n")
    }

    /// Takes the row to be empty and the cursor to stand in the first column.
    pub fn forget(&mut self) {
        self.cells.clear();
        self.cursor = 0;
    }

    fn send_from(&mut self, start: usize, old_len: usize, out: &mut dyn Write) -> fmt::Result {
        self.move_to(start, out)?;
        for &cell in &self.cells[start..] {
            out.write_char(cell)?;
        }
        self.cursor = self.cells.len();

        if self.cells.len() < old_len {
            out.write_str("\x1b[K")?;
        }
        Ok(())
    }

    fn move_to(&mut self, column: usize, out: &mut dyn Write) -> fmt::Result {
        let from = core::mem::replace(&mut self.cursor, column);
        match column.abs_diff(from) {
            0 => Ok(()),
            1 if column < from => out.write_char('\x08'),
            distance if column < from => write!(out, "\x1b[{distance}D"),
            distance => write!(out, "\x1b[{distance}C"),
        }
    }
}

impl Default for Row {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn draw(row: &mut Row, text: &str, cursor: usize) -> String {
        let mut sent = String::new();
        row.draw(text.chars(), cursor, &mut sent).unwrap();
        sent
    }

    #[test]
    fn sends_only_what_changes() {
        let mut row = Row::new();
        assert_eq!(draw(&mut row, "> ab", 4), "> ab");
        assert_eq!(draw(&mut row, "> abc", 5), "c");
        assert_eq!(draw(&mut row, "> abc", 3), "\x1b[2D");
        assert_eq!(draw(&mut row, "> aXbc", 4), "Xbc\x1b[2D");
        assert_eq!(draw(&mut row, "> a", 3), "\x08\x1b[K");
        assert_eq!(draw(&mut row, "> a", 3), "");
    }
}
