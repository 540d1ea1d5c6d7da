//! The host's compiler loads and stores unaligned words well by itself.

/// The bytes as a little-endian word.
pub fn load_u16(bytes: &[u8; 2]) -> u16 {
    u16::from_le_bytes(*bytes)
}

/// The bytes as a little-endian word.
pub fn load_u32(bytes: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*bytes)
}

/// The bytes as a little-endian word.
pub fn load_u64(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}

/// Stores a little-endian word.
pub fn store_u16(bytes: &mut [u8; 2], word: u16) {
    *bytes = word.to_le_bytes();
}

/// Stores a little-endian word.
pub fn store_u32(bytes: &mut [u8; 4], word: u32) {
    *bytes = word.to_le_bytes();
}
