//! The filter `tail`: the last lines, or all from some line on.
//!
//! Keeps lines one behind the other, each ended by a newline, and moves them to the front of its store when it reaches the end: on
//! the average a byte is moved less than once, and there is no wrap-around to get wrong.

use core::fmt;

use super::filter::Chain;

/// The last lines of a stream.
pub(super) struct Tail {
    wanted: Wanted,
    /// The lines kept are `store[start..end]`.
    start: usize,
    end: usize,
    kept: usize,
    lost: usize,
}

enum Wanted {
    /// So many at the end.
    Last(usize),
    /// All, once so many have gone by.
    After(usize),
}

impl Tail {
    pub(super) const fn last(count: usize) -> Self {
        Self { wanted: Wanted::Last(count), start: 0, end: 0, kept: 0, lost: 0 }
    }

    /// Line numbers begin with 1.
    pub(super) const fn from_line(number: usize) -> Self {
        Self { wanted: Wanted::After(number.saturating_sub(1)), ..Self::last(0) }
    }

    /// The lines among those wanted that did not fit.
    pub(super) fn lost(&self) -> usize {
        match self.wanted {
            Wanted::Last(count) => self.lost.min(count - self.kept),
            Wanted::After(_) => 0,
        }
    }

    pub(super) fn take(&mut self, line: &str, store: &mut [u8], next: &mut Chain<'_>) -> fmt::Result {
        match &mut self.wanted {
            Wanted::After(0) => return next.take(line),
            Wanted::After(left) => *left -= 1,
            Wanted::Last(0) => {}
            Wanted::Last(count) => {
                if self.kept == *count {
                    self.drop_first(store);
                }
                self.keep(line, store);
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self, store: &[u8], next: &mut Chain<'_>) -> fmt::Result {
        let kept = core::str::from_utf8(&store[self.start..self.end]).unwrap_or_default();
        kept.split_terminator('\n').try_for_each(|line| next.take(line))
    }

    fn keep(&mut self, line: &str, store: &mut [u8]) {
        let need = line.len() + 1;
        if need > store.len() {
            self.lost += 1;
            return;
        }
        while self.end - self.start + need > store.len() {
            self.drop_first(store);
            self.lost += 1;
        }
        if self.end + need > store.len() {
            store.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }

        store[self.end..self.end + line.len()].copy_from_slice(line.as_bytes());
        self.end += need;
        store[self.end - 1] = b'\n';
        self.kept += 1;
    }

    fn drop_first(&mut self, store: &[u8]) {
        let kept = &store[self.start..self.end];
        self.start += kept.iter().position(|&byte| byte == b'\n').map_or(kept.len(), |end| end + 1);
        self.kept = self.kept.saturating_sub(1);
    }
}
