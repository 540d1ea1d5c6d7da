//! Whether a writer is in the middle of something that must not be torn: a line of text, or a packet of defmt frames.
//!
//! The log hands over its lines in pieces, as there is room for them. Another writer's bytes between two pieces would mix two lines; within a
//! packet they would lose the record, because ASCII ends a packet at once. So the bytes are followed as they pass. The forms are those of
//! [`super::wire`]: start byte, two septets of length, then the payload in septets.

use super::wire::START;

const SEPTET: u8 = 0x7f;

/// Where a stream of log bytes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenLine {
    /// Between two lines or packets.
    Closed,
    /// Within a line of text.
    Text,
    /// Within a packet's length: septets seen, and their value so far.
    Length(u8, usize),
    /// Within a packet: bytes to come.
    Packet(usize),
}

impl OpenLine {
    /// Nothing was written yet.
    pub const NONE: Self = Self::Closed;

    /// True if another writer's bytes would tear something.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed)
    }

    /// Follows one byte.
    pub fn push(&mut self, byte: u8) {
        *self = match (*self, byte) {
            (_, b'\n') => Self::Closed,
            (_, ..0x80) => Self::Text,
            // A septet of seven ones looks like the start byte, so within a packet nothing but its length tells where it ends.
            (Self::Length(0, _), septet) => Self::Length(1, (septet & SEPTET).into()),
            (Self::Length(_, low), septet) => Self::payload(low | usize::from(septet & SEPTET) << 7),
            (Self::Packet(..=1), _) => Self::Closed,
            (Self::Packet(left), _) => Self::Packet(left - 1),
            (Self::Closed | Self::Text, START) => Self::Length(0, 0),
            // UTF-8 beyond ASCII.
            (Self::Closed | Self::Text, _) => Self::Text,
        };
    }

    /// A payload of `bytes` bytes is about to come.
    fn payload(bytes: usize) -> Self {
        match (bytes * 8).div_ceil(7) {
            0 => Self::Closed,
            septets => Self::Packet(septets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(bytes: &[u8]) -> OpenLine {
        let mut line = OpenLine::NONE;
        bytes.iter().for_each(|byte| line.push(*byte));
        line
    }

    #[test]
    fn a_line_is_open_until_it_ends() {
        assert!(after("[ 1.0] cpu0 grüße".as_bytes()).is_open());
        assert!(!after("[ 1.0] cpu0 grüße\n".as_bytes()).is_open());
        assert!(after(b"one\ntwo").is_open());
    }

    #[test]
    fn a_packet_is_open_to_its_last_byte() {
        // Seven bytes of payload: eight septets.
        let packet = [0xff, 0x87, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88];
        for len in 1..packet.len() {
            assert!(after(&packet[..len]).is_open(), "{len}");
        }
        assert!(!after(&packet).is_open());
        assert!(!after(&[&packet[..], &packet[..]].concat()).is_open());
    }

    #[test]
    fn a_septet_like_the_start_byte_begins_no_packet() {
        let payload = [0xff, 0x87, 0x80, 0x81, 0xff, 0x83, 0xff, 0x85, 0x86, 0x87, 0xff];
        assert!(after(&payload[..payload.len() - 1]).is_open());
        assert!(!after(&payload).is_open());
        // 127 bytes of payload: the length has such a septet.
        let length = [&[0xff, 0xff, 0x80][..], &[0x80; 146]].concat();
        assert!(!after(&length).is_open());
        assert!(after(&length[..length.len() - 1]).is_open());
    }

    #[test]
    fn text_ends_a_packet_that_was_cut_short() {
        assert_eq!(after(&[0xff, 0x87, 0x80, 0x81, b'<', b'o']), OpenLine::Text);
        assert!(!after(&[0xff, 0x87, 0x80, 0x81, b'<', b'\n']).is_open());
    }
}
