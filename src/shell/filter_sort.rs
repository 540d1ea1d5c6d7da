//! The filter `sort`: lines in order of text or number, from some field on.
//!
//! The store holds the text of the lines from its front and one entry a line from its back; sorting moves entries, not text. When the
//! two meet, further lines are counted and reported. Equal lines keep their order: the entry's place in the text decides.

use core::cmp::Ordering;
use core::fmt;

use super::command::CommandError;
use super::filter::Chain;
use super::options::{self, Options};

/// The sorted lines of a stream.
pub(super) struct Sort {
    is_numeric: bool,
    is_reversed: bool,
    is_unique: bool,
    /// The field at which comparison begins, from 1.
    field: usize,
    text_len: usize,
    lines: usize,
    lost: usize,
}

/// Where a line is: offset and length in the text.
type Entry = [u8; 8];

const ENTRY_BYTES: usize = size_of::<Entry>();

impl Sort {
    pub(super) fn new<'a>(args: &'a [&'a str]) -> Result<(Self, &'a [&'a str]), CommandError> {
        let mut sort = Self { is_numeric: false, is_reversed: false, is_unique: false, field: 1, text_len: 0, lines: 0, lost: 0 };
        let mut options = Options::new(args, "k");
        while let Some((letter, value)) = options.next_option()? {
            match letter {
                'n' => sort.is_numeric = true,
                'r' => sort.is_reversed = true,
                'u' => sort.is_unique = true,
                'k' => sort.field = options::number(value)?.max(1),
                _ => return Err(CommandError::Usage),
            }
        }
        Ok((sort, options.operands()))
    }

    /// The lines that did not fit.
    pub(super) const fn lost(&self) -> usize {
        self.lost
    }

    pub(super) fn take(&mut self, line: &str, store: &mut [u8]) {
        let entries = (self.lines + 1) * ENTRY_BYTES;
        if self.text_len + line.len() + entries > store.len() {
            self.lost += 1;
            return;
        }
        let end = self.text_len + line.len();
        store[self.text_len..end].copy_from_slice(line.as_bytes());

        let entry_at = store.len() - entries;
        store[entry_at..entry_at + ENTRY_BYTES].copy_from_slice(&entry(self.text_len, line.len()));
        self.lines += 1;
        self.text_len = end;
    }

    pub(super) fn finish(&self, store: &mut [u8], next: &mut Chain<'_>) -> fmt::Result {
        let (text, entries) = store.split_at_mut(store.len() - self.lines * ENTRY_BYTES);
        let (entries, _) = entries.as_chunks_mut::<ENTRY_BYTES>();
        let text = core::str::from_utf8(&text[..self.text_len]).unwrap_or_default();
        heap_sort(entries, |a, b| self.compare_entries(text, a, b).is_lt());

        let mut last = None;
        for line in entries.iter().map(|entry| line(text, entry)) {
            if !self.is_unique || last.is_none_or(|last| self.compare(last, line).is_ne()) {
                next.take(line)?;
            }
            last = Some(line);
        }
        Ok(())
    }

    fn compare_entries(&self, text: &str, a: &Entry, b: &Entry) -> Ordering {
        self.compare(line(text, a), line(text, b)).then_with(|| offset(a).cmp(&offset(b)))
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        let (a, b) = (skip_fields(a, self.field - 1), skip_fields(b, self.field - 1));
        let order = if self.is_numeric { leading_number(a).cmp(&leading_number(b)) } else { Ordering::Equal };
        let order = if self.is_numeric && self.is_unique { order } else { order.then_with(|| a.cmp(b)) };
        if self.is_reversed { order.reverse() } else { order }
    }
}

/// Sorts in place with a stack of one frame, which `core`'s sorts do not: theirs can take more than a kernel's stack has.
///
/// Source: R. W. Floyd, "Algorithm 245: Treesort 3", CACM 7(12), 1964.
fn heap_sort<T>(items: &mut [T], is_less: impl Fn(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift_down(items, root, &is_less);
    }
    for end in (1..items.len()).rev() {
        items.swap(0, end);
        sift_down(&mut items[..end], 0, &is_less);
    }
}

/// Lets the item at `root` sink until none below it is greater.
fn sift_down<T>(heap: &mut [T], mut root: usize, is_less: impl Fn(&T, &T) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && is_less(&heap[child], &heap[child + 1]) {
            child += 1;
        }
        if !is_less(&heap[root], &heap[child]) {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

fn entry(offset: usize, len: usize) -> Entry {
    // Both are below the size of the pool, which is far below 4 GiB.
    let (offset, len) = ((offset as u32).to_le_bytes(), (len as u32).to_le_bytes());
    let mut entry = [0; ENTRY_BYTES];
    entry[..4].copy_from_slice(&offset);
    entry[4..].copy_from_slice(&len);
    entry
}

fn offset(entry: &Entry) -> usize {
    u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) as usize
}

fn line<'t>(text: &'t str, entry: &Entry) -> &'t str {
    let len = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]) as usize;
    text.get(offset(entry)..offset(entry) + len).unwrap_or_default()
}

/// What is left of `line` behind `count` fields and the blanks around them.
fn skip_fields(line: &str, count: usize) -> &str {
    let mut rest = line;
    for _ in 0..count {
        let field = rest.trim_start();
        if field.is_empty() {
            return field;
        }
        rest = field.find(char::is_whitespace).map_or("", |end| &field[end..]);
    }
    if count > 0 { rest.trim_start() } else { rest }
}

/// The number at the front of `text`; 0 if there is none.
fn leading_number(text: &str) -> i128 {
    let text = text.trim_start();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let number = digits.bytes().take_while(u8::is_ascii_digit).take(30).fold(0, |number, digit| number * 10 + i128::from(digit - b'0'));
    sign * number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::prelude::v1::*;

    #[test]
    fn fields_and_numbers() {
        assert_eq!(skip_fields("  a  bc d", 1), "bc d");
        assert_eq!(skip_fields("  a", 0), "  a");
        assert_eq!(skip_fields("a b", 5), "");
        assert_eq!(skip_fields("a b", usize::MAX), "", "ends with the line, however large the number");
        assert_eq!((leading_number(" -12x"), leading_number("x"), leading_number("007")), (-12, 0, 7));
    }

    proptest! {
        #[test]
        fn heap_sort_sorts(mut items in prop::collection::vec(0..50u8, 0..200)) {
            let mut expected = items.clone();
            expected.sort_unstable();
            heap_sort(&mut items, |a, b| a < b);
            prop_assert_eq!(items, expected);
        }
    }
}
