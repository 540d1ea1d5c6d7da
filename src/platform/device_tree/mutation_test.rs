//! Thousands of damaged trees: whatever the bytes, the parser returns, soon, and what it returns can be printed.

use std::time::{Duration, Instant};

use super::*;
use crate::mm::memblock::Memblock;
use crate::platform::memory_map::{self, MemorySources};
use std::format;
use std::prelude::v1::*;

/// Mutated trees per original.
const ROUNDS: u32 = 3000;
/// No tree of this size may take longer, even on a loaded machine.
const LIMIT: Duration = Duration::from_secs(5);

/// Xorshift64 (Marsaglia, "Xorshift RNGs", 2003): the same mutations on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn put(blob: &mut [u8], offset: usize, word: u32) {
    if let Some(place) = blob.get_mut(offset..offset + 4) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

fn get(blob: &[u8], offset: usize) -> usize {
    blob.get(offset..offset + 4).map_or(0, |word| u32::from_be_bytes(word.try_into().unwrap()) as usize)
}

/// The offset of a random word that holds `token`, from which parsers go wrong most interestingly.
fn token_offset(blob: &[u8], token: u32, random: &mut Random) -> usize {
    let start = random.below(blob.len()) & !3;
    let offsets = (start..blob.len()).step_by(4).chain((0..start).step_by(4));
    offsets.into_iter().find(|&at| get(blob, at) == token as usize).unwrap_or(start)
}

/// One act of damage.
fn damage(blob: &mut Vec<u8>, random: &mut Random) {
    let words = [0, 1, 2, 3, 4, 9, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, u32::MAX];
    let at = random.below(blob.len());
    match random.below(12) {
        0 => blob[at] ^= 1 << random.below(8),
        1 => blob[at] = random.next() as u8,
        2 => put(blob, at & !3, random.pick(&words)),
        3 => put(blob, at & !3, random.next() as u32),
        4 => blob.truncate(at.max(HEADER_SIZE)),
        // A field of the header lies.
        5 => put(blob, 4 + 4 * random.below(9), random.pick(&words)),
        6 => {
            let field = 4 + 4 * random.below(9);
            let slightly_off = (get(blob, field) + random.below(9)).wrapping_sub(4) as u32;
            put(blob, field, slightly_off);
        }
        // A property claims another length or name.
        7 => {
            let property = token_offset(blob, 3, random);
            put(blob, property + 4, random.pick(&[0, 1, 3, 5, 8, 0x1000, 0xffff_fff0, u32::MAX]));
        }
        8 => {
            let property = token_offset(blob, 3, random);
            let name = random.below(blob.len()) as u32;
            put(blob, property + 8, name);
        }
        // Nodes open and close where they should not.
        9 => {
            let token = random.pick(&[1, 2]);
            let place = token_offset(blob, token, random);
            put(blob, place, random.pick(&[1, 2, 3, 4, 9]));
        }
        // The value of a property, behind its header, is replaced: the tree stays sound, its meaning does not.
        10 => {
            let property = token_offset(blob, 3, random);
            put(blob, property + 12 + 4 * random.below(3), random.pick(&words));
        }
        // A piece is repeated elsewhere.
        _ => {
            let len = random.below(64).min(blob.len() - at);
            let piece = blob[at..at + len].to_vec();
            let to = random.below(blob.len() - len);
            blob[to..to + len].copy_from_slice(&piece);
        }
    }
}

/// Parses, prints everything, and builds a memory map from it. True if the tree was still sound enough to be read.
fn survive(blob: &[u8]) -> bool {
    let begin = Instant::now();
    let facts = parse(blob);
    let text = format!("{facts:?}{}", facts.warnings.iter().map(|w| w.to_string()).collect::<String>());
    assert!(!text.is_empty() && (facts.is_present() || !facts.warnings.is_empty()));

    let mut map = Memblock::<32, 64>::new();
    let report = memory_map::build(&MemorySources { device_tree: Some(&facts), ..MemorySources::default() }, &mut map);
    assert!(map.free_bytes() > 0, "{report:?}\n{map}");
    assert!(begin.elapsed() < LIMIT, "{:?} for {} bytes", begin.elapsed(), blob.len());
    facts.is_present()
}

fn mutate(original: &[u8], seed: u64) -> u32 {
    let mut random = Random(seed);
    let mut sound = 0;
    for _ in 0..ROUNDS {
        let mut blob = original.to_vec();
        for _ in 0..=random.below(4) {
            damage(&mut blob, &mut random);
        }
        if random.below(2) == 0 {
            // Repair the size, so that damage deeper in is reached.
            let len = blob.len() as u32;
            put(&mut blob, 0, MAGIC);
            put(&mut blob, 4, len);
        }
        sound += u32::from(survive(&blob));
    }
    sound
}

#[test]
fn mutated_trees_of_the_project() {
    for (path, seed) in [("tests/dts/pi4-8g.dts", 0x1234_5678_9abc_def1), ("boot/tetra-qemu.dts", 0xfeed_0001)] {
        let Some(original) = trees::compile_file(path) else { return };
        let sound = mutate(&original, seed);
        assert!((ROUNDS / 10..ROUNDS).contains(&sound), "{path}: {sound} of {ROUNDS} were still read: damage too weak or too strong");
    }
}

#[test]
fn mutated_trees_of_a_real_pi() {
    let Some(original) = trees::real_with_memory(trees::MODELS[3].1) else { return };
    let sound = mutate(&original, 0xd00d_feed);
    assert!((ROUNDS / 10..ROUNDS).contains(&sound), "{sound} of {ROUNDS} were still read");
}

#[test]
fn every_truncation_is_survived() {
    let Some(original) = trees::model(8) else { return };
    for len in 0..original.len() {
        let mut blob = original[..len].to_vec();
        assert!(!survive(&blob));
        put(&mut blob, 4, len as u32);
        survive(&blob);
    }
}

#[test]
fn noise_behind_a_good_header_is_survived() {
    let mut random = Random(0x0bad_cafe);
    for _ in 0..2000 {
        let len = HEADER_SIZE + 64 + random.below(4096);
        let mut blob: Vec<u8> = (0..len).map(|_| if random.below(3) == 0 { random.next() as u8 } else { 0 }).collect();
        for (index, word) in [MAGIC, len as u32, 56, (len - 8) as u32, 40, 17, 16, 0, 8, (len - 64) as u32].into_iter().enumerate() {
            put(&mut blob, index * 4, word);
        }
        survive(&blob);
    }
}

/// Trees built to be slow: thousands of nodes, each with much to look at.
#[test]
fn large_hostile_trees_take_linear_time() {
    let many_uarts: String =
        (0..4000).map(|i| format!("s{i} {{ compatible = \"arm,pl011\"; reg = <0 {:#x} 4>; }};", 0x10_0000 - i)).collect();
    let huge_ranges = format!("soc {{ #address-cells = <1>; #size-cells = <1>; ranges = <{}>; {many_uarts} }};", "0 0 0 1 ".repeat(8000));
    let many_memories: String = (0..4000).map(|i| format!("memory@{i} {{ reg = <0 {i} 1>; }};")).collect();
    for body in [many_uarts, huge_ranges, many_memories] {
        let source = format!("/dts-v1/; / {{ #address-cells = <2>; #size-cells = <1>; {body} }};");
        let Some(blob) = trees::compile(&source) else { return };
        assert!(blob.len() > 100_000, "{} bytes", blob.len());
        survive(&blob);
    }
}
