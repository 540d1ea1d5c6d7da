//! The log: a record becomes visible whole, a record that is overwritten does not pass for good, no request to drain is lost.
//!
//! Ring and flag are compiled here once more from the kernel's own files, since they are private there.

#[path = "../../../src/log/atomic.rs"]
mod atomic;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/log/drain_flag.rs"]
mod drain_flag;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/log/record.rs"]
mod record;
#[expect(dead_code, reason = "a test uses part of it")]
#[path = "../../../src/log/ring.rs"]
mod ring;

use tetra::log as level;

use core::sync::atomic::{AtomicU64, Ordering};
use drain_flag::DrainFlag;
use record::{HEADER_WORDS, Meta, Place};
use ring::{Peek, Ring};

/// Two records of one word of text.
const WORDS: usize = 8;
const RECORD_WORDS: u32 = HEADER_WORDS + 1;
const META: Meta = Meta { seq: 0, bytes: 8, flags: 0, level: level::KERN_INFO };

/// When a record was reserved, as its writer says.
const TICKS: u64 = 5;

/// Opens a record at the place that `head` names, writes the text 1 and finishes it. Returns 9 if something nested came in between.
#[inline(always)]
fn write(ring: &Ring<WORDS>, place: Place) -> u64 {
    let Some(reservation) = ring.take(place, RECORD_WORDS, || TICKS) else { return 9 };
    ring.store(reservation.text(), 1);
    ring.commit_whole(reservation, META);
    0
}

/// Writes the first record of a ring.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn log_write(ring: &Ring<WORDS>) -> u64 {
    write(ring, Place { seq: 0, pos: 0 })
}

/// Gives up the first of two records and writes the third in its place.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn log_overwrite(ring: &Ring<WORDS>) -> u64 {
    const END: u32 = WORDS as u32 + RECORD_WORDS;
    if ring.try_evict(END) { write(ring, Place { seq: 2, pos: WORDS as u32 }) } else { 9 }
}

/// Reads the record at position 0: 2 if it is there for good, its text, and 16 if its time is another.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn log_read(ring: &Ring<WORDS>) -> u64 {
    let Some(Peek::Done { ticks, .. }) = ring.look_at(0) else { return 0 };
    let mut text = [0];
    if !ring.copy(0, HEADER_WORDS, &mut text) {
        return 9;
    }
    2 | text[0] | u64::from(ticks != TICKS) << 4
}

/// A writer's record, then its request. Returns 1 if it has to drain itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn drain_request(record: &AtomicU64, flag: &DrainFlag) -> u64 {
    record.store(1, Ordering::Relaxed);
    u64::from(flag.request())
}

/// The drainer's last look: 2 if it may go, 1 if it has seen the record.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn drain_last_look(record: &AtomicU64, flag: &DrainFlag) -> u64 {
    flag.take_up();
    let seen = record.load(Ordering::Relaxed);
    u64::from(flag.is_done()) << 1 | seen
}
