//! What a tortured lock protects: notices who is inside at the same time, and what was lost.
//!
//! All words are atomics that order nothing, so that a broken lock gives wrong numbers and no undefined behaviour; and the counts are a load and a store, so
//! that two who count at once lose one.

use core::sync::atomic::{AtomicU64, Ordering};

/// The room.
pub struct Room {
    writers: AtomicU64,
    readers: AtomicU64,
    /// Written one after the other by each writer: apart only while one is inside.
    halves: [AtomicU64; 2],
    /// Writers that came, counted by a read-modify-write.
    came: AtomicU64,
    errors: AtomicU64,
}

impl Room {
    /// An empty room.
    pub const fn new() -> Self {
        Self {
            writers: AtomicU64::new(0),
            readers: AtomicU64::new(0),
            halves: [const { AtomicU64::new(0) }; 2],
            came: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }
    }

    /// Forgets all.
    pub fn reset(&self) {
        for word in [&self.writers, &self.readers, &self.halves[0], &self.halves[1], &self.came, &self.errors] {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// One error more.
    pub fn note_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    fn check(&self, is_right: bool) {
        if !is_right {
            self.note_error();
        }
    }

    /// What a writer does inside; `hold` takes a while.
    pub fn write(&self, hold: impl FnOnce()) {
        self.came.fetch_add(1, Ordering::Relaxed);
        let others = self.writers.fetch_add(1, Ordering::Relaxed);
        self.check(others == 0 && self.readers.load(Ordering::Relaxed) == 0);
        let seen = self.halves[0].load(Ordering::Relaxed);
        self.check(seen == self.halves[1].load(Ordering::Relaxed));
        self.halves[0].store(seen + 1, Ordering::Relaxed);
        hold();
        self.halves[1].store(seen + 1, Ordering::Relaxed);
        self.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// What a reader does inside.
    pub fn read(&self, hold: impl FnOnce()) {
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.check(self.writers.load(Ordering::Relaxed) == 0);
        let seen = self.halves[0].load(Ordering::Relaxed);
        hold();
        self.check(seen == self.halves[1].load(Ordering::Relaxed));
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Something was wrong already.
    pub fn has_errors(&self) -> bool {
        self.errors.load(Ordering::Relaxed) > 0
    }

    /// Errors, when all have left: a lost count is one more.
    pub fn errors(&self) -> u64 {
        let is_whole = self.halves.iter().all(|half| half.load(Ordering::Relaxed) == self.came.load(Ordering::Relaxed));
        self.errors.load(Ordering::Relaxed) + u64::from(!is_whole)
    }
}
