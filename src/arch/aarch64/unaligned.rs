//! Loads and stores at addresses that need not be aligned, one instruction each.
//!
//! The softfloat target is compiled with `+strict-align`, so the compiler puts unaligned words together from bytes: fifteen instructions for eight. All
//! Rust code of this kernel runs with the MMU on, and Normal memory has no such rule while SCTLR_EL1.A is 0, as `boot.rs` sets it (Arm ARM B2.8.2). Not
//! for device memory.

use core::arch::asm;

macro_rules! loads {
    ($($(#[$doc:meta])* $name:ident: $word:ty = $size:literal, $instruction:literal;)+) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(bytes: &[u8; $size]) -> $word {
            let word: $word;
            // SAFETY: reads exactly the bytes that the reference covers; Normal memory, as everything behind a reference to bytes.
            unsafe { asm!($instruction, word = out(reg) word, at = in(reg) bytes, options(pure, readonly, nostack, preserves_flags)) };
            word
        })+
    };
}

loads! {
    /// The bytes as a little-endian word.
    load_u16: u16 = 2, "ldrh {word:w}, [{at}]";
    /// The bytes as a little-endian word.
    load_u32: u32 = 4, "ldr {word:w}, [{at}]";
    /// The bytes as a little-endian word.
    load_u64: u64 = 8, "ldr {word}, [{at}]";
}

macro_rules! stores {
    ($($(#[$doc:meta])* $name:ident: $word:ty = $size:literal, $instruction:literal;)+) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(bytes: &mut [u8; $size], word: $word) {
            // SAFETY: writes exactly the bytes that the reference covers; Normal memory, as everything behind a reference to bytes.
            unsafe { asm!($instruction, word = in(reg) word, at = in(reg) bytes, options(nostack, preserves_flags)) };
        })+
    };
}

stores! {
    /// Stores a little-endian word.
    store_u16: u16 = 2, "strh {word:w}, [{at}]";
    /// Stores a little-endian word.
    store_u32: u32 = 4, "str {word:w}, [{at}]";
}
