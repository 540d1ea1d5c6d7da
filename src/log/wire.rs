//! How a record of defmt frames travels beside plain text on one serial line.
//!
//! ```text
//! 0xff | length, low 7 bits | length, high 7 bits | payload, 7 bits a byte, lowest first
//! payload: level 2..0, core 5..3, cut off 6 | microseconds, LEB128 | frames | sum of all before, mod 256
//! ```
//! 0xff never occurs in UTF-8, and every byte after it has its top bit set. So ASCII ends a packet at once, wherever it comes: the prompt, the output of a
//! command, or a panic that breaks into the middle of a line is never swallowed, without escapes, and the next packet is found again by its first byte.
//! Within a packet 0xff is a septet like any other: its length tells where it ends.
//! That is worth the eighth that 7 bits a byte cost; rzCOBS packs tighter but has no byte to tell a packet from text. The time is absolute,
//! so each packet stands for itself. The decoder is `tools/src/defmt_log.rs`.

use super::level::Level;

/// The first byte of a packet of defmt frames.
pub(super) const START: u8 = 0xff;
/// The most bytes of a packet before its payload and around its frames, unpacked.
pub(super) const OVERHEAD_MAX: usize = 3 + 1 + 10 + 1;

const CUT_OFF: u8 = 1 << 6;

/// Packs one payload, byte by byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packer {
    /// Bits not yet sent, lowest first.
    bits: u16,
    nr_bits: u32,
    sum: u8,
}

impl Packer {
    /// Begins the packet of a record with `bytes` bytes of frames.
    pub(super) fn start(level: Level, cpu: usize, is_truncated: bool, time_us: u64, bytes: usize, mut send: impl FnMut(u8)) -> Packer {
        let length = 1 + leb128_len(time_us) + bytes + 1;
        send(START);
        send(0x80 | (length & 0x7f) as u8);
        send(0x80 | (length >> 7 & 0x7f) as u8);

        let mut packer = Packer { bits: 0, nr_bits: 0, sum: 0 };
        packer.push(level.number() | (cpu as u8 & 7) << 3 | if is_truncated { CUT_OFF } else { 0 }, &mut send);
        let mut rest = time_us;
        while rest >= 0x80 {
            packer.push(rest as u8 | 0x80, &mut send);
            rest >>= 7;
        }
        packer.push(rest as u8, &mut send);
        packer
    }

    /// Sends one byte of the payload.
    pub(super) fn push(&mut self, byte: u8, mut send: impl FnMut(u8)) {
        self.sum = self.sum.wrapping_add(byte);
        self.bits |= u16::from(byte) << self.nr_bits;
        self.nr_bits += 8;
        while self.nr_bits >= 7 {
            send(0x80 | self.bits as u8);
            self.bits >>= 7;
            self.nr_bits -= 7;
        }
    }

    /// Sends the sum and what is left; a packet that was not sent whole simply ends.
    pub(super) fn finish(mut self, mut send: impl FnMut(u8)) {
        self.push(self.sum, &mut send);
        if self.nr_bits > 0 {
            send(0x80 | self.bits as u8);
        }
    }
}

const fn leb128_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::level::KERN_WARNING;
    use std::vec::Vec;

    #[test]
    fn a_packet_has_the_form_that_the_decoder_expects() {
        let mut wire = Vec::new();
        let mut packer = Packer::start(KERN_WARNING, 2, false, 300, 3, |byte| wire.push(byte));
        for byte in [0x00, 0xff, 0x41] {
            packer.push(byte, |byte| wire.push(byte));
        }
        packer.finish(|byte| wire.push(byte));

        // payload: 14 ac 02 00 ff 41 02, its bits in groups of seven
        let payload = [0x14u8, 0xac, 0x02, 0x00, 0xff, 0x41, 0x02];
        let bits: u64 = payload.iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
        let septets = (0..8).map(|i| 0x80 | (bits >> (7 * i)) as u8);
        assert_eq!(wire, [0xff, 0x87, 0x80].into_iter().chain(septets).collect::<Vec<u8>>());
    }

    #[test]
    fn every_byte_after_the_first_has_its_top_bit_set() {
        let mut wire = Vec::new();
        let mut packer = Packer::start(KERN_WARNING, 3, true, u64::MAX, 256, |byte| wire.push(byte));
        (0..=255).for_each(|byte| packer.push(byte, |byte| wire.push(byte)));
        packer.finish(|byte| wire.push(byte));
        assert!(wire.iter().all(|byte| byte & 0x80 != 0));
        assert_eq!(wire.len(), 3 + ((1 + 10 + 256 + 1) * 8usize).div_ceil(7));
    }
}
