//! Symbol table of the running kernel: which function or static lies at an address.
//!
//! `tetra-tools mkimage` makes the table from the linked ELF and appends it to the raw image, so addresses do not move
//! and nothing links twice. Names are demangled on the host: a panic needs no demangler. The host includes this very
//! file for the format, so the two sides cannot drift apart. A plain array of strings was the alternative: it costs
//! about 80 bytes a symbol, this format less than 25.
//!
//! # Format, version 1
//! All numbers are little endian.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | header | 40 | magic, version, length, CRC-32 of all that follows the header; base address (u64), counts; see [`Header`] |
//! | blocks | 8 each | one per 16 symbols: first address minus base (u32), where its records start (u32) |
//! | short codes | 192 | 96 rule numbers (u16): the rules that names use most, as one byte |
//! | rules | 4 each | two codes (u16) that a rule stands for: below 0x80 an ASCII character, from 0x100 up a rule before it |
//! | records | variable | one per symbol, sorted by address |
//!
//! A record is: distance from the symbol before it in the block (LEB128), `size << 1 | is_data` (LEB128), number of
//! name bytes (LEB128), name bytes. A name byte from 0x20 to 0x7f is itself; from 0xc0 up it is the high part of a
//! rule number whose low byte follows; the rest are short codes. Rules are found on the host by joining the most
//! frequent pair again and again (Larsson and Moffat, "Offline dictionary-based compression", 1999), which suits
//! names that repeat whole paths. A rule refers only to rules before it, so expansion ends; it is bounded all the same.
//!
//! # Invariants
//! No input makes this code panic or loop: each read is checked against the slice, names are cut at [`NAME_MAX`]
//! characters, and a record that does not parse ends the iteration. The checksum is verified once, in [`Table::parse`].

use core::fmt::{self, Write};

/// First four bytes of a table.
pub const MAGIC: u32 = u32::from_le_bytes(*b"TSYM");
/// Version of the format described in the module's head.
pub const VERSION: u32 = 1;
/// Symbols that share one entry of the block index.
pub const BLOCK_SYMBOLS: usize = 16;
/// Characters of a name that are shown; the rest is cut and marked with `...`.
pub const NAME_MAX: usize = 512;
/// Rules nested in one another that the reader follows; the host makes none deeper.
pub const RULE_DEPTH_MAX: usize = 32;
/// Rules a table can hold: a two-byte name code has 14 bits for the number.
pub const RULES_MAX: usize = 1 << 14;
/// First code of a rule; those below 0x80 are ASCII, those between are unused.
pub const RULE_BASE: u16 = 0x100;
/// Rules that have a one-byte code in names.
pub const NR_SHORT_CODES: usize = 96;
/// First name byte that is the high part of a rule number.
pub const LONG_CODE: u8 = 0xc0;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 40;
const BLOCK_BYTES: usize = 8;
const SHORT_CODES_BYTES: usize = NR_SHORT_CODES * 2;
const RULE_BYTES: usize = 4;

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Code.
    Function,
    /// A static or a constant with an address.
    Data,
}

/// Why a table was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Shorter than its own header says.
    Truncated,
    /// Not a symbol table.
    BadMagic,
    /// Made by another version of the tools.
    BadVersion(u32),
    /// Changed after it was made.
    BadChecksum,
    /// Parts overlap or counts contradict each other.
    BadLayout,
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("symbol table is truncated"),
            Self::BadMagic => f.write_str("no symbol table"),
            Self::BadVersion(version) => write!(f, "symbol table has version {version}, not {VERSION}"),
            Self::BadChecksum => f.write_str("symbol table has a wrong checksum"),
            Self::BadLayout => f.write_str("symbol table contradicts itself"),
        }
    }
}

impl core::error::Error for TableError {}

/// Header of a table, as it is laid out: each field in this order.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Bytes of the whole table.
    pub length: u32,
    /// CRC-32 of the bytes after the header.
    pub checksum: u32,
    /// Address that block addresses count from.
    pub base: u64,
    /// Number of symbols.
    pub nr_symbols: u32,
    /// Number of rules.
    pub nr_rules: u32,
    /// Bytes of the records.
    pub records_len: u32,
}

impl Header {
    /// Returns the header as the bytes that a table starts with.
    ///
    /// Context: any.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let words = [MAGIC, VERSION, self.length, self.checksum];
        for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        for (slot, word) in bytes[24..].chunks_exact_mut(4).zip([self.nr_symbols, self.nr_rules, self.records_len]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Self, TableError> {
        if bytes.len() < HEADER_BYTES {
            return Err(TableError::Truncated);
        }
        let word = |at| u32_at(bytes, at).ok_or(TableError::Truncated);
        if word(0)? != MAGIC {
            return Err(TableError::BadMagic);
        }
        if word(4)? != VERSION {
            return Err(TableError::BadVersion(word(4)?));
        }
        Ok(Self {
            length: word(8)?,
            checksum: word(12)?,
            base: u64::from(word(16)?) | u64::from(word(20)?) << 32,
            nr_symbols: word(24)?,
            nr_rules: word(28)?,
            records_len: word(32)?,
        })
    }
}

/// A symbol table whose checksum and layout were verified.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    base: u64,
    nr_symbols: usize,
    blocks: &'a [u8],
    rules: Rules<'a>,
    records: &'a [u8],
}

