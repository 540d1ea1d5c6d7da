//! Reads the rings of all cores as one log, in the order of time.
//!
//! A reader is a cursor a ring and nothing else: it takes no lock, holds nobody up, and any number of them may stand anywhere. Text is never copied as a
//! whole; [`super::printer`] fetches it in small pieces, so that a stack of a few hundred bytes is enough, and each piece is checked on its own.
//!
//! Of what lies at the cursors the earliest comes first; equal times by core, and on one core by number. An unfinished record holds back everything
//! later, because its writer will finish in microseconds and order matters to who reads. If it has not after a second, its writer is dead (or spins in
//! a `Display`), and the record is passed and counted as lost.

use super::level::Level;
use super::record::{FLAG_DEFMT, FLAG_TRUNCATED, HEADER_WORDS, Meta, Place};
use super::ring::{Peek, Ring};
use super::{RING_WORDS, RINGS, clock};
use crate::arch::{self, NR_CPUS};
use core::fmt::{self, Write};

const WORD: usize = size_of::<u64>();

/// A cursor over the whole log.
pub struct Reader<const WORDS: usize = RING_WORDS> {
    rings: &'static [Ring<WORDS>; NR_CPUS],
    at: [Place; NR_CPUS],
    /// The number at this cursor is not known yet, so what is missing before it is no loss.
    is_fresh: [bool; NR_CPUS],
    /// Messages begun before this time are passed over.
    since: u64,
    patience: Patience,
    waiting: Option<Waiting>,
}

/// What a reader does before an unfinished record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Waits a second for it.
    Wait,
    /// Passes it at once: its writer has been stopped.
    Skip,
}

/// The unfinished record that a reader stands at, and since when.
#[derive(Clone, Copy)]
struct Waiting {
    cpu: usize,
    pos: u32,
    since: u64,
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A message.
    Record(Record),
    /// Messages that were overwritten before they were read, or never finished.
    Lost(Lost),
    /// There is more, behind a message that is being written at this moment.
    Waiting,
    /// That was all.
    End,
}

/// A message in a ring; its text may be overwritten any time, and whoever reads it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    cpu: usize,
    pos: u32,
    ticks: u64,
    meta: Meta,
}

/// A gap in the numbers of one core's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The core that wrote them.
    pub cpu: usize,
    /// How many.
    pub count: u32,
}

/// The text of a record is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwritten;

impl Record {
    /// The core that wrote it.
    #[must_use]
    pub fn cpu(&self) -> usize {
        self.cpu
    }

    /// How grave it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.meta.level
    }

    /// The counter when it was begun.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The time it was begun, in microseconds since the log's time zero.
    #[must_use]
    pub fn time_us(&self) -> u64 {
        clock::us_of_ticks(self.ticks)
    }

    /// Bytes of its text.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meta.bytes as usize
    }

    /// Whether it has no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meta.bytes == 0
    }

    /// Whether its text was longer than a record can be.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.meta.flags & FLAG_TRUNCATED != 0
    }

    /// Whether its text is defmt frames for the host to decode.
    #[must_use]
    pub fn is_defmt(&self) -> bool {
        self.meta.flags & FLAG_DEFMT != 0
    }
}

impl Reader {
    /// A reader that begins with the oldest message kept.
    ///
    /// Context: any.
    #[must_use]
    pub const fn from_oldest() -> Reader {
        Reader::over(&RINGS)
    }

    /// A reader that begins with what is logged from now on.
    ///
    /// Context: any.
    #[must_use]
    pub fn from_newest() -> Reader {
        // Not where the rings end: a writer that has reserved more than it needs may still give words back from there.
        Reader { since: arch::counter::now(), ..Reader::over(&RINGS) }
    }
}

impl<const WORDS: usize> Reader<WORDS> {
    pub(super) const fn over(rings: &'static [Ring<WORDS>; NR_CPUS]) -> Self {
        let at = [Place { seq: 0, pos: 0 }; NR_CPUS];
        Self { rings, at, is_fresh: [true; NR_CPUS], since: 0, patience: Patience::Wait, waiting: None }
    }

    /// A reader that goes on at `at` and counts what it missed since.
    pub(super) fn resume(rings: &'static [Ring<WORDS>; NR_CPUS], at: [Place; NR_CPUS], patience: Patience) -> Self {
        Self { rings, at, is_fresh: [false; NR_CPUS], since: 0, patience, waiting: None }
    }

