//! The incremental search through the history, Ctrl-R.
//!
//! Holds what is looked for and which line was found; the editor shows the line. Each key searches anew from where it stands, so
//! there is no list of hits to keep.

use core::fmt::Write;

use arrayvec::ArrayString;

use super::history::History;
use super::line::Text;

/// The longest text to look for, in bytes: short enough that it leaves room for the line that is found.
const QUERY_MAX: usize = 32;

/// The state of a search.
pub(super) struct Search {
    query: ArrayString<QUERY_MAX>,
    /// The line found last, as lines back in the history.
    age: usize,
    is_hit: bool,
    /// What was typed before the search began.
    original: Text,
}

impl Search {
    pub(super) const fn new() -> Self {
        Self { query: ArrayString::new_const(), age: 0, is_hit: false, original: Text::new_const() }
    }

    /// Begins anew with nothing to look for.
    pub(super) fn begin(&mut self, original: Text) {
        *self = Self { original, ..Self::new() };
    }

    pub(super) fn original(&self) -> &Text {
        &self.original
    }

    /// The line found, as lines back, if the last search found one.
    pub(super) fn found(&self) -> Option<usize> {
        self.is_hit.then_some(self.age)
    }

    /// Where in `line` the text stands that was looked for, in characters.
    pub(super) fn position_in(&self, line: &str) -> usize {
        line.find(self.query.as_str()).map_or(0, |bytes| line[..bytes].chars().count())
    }

    /// Adds a character; false if there is no room for it.
    pub(super) fn extend(&mut self, c: char, history: &History) -> bool {
        let has_room = self.query.try_push(c).is_ok();
        if has_room {
            self.find(self.age, history);
        }
        has_room
    }

    /// Takes the last character back and starts from the newest line again.
    pub(super) fn shrink(&mut self, history: &History) {
        self.query.pop();
        self.age = 0;
        self.find(0, history);
    }

    /// Goes on to an older line; false if there is none.
    pub(super) fn older(&mut self, history: &History) -> bool {
        let from = if self.is_hit { self.age + 1 } else { self.age };
        self.find(from, history)
    }

    /// What stands before the line while searching.
    pub(super) fn prompt(&self) -> ArrayString<64> {
        let mut prompt = ArrayString::new();
        let label = if self.is_hit || self.query.is_empty() { "reverse-i-search" } else { "failed search" };
        write!(prompt, "({label})`{}': ", self.query).expect("label, query and marks are shorter than the buffer");
        prompt
    }

    fn find(&mut self, from: usize, history: &History) -> bool {
        let is_match = |line: &str| !self.query.is_empty() && line.contains(self.query.as_str());
        let hit = history.newest_first().enumerate().skip(from).find(|(_, line)| is_match(line)).map(|(age, _)| age);

        self.is_hit = hit.is_some();
        self.age = hit.unwrap_or(self.age);
        self.is_hit
    }
}
