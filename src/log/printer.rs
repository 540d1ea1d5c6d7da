//! Turns a record into the bytes that a person, or the decoder of the defmt build, gets to see.
//!
//! ```text
//! [    12.345678] cpu2 gic: 256 lines
//! ```
//! It works in pieces of a few dozen bytes and can stop between any two of them, so that a console whose buffer is full goes on where it stopped, and no
//! stack holds a whole message. A text with line breaks gets the prefix on each line; one at the end is neither needed nor harmful.

use super::RING_WORDS;
use super::level::Level;
use super::reader::{Lost, Overwritten, Reader, Record};
use super::wire::{OVERHEAD_MAX, Packer};
use arrayvec::ArrayVec;
use core::fmt::{self, Write};

/// Words of text fetched at a time.
const FETCH_WORDS: usize = 6;
const FETCH: usize = FETCH_WORDS * size_of::<u64>();
/// The most bytes of one piece: a fetch, packed for the wire, or a prefix.
const PIECE: usize = FETCH * 8 / 7 + OVERHEAD_MAX + 8;

/// What stands before the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Style {
    /// Time and core.
    #[default]
    Plain,
    /// Level, time and core.
    WithLevel,
}

/// The output of one record, or of a gap, in pieces.
pub struct Printer {
    what: What,
    stage: Stage,
    style: Style,
    /// Bytes of text already taken.
    taken: usize,
    piece: ArrayVec<u8, PIECE>,
    /// Bytes of the piece already given away.
    given: usize,
}

#[derive(Clone, Copy)]
enum What {
    Record(Record),
    Lost(Lost),
}

#[derive(Clone, Copy)]
enum Stage {
    Prefix,
    Text,
    Packet(Option<Packer>),
    End,
}

impl Printer {
    /// Begins the output of a record.
    ///
    /// Context: any.
    #[must_use]
    pub fn of_record(record: Record, style: Style) -> Printer {
        let stage = if record.is_defmt() { Stage::Packet(None) } else { Stage::Prefix };
        Printer { what: What::Record(record), stage, style, taken: 0, piece: ArrayVec::new_const(), given: 0 }
    }

    /// Begins the line that tells of lost messages.
    ///
    /// Context: any.
    #[must_use]
    pub fn of_lost(lost: Lost) -> Printer {
        Printer { what: What::Lost(lost), stage: Stage::Prefix, style: Style::Plain, taken: 0, piece: ArrayVec::new_const(), given: 0 }
    }

    /// The next bytes, of which the caller takes as many as it can and says so to [`Self::consume`]; none if that was all.
    ///
    /// Context: any, any core.
    pub fn piece<const WORDS: usize>(&mut self, reader: &Reader<WORDS>) -> &[u8] {
        while self.given == self.piece.len() && !matches!(self.stage, Stage::End) {
            self.piece.clear();
            self.given = 0;
            self.stage = self.fill(reader);
        }
        &self.piece[self.given..]
    }

    /// Says that the caller took `bytes` bytes of the piece.
    pub fn consume(&mut self, bytes: usize) {
        self.given = (self.given + bytes).min(self.piece.len());
    }

    /// Sends all of it to `write`.
    ///
    /// Context: that of `write`.
    pub fn print<const WORDS: usize>(mut self, reader: &Reader<WORDS>, mut write: impl FnMut(&[u8])) {
        loop {
            let piece = self.piece(reader);
            if piece.is_empty() {
                return;
            }
            write(piece);
            let bytes = piece.len();
            self.consume(bytes);
        }
    }

    fn fill<const WORDS: usize>(&mut self, reader: &Reader<WORDS>) -> Stage {
        match (self.what, self.stage) {
            (What::Lost(Lost { cpu, count }), _) => {
                let s = if count == 1 { "" } else { "s" };
                self.put(format_args!("cpu{cpu}: {count} message{s} lost\n"));
                Stage::End
            }
            (What::Record(record), Stage::Prefix) => {
                self.put_prefix(&record);
                Stage::Text
            }
            (What::Record(record), Stage::Text) => self.fill_text(reader, &record),
            (What::Record(record), Stage::Packet(packer)) => self.fill_packet(reader, &record, packer),
            (_, Stage::End) => Stage::End,
        }
    }

    fn put_prefix(&mut self, record: &Record) {
        if self.style == Style::WithLevel {
            self.put(format_args!("{:<6} ", record.level()));
        }
        self.put(format_args!("{}", Prefix { time_us: record.time_us(), cpu: record.cpu() }));
    }

