//! The line being edited: characters and a cursor.
//!
//! An array of `char` and not of bytes: every position is a character, so there is no boundary to miss and no way to a panic, and as
//! each character takes one cell, a position in the line is a distance on the screen. The price is 4 KiB instead of 1.
//!
//! # Invariants
//! 1. `cursor <= chars.len()`.
//! 2. `bytes` is the length of the characters in UTF-8, at most [`LINE_MAX`]; so a [`Text`] holds any line.

use arrayvec::{ArrayString, ArrayVec};

/// The longest line, in bytes of UTF-8.
pub const LINE_MAX: usize = 1024;

/// Text as long as a line can be.
pub type Text = ArrayString<LINE_MAX>;

/// An editable line.
pub struct Line {
    chars: ArrayVec<char, LINE_MAX>,
    bytes: usize,
    cursor: usize,
}

impl Line {
    /// Creates an empty line.
    #[must_use]
    pub const fn new() -> Self {
        Self { chars: ArrayVec::new_const(), bytes: 0, cursor: 0 }
    }

    /// The characters, from the left.
    #[must_use]
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// The number of characters left of the cursor.
    #[must_use]
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing is typed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// The whole line as text.
    #[must_use]
    pub fn text(&self) -> Text {
        collect(&self.chars)
    }

    /// The text left of the cursor.
    #[must_use]
    pub fn text_before_cursor(&self) -> Text {
        collect(&self.chars[..self.cursor])
    }

    /// Inserts `c` at the cursor; gives false, with nothing changed, if the line is full.
    #[must_use]
    pub fn insert(&mut self, c: char) -> bool {
        if self.bytes + c.len_utf8() > LINE_MAX || self.chars.try_insert(self.cursor, c).is_err() {
            return false;
        }
        self.bytes += c.len_utf8();
        self.cursor += 1;
        true
    }

    /// Inserts as much of `text` as fits; gives the number of characters that did not.
    #[must_use]
    pub fn insert_str(&mut self, text: &str) -> usize {
        text.chars().filter(|&c| !self.insert(c)).count()
    }

    /// Replaces the line by `text`, cut to what fits, with the cursor at its end.
    pub fn set(&mut self, text: &str) {
        self.clear();
        for c in text.chars() {
            if !self.insert(c) {
                break;
            }
        }
    }

    /// Empties the line.
    pub fn clear(&mut self) {
        self.chars.clear();
        self.bytes = 0;
        self.cursor = 0;
    }

    /// Puts the cursor behind `position` characters, or at the end if there are fewer.
    pub fn move_to(&mut self, position: usize) {
        self.cursor = position.min(self.chars.len());
    }

    /// The cursor one character to the left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.cursor.saturating_sub(1)
    }

    /// The cursor one character to the right.
    #[must_use]
    pub fn right(&self) -> usize {
        (self.cursor + 1).min(self.chars.len())
    }

    /// The start of the word at or left of the cursor: a run of letters and digits.
    #[must_use]
    pub fn word_left(&self) -> usize {
        self.skip_left(char::is_alphanumeric)
    }

    /// The start of the argument at or left of the cursor: a run without spaces.
    #[must_use]
    pub fn argument_left(&self) -> usize {
        self.skip_left(|c| c != ' ')
    }

    /// The end of the word at or right of the cursor.
    #[must_use]
    pub fn word_right(&self) -> usize {
        let after = &self.chars[self.cursor..];
        let gap = after.iter().take_while(|c| !c.is_alphanumeric()).count();
        let word = after[gap..].iter().take_while(|c| c.is_alphanumeric()).count();
        self.cursor + gap + word
    }

    /// Removes the characters between `position` and the cursor, on whichever side, and gives them; the cursor stands at the gap.
    pub fn remove_to(&mut self, position: usize) -> Text {
        let position = position.min(self.chars.len());
        let (start, end) = (self.cursor.min(position), self.cursor.max(position));

        let removed = collect(&self.chars[start..end]);
        self.chars.drain(start..end);
        self.bytes -= removed.len();
        self.cursor = start;
        removed
    }

    fn skip_left(&self, is_part: impl Fn(char) -> bool) -> usize {
        let before = &self.chars[..self.cursor];
        let gap = before.iter().rev().take_while(|&&c| !is_part(c)).count();
        let part = before[..self.cursor - gap].iter().rev().take_while(|&&c| is_part(c)).count();
        self.cursor - gap - part
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

/// Gathers characters of a line, which fit by invariant 2.
fn collect(chars: &[char]) -> Text {
    let mut text = Text::new();
    for &c in chars {
        if text.try_push(c).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn line(text: &str, cursor: usize) -> Line {
        let mut line = Line::new();
        line.set(text);
        line.move_to(cursor);
        line
    }

    #[test]
    fn words_and_arguments() {
        let l = line("cat /proc/mem  x", 14);
        assert_eq!((l.word_left(), l.argument_left(), l.word_right()), (10, 4, 16));
        assert_eq!((line("ab", 0).word_left(), line("ab", 2).word_right(), line("", 0).argument_left()), (0, 2, 0));
    }

    #[test]
    fn removes_on_either_side() {
        let mut l = line("aé€b", 2);
        assert_eq!(l.remove_to(99).as_str(), "€b");
        assert_eq!(l.remove_to(0).as_str(), "aé");
        assert!(l.is_empty());
    }

    #[test]
    fn is_full_by_bytes() {
        let mut l = Line::new();
        assert_eq!(l.insert_str(&"€".repeat(400)), 400 - LINE_MAX / 3);
        assert_eq!(l.text().len(), LINE_MAX - LINE_MAX % 3);
        assert!(l.insert('x') && !l.insert('y'));
    }
}