impl<'a> Table<'a> {
    /// Verifies `bytes` as a table. Bytes after the table are ignored.
    ///
    /// Context: any; reads the whole table once, so call it at boot and keep the result for reports.
    ///
    /// # Errors
    /// Each [`TableError`] with the cause that its name says.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        let header = Header::read(bytes)?;
        let bytes = bytes.get(..header.length as usize).ok_or(TableError::Truncated)?;
        let body = bytes.get(HEADER_BYTES..).ok_or(TableError::BadLayout)?;
        if crc32(body) != header.checksum {
            return Err(TableError::BadChecksum);
        }

        let nr_symbols = header.nr_symbols as usize;
        let nr_rules = header.nr_rules as usize;
        if nr_symbols > body.len() || nr_rules > RULES_MAX {
            return Err(TableError::BadLayout);
        }
        let (blocks, rest) = split(body, nr_symbols.div_ceil(BLOCK_SYMBOLS) * BLOCK_BYTES)?;
        let (short_codes, rest) = split(rest, SHORT_CODES_BYTES)?;
        let (rules, rest) = split(rest, nr_rules * RULE_BYTES)?;
        let (records, _) = split(rest, header.records_len as usize)?;
        Ok(Self { base: header.base, nr_symbols, blocks, rules: Rules { short_codes, rules }, records })
    }

    /// Returns the number of symbols.
    ///
    /// Context: any.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nr_symbols
    }

    /// Says whether there is no symbol at all.
    ///
    /// Context: any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nr_symbols == 0
    }

    /// Finds the symbol that `address` lies in. For a return address pass `address - 1`: a call may be the last
    /// instruction of its function.
    ///
    /// Context: any, panic included: no lock, no allocation, bounded.
    #[must_use]
    pub fn lookup(&self, address: u64) -> Option<Symbol<'a>> {
        let distance = u32::try_from(address.checked_sub(self.base)?).ok()?;
        let block = self.block_of(distance)?;

        // Symbols seldom overlap; where they do, the later start is the more precise name.
        let mut found = None;
        for symbol in self.iter_from(block * BLOCK_SYMBOLS).take(BLOCK_SYMBOLS) {
            if symbol.address > address {
                break;
            }
            if address - symbol.address < symbol.size {
                found = Some(Symbol { offset: address - symbol.address, ..symbol });
            }
        }
        found
    }

    /// Finds a symbol by its full name.
    ///
    /// Context: any; reads the whole table.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Symbol<'a>> {
        self.iter().find(|symbol| symbol.name == *name)
    }

    /// Goes through all symbols by rising address.
    ///
    /// Context: any.
    #[must_use]
    pub fn iter(&self) -> Symbols<'a> {
        self.iter_from(0)
    }

    /// Goes through the symbols from number `first` on, in rising order of address.
    ///
    /// Context: any; skips at most a block, so that a view can be shown in pieces.
    #[must_use]
    pub fn iter_from(&self, first: usize) -> Symbols<'a> {
        let mut symbols = Symbols { table: *self, next: first - first % BLOCK_SYMBOLS, address: 0, at: 0 };
        for _ in 0..first % BLOCK_SYMBOLS {
            symbols.next();
        }
        symbols
    }

    /// Returns the last block that starts at or before `distance`.
    fn block_of(&self, distance: u32) -> Option<usize> {
        let (mut low, mut high) = (0, self.blocks.len() / BLOCK_BYTES);
        while low < high {
            let middle = low + (high - low) / 2;
            if u32_at(self.blocks, middle * BLOCK_BYTES)? <= distance {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }
}

/// A symbol; `{}` shows it as `name+0xoffset/0xsize`.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its demangled name.
    pub name: Name<'a>,
    /// Where it starts.
    pub address: u64,
    /// How far the address that was looked up lies behind its start; 0 in an iteration.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// Whether it is code or data.
    pub kind: Kind,
}

impl fmt::Display for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.name, self.offset, self.size)
    }
}

/// The symbols of a table by rising address.
#[derive(Clone, Debug)]
pub struct Symbols<'a> {
    table: Table<'a>,
    next: usize,
    address: u64,
    at: usize,
}

impl<'a> Symbols<'a> {
    fn read(&mut self) -> Option<Symbol<'a>> {
        if self.next >= self.table.nr_symbols {
            return None;
        }
        if self.next.is_multiple_of(BLOCK_SYMBOLS) {
            let block = self.next / BLOCK_SYMBOLS * BLOCK_BYTES;
            self.address = self.table.base.wrapping_add(u64::from(u32_at(self.table.blocks, block)?));
            self.at = u32_at(self.table.blocks, block + 4)? as usize;
        }
        let mut record = self.table.records.get(self.at..)?;
        let available = record.len();
        let distance = leb128(&mut record)?;
        let size_kind = leb128(&mut record)?;
        let name_len = leb128(&mut record)? as usize;
        let codes = record.get(..name_len)?;

