//! The place where one record's defmt frames are put together before they go into the ring.
//!
//! Frames come in pieces of two to four bytes and their number is known at the end only. Collected here, they need a ring record of exactly their size,
//! taken and finished in one go: no second CAS to give back what was too much, and readers never wait for a message that is being made. Rejected: pieces
//! shifted together and stored into the ring as they come, which cost 566 instructions for a message of two numbers.

use super::record::TEXT_MAX;
use crate::arch::unaligned::{load_u16, load_u32, load_u64, store_u16, store_u32};

const WORD: usize = size_of::<u64>();

const _: () = assert!((TEXT_MAX as usize).is_multiple_of(WORD), "the last word must be whole");

/// Bytes of frames, as many as a record can hold.
#[repr(align(8))]
pub(super) struct FrameBuffer {
    bytes: [u8; TEXT_MAX as usize],
    /// Where the next byte goes; the end once something did not fit.
    next: usize,
    /// How much there is, if something did not fit.
    cut_at: Option<usize>,
}

impl FrameBuffer {
    /// An empty buffer.
    pub(super) const fn new() -> Self {
        Self { bytes: [0; TEXT_MAX as usize], next: 0, cut_at: None }
    }

    /// Empties it. The bytes stay where they are: nothing beyond `len` is read as text.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.next = 0;
        self.cut_at = None;
    }

    /// Appends all of `piece` or, if there is no room, nothing; from then on the buffer takes no more.
    #[inline(always)]
    pub(super) fn push(&mut self, piece: &[u8]) {
        let end = self.next.wrapping_add(piece.len());
        let Some(room) = self.bytes.get_mut(self.next..end) else { return self.cut() };
        if let (Ok(argument), Some(room)) = (piece.try_into(), room.first_chunk_mut()) {
            store_u32(room, load_u32(argument));
        } else if let (Ok(index), Some(room)) = (piece.try_into(), room.first_chunk_mut()) {
            store_u16(room, load_u16(index));
        } else {
            room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        }
        self.next = end;
    }

    #[cold]
    fn cut(&mut self) {
        self.cut_at = self.cut_at.or(Some(self.next));
        self.next = self.bytes.len();
    }

    /// Bytes in it.
    #[inline(always)]
    pub(super) fn len(&self) -> u32 {
        self.cut_at.unwrap_or(self.next) as u32
    }

    /// Something did not fit.
    #[inline(always)]
    pub(super) fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }

    /// The bytes as words; what the last one has beyond `len` means nothing.
    #[inline(always)]
    pub(super) fn words(&self) -> impl Iterator<Item = u64> {
        self.bytes.as_chunks::<WORD>().0.iter().take(self.len().div_ceil(WORD as u32) as usize).map(load_u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn content(buffer: &FrameBuffer) -> Vec<u8> {
        buffer.words().flat_map(u64::to_le_bytes).take(buffer.len() as usize).collect()
    }

    #[test]
    fn pieces_of_every_length_arrive_unchanged() {
        let text = b"0123456789abcdefghij";
        for first in 0..=9 {
            for second in 0..=9 {
                let mut buffer = FrameBuffer::new();
                let pieces = [&text[..first], &text[first..first + second], b"|".as_slice()];
                pieces.iter().for_each(|piece| buffer.push(piece));
                assert_eq!(content(&buffer), pieces.concat(), "{first} {second}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_nothing_follows() {
        let mut buffer = FrameBuffer::new();
        (0..TEXT_MAX / 4 - 1).for_each(|_| buffer.push(&[7; 4]));
        buffer.push(&[8; 2]);
        assert!(!buffer.is_cut());
        buffer.push(&[9; 4]);
        buffer.push(&[9; 2]);
        assert!(buffer.is_cut() && buffer.len() == TEXT_MAX - 2);
        assert!(content(&buffer).ends_with(&[7, 7, 8, 8]));

        buffer.clear();
        buffer.push(&[1]);
        assert!(!buffer.is_cut() && content(&buffer) == [1]);
    }

    #[test]
    fn a_full_buffer_is_not_a_cut_one() {
        let mut buffer = FrameBuffer::new();
        (0..TEXT_MAX).for_each(|_| buffer.push(&[1]));
        assert!(!buffer.is_cut() && buffer.len() == TEXT_MAX);
        buffer.push(&[]);
        assert!(!buffer.is_cut());
    }
}