    /// Where the reader stands on each ring.
    pub(super) fn places(&self) -> [Place; NR_CPUS] {
        self.at
    }

    /// Finds the next message and moves behind it.
    ///
    /// Context: any, any core; never waits.
    pub fn advance(&mut self) -> Step {
        loop {
            let Some((cpu, peek)) = self.earliest() else { return Step::End };
            match peek {
                Peek::Open { pos, .. } if self.must_wait(cpu, pos) => return Step::Waiting,
                Peek::Open { pos, .. } => self.at[cpu].pos = self.rings[cpu].skip(pos),
                Peek::Done { pos, words, ticks, meta } => {
                    if let Some(lost) = self.note_gap(cpu, pos, meta.seq) {
                        return Step::Lost(lost);
                    }
                    self.at[cpu] = Place { seq: meta.seq.wrapping_add(1), pos: pos.wrapping_add(words) };
                    if ticks < self.since {
                        continue;
                    }
                    return Step::Record(Record { cpu, pos, ticks, meta });
                }
                Peek::Empty => return Step::End,
            }
        }
    }

    /// The earliest of what lies at the cursors. Of an open record that does not say when it began, it is assumed to be the earliest.
    fn earliest(&self) -> Option<(usize, Peek)> {
        let peeks = self.rings.iter().zip(self.at).map(|(ring, at)| ring.peek(at.pos)).enumerate();
        peeks.filter(|(_, peek)| *peek != Peek::Empty).min_by_key(|(_, peek)| match peek {
            Peek::Done { ticks, .. } | Peek::Open { ticks: Some(ticks), .. } => *ticks,
            _ => 0,
        })
    }

    fn must_wait(&mut self, cpu: usize, pos: u32) -> bool {
        let now = arch::counter::now();
        let since = match self.waiting {
            Some(waiting) if (waiting.cpu, waiting.pos) == (cpu, pos) => waiting.since,
            _ => now,
        };
        self.waiting = Some(Waiting { cpu, pos, since });
        self.patience == Patience::Wait && now.wrapping_sub(since) < arch::counter::frequency_hz()
    }

    fn note_gap(&mut self, cpu: usize, pos: u32, seq: u32) -> Option<Lost> {
        let count = seq.wrapping_sub(self.at[cpu].seq);
        let was_fresh = core::mem::replace(&mut self.is_fresh[cpu], false);
        self.at[cpu] = Place { seq, pos };
        (count != 0 && !was_fresh).then_some(Lost { cpu, count })
    }

    /// Copies text of `record` into `out`, from the word at byte `offset` (a multiple of 8) on.
    ///
    /// # Errors
    /// [`Overwritten`] if the record is not in its ring any more; `out` holds rubbish.
    pub(super) fn copy(&self, record: &Record, offset: u32, out: &mut [u64]) -> Result<(), Overwritten> {
        let at = record.pos.wrapping_add(HEADER_WORDS + offset / WORD as u32);
        self.rings[record.cpu].copy(record.pos, at, out).then_some(()).ok_or(Overwritten)
    }

    /// Whether the text of `record` contains `needle`. What cannot be read as text here (defmt frames) is taken to contain it.
    ///
    /// Context: any, any core.
    #[must_use]
    pub fn contains(&self, record: &Record, needle: &str) -> bool {
        let needle = needle.as_bytes();
        record.is_defmt() || (0..=record.len().saturating_sub(needle.len())).any(|at| self.is_at(record, at, needle))
    }

    /// Writes the text of `record`, what is not ASCII as `?`; what has been overwritten meanwhile is left out.
    ///
    /// Context: any, any core.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_text(&self, record: &Record, out: &mut dyn Write) -> fmt::Result {
        let text = (0..record.len()).filter_map(|at| self.byte(record, at)).map(char::from);
        text.map(|c| if c.is_ascii() { c } else { '?' }).try_for_each(|c| out.write_char(c))
    }

    fn is_at(&self, record: &Record, at: usize, needle: &[u8]) -> bool {
        at + needle.len() <= record.len() && (at..).zip(needle).all(|(at, &byte)| self.byte(record, at) == Some(byte))
    }

    fn byte(&self, record: &Record, at: usize) -> Option<u8> {
        let mut word = [0];
        self.copy(record, (at / WORD * WORD) as u32, &mut word).ok()?;
        Some(word[0].to_le_bytes()[at % WORD])
    }
}
