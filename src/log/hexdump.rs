//! Bytes as a person reads them, sixteen to a line.

use super::level::Level;
use super::write;
use core::fmt;

/// Bytes on a line.
const ROW: usize = 16;

/// One line of a dump: offset, bytes in hex, the printable ones as characters. Short lines are padded.
#[derive(Clone, Copy, Debug)]
pub struct HexRow<'a> {
    /// What the line says it begins at.
    pub offset: usize,
    /// At most 16 bytes; further ones are not shown.
    pub bytes: &'a [u8],
}

impl fmt::Display for HexRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:", self.offset)?;
        for i in 0..ROW {
            match self.bytes.get(i) {
                Some(byte) => write!(f, " {byte:02x}")?,
                None => f.write_str("   ")?,
            }
        }
        f.write_str("  ")?;
        self.bytes.iter().take(ROW).try_for_each(|&byte| {
            let shown = if byte.is_ascii_graphic() || byte == b' ' { byte } else { b'.' };
            fmt::Write::write_char(f, shown as char)
        })
    }
}

/// Logs `bytes` as a dump, a record a line, each behind `prefix`.
///
/// Context: any.
pub fn hex_dump(level: Level, prefix: &str, bytes: &[u8]) {
    for (i, row) in bytes.chunks(ROW).enumerate() {
        write::emit(level, prefix, format_args!("{}", HexRow { offset: i * ROW, bytes: row }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::ToString;

    #[test]
    fn a_row_shows_offset_hex_and_text() {
        let row = HexRow { offset: 0x20, bytes: b"Tetra\0\xff kernel!!!" };
        assert_eq!(row.to_string(), "00000020: 54 65 74 72 61 00 ff 20 6b 65 72 6e 65 6c 21 21  Tetra.. kernel!!");
        let short = HexRow { offset: 0, bytes: b"ab" }.to_string();
        assert_eq!(short, format!("00000000: 61 62{}  ab", "   ".repeat(14)));
    }
}
