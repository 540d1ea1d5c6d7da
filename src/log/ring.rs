//! One core's ring of records, written by that core alone, read by all.
//!
//! Space is taken by moving `head`, so reservations nest strictly: a thread's record, in it a softirq's, in that an interrupt's, in that a fault's. Each
//! step is one CAS that fails if something nested came in between (ERET clears the exclusive monitor, and the value has moved), so neither interrupts
//! nor faults need to be masked, and a core may fault between any two instructions of the logger and still report. The text is written in place; its
//! length is known only afterwards, so a formatted record takes the largest size and gives back the rest, unless something nested lies behind it.
//! A ring for all cores was rejected: its CAS would bounce between them, and a dead core would hold up the living.
//!
//! # Invariants
//! 1. `tail <= head <= tail + WORDS`, in positions that count up (mod 2^32); the words between are records without gaps, the oldest at `tail`.
//! 2. A word of a record is written by whoever reserved it only. `tail` moves past it before it can be reserved again.
//! 3. `tail` does not pass an open record, so that its writer never writes into another's; the new record is dropped and counted instead. A writer that
//!    began with nothing beneath it on its core knows that an open record it meets has no writer any more, and passes it.
//! 4. Every record dropped or kept has a number of its own: a gap in what a reader sees is what was lost.
//!
//! # Memory ordering
//! `Publish` and `Evict` of [`super::atomic`], where the pairs are listed. The words are atomics accessed relaxed and in one width, so a copy
//! that races with an overwrite is a stale value and no undefined behaviour; `tail`, looked at after the copy, tells which it was. The writer's fence
//! stands in every reservation, also in one that found room: the interrupted writer beneath may have moved `tail` and not yet come to its own fence.
//!
//! Neighbours: `record.rs` (layout), `write.rs` (the writer's side), `reader.rs` (merges the rings of all cores).

use super::atomic::{AtomicU32, AtomicU64, Edge, Ordering, edge, evict_fence};
use super::record::{HEADER_WORDS, Mark, Meta, Place};

/// How often a reader tries again to see a record that is overwritten under its eyes, before it lets others go first.
const PEEK_TRIES: u32 = 16;

/// The records of one core. `WORDS` is a power of two.
#[repr(align(64))]
pub(super) struct Ring<const WORDS: usize> {
    /// [`Place`] of the next record.
    head: AtomicU64,
    /// Position of the oldest record that is kept.
    tail: AtomicU32,
    words: [AtomicU64; WORDS],
}

/// Words that belong to one writer until it commits them.
#[must_use = "an open record stops the readers until it is committed"]
#[derive(Debug)]
pub(super) struct Reservation {
    place: Place,
    words: u32,
}

/// What a writer knows of the writers beneath it on its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beneath {
    /// Nothing was interrupted: an open record has lost its writer.
    Nothing,
    /// An interrupted writer may be there and will go on.
    MaybeWriter,
}

/// What lies at a reader's cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peek {
    /// Nothing yet.
    Empty,
    /// A record that is not finished; since when, if its writer came to say.
    Open { pos: u32, ticks: Option<u64> },
    /// A record; its text is valid as long as [`Ring::copy`] says so.
    Done { pos: u32, words: u32, ticks: u64, meta: Meta },
}

impl Reservation {
    /// Position of the first word of text.
    pub(super) fn text(&self) -> u32 {
        self.place.pos.wrapping_add(HEADER_WORDS)
    }
}

impl<const WORDS: usize> Ring<WORDS> {
    const MASK: u32 = {
        assert!(WORDS.is_power_of_two() && WORDS <= 1 << 30, "positions wrap at 2^32 and are compared as signed distances");
        WORDS as u32 - 1
    };

    /// A ring of its parts, all zero. (Not made here, because loom's words have no constant.)
    pub(super) const fn of_zeros(head: AtomicU64, tail: AtomicU32, words: [AtomicU64; WORDS]) -> Self {
        Self { head, tail, words }
    }

    /// Lets an empty ring begin at another place than 0.
    #[cfg(test)]
    pub(super) fn set_origin(&self, pos: u32, seq: u32) {
        self.head.store(Place { seq, pos }.pack(), Ordering::Relaxed);
        self.tail.store(pos, Ordering::Relaxed);
    }

    #[inline(always)]
    fn word(&self, pos: u32) -> &AtomicU64 {
        &self.words[(pos & Self::MASK) as usize]
    }

    /// Writes one word of a reserved record's text.
    #[inline(always)]
    pub(super) fn store(&self, pos: u32, value: u64) {
        self.word(pos).store(value, Ordering::Relaxed);
    }

