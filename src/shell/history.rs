//! Lines entered before, newest first.
//!
//! Lines lie one behind the other in one buffer, each ended by a newline; the oldest go when room is needed. A ring of equal slots was
//! rejected: at 1 KiB a slot, as the longest line needs, it would hold four lines where this holds a hundred.

/// Bytes for the lines and their newlines.
const CAPACITY: usize = 4096;

/// A bounded history of lines.
pub struct History {
    bytes: [u8; CAPACITY],
    len: usize,
    /// Lines that had to go, so that those kept keep their numbers.
    forgotten: usize,
}

impl History {
    /// Creates an empty history.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0, forgotten: 0 }
    }

    /// Remembers `line`, unless it is blank, the same as the newest, or longer than everything that fits.
    pub fn push(&mut self, line: &str) {
        let need = line.len() + 1;
        if line.trim().is_empty() || line.contains('\n') || need > CAPACITY || self.get(0) == Some(line) {
            return;
        }
        while self.len + need > CAPACITY {
            self.forget_oldest();
        }

        let slot = &mut self.bytes[self.len..self.len + need];
        slot[..line.len()].copy_from_slice(line.as_bytes());
        slot[line.len()] = b'\n';
        self.len += need;
    }

    /// The line entered `age` lines before the newest.
    #[must_use]
    pub fn get(&self, age: usize) -> Option<&str> {
        self.newest_first().nth(age)
    }

    /// Goes through the lines, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &str> {
        self.text().split_terminator('\n').rev()
    }

    /// Goes through the lines, oldest first, each with its number since boot, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text().split_terminator('\n').enumerate().map(|(index, line)| (self.forgotten + index + 1, line))
    }

    fn forget_oldest(&mut self) {
        let oldest = self.bytes[..self.len].iter().position(|&byte| byte == b'\n').map_or(self.len, |end| end + 1);
        self.bytes.copy_within(oldest..self.len, 0);
        self.len -= oldest;
        self.forgotten += 1;
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::prelude::v1::*;

    #[test]
    fn keeps_order_and_skips_blanks_and_repeats() {
        let mut history = History::new();
        for line in ["a", "  ", "b", "b", "", "a"] {
            history.push(line);
        }
        assert_eq!(history.newest_first().collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(history.get(1), Some("b"));
        assert_eq!(history.get(3), None);
    }

    #[test]
    fn forgets_the_oldest_and_keeps_numbers() {
        let mut history = History::new();
        for number in 1..=1000 {
            history.push(&format!("echo é {number}"));
        }
        let kept: Vec<_> = history.numbered().collect();
        assert_eq!(kept.last(), Some(&(1000, "echo é 1000")));
        assert!(kept.iter().all(|(number, line)| *line == format!("echo é {number}")));
        assert!((200..400).contains(&kept.len()));
    }
}
