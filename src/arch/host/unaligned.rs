//! The host's compiler loads unaligned words well by itself.

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
