//! What `dmesg` asks of the log: filters by level and text, the clear mark, following.
//!
//! Clearing erases nothing, it sets a mark in time that later queries begin at; so it is safe against writers, consoles and other readers.

use super::level::Level;
use super::reader::{Reader, Record, Step};
use crate::arch;
use core::sync::atomic::{AtomicU64, Ordering};

/// The counter at the last `clear`.
static CLEARED: AtomicU64 = AtomicU64::new(0);

/// Which messages a query shows.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    levels: u8,
    text: &'q str,
    since: u64,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'q> Query<'q> {
    /// All messages since the last [`clear`].
    ///
    /// Context: any.
    #[must_use]
    pub fn new() -> Self {
        Self { levels: u8::MAX, text: "", since: CLEARED.load(Ordering::Relaxed) }
    }

    /// Those before the last [`clear`] as well.
    #[must_use]
    pub fn with_cleared(self) -> Self {
        Self { since: 0, ..self }
    }

    /// Only those of the levels given.
    #[must_use]
    pub fn of_levels(self, levels: impl IntoIterator<Item = Level>) -> Self {
        Self { levels: levels.into_iter().fold(0, |mask, level| mask | 1 << level.number()), ..self }
    }

    /// Only those at least as grave as `level`.
    #[must_use]
    pub fn up_to(self, level: Level) -> Self {
        self.of_levels(Level::ALL.into_iter().filter(|&other| other <= level))
    }

    /// Only those that contain `text`. (In the defmt build the host has the text; it filters there.)
    #[must_use]
    pub fn with_text(self, text: &'q str) -> Self {
        Self { text, ..self }
    }

    fn admits<const WORDS: usize>(&self, reader: &Reader<WORDS>, record: &Record) -> bool {
        record.ticks() >= self.since && self.levels & 1 << record.level().number() != 0 && reader.contains(record, self.text)
    }

    /// Moves `reader` to the next message that this query shows. At the end a follower waits a little and asks again.
    ///
    /// Context: any.
    pub fn advance<const WORDS: usize>(&self, reader: &mut Reader<WORDS>) -> Step {
        loop {
            match reader.advance() {
                Step::Record(record) if !self.admits(reader, &record) => {}
                step => return step,
            }
        }
    }
}

/// Lets later queries begin here.
///
/// Context: any.
pub fn clear() {
    CLEARED.store(arch::counter::now(), Ordering::Relaxed);
}
