//! The part of a long line that is on the screen.
//!
//! A line longer than its row scrolls sideways, with `<` and `>` where text is hidden. It does not wrap: on a serial line the width is
//! a guess, and a wrong guess breaks a wrapped line beyond repair, while here a wider terminal loses nothing. When the cursor would
//! leave the window it jumps to the middle, so that typing redraws the row once in half a row and not at each key.

/// How malformed input is shown. Not as the U+FFFD that stands for it in the line: a terminal that sends malformed UTF-8 is most likely
/// set to another encoding, where that would be three cells.
const MALFORMED: char = '?';

/// Where the window begins, so that `cursor` of a line of `len` characters is inside `room` cells and not on a mark.
#[must_use]
pub(super) fn start(old: usize, cursor: usize, len: usize, room: usize) -> usize {
    if len <= room {
        return 0;
    }
    let hides_left = old > 0;
    let hides_right = len > old + room;

    let is_right_of_mark = cursor > old || !hides_left;
    let is_left_of_mark = if hides_right { cursor + 1 < old + room } else { cursor <= old + room };
    if is_right_of_mark && is_left_of_mark { old } else { cursor.saturating_sub(room / 2) }
}

/// The cells that show `chars` from `start` in `room` cells.
pub(super) fn cells(chars: &[char], start: usize, room: usize) -> impl Iterator<Item = char> + Clone {
    let visible = chars.get(start..).unwrap_or_default();
    let hides_right = visible.len() > room;

    visible.iter().take(room).enumerate().map(move |(column, &c)| match column {
        0 if start > 0 => '<',
        last if hides_right && last + 1 == room => '>',
        _ if c == char::REPLACEMENT_CHARACTER => MALFORMED,
        _ => c,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn show(text: &str, start: usize, room: usize) -> String {
        cells(&text.chars().collect::<Vec<_>>(), start, room).collect()
    }

    #[test]
    fn marks_what_is_hidden() {
        assert_eq!(show("abcdefghij", 0, 10), "abcdefghij");
        assert_eq!(show("abcdefghij", 0, 5), "abcd>");
        assert_eq!(show("abcdefghij", 2, 5), "<def>");
        assert_eq!(show("abcdefghij", 6, 5), "<hij");
        assert_eq!(show("ab", 9, 5), "");
    }

    #[test]
    fn cursor_is_always_inside_and_on_no_mark() {
        let room = 10;
        for len in 0..40 {
            for cursor in 0..=len {
                for old in 0..45 {
                    let start = start(old, cursor, len, room);
                    let column = cursor.checked_sub(start).expect("the cursor is not left of the window");
                    assert!(column <= room);
                    assert!(start == 0 || column > 0, "on the left mark");
                    assert!(len <= start + room || column + 1 < room, "on the right mark");
                }
            }
        }
    }
}
