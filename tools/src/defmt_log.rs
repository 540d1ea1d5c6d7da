//! Turns what a kernel built with `LOG=defmt` sends into the text that `LOG=text` would have sent.
//!
//! Packets of defmt frames come between plain text on one line; their form, and why the two cannot be confused, is in `src/log/wire.rs`. Plain text
//! passes through unchanged, byte by byte, so the prompt is there at once. A packet that was cut short (a panic broke in) or arrived damaged
//! leaves a line that says so.

use anyhow::{Context, Result};
use defmt_decoder::Table;
use std::io::{self, Write};

const START: u8 = 0xff;
/// Septets of the length.
const LENGTH_SEPTETS: usize = 2;

/// Decodes the console of one kernel.
pub struct Decoder {
    table: Table,
    deframer: Deframer,
    newline: &'static str,
}

impl Decoder {
    /// A decoder for the kernel in the ELF file `elf`, which must be of the very build that runs. Lines end with `\n`.
    ///
    /// # Errors
    /// If `elf` is no ELF file, was built without defmt, or with a version of it that is not understood here.
    pub fn new(elf: &[u8]) -> Result<Decoder> {
        let table = Table::parse(elf)?.context("this kernel was not built with LOG=defmt: it has no table of texts")?;
        Ok(Decoder { table, deframer: Deframer::default(), newline: "\n" })
    }

    /// Ends the decoded lines with `newline`, such as `"\r\n"` for a terminal in raw mode.
    #[must_use]
    pub fn with_newline(self, newline: &'static str) -> Decoder {
        Decoder { newline, ..self }
    }

    /// Takes bytes as they come and writes the text that they complete.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
        for &byte in bytes {
            match self.deframer.push(byte) {
                Event::Nothing => {}
                Event::Text(byte) => out.write_all(&[byte])?,
                Event::Packet(payload) => self.write_record(&payload, out)?,
                Event::Broken(byte) => {
                    write!(out, "<a log packet was cut short>{}", self.newline)?;
                    out.write_all(&[byte])?;
                }
            }
        }
        out.flush()
    }

    fn write_record(&self, payload: &[u8], out: &mut impl Write) -> io::Result<()> {
        let Some(record) = Record::parse(payload) else {
            return write!(out, "<a damaged log packet>{}", self.newline);
        };
        let mut text = self.text_of(record.frames, record.is_truncated);
        if text.ends_with('\n') {
            text.pop();
        }
        if record.is_truncated {
            text.push_str(" <cut off>");
        }
        for line in text.split('\n') {
            let (seconds, micros) = (record.time_us / 1_000_000, record.time_us % 1_000_000);
            write!(out, "[{seconds:6}.{micros:06}] cpu{} {line}{}", record.cpu, self.newline)?;
        }
        Ok(())
    }

    /// The texts of all frames, one behind the other.
    fn text_of(&self, mut frames: &[u8], is_truncated: bool) -> String {
        let mut text = String::new();
        while !frames.is_empty() {
            match self.table.decode(frames) {
                Ok((frame, used)) if used > 0 => {
                    text += &frame.display_message().to_string();
                    frames = &frames[used.min(frames.len())..];
                }
                _ if is_truncated => break,
                _ => {
                    text += "<a frame of another build>";
                    break;
                }
            }
        }
        text
    }
}

/// What a packet says.
#[derive(Debug, PartialEq, Eq)]
struct Record<'p> {
    cpu: u8,
    is_truncated: bool,
    time_us: u64,
    frames: &'p [u8],
}

impl Record<'_> {
    fn parse(payload: &[u8]) -> Option<Record<'_>> {
        let (&sum, payload) = payload.split_last()?;
        if payload.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) != sum {
            return None;
        }
        let (&head, rest) = payload.split_first()?;
        let nr_time = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (time, frames) = rest.split_at(nr_time);
        if nr_time > 10 {
            return None;
        }
        let time_us = time.iter().rev().fold(0u64, |time, &byte| time << 7 | u64::from(byte & 0x7f));
        Some(Record { cpu: head >> 3 & 7, is_truncated: head & 1 << 6 != 0, time_us, frames })
    }
}

/// Tells packets from text.
#[derive(Default)]
struct Deframer {
    /// The septets of the packet that has begun, without their top bits.
    septets: Option<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Nothing,
    Text(u8),
    Packet(Vec<u8>),
    /// A packet ended too early, before this byte of text.
    Broken(u8),
}

