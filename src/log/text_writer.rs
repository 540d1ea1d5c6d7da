//! Writes text straight into a reserved record, a word at a time.
//!
//! `core::fmt` hands over pieces of any length; they are shifted together in a register and stored as whole aligned words, so that every access to a ring
//! has one width, nothing is copied twice, and a short piece costs a handful of instructions (the `memcpy` of compiler_builtins costs 150 a message).

use super::level::Level;
use super::record::{FLAG_TRUNCATED, HEADER_WORDS, Meta};
use super::ring::{Reservation, Ring};
use crate::arch::unaligned::{load_u16, load_u32, load_u64};
use core::fmt;

const WORD: usize = size_of::<u64>();

/// An open record and the place in it where the next byte goes.
pub(super) struct TextWriter<'a, const WORDS: usize> {
    ring: &'a Ring<WORDS>,
    reservation: Reservation,
    /// Bytes written so far, and how many may be.
    bytes: u32,
    bytes_max: u32,
    /// The bytes of the last, unfinished word.
    partial: u64,
    flags: u8,
}

impl<'a, const WORDS: usize> TextWriter<'a, WORDS> {
    /// Begins the text of `reservation`, which has room for `bytes_max` bytes.
    #[inline]
    pub(super) fn new(ring: &'a Ring<WORDS>, reservation: Reservation, bytes_max: u32) -> Self {
        Self { ring, reservation, bytes: 0, bytes_max, partial: 0, flags: 0 }
    }

    /// Appends `text` as far as there is room, whole characters only.
    #[inline]
    pub(super) fn push_str(&mut self, text: &str) {
        let room = (self.bytes_max - self.bytes) as usize;
        let text = if text.len() <= room { text } else { self.cut(text, room) };
        self.append(text.as_bytes());
    }

    #[cold]
    fn cut<'t>(&mut self, text: &'t str, room: usize) -> &'t str {
        self.flags |= FLAG_TRUNCATED;
        self.bytes_max = self.bytes + room as u32; // nothing more, not even a shorter piece
        let end = text.floor_char_boundary(room);
        self.bytes_max = self.bytes + end as u32;
        &text[..end]
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<WORD>();
        for word in words {
            self.append_word(load_u64(word), WORD as u32);
        }
        if !rest.is_empty() {
            self.append_word(load_short(rest), rest.len() as u32);
        }
    }

    /// Appends the lowest `count` bytes of `word`, whose others are 0.
    #[inline(always)]
    fn append_word(&mut self, word: u64, count: u32) {
        let filled = self.bytes & (WORD as u32 - 1);
        let shift = filled * 8;
        self.partial |= word << shift;
        if filled + count >= WORD as u32 {
            self.ring.store(self.word_pos(), self.partial);
            self.partial = word >> 1 >> (63 - shift); // a shift by 64 at most, in two steps
        }
        self.bytes += count;
    }

    #[inline(always)]
    fn word_pos(&self) -> u32 {
        self.reservation.text().wrapping_add(self.bytes / WORD as u32)
    }

    /// Finishes the record: from now on readers see it.
    #[inline]
    pub(super) fn finish(self, level: Level) {
        if !self.bytes.is_multiple_of(WORD as u32) {
            self.ring.store(self.word_pos(), self.partial);
        }
        let meta = Meta { seq: 0, bytes: self.bytes, flags: self.flags, level };
        self.ring.commit(self.reservation, words_for(self.bytes), meta);
    }
}

impl<const WORDS: usize> fmt::Write for TextWriter<'_, WORDS> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }
}

/// Words of a record with so many bytes of text.
pub(super) const fn words_for(bytes: u32) -> u32 {
    HEADER_WORDS + bytes.div_ceil(WORD as u32)
}

/// Stores `bytes` from word `at` on.
#[inline(always)]
pub(super) fn store_all<const WORDS: usize>(ring: &Ring<WORDS>, mut at: u32, bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks::<WORD>();
    for word in words {
        ring.store(at, load_u64(word));
        at = at.wrapping_add(1);
    }
    if rest.is_empty() {
        return;
    }
    let last = match bytes.last_chunk::<WORD>() {
        Some(last) => load_u64(last) >> ((WORD - rest.len()) * 8), // most of it has been stored already
        None => load_short(rest),
    };
    ring.store(at, last);
}

/// Loads 1 to 7 bytes into the low end of a word, in at most two loads that overlap where they carry the same bytes.
#[inline(always)]
fn load_short(bytes: &[u8]) -> u64 {
    let count = bytes.len();
    if let (Some(low), Some(high)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        u64::from(load_u32(low)) | u64::from(load_u32(high)) << ((count - 4) * 8)
    } else if let (Some(low), Some(high)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        u64::from(load_u16(low)) | u64::from(load_u16(high)) << ((count - 2) * 8)
    } else {
        u64::from(bytes[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::level::KERN_INFO;
    use crate::log::ring::{Beneath, Peek};
    use core::fmt::Write;
    use std::vec::Vec;

    /// Writes `pieces` into a fresh ring and reads the text back.
    fn through_ring(pieces: &[&str], bytes_max: u32) -> (Vec<u8>, Meta) {
        let ring = crate::log::new_ring::<256>();
        let reservation = ring.reserve(words_for(bytes_max), Beneath::Nothing, || 5).expect("the ring is empty");
        let mut writer = TextWriter::new(&ring, reservation, bytes_max);
        for piece in pieces {
            writer.write_str(piece).expect("never fails");
        }
        writer.finish(KERN_INFO);

        let Peek::Done { pos, meta, .. } = ring.peek(0) else { panic!("not finished") };
        let mut words = [0; 128];
        assert!(ring.copy(pos, pos + HEADER_WORDS, &mut words));
        let text = words.iter().flat_map(|word| word.to_le_bytes()).take(meta.bytes as usize);
        (text.collect(), meta)
    }

    #[test]
    fn pieces_of_every_length_and_shift_arrive_unchanged() {
        let text = "abcdefghijklmnopqrstuvwxyz0123456789";
        for first in 0..=17 {
            for second in 0..=17 {
                let pieces = [&text[..first], &text[first..first + second], "|", &text[..9]];
                assert_eq!(through_ring(&pieces, 200).0, pieces.concat().into_bytes(), "{first} {second}");
            }
        }
    }

    #[test]
    fn too_long_a_text_is_cut_at_a_character_and_marked() {
        let (text, meta) = through_ring(&["1234567", "8\u{20ac}", "9"], 10);
        assert_eq!((text.as_slice(), meta.flags), (b"12345678".as_slice(), FLAG_TRUNCATED), "half a character, or a later piece, got in");
        let (text, meta) = through_ring(&["1234567890"], 10);
        assert_eq!((text.len(), meta.flags), (10, 0));
    }
}