    /// Takes `words` words, dropping the oldest records, and opens a record there; `now` is asked for the time at that moment.
    ///
    /// `None` if the ring is full of what must not be dropped; that counts as a lost record.
    ///
    /// Context: any, on the ring's own core, and the caller stays on it until it commits.
    #[inline]
    pub(super) fn reserve(&self, words: u32, beneath: Beneath, now: impl Fn() -> u64) -> Option<Reservation> {
        loop {
            let seen = self.head.load(Ordering::Relaxed);
            let place = Place::unpack(seen);
            let end = place.pos.wrapping_add(words);
            if self.has_room(end) || self.evict(end, beneath) {
                if let Some(reservation) = self.take(place, words, &now) {
                    return Some(reservation);
                }
                continue; // something nested was quicker, and is finished
            }
            let dropped = Place { seq: place.seq.wrapping_add(1), ..place };
            if self.head.compare_exchange(seen, dropped.pack(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return None;
            }
        }
    }

    /// As [`Self::reserve`] for the usual case, without a loop or a call: `None`, and nothing lost, if an open record is in the way or something
    /// nested came in between.
    #[inline(always)]
    pub(super) fn try_reserve(&self, words: u32, now: impl Fn() -> u64) -> Option<Reservation> {
        let place = Place::unpack(self.head.load(Ordering::Relaxed));
        let end = place.pos.wrapping_add(words);
        if !self.has_room(end) && !self.try_evict(end) {
            return None;
        }
        self.take(place, words, now)
    }

    /// Moves `head` from `place` over `words` words that are free, and opens a record there; `None` if it is not at `place` any more.
    ///
    /// Context: as [`Self::reserve`].
    #[inline(always)]
    pub(super) fn take(&self, place: Place, words: u32, now: impl Fn() -> u64) -> Option<Reservation> {
        evict_fence(Ordering::Release);
        let ticks = now();
        let next = Place { seq: place.seq.wrapping_add(1), pos: place.pos.wrapping_add(words) };
        self.head.compare_exchange(place.pack(), next.pack(), Ordering::Relaxed, Ordering::Relaxed).ok()?;

        self.store(place.pos.wrapping_add(1), ticks);
        self.word(place.pos).store(Mark::open(place.pos), edge(Edge::Publish, Ordering::Release));
        Some(Reservation { place, words })
    }

    /// Finishes a record that uses all of its words.
    ///
    /// Context: as [`Self::reserve`].
    #[inline(always)]
    pub(super) fn commit_whole(&self, reservation: Reservation, meta: Meta) {
        let Reservation { place, words } = reservation;
        self.store(place.pos.wrapping_add(2), Meta { seq: place.seq, ..meta }.pack());
        self.word(place.pos).store(Mark::done(place.pos, words), edge(Edge::Publish, Ordering::Release));
    }

    /// Finishes a record of `used` words, header included, and gives back what is left if nothing nested lies behind it.
    ///
    /// Context: as [`Self::reserve`].
    #[inline]
    pub(super) fn commit(&self, reservation: Reservation, used: u32, meta: Meta) {
        let Reservation { place, words } = reservation;
        let next = Place { seq: place.seq.wrapping_add(1), pos: place.pos.wrapping_add(words) };
        let less = Place { pos: place.pos.wrapping_add(used), ..next };
        self.store(place.pos.wrapping_add(2), Meta { seq: place.seq, ..meta }.pack());

        // While the record is still open: no reader walks past it, and who acquires its mark sees this head or a later one.
        let given_back = used < words && self.head.compare_exchange(next.pack(), less.pack(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let words = if given_back { used } else { words };
        self.word(place.pos).store(Mark::done(place.pos, words), edge(Edge::Publish, Ordering::Release));
    }

    #[inline(always)]
    fn has_room(&self, end: u32) -> bool {
        is_within::<WORDS>(end, self.tail.load(Ordering::Relaxed))
    }

    /// Gives up finished records until `end` is within reach of `tail`; false, and nothing changed, if anything else is in the way.
    ///
    /// Context: as [`Self::reserve`].
    #[inline(always)]
    pub(super) fn try_evict(&self, end: u32) -> bool {
        let old = self.tail.load(Ordering::Relaxed);
        let mut new = old;
        while !is_within::<WORDS>(end, new) {
            let Mark::Done { words } = Mark::parse(self.word(new).load(Ordering::Relaxed), new) else { return false };
            new = new.wrapping_add(words);
        }
        self.tail.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Gives up old records until `end` is within reach of `tail`; false if an open one is in the way.
    ///
    /// A nested writer may overwrite what is read here; then `tail` has moved, and it starts again.
    fn evict(&self, end: u32, beneath: Beneath) -> bool {
        loop {
            let old = self.tail.load(Ordering::Relaxed);
            let new = self.walk(old, end, beneath);
            let Some(new) = new else {
                if self.tail.load(Ordering::Relaxed) == old {
                    return false;
                }
                continue;
            };
            if self.tail.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }

    /// The first record from `pos` on that may stay if the ring is to hold up to `end`.
    fn walk(&self, mut pos: u32, end: u32, beneath: Beneath) -> Option<u32> {
        while !is_within::<WORDS>(end, pos) {
            match (Mark::parse(self.word(pos).load(Ordering::Relaxed), pos), beneath) {
                (Mark::Done { words }, _) => pos = pos.wrapping_add(words),
                (_, Beneath::Nothing) => pos = self.next_mark(pos, Place::unpack(self.head.load(Ordering::Relaxed)).pos),
                (_, Beneath::MaybeWriter) => return None,
            }
        }
        Some(pos)
    }

    /// The next place after `pos` where a record begins, or `head`.
    fn next_mark(&self, pos: u32, head: u32) -> u32 {
        let mut next = pos.wrapping_add(1);
        while is_before(next, head) && Mark::parse(self.word(next).load(Ordering::Relaxed), next) == Mark::None {
            next = next.wrapping_add(1);
        }
        next
    }

    /// The oldest position that is kept.
    pub(super) fn oldest(&self) -> u32 {
        self.tail.load(Ordering::Relaxed)
    }

    /// The place after the newest record.
    pub(super) fn newest(&self) -> Place {
        Place::unpack(self.head.load(Ordering::Relaxed))
    }

    /// Looks at the record at `pos`, or the oldest one kept if that is later.
    ///
    /// Context: any, any core.
    pub(super) fn peek(&self, pos: u32) -> Peek {
        (0..PEEK_TRIES).find_map(|_| self.try_peek(pos)).unwrap_or(Peek::Empty)
    }

    fn try_peek(&self, pos: u32) -> Option<Peek> {
        let head = self.newest().pos;
        let tail = self.oldest();
        let pos = if is_before(pos, tail) { tail } else { pos };
        if is_before(pos, head) { self.look_at(pos) } else { Some(Peek::Empty) }
    }

    /// Looks at the record at `pos`, where one begins; `None` if it was overwritten meanwhile.
    ///
    /// Context: any, any core.
    #[inline]
    pub(super) fn look_at(&self, pos: u32) -> Option<Peek> {
        let mark = Mark::parse(self.word(pos).load(edge(Edge::Publish, Ordering::Acquire)), pos);
        let ticks = self.word(pos.wrapping_add(1)).load(Ordering::Relaxed);
        let meta = Meta::unpack(self.word(pos.wrapping_add(2)).load(Ordering::Relaxed));
        let peek = match mark {
            Mark::Done { words } => Peek::Done { pos, words, ticks, meta },
            Mark::Open => Peek::Open { pos, ticks: Some(ticks) },
            Mark::None => Peek::Open { pos, ticks: None },
        };
        self.is_kept(pos).then_some(peek)
    }

    /// The place to go on from, for a reader that will not wait for the open record at `pos`.
    pub(super) fn skip(&self, pos: u32) -> u32 {
        self.next_mark(pos, self.newest().pos)
    }

    /// Copies words of text from `at` on; false if the record that begins at `pos` was overwritten meanwhile, and the copy is worthless.
    ///
    /// Context: any, any core.
    pub(super) fn copy(&self, pos: u32, at: u32, out: &mut [u64]) -> bool {
        for (i, word) in (0u32..).zip(out.iter_mut()) {
            *word = self.word(at.wrapping_add(i)).load(Ordering::Relaxed);
        }
        self.is_kept(pos)
    }

    /// Whether everything loaded so far from the record at `pos` was its own.
    fn is_kept(&self, pos: u32) -> bool {
        evict_fence(Ordering::Acquire);
        !is_before(pos, self.tail.load(Ordering::Relaxed))
    }
}

/// Whether `a` comes before `b`, both within half of all positions.
const fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether a ring of `WORDS` words that begins at `tail` reaches up to `end`.
const fn is_within<const WORDS: usize>(end: u32, tail: u32) -> bool {
    end.wrapping_sub(tail) as i32 <= WORDS as i32
}
