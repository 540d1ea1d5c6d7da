//! `memcpy`, `memmove` and `memset` of the kernel, against loops of bytes: every alignment and length that takes another way through them.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::ptr;
use tetra::arch::unaligned;
use tetra_tests::{case, suite};

suite!();

/// Larger than every length below, with room for alignments and for guards on both sides.
const ROOM: usize = 10 * 1024;
/// Lengths up to here are all tried: each way for short ones, and each rest of the loops for long ones.
const ALL_LENGTHS: usize = 300;
/// Where loops of 256 and 512 bytes begin, and a page.
const LONG: [usize; 12] = [511, 512, 513, 575, 576, 577, 767, 768, 1023, 4095, 4096, 4097];
/// Bytes before and behind what is written that must stay.
const GUARD: usize = 64;

#[repr(C, align(64))]
struct Room(UnsafeCell<[u8; ROOM]>);

// SAFETY: the suite runs one case at a time, on one core.
unsafe impl Sync for Room {}

impl Room {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; ROOM]))
    }

    #[expect(clippy::mut_from_ref, reason = "one case at a time; each takes a room once")]
    fn bytes(&self) -> &mut [u8; ROOM] {
        // SAFETY: one case at a time, and none takes the same room twice.
        unsafe { &mut *self.0.get() }
    }
}

static GOT: Room = Room::new();
static EXPECTED: Room = Room::new();
static FROM: Room = Room::new();

/// A store that the compiler does not make a `memset` or `memcpy` of.
fn put(byte: &mut u8, value: u8) {
    // SAFETY: a reference is valid for writes.
    unsafe { ptr::from_mut(byte).write_volatile(value) };
}

fn fill_with_pattern(bytes: &mut [u8], seed: usize) {
    bytes.iter_mut().enumerate().for_each(|(at, byte)| put(byte, (at * 7 + at / 251 + seed) as u8));
}

/// The first byte at which two ranges differ. By words, which `unaligned` loads: the loop runs some hundred thousand times.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let same = words.take_while(|(a, b)| unaligned::load_u64(a) == unaligned::load_u64(b)).count() * 8;
    (same..a.len()).find(|at| a[*at] != b[*at])
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..=ALL_LENGTHS).chain(LONG)
}

case!(memcpy_copies_at_every_alignment_and_length);
fn memcpy_copies_at_every_alignment_and_length() {
    let (got, from) = (GOT.bytes(), FROM.bytes());
    fill_with_pattern(from, 1);
    for to_align in 0..16 {
        for from_align in [0, 1, 3, 7, 8, 12, 15] {
            for len in lengths() {
                let (start, end) = (GUARD + to_align, GUARD + to_align + len);
                got[start - GUARD..end + GUARD].iter_mut().for_each(|byte| put(byte, 0xee));
                got[start..end].copy_from_slice(&from[from_align..from_align + len]);
                let differs = first_difference(&got[start..end], &from[from_align..from_align + len]);
                assert!(differs.is_none(), "{len} bytes from +{from_align} to +{to_align}: byte {differs:?} is wrong");
                let guards_stand = got[start - GUARD..start].iter().chain(&got[end..end + GUARD]).all(|byte| *byte == 0xee);
                assert!(guards_stand, "{len} bytes from +{from_align} to +{to_align}: bytes around were written");
            }
        }
    }
}

case!(memmove_copies_at_every_distance);
fn memmove_copies_at_every_distance() {
    const MIDDLE: usize = 4096;
    let (got, expected) = (GOT.bytes(), EXPECTED.bytes());
    let distances = [1, 2, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 128, 255, 299, 1000];
    for len in lengths() {
        for distance in distances {
            for (from, to) in [(MIDDLE, MIDDLE + distance), (MIDDLE, MIDDLE - distance), (MIDDLE + 5, MIDDLE + 5 + distance)] {
                let range = from.min(to) - GUARD..from.max(to) + len + GUARD;
                fill_with_pattern(&mut got[range.clone()], distance);
                fill_with_pattern(&mut expected[range.clone()], distance);
                // The naive way: all bytes are read before one is written.
                for at in 0..len {
                    let byte = got[from + at];
                    put(&mut expected[to + at], byte);
                }
                got.copy_within(from..from + len, to);
                let differs = first_difference(&got[range.clone()], &expected[range]);
                assert!(differs.is_none(), "{len} bytes from {from} to {to}: byte {differs:?} is wrong");
            }
        }
    }
}

case!(memset_fills_at_every_alignment_and_length);
fn memset_fills_at_every_alignment_and_length() {
    let got = GOT.bytes();
    for value in [0, 0xa5] {
        for align in (0..=17).chain([31, 32, 33, 48, 63]) {
            for len in lengths() {
                let (start, end) = (GUARD + align, GUARD + align + len);
                got[start - GUARD..end + GUARD].iter_mut().for_each(|byte| put(byte, 0xee));
                got[start..end].fill(value);
                let is_filled = got[start..end].iter().all(|byte| *byte == value);
                assert!(is_filled, "{len} bytes of {value:#x} at +{align}: not all are");
                let guards_stand = got[start - GUARD..start].iter().chain(&got[end..end + GUARD]).all(|byte| *byte == 0xee);
                assert!(guards_stand, "{len} bytes of {value:#x} at +{align}: bytes around were written");
            }
        }
    }
}
