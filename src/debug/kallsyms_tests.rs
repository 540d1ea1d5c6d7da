//! The table's reader against tables made here, and against damaged ones.

use super::*;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;

/// A symbol as a test states it: distance to the one before, size, name.
type Plain = (u32, u32, String);

/// The plainest encoder: no rules, so every name byte is a character.
fn encode(base: u64, symbols: &[Plain]) -> Vec<u8> {
    let (mut blocks, mut records) = (Vec::new(), Vec::new());
    let mut address = 0;
    for (number, (distance, size, name)) in symbols.iter().enumerate() {
        address += distance;
        let is_first = number % BLOCK_SYMBOLS == 0;
        if is_first {
            blocks.extend(address.to_le_bytes());
            blocks.extend((records.len() as u32).to_le_bytes());
        }
        push_leb128(&mut records, if is_first { 0 } else { *distance });
        push_leb128(&mut records, size << 1);
        push_leb128(&mut records, name.len() as u32);
        records.extend(name.bytes());
    }
    let body = [blocks, [0; SHORT_CODES_BYTES].to_vec(), records.clone()].concat();
    seal(base, symbols.len() as u32, 0, records.len() as u32, &body)
}

fn seal(base: u64, nr_symbols: u32, nr_rules: u32, records_len: u32, body: &[u8]) -> Vec<u8> {
    let length = (HEADER_BYTES + body.len()) as u32;
    let header = Header { length, checksum: crc32(body), base, nr_symbols, nr_rules, records_len };
    [&header.to_bytes()[..], body].concat()
}

fn push_leb128(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Uses a table in every way there is; the work must stay bounded whatever the bytes are.
fn exercise(bytes: &[u8], address: u64) {
    let Ok(table) = Table::parse(bytes) else { return };
    if let Some(symbol) = table.lookup(address) {
        assert!(symbol.to_string().len() <= NAME_MAX + 64);
    }
    let nr = table.iter().inspect(|symbol| assert!(symbol.name.to_string().len() <= NAME_MAX + 3)).count();
    assert!(nr <= table.len());
    let _ = table.find("main");
    let _ = table.iter_from(usize::MAX).next();
}

fn symbols() -> impl Strategy<Value = Vec<Plain>> {
    proptest::collection::vec((1_u32..5000, 0_u32..6000, "[a-z:<>]{0,40}"), 0..70)
}

const BASE: u64 = 0xffff_ffff_8008_0000;

#[test]
fn crc_matches_the_standard() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn what_is_not_a_table_is_told_apart() {
    let good = encode(BASE, &[(0, 8, "main".to_string())]);
    assert_eq!(Table::parse(&good[..good.len() - 1]).unwrap_err(), TableError::Truncated);
    assert_eq!(Table::parse(&[0; 64]).unwrap_err(), TableError::BadMagic);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Table::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(4, 9), TableError::BadVersion(9));
    assert_eq!(with(good.len() - 1, b'X'), TableError::BadChecksum);
    assert_eq!(with(24, 255), TableError::BadLayout);
}

#[test]
fn gaps_and_ends_belong_to_nobody() {
    let bytes = encode(BASE, &[(0, 8, "first".to_string()), (16, 8, "second".to_string())]);
    let table = Table::parse(&bytes).unwrap();
    let name = |offset: u64| table.lookup(BASE + offset).map(|symbol| symbol.to_string());
    assert_eq!(name(7).as_deref(), Some("first+0x7/0x8"));
    assert_eq!(name(8), None);
    assert_eq!(name(16).as_deref(), Some("second+0x0/0x8"));
    assert_eq!(name(24), None);
    assert!(table.lookup(BASE - 1).is_none() && table.lookup(0).is_none() && table.lookup(u64::MAX).is_none());
}

#[test]
fn rules_that_explode_or_turn_in_circles_are_cut() {
    // Each rule doubles the one before: 2^40 characters, if anyone wrote them all.
    let doubling = (0..40_u16).flat_map(|rule| {
        let part = if rule == 0 { u16::from(b'x') } else { RULE_BASE + rule - 1 };
        [part, part]
    });
    let circle = [RULE_BASE + 40, RULE_BASE + 40];
    let rules: Vec<u8> = doubling.chain(circle).flat_map(u16::to_le_bytes).collect();
    for (rule, shown) in [(25, NAME_MAX + 3), (39, 3), (40, 3), (41, 3)] {
        let record = [0, 16, 2, LONG_CODE, rule];
        let body = [&[0; BLOCK_BYTES + SHORT_CODES_BYTES][..], &rules, &record].concat();
        let bytes = seal(BASE, 1, 41, record.len() as u32, &body);
        let name = Table::parse(&bytes).unwrap().iter().next().unwrap().name.to_string();
        assert!(name.ends_with("...") && name.len() == shown, "rule {rule}: {} characters", name.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lookup_agrees_with_a_search(symbols in symbols(), offset in 0_u64..400_000) {
        let bytes = encode(BASE, &symbols);
        let table = Table::parse(&bytes).unwrap();
        let mut start = 0_u64;
        let starts: Vec<u64> = symbols.iter().map(|symbol| { start += u64::from(symbol.0); start }).collect();
        prop_assert_eq!(table.iter().map(|symbol| symbol.address - BASE).collect::<Vec<_>>(), starts.clone());
        for first in [0, 1, 15, 16, 17, 40] {
            prop_assert_eq!(table.iter_from(first).count(), symbols.len().saturating_sub(first));
        }

        // The last one that starts at or before the address, where symbols do not overlap.
        let last = starts.partition_point(|&start| start <= offset).checked_sub(1);
        if let Some(last) = last.filter(|&last| offset - starts[last] < u64::from(symbols[last].1)) {
            let found = table.lookup(BASE + offset).unwrap();
            prop_assert_eq!(found.name.to_string(), symbols[last].2.as_str());
            prop_assert_eq!(found.offset, offset - starts[last]);
        }
    }

    #[test]
    fn damaged_tables_do_no_harm(
        symbols in symbols(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        reseal in any::<bool>(),
        address in any::<u64>(),
    ) {
        let mut bytes = encode(BASE, &symbols);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // With the checksum put right, the damage reaches the readers behind it.
        if reseal {
            let checksum = crc32(&bytes[HEADER_BYTES..]);
            bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        }
        exercise(&bytes, address);
        exercise(&bytes, BASE + address % 400_000);
    }

    #[test]
    fn noise_does_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600), address in any::<u64>()) {
        exercise(&bytes, address);
        let counts = |at: usize| bytes.get(at).map_or(0, |&byte| u32::from(byte));
        exercise(&seal(BASE, counts(0), counts(1), counts(2), &bytes), BASE + address % 4096);
    }
}
