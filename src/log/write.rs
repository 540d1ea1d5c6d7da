//! The writer's side: from a message to a record in this core's ring.
//!
//! A constant message takes exactly the words it needs and is copied; a formatted one is formatted in place into the largest record, which then shrinks.
//! The core is pinned by the preemption count from reservation to commit, so that everything between nests strictly; interrupts stay as they are.

use super::console;
#[cfg(all(feature = "defmt", target_os = "none"))]
use super::frame_buffer::FrameBuffer;
use super::level::Level;
#[cfg(all(feature = "defmt", target_os = "none"))]
use super::record::{FLAG_DEFMT, FLAG_TRUNCATED};
use super::record::{Meta, TEXT_MAX, WORDS_MAX};
use super::ring::{Beneath, Ring};
use super::text_writer::{TextWriter, store_all, words_for};
use crate::{arch, cpu};
use core::fmt::{self, Write};

/// Logs `args`, which stand behind `prefix`, at `level`. What the `pr_*!` macros call.
///
/// Context: any, from the first Rust instruction on: hardirq, a fault handler, and a `Display` that is being logged included. Never sleeps, takes no lock.
#[inline]
pub fn emit(level: Level, prefix: &str, args: fmt::Arguments<'_>) {
    match args.as_str() {
        Some(constant) => text(level, prefix, constant),
        None => formatted(level, prefix, args),
    }
}

/// Logs `message` as it is.
///
/// A function without calls in its usual path, so that it saves no registers.
///
/// Context: any; as [`emit`].
#[inline(never)]
pub fn text(level: Level, prefix: &str, message: &str) {
    let pinned = cpu::PreemptGuard::new();
    let is_written = prefix.is_empty() && write_constant(super::ring_of_this_core(), level, message);
    drop(pinned);
    if is_written { console::wake(level) } else { pieces(level, prefix, message) }
}

#[cold]
#[inline(never)]
fn pieces(level: Level, prefix: &str, message: &str) {
    {
        let pinned = cpu::PreemptGuard::new();
        write_pieces(super::ring_of_this_core(), beneath(&pinned), level, &[prefix, message]);
    }
    console::wake(level);
}

#[inline(never)]
fn formatted(level: Level, prefix: &str, args: fmt::Arguments<'_>) {
    {
        let pinned = cpu::PreemptGuard::new();
        write_formatted(super::ring_of_this_core(), beneath(&pinned), level, prefix, args);
    }
    console::wake(level);
}

/// What may lie beneath a writer that has just pinned itself: nothing, if its own pin is all that the count word shows.
pub(super) fn beneath(_pinned: &cpu::PreemptGuard) -> Beneath {
    if cpu::preempt_count() == 1 { Beneath::Nothing } else { Beneath::MaybeWriter }
}

/// Copies `message` into a record of its size; false if that cannot be done at once.
#[inline(always)]
pub(super) fn write_constant<const WORDS: usize>(ring: &Ring<WORDS>, level: Level, message: &str) -> bool {
    if message.len() > TEXT_MAX as usize {
        return false;
    }
    let bytes = message.len() as u32;
    let Some(reservation) = ring.try_reserve(words_for(bytes), arch::counter::now) else { return false };
    store_all(ring, reservation.text(), message.as_bytes());
    ring.commit_whole(reservation, Meta { seq: 0, bytes, flags: 0, level });
    true
}

pub(super) fn write_pieces<const WORDS: usize>(ring: &Ring<WORDS>, beneath: Beneath, level: Level, pieces: &[&str]) {
    let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(TEXT_MAX as usize) as u32;
    let Some(reservation) = ring.reserve(words_for(bytes), beneath, arch::counter::now) else { return };
    let mut writer = TextWriter::new(ring, reservation, bytes);
    pieces.iter().for_each(|piece| writer.push_str(piece));
    writer.finish(level);
}

#[inline(always)]
pub(super) fn write_formatted<const WORDS: usize>(
    ring: &Ring<WORDS>,
    beneath: Beneath,
    level: Level,
    prefix: &str,
    args: fmt::Arguments<'_>,
) {
    let Some(reservation) = ring.reserve(WORDS_MAX, beneath, arch::counter::now) else { return };
    let mut writer = TextWriter::new(ring, reservation, TEXT_MAX);
    writer.push_str(prefix);
    if writer.write_fmt(args).is_err() {
        writer.push_str("<a Display failed>");
    }
    writer.finish(level);
}

/// Copies finished defmt frames into a record of their size.
#[cfg(all(feature = "defmt", target_os = "none"))]
#[inline(always)]
pub(super) fn write_frames<const WORDS: usize>(ring: &Ring<WORDS>, beneath: Beneath, level: Level, frames: &FrameBuffer) {
    let words = words_for(frames.len());
    let reservation = ring.try_reserve(words, arch::counter::now).or_else(|| {
        core::hint::cold_path();
        ring.reserve(words, beneath, arch::counter::now)
    });
    let Some(reservation) = reservation else { return };
    let mut at = reservation.text();
    for word in frames.words() {
        ring.store(at, word);
        at = at.wrapping_add(1);
    }
    let flags = if frames.is_cut() { FLAG_DEFMT | FLAG_TRUNCATED } else { FLAG_DEFMT };
    ring.commit_whole(reservation, Meta { seq: 0, bytes: frames.len(), flags, level });
}
