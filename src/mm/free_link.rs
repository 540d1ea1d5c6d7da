//! The word in a free object that leads to the next one, encoded so that it checks itself.
//!
//! A free object of a per-CPU list keeps the *offset* of the next one in the linear map (33 bits for 8 GiB; 0, which is physical page 0 and never
//! given out, ends the list), mixed with its own offset, inverted and multiplied by a secret odd number. The way back multiplies by the inverse. The 31 upper
//! bits of the result must be zero: a use after free that changes a low bit of the word changes all bits above it, one that changes only high bits
//! shows there at once, so one wrong word in about 2^31 passes. Rejected: XOR with a secret alone (a store to the low half passes) and a
//! checksum beside the pointer (two more instructions). Own offset in the mix: a word copied from another object is not valid.
//!
//! Not a cipher: it finds mistakes, and costs an attacker one leaked object. Neighbours: `kmem_cache::cpu_list` is the user.

/// log2 of the size of the linear map: offsets have this many bits.
pub const OFFSET_BITS: u32 = 33;

/// The secret of this boot and its inverse modulo 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct LinkKey {
    /// Encodes. Odd.
    pub multiplier: u64,
    /// Decodes.
    pub inverse: u64,
}

impl LinkKey {
    /// Makes a key of any 64 bits.
    pub const fn new(seed: u64) -> Self {
        // The finish of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): all bits depend on the seed; odd, so that there is an inverse.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let multiplier = (mixed ^ (mixed >> 31)) | 1;
        Self { multiplier, inverse: inverse_of(multiplier) }
    }
}

/// Newton's iteration: `odd` is its own inverse modulo 8, and each round doubles the bits that are right.
const fn inverse_of(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right_bits = 3;
    while right_bits < 64 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right_bits *= 2;
    }
    inverse
}

/// The word for the object at offset `own`, whose successor is at `next`.
#[inline(always)]
pub const fn encode(multiplier: u64, own: u64, next: u64) -> u64 {
    // Inverted, so that no link is 0: the word that a stray clearing leaves must not be one. EON does both.
    (!(own ^ next)).wrapping_mul(multiplier)
}

/// The successor that `word`, found at offset `own`, tells of: `None` if no list ever wrote it.
#[inline(always)]
pub const fn decode(inverse: u64, own: u64, word: u64) -> Option<u64> {
    let next = !(word.wrapping_mul(inverse) ^ own);
    if next >> OFFSET_BITS == 0 { Some(next) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BELOW: u64 = 1 << (OFFSET_BITS - 3);

    proptest! {
        #[test]
        fn what_was_encoded_decodes(seed in any::<u64>(), own in 0..BELOW, next in 0..BELOW) {
            let key = LinkKey::new(seed);
            let word = encode(key.multiplier, own * 8, next * 8);
            prop_assert_eq!(decode(key.inverse, own * 8, word), Some(next * 8));
        }
    }

    /// Deterministic, so that the few words in 2^31 that pass do not fail the test once in a while.
    #[test]
    fn a_changed_byte_is_found() {
        let key = LinkKey::new(7);
        for own in (8..80_000).step_by(64) {
            let word = encode(key.multiplier, own, own + 4096);
            for byte in 0..8 {
                assert_eq!(decode(key.inverse, own, word ^ 0x6b << (8 * byte)), None, "byte {byte} of the word at {own}");
            }
            assert_eq!(decode(key.inverse, own, word & !0xffff_ffff), None);
            assert_eq!(decode(key.inverse, own, word & 0xffff_ffff), None);
        }
    }

    #[test]
    fn ordinary_data_is_no_link() {
        let key = LinkKey::new(1);
        for data in [0, 1, 0x6b6b_6b6b_6b6b_6b6b, u64::MAX, 0xffff_ff80_0100_0000, 0xdead_beef] {
            assert_eq!(decode(key.inverse, 0x100_0000, data), None);
        }
    }

    #[test]
    fn inverses_are_inverse() {
        for seed in 0..1000 {
            let key = LinkKey::new(seed);
            assert_eq!(key.multiplier.wrapping_mul(key.inverse), 1);
        }
    }
}