        self.address = self.address.wrapping_add(u64::from(distance));
        self.at += available - record.len() + name_len;
        self.next += 1;
        Some(Symbol {
            name: Name { rules: self.table.rules, codes },
            address: self.address,
            offset: 0,
            size: u64::from(size_kind >> 1),
            kind: if size_kind & 1 == 0 { Kind::Function } else { Kind::Data },
        })
    }
}

impl<'a> Iterator for Symbols<'a> {
    type Item = Symbol<'a>;

    fn next(&mut self) -> Option<Symbol<'a>> {
        let symbol = self.read();
        if symbol.is_none() {
            self.next = self.table.nr_symbols;
        }
        symbol
    }
}

#[derive(Clone, Copy, Debug)]
struct Rules<'a> {
    short_codes: &'a [u8],
    rules: &'a [u8],
}

impl Rules<'_> {
    /// Takes one code off the front of a name's bytes.
    fn next_code(&self, codes: &mut &[u8]) -> Option<u16> {
        let first = take(codes)?;
        match first {
            0x20..0x80 => Some(u16::from(first)),
            LONG_CODE.. => Some(RULE_BASE + (u16::from(first - LONG_CODE) << 8 | u16::from(take(codes)?))),
            // 0x00-0x1f are the first 32 short codes, 0x80-0xbf the other 64.
            _ => {
                let short = if first < 0x20 { first } else { first - 0x80 + 0x20 };
                Some(RULE_BASE.checked_add(u16_at(self.short_codes, usize::from(short) * 2)?)?)
            }
        }
    }

    /// Expands one code into characters. Fails if the rules are damaged or `emit` has had enough.
    fn expand(&self, code: u16, emit: &mut impl FnMut(u8) -> Option<()>) -> Option<()> {
        let mut pending = [0_u16; RULE_DEPTH_MAX];
        pending[0] = code;
        let mut nr_pending = 1_usize;
        while let Some(top) = nr_pending.checked_sub(1) {
            let code = *pending.get(top)?;
            if code < RULE_BASE {
                emit(u8::try_from(code).ok().filter(u8::is_ascii)?)?;
                nr_pending = top;
                continue;
            }
            let at = usize::from(code - RULE_BASE) * RULE_BYTES;
            let (left, right) = (u16_at(self.rules, at)?, u16_at(self.rules, at + 2)?);
            // Strictly falling rule numbers are what makes this end.
            if left.max(right) >= code {
                return None;
            }
            *pending.get_mut(top)? = right;
            *pending.get_mut(top + 1)? = left;
            nr_pending = top + 2;
        }
        Some(())
    }
}

/// The name of a symbol; `{}` expands it.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    rules: Rules<'a>,
    codes: &'a [u8],
}

impl Name<'_> {
    /// Hands the characters to `emit` until it returns `None`; says whether the name came whole.
    fn for_each_char(&self, mut emit: impl FnMut(u8) -> Option<()>) -> Option<()> {
        let mut codes = self.codes;
        while !codes.is_empty() {
            let code = self.rules.next_code(&mut codes)?;
            self.rules.expand(code, &mut emit)?;
        }
        Some(())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        let mut left = NAME_MAX;
        let whole = self.for_each_char(|character| {
            left = left.checked_sub(1)?;
            result = f.write_char(char::from(character));
            result.is_ok().then_some(())
        });
        result?;
        if whole.is_none() { f.write_str("...") } else { Ok(()) }
    }
}

impl PartialEq<str> for Name<'_> {
    fn eq(&self, other: &str) -> bool {
        let mut rest = other.bytes();
        let same = self.for_each_char(|character| (rest.next() == Some(character)).then_some(()));
        same.is_some() && rest.next().is_none()
    }
}

/// Returns the CRC-32 (IEEE 802.3, reflected) of `bytes`, with a table of 16 words: small, and fast enough for 100 KB.
///
/// Context: any.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut nibble = 0;
        while nibble < 16 {
            let mut value = nibble as u32;
            let mut bit = 0;
            while bit < 4 {
                value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
                bit += 1;
            }
            table[nibble] = value;
            nibble += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| {
        let crc = crc ^ u32::from(byte);
        let crc = crc >> 4 ^ TABLE[(crc & 0xf) as usize];
        crc >> 4 ^ TABLE[(crc & 0xf) as usize]
    })
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), TableError> {
    bytes.split_at_checked(at).ok_or(TableError::BadLayout)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

/// Takes a LEB128 number of up to 32 bits off the front.
fn leb128(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for shift in (0..32).step_by(7) {
        let byte = take(bytes)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
#[path = "kallsyms_tests.rs"]
mod tests;