    /// Formats into the piece; what does not fit is dropped, and nothing that is put here is too long.
    fn put(&mut self, args: fmt::Arguments<'_>) {
        struct Piece<'a>(&'a mut ArrayVec<u8, PIECE>);
        impl Write for Piece<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.try_extend_from_slice(text.as_bytes()).map_err(|_| fmt::Error)
            }
        }
        let fits = Piece(&mut self.piece).write_fmt(args);
        debug_assert!(fits.is_ok(), "a piece is too small for its text");
    }

    fn fill_text<const WORDS: usize>(&mut self, reader: &Reader<WORDS>, record: &Record) -> Stage {
        let mut words = [0; FETCH_WORDS];
        let (bytes, nr_bytes) = match fetch(reader, record, self.taken, &mut words) {
            Ok(nr_bytes) => (as_bytes(&words).skip(self.taken % 8).take(nr_bytes), nr_bytes),
            Err(Overwritten) => {
                self.put(format_args!("<overwritten>\n"));
                return Stage::End;
            }
        };
        let end = self.taken + nr_bytes;
        for byte in bytes {
            // A character that this fetch cuts comes whole with the next: a piece is text for whoever prints it.
            if end < record.len() && self.taken + utf8_len(byte) > end {
                break;
            }
            self.taken += 1;
            let is_last = self.taken == record.len();
            if byte != b'\n' {
                self.piece.push(byte);
            } else if !is_last {
                self.piece.push(byte);
                return Stage::Prefix;
            }
        }
        if self.taken < record.len() {
            return Stage::Text;
        }
        self.put(format_args!("{}\n", if record.is_truncated() { " <cut off>" } else { "" }));
        Stage::End
    }

    fn fill_packet<const WORDS: usize>(&mut self, reader: &Reader<WORDS>, record: &Record, packer: Option<Packer>) -> Stage {
        let piece = &mut self.piece;
        let mut packer = packer.unwrap_or_else(|| {
            let (level, cpu, time_us): (Level, usize, u64) = (record.level(), record.cpu(), record.time_us());
            Packer::start(level, cpu, record.is_truncated(), time_us, record.len(), |byte| piece.push(byte))
        });
        let mut words = [0; FETCH_WORDS];
        let Ok(bytes) = fetch(reader, record, self.taken, &mut words) else {
            self.put(format_args!("<overwritten>\n")); // ASCII: the decoder drops the packet
            return Stage::End;
        };
        for byte in as_bytes(&words).skip(self.taken % 8).take(bytes) {
            packer.push(byte, |byte| self.piece.push(byte));
        }
        self.taken += bytes;
        if self.taken < record.len() {
            return Stage::Packet(Some(packer));
        }
        packer.finish(|byte| self.piece.push(byte));
        Stage::End
    }
}

/// Fetches text from byte `taken` on; gives how many bytes of it are in `words`, from byte `taken % 8` of them.
fn fetch<const WORDS: usize>(
    reader: &Reader<WORDS>,
    record: &Record,
    taken: usize,
    words: &mut [u64; FETCH_WORDS],
) -> Result<usize, Overwritten> {
    let bytes = (FETCH - taken % 8).min(record.len() - taken);
    let nr_words = (taken % 8 + bytes).div_ceil(8);
    reader.copy(record, (taken / 8 * 8) as u32, &mut words[..nr_words])?;
    Ok(bytes)
}

/// Bytes of the character that `byte` begins; 1 if it begins none.
const fn utf8_len(byte: u8) -> usize {
    match byte.leading_ones() {
        len @ 2..=4 => len as usize,
        _ => 1,
    }
}

fn as_bytes(words: &[u64; FETCH_WORDS]) -> impl Iterator<Item = u8> {
    words.iter().flat_map(|word| word.to_le_bytes())
}

/// `[    12.345678] cpu2 `: what stands before every line of the log.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    /// Microseconds since the log's time zero.
    pub time_us: u64,
    /// The core.
    pub cpu: usize,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:6}.{:06}] cpu{} ", self.time_us / 1_000_000, self.time_us % 1_000_000, self.cpu)
    }
}

const _: () = assert!(size_of::<Printer>() <= 200 && size_of::<Reader<RING_WORDS>>() <= 120, "both live on small stacks");