impl Deframer {
    fn push(&mut self, byte: u8) -> Event {
        let Some(septets) = &mut self.septets else {
            if byte == START {
                self.septets = Some(vec![]);
                return Event::Nothing;
            }
            return Event::Text(byte);
        };
        if byte & 0x80 == 0 {
            self.septets = None;
            return Event::Broken(byte);
        }
        septets.push(byte & 0x7f);
        if septets.len() < LENGTH_SEPTETS {
            return Event::Nothing;
        }
        let length = usize::from(septets[0]) | usize::from(septets[1]) << 7;
        if septets.len() < LENGTH_SEPTETS + (length * 8).div_ceil(7) {
            return Event::Nothing;
        }
        let payload = unpack(&septets[LENGTH_SEPTETS..], length);
        self.septets = None;
        Event::Packet(payload)
    }
}

/// Puts `length` bytes together from groups of seven bits, lowest first.
fn unpack(septets: &[u8], length: usize) -> Vec<u8> {
    let bit = |i: usize| septets[i / 7] >> (i % 7) & 1;
    (0..length).map(|byte| (0..8).fold(0, |value, i| value | bit(byte * 8 + i) << i)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs as `src/log/wire.rs` does, written the other way round.
    fn packet(payload: &[u8]) -> Vec<u8> {
        let sum = payload.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        let payload: Vec<u8> = payload.iter().copied().chain([sum]).collect();
        let bits: Vec<u8> = payload.iter().flat_map(|byte| (0..8).map(move |i| byte >> i & 1)).collect();
        let septets = bits.chunks(7).map(|bits| bits.iter().rev().fold(0, |value, bit| value << 1 | bit) | 0x80);
        [START, 0x80 | (payload.len() & 0x7f) as u8, 0x80 | (payload.len() >> 7) as u8].into_iter().chain(septets).collect()
    }

    fn events(bytes: &[u8]) -> Vec<Event> {
        let mut deframer = Deframer::default();
        bytes.iter().map(|&byte| deframer.push(byte)).filter(|event| *event != Event::Nothing).collect()
    }

    fn text(text: &str) -> Vec<Event> {
        text.bytes().map(Event::Text).collect()
    }

    #[test]
    fn the_packet_that_the_kernels_test_sends_is_understood() {
        // The same payload as in `src/log/wire.rs`, packed by hand there.
        let payload = [0x14u8, 0xac, 0x02, 0x00, 0xff, 0x41];
        let Event::Packet(received) = events(&packet(&payload)).remove(0) else { panic!("no packet") };
        assert_eq!(received[..6], payload);
        assert_eq!(received[6], 0x02);
        let expected = Record { cpu: 2, is_truncated: false, time_us: 300, frames: &[0x00, 0xff, 0x41] };
        assert_eq!(Record::parse(&received), Some(expected));
    }

    #[test]
    fn text_passes_around_packets_of_every_length() {
        for length in 2..300 {
            let payload: Vec<u8> = (0..length).map(|i| (i * 37) as u8).collect();
            let stream = ["tetra> \u{20ac}".as_bytes(), &packet(&payload), b"ok\n"].concat();
            let events = events(&stream);
            let (before, after) = (text("tetra> \u{20ac}"), text("ok\n"));
            assert_eq!(events[..before.len()], before);
            let Event::Packet(received) = &events[before.len()] else { panic!("no packet of length {length}") };
            assert_eq!(received[..length as usize], payload);
            assert_eq!(events[before.len() + 1..], after);
        }
    }

    #[test]
    fn text_that_breaks_into_a_packet_is_not_swallowed() {
        let whole = packet(&[6, 1, 2, 3, 4]);
        for cut in 1..whole.len() {
            let events = events(&[&whole[..cut], b"panic!", &whole].concat());
            assert_eq!(events[0], Event::Broken(b'p'), "cut at {cut}");
            assert_eq!(events[1..6], text("anic!"));
            assert!(matches!(events[6], Event::Packet(_)));
        }
    }

    #[test]
    fn a_damaged_packet_is_recognised() {
        let mut wire = packet(&[6, 1, 2, 3, 4]);
        wire[5] ^= 0x10;
        let Event::Packet(received) = events(&wire).remove(0) else { panic!("no packet") };
        assert_eq!(Record::parse(&received), None);
    }
}
