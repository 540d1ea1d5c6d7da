//! The layout of a record in its ring: three header words, then the text in whole words.
//!
//! ```text
//! word 0  mark   position 63..32 | length in words 31..16 | signature 15..8 | state 7..0
//! word 1  ticks  the counter when the record was reserved
//! word 2  meta   sequence 63..32 | text bytes 31..16 | flags 15..8 | level 7..0
//! word 3  text, 8 bytes a word, the first byte lowest
//! ```
//! The mark carries its own position. Positions never repeat within 2^32 words, so a mark is valid in one lap only: what a reader finds at a place where
//! no record begins (text, or a mark of the lap before) does not pass for one, and after damage the next record can be found by looking for its mark.

use super::level::Level;

/// Words before the text.
pub(super) const HEADER_WORDS: u32 = 3;
/// The most text a record holds, in bytes; more is cut off and marked.
pub(super) const TEXT_MAX: u32 = 1000;
/// Words of the largest record.
pub(super) const WORDS_MAX: u32 = HEADER_WORDS + TEXT_MAX / 8;

/// The text was cut off.
pub(super) const FLAG_TRUNCATED: u8 = 1 << 0;
/// The text is defmt frames, not characters.
pub(super) const FLAG_DEFMT: u8 = 1 << 1;

const SIGNATURE: u64 = 0xa5;
/// Mark: reserved, its writer is at work or dead.
const STATE_OPEN: u64 = 1;
/// Mark: finished, the text is readable.
const STATE_DONE: u64 = 2;

/// A place in a ring and the number of the record there: what `head` holds, and a reader's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The record's number on its ring.
    pub seq: u32,
    /// Its first word, counted from the ring's beginning of time.
    pub pos: u32,
}

impl Place {
    pub(super) const fn pack(self) -> u64 {
        (self.seq as u64) << 32 | self.pos as u64
    }

    pub(super) const fn unpack(word: u64) -> Place {
        Place { seq: (word >> 32) as u32, pos: word as u32 }
    }
}

/// What the first word of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Reserved, of this many words at most.
    Open,
    /// Finished, the next record begins after so many words.
    Done { words: u32 },
    /// No record begins here, or its writer has not come to say so.
    None,
}

impl Mark {
    pub(super) const fn open(pos: u32) -> u64 {
        (pos as u64) << 32 | SIGNATURE << 8 | STATE_OPEN
    }

    pub(super) const fn done(pos: u32, words: u32) -> u64 {
        (pos as u64) << 32 | (words as u64) << 16 | SIGNATURE << 8 | STATE_DONE
    }

    /// Reads `word` as the mark of a record that begins at `pos`.
    #[inline(always)]
    pub(super) fn parse(word: u64, pos: u32) -> Mark {
        // Nothing but the length may differ from the mark of a finished record here: one comparison for position, signature and state.
        let words = (word ^ Self::done(pos, 0)).rotate_right(16);
        if (HEADER_WORDS as u64..=WORDS_MAX as u64).contains(&words) {
            Mark::Done { words: words as u32 }
        } else if word == Self::open(pos) {
            Mark::Open
        } else {
            Mark::None
        }
    }
}

/// What the third word of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub seq: u32,
    pub bytes: u32,
    pub flags: u8,
    pub level: Level,
}

impl Meta {
    pub(super) const fn pack(self) -> u64 {
        (self.seq as u64) << 32 | (self.bytes as u64) << 16 | (self.flags as u64) << 8 | self.level.number() as u64
    }

    /// Never fails and never gives more text than a record can hold, whatever `word` is: the caller may find out later that it read rubbish.
    pub(super) fn unpack(word: u64) -> Meta {
        Meta {
            seq: (word >> 32) as u32,
            bytes: ((word >> 16) as u32 & 0xffff).min(TEXT_MAX),
            flags: (word >> 8) as u8,
            level: Level::from_number(word as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::level::KERN_ERR;

    #[test]
    fn words_survive_packing() {
        let place = Place { seq: 0xdead_beef, pos: 0xffff_fff8 };
        assert_eq!(Place::unpack(place.pack()), place);
        let meta = Meta { seq: 7, bytes: TEXT_MAX, flags: FLAG_TRUNCATED, level: KERN_ERR };
        assert_eq!(Meta::unpack(meta.pack()), meta);
    }

    #[test]
    fn a_mark_is_valid_at_its_position_only() {
        let word = Mark::done(40, 9);
        assert_eq!(Mark::parse(word, 40), Mark::Done { words: 9 });
        assert_eq!(Mark::parse(word, 41), Mark::None);
        assert_eq!(Mark::parse(Mark::open(40), 40), Mark::Open);
        assert_eq!(Mark::parse(0, 0), Mark::None);
        assert_eq!(Mark::parse(Mark::done(40, 2), 40), Mark::None);
        assert_eq!(Mark::parse(Mark::done(40, WORDS_MAX + 1), 40), Mark::None);
    }

    #[test]
    fn rubbish_never_claims_more_text_than_fits() {
        assert_eq!(Meta::unpack(u64::MAX).bytes, TEXT_MAX);
    }
}
