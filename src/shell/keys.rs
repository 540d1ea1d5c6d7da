//! Keys from bytes: UTF-8, control bytes, and the escape sequences that terminals send.
//!
//! A state machine over single bytes, because that is what a serial line delivers: an arrow key may arrive in three interrupts. Any
//! byte is legal in any state. What is cut short (half a character, half a sequence) gives up as [`Key::Malformed`] or
//! [`Key::Unbound`], and the byte that cut it is then read afresh, so that Ctrl-C always arrives.
//!
//! Sources: ECMA-48 §5.4 (control sequences); the Unicode Standard, §3.9 table 3-7 (well-formed UTF-8); xterm's control sequences.

use arrayvec::ArrayVec;

/// What the person at the terminal pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character that takes one cell on the screen.
    Char(char),
    /// A control key by its capital letter: `Ctrl(b'C')`.
    Ctrl(u8),
    /// Alt, or Escape before, with an ASCII character.
    Alt(u8),
    /// Return, however the terminal spells it.
    Enter,
    /// Tab.
    Tab,
    /// The key that deletes to the left.
    Backspace,
    /// The key that deletes under the cursor.
    Delete,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// To the start of the line.
    Home,
    /// To the end of the line.
    End,
    /// Bytes that are no UTF-8.
    Malformed,
    /// A sequence or character that means nothing here.
    Unbound,
}

/// The keys that one byte completes: at most what it cut short, and itself.
pub type Keys = ArrayVec<Key, 2>;

const ESCAPE: u8 = 0x1b;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// What the bytes so far may become.
#[derive(Clone, Copy)]
enum State {
    Ground,
    /// A carriage return was read: a line feed right behind it belongs to it.
    AfterReturn,
    /// `have` bytes of a character of `need` bytes.
    Utf8 {
        bytes: [u8; 4],
        have: u8,
        need: u8,
    },
    Escape,
    /// `ESC O`: one byte follows.
    SingleShift,
    /// `ESC [`: parameters until a final byte.
    Sequence(Parameters),
}

/// The first two numbers of a control sequence; more are read and dropped.
#[derive(Clone, Copy)]
struct Parameters {
    numbers: [u8; 2],
    index: u8,
}

/// Turns bytes into keys.
pub struct Decoder {
    state: State,
}

