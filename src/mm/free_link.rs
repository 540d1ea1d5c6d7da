//! The word in a free object that leads to the next one, encoded so that it checks itself.
//!
//! A free object of a per-CPU list keeps the address of the next one, mixed with its own and taken through `addend - mixture * multiplier`, both secret
//! and odd (MSUB); the way back is of the same form. All objects lie in the linear map, so the 31 upper bits of the mixture must be zero: a use after free
//! that changes a low bit of the word changes all bits above it, one that changes only high bits shows there at once, so one wrong word in about 2^31
//! passes. A mixture is a multiple of 8, so no link is even, and a word that was cleared is none. Rejected: XOR with a secret alone (a store to the low
//! half passes) and a checksum beside the pointer (two more instructions).
//!
//! Not a cipher: it finds mistakes, and costs an attacker one leaked object. Neighbours: `kmem_cache::cpu_list` is the user.

/// log2 of the size of the linear map: offsets have this many bits.
pub const OFFSET_BITS: u32 = 33;

/// The secret of this boot: two numbers to encode with, two to decode with, side by side for one LDP each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct LinkKey {
    /// Odd.
    multiplier: u64,
    /// Odd.
    addend: u64,
    /// Of `multiplier`, modulo 2^64.
    inverse: u64,
    /// `addend * inverse`.
    inverse_addend: u64,
}

impl LinkKey {
    /// A key with which no word is a link.
    pub const NONE: Self = Self { multiplier: 0, addend: 0, inverse: 0, inverse_addend: 1 << (u64::BITS - 1) };

    /// Makes a key of any 64 bits.
    pub const fn new(seed: u64) -> Self {
        let (multiplier, addend) = (mixed(seed) | 1, mixed(!seed) | 1);
        let inverse = inverse_of(multiplier);
        Self { multiplier, addend, inverse, inverse_addend: addend.wrapping_mul(inverse) }
    }

    /// The word for the object at address `own`, whose successor is at `next`.
    #[inline(always)]
    pub const fn encode(&self, own: u64, next: u64) -> u64 {
        self.addend.wrapping_sub((own ^ next).wrapping_mul(self.multiplier))
    }

    /// The successor that `word`, found at address `own`, tells of: `None` if no list ever wrote it.
    #[inline(always)]
    pub const fn decode(&self, own: u64, word: u64) -> Option<u64> {
        let mixture = self.inverse_addend.wrapping_sub(word.wrapping_mul(self.inverse));
        if mixture >> OFFSET_BITS == 0 { Some(own ^ mixture) } else { None }
    }

    /// A word that no list writes, at whatever address.
    pub const fn no_link(&self) -> u64 {
        self.addend.wrapping_sub(1 << (u64::BITS - 1))
    }
}

/// All bits depend on the seed: the finish of splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
const fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: u64 = 0xffff_ff80_0000_0000;
    const BELOW: u64 = 1 << (OFFSET_BITS - 3);

    proptest! {
        #[test]
        fn what_was_encoded_decodes(seed in any::<u64>(), own in 0..BELOW, next in 0..BELOW) {
            let (key, own, next) = (LinkKey::new(seed), BASE + own * 8, BASE + next * 8);
            prop_assert_eq!(key.decode(own, key.encode(own, next)), Some(next));
        }

        #[test]
        fn no_link_is_none_anywhere(seed in any::<u64>(), own in 0..BELOW) {
            let key = LinkKey::new(seed);
            prop_assert_eq!(key.decode(BASE + own * 8, key.no_link()), None);
        }

        #[test]
        fn no_link_is_zero(seed in any::<u64>(), own in 0..BELOW, next in 0..BELOW) {
            prop_assert_ne!(LinkKey::new(seed).encode(BASE + own * 8, BASE + next * 8), 0);
        }
    }

    /// Deterministic, so that the few words in 2^31 that pass do not fail the test once in a while.
    #[test]
    fn a_changed_byte_is_found() {
        let key = LinkKey::new(7);
        for own in (BASE + 8..BASE + 80_000).step_by(64) {
            let word = key.encode(own, own + 4096);
            for byte in 0..8 {
                assert_eq!(key.decode(own, word ^ 0x6b << (8 * byte)), None, "byte {byte} of the word at {own:#x}");
            }
            assert_eq!(key.decode(own, word & !0xffff_ffff), None);
            assert_eq!(key.decode(own, word & 0xffff_ffff), None);
        }
    }

    #[test]
    fn ordinary_data_is_no_link() {
        let key = LinkKey::new(1);
        for data in [0, 1, 0x6b6b_6b6b_6b6b_6b6b, u64::MAX, 0xffff_ff80_0100_0000, 0xdead_beef] {
            assert_eq!(key.decode(BASE + 0x100_0000, data), None);
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