impl Decoder {
    /// Creates a decoder that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Ground }
    }

    /// Reads one byte; gives the keys that it completes.
    pub fn feed(&mut self, byte: u8) -> Keys {
        let mut keys = Keys::new();
        let state = core::mem::replace(&mut self.state, State::Ground);

        let (done, cut) = match state {
            State::Ground => (self.ground(byte), None),
            State::AfterReturn if byte == b'\n' => (None, None),
            State::AfterReturn => (self.ground(byte), None),
            State::Utf8 { bytes, have, need } => self.character(byte, bytes, have, need),
            State::Escape => self.escape(byte),
            State::SingleShift => self.final_byte(byte, Parameters::NONE),
            State::Sequence(parameters) => self.sequence(byte, parameters),
        };

        keys.extend(cut.into_iter().chain(done));
        keys
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'\r' => {
                self.state = State::AfterReturn;
                Some(Key::Enter)
            }
            b'\n' => Some(Key::Enter),
            b'\t' => Some(Key::Tab),
            BACKSPACE | DELETE => Some(Key::Backspace),
            ESCAPE => {
                self.state = State::Escape;
                None
            }
            0..0x20 => Some(Key::Ctrl(byte | 0x40)),
            0x20..0x80 => Some(Key::Char(byte.into())),
            0xc2..=0xdf => self.expect(byte, 2),
            0xe0..=0xef => self.expect(byte, 3),
            0xf0..=0xf4 => self.expect(byte, 4),
            _ => Some(Key::Malformed),
        }
    }

    fn expect(&mut self, lead: u8, need: u8) -> Option<Key> {
        self.state = State::Utf8 { bytes: [lead, 0, 0, 0], have: 1, need };
        None
    }

    /// Gives the key that `byte` completes and what it cut short.
    fn character(&mut self, byte: u8, mut bytes: [u8; 4], have: u8, need: u8) -> (Option<Key>, Option<Key>) {
        if byte & 0xc0 != 0x80 {
            return (self.ground(byte), Some(Key::Malformed));
        }
        bytes[usize::from(have)] = byte;
        if have + 1 < need {
            self.state = State::Utf8 { bytes, have: have + 1, need };
            return (None, None);
        }

        let key = match core::str::from_utf8(&bytes[..usize::from(need)]) {
            Ok(text) => text.chars().next().filter(|&c| is_one_cell(c)).map_or(Key::Unbound, Key::Char),
            Err(_) => Key::Malformed,
        };
        (Some(key), None)
    }

    fn escape(&mut self, byte: u8) -> (Option<Key>, Option<Key>) {
        match byte {
            b'[' => self.state = State::Sequence(Parameters::NONE),
            b'O' => self.state = State::SingleShift,
            ESCAPE => self.state = State::Escape,
            BACKSPACE | DELETE => return (Some(Key::Ctrl(b'W')), None),
            0x20..0x7f => return (Some(Key::Alt(byte)), None),
            _ => return (self.ground(byte), Some(Key::Unbound)),
        }
        (None, None)
    }

    fn sequence(&mut self, byte: u8, mut parameters: Parameters) -> (Option<Key>, Option<Key>) {
        match byte {
            0x20..0x40 => {
                parameters.take(byte);
                self.state = State::Sequence(parameters);
                (None, None)
            }
            _ => self.final_byte(byte, parameters),
        }
    }

    fn final_byte(&mut self, byte: u8, parameters: Parameters) -> (Option<Key>, Option<Key>) {
        match byte {
            0x40..0x7f => (parameters.key(byte), None),
            _ => (self.ground(byte), Some(Key::Unbound)),
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Parameters {
    const NONE: Self = Self { numbers: [0; 2], index: 0 };

    fn take(&mut self, byte: u8) {
        match byte {
            b';' => self.index = self.index.saturating_add(1),
            b'0'..=b'9' => {
                if let Some(number) = self.numbers.get_mut(usize::from(self.index)) {
                    *number = number.saturating_mul(10).saturating_add(byte - b'0');
                }
            }
            _ => {}
        }
    }

    /// The key of the sequence that ends in `last`; the marks around a bracketed paste are no key.
    fn key(self, last: u8) -> Option<Key> {
        const CTRL: u8 = 5;
        const ALT: u8 = 3;
        let [number, modifier] = self.numbers;

        Some(match (last, number) {
            (b'D', _) if matches!(modifier, CTRL | ALT) => Key::Alt(b'b'),
            (b'C', _) if matches!(modifier, CTRL | ALT) => Key::Alt(b'f'),
            (b'A', _) => Key::Up,
            (b'B', _) => Key::Down,
            (b'C', _) => Key::Right,
            (b'D', _) => Key::Left,
            (b'H', _) | (b'~', 1 | 7) => Key::Home,
            (b'F', _) | (b'~', 4 | 8) => Key::End,
            (b'M', 0) => Key::Enter,
            (b'~', 3) => Key::Delete,
            (b'~', 200 | 201) => return None,
            _ => Key::Unbound,
        })
    }
}

/// Whether `c` takes exactly one cell, the only width that the screen arithmetic knows.
fn is_one_cell(c: char) -> bool {
    let code = u32::from(c);
    !c.is_control() && !OTHER_WIDTH.iter().any(|&(first, last)| (first..=last).contains(&code))
}

/// The ranges that hold combining, invisible, direction-changing, wide or private characters. Coarse: a rare narrow character among
/// them is refused too, which costs a bell; a wide one let through would shift the row.
const OTHER_WIDTH: [(u32, u32); 22] = [
    (0x00ad, 0x00ad),
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0590, 0x109f),
    (0x1100, 0x11ff),
    (0x135d, 0x135f),
    (0x1700, 0x18af),
    (0x1900, 0x1cff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x20d0, 0x20ff),
    (0x231a, 0x231b),
    (0x2329, 0x232a),
    (0x23e9, 0x23f3),
    (0x25fd, 0x25fe),
    (0x2614, 0x27bf),
    (0x2b1b, 0x2b55),
    (0x2cef, 0x2cf1),
    (0x2de0, 0xfffc),
    (0xfffe, 0x10_ffff),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    fn decode(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().flat_map(|&byte| decoder.feed(byte)).collect()
    }

    #[test]
    fn control_bytes_and_line_ends() {
        assert_eq!(decode(b"\x01\x7f\x08\t"), [Key::Ctrl(b'A'), Key::Backspace, Key::Backspace, Key::Tab]);
        assert_eq!(decode(b"\r\n\n\r\r\n"), [Key::Enter; 4]);
        assert_eq!(decode(b"\x00\x1f"), [Key::Ctrl(b'@'), Key::Ctrl(b'_')]);
    }

    #[test]
    fn sequences_of_every_common_terminal() {
        for (bytes, key) in [
            (&b"\x1b[A"[..], Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[1;5D", Key::Alt(b'b')),
            (b"\x1b[1;3C", Key::Alt(b'f')),
            (b"\x1b[H", Key::Home),
            (b"\x1b[7~", Key::Home),
            (b"\x1bOF", Key::End),
            (b"\x1b[3~", Key::Delete),
            (b"\x1bb", Key::Alt(b'b')),
            (b"\x1b\x7f", Key::Ctrl(b'W')),
            (b"\x1bOM", Key::Enter),
            (b"\x1b[99999999999999999999;5;5;5;5R", Key::Unbound),
        ] {
            assert_eq!(decode(bytes), [key], "{bytes:?}");
        }
        assert_eq!(decode(b"\x1b[200~ab\x1b[201~"), [Key::Char('a'), Key::Char('b')]);
    }

    #[test]
    fn a_sequence_cut_short_does_not_swallow_ctrl_c() {
        assert_eq!(decode(b"\x1b\x03"), [Key::Unbound, Key::Ctrl(b'C')]);
        assert_eq!(decode(b"\x1b[1;\x03"), [Key::Unbound, Key::Ctrl(b'C')]);
        assert_eq!(decode(b"\xe2\x82\x03"), [Key::Malformed, Key::Ctrl(b'C')]);
        assert_eq!(decode(b"\x1b[\x1b[A"), [Key::Unbound, Key::Up]);
    }

    #[test]
    fn utf8_good_and_bad() {
        assert_eq!(decode("aé€".as_bytes()), [Key::Char('a'), Key::Char('é'), Key::Char('€')]);
        assert_eq!(decode(b"\xff\x80\xc0\x41"), [Key::Malformed, Key::Malformed, Key::Malformed, Key::Char('A')]);
        assert_eq!(decode(b"\xe0\x80\x80"), [Key::Malformed], "overlong");
        assert_eq!(decode(b"\xed\xa0\x80"), [Key::Malformed], "surrogate");
        assert_eq!(decode("\u{85}漢\u{301}🦀".as_bytes()), [Key::Unbound; 4], "not one cell");
    }
}
