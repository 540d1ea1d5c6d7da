//! Maker of the kernel's symbol table; the format is described in `src/debug/kallsyms.rs`.
//!
//! The rules that shorten names are found in rounds: each counts all pairs of neighbouring codes and joins the most
//! frequent ones. Joining one pair a round gives tables 1 % smaller and takes a hundred times longer.

use std::collections::HashMap;

use crate::kallsyms::{BLOCK_SYMBOLS, HEADER_BYTES, Header, LONG_CODE, NR_SHORT_CODES, RULE_BASE, RULE_DEPTH_MAX, RULES_MAX, crc32};

/// A symbol of the ELF on its way into the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub address: u64,
    pub size: u64,
    pub is_data: bool,
    pub name: String,
}

/// Returns the table for `entries`, which must be sorted by address and reach over less than 4 GiB.
pub fn encode(entries: &[Entry]) -> anyhow::Result<Vec<u8>> {
    let base = entries.first().map_or(0, |entry| entry.address);
    let (names, rules) = find_rules(entries.iter().map(|entry| codes_of(&entry.name)).collect());
    let short_codes = most_used(&names);

    let mut blocks = Vec::new();
    let mut records = Vec::new();
    let mut previous = base;
    for (number, (entry, name)) in entries.iter().zip(&names).enumerate() {
        if number % BLOCK_SYMBOLS == 0 {
            blocks.extend(u32::try_from(entry.address - base)?.to_le_bytes());
            blocks.extend(u32::try_from(records.len())?.to_le_bytes());
            previous = entry.address;
        }
        let name = name_bytes(name, &short_codes);
        push_leb128(&mut records, u32::try_from(entry.address - previous)?);
        push_leb128(&mut records, u32::try_from(entry.size << 1 | u64::from(entry.is_data))?);
        push_leb128(&mut records, u32::try_from(name.len())?);
        records.extend(name);
        previous = entry.address;
    }

    let mut body = blocks;
    let mut slots = short_codes;
    slots.resize(NR_SHORT_CODES, 0);
    body.extend(slots.iter().flat_map(|rule| rule.to_le_bytes()));
    body.extend(rules.iter().flat_map(|&(left, right)| [left.to_le_bytes(), right.to_le_bytes()]).flatten());
    body.extend(&records);
    let header = Header {
        length: u32::try_from(HEADER_BYTES + body.len())?,
        checksum: crc32(&body),
        base,
        nr_symbols: u32::try_from(entries.len())?,
        nr_rules: u32::try_from(rules.len())?,
        records_len: u32::try_from(records.len())?,
    };
    Ok([&header.to_bytes()[..], &body].concat())
}

/// Spells a name in ASCII; Rust allows other letters, the kernel's console does not care for them.
fn codes_of(name: &str) -> Vec<u16> {
    name.chars()
        .flat_map(|character| {
            match character {
                ' '..='~' => character.to_string(),
                _ => character.escape_unicode().to_string(),
            }
            .into_bytes()
        })
        .map(u16::from)
        .collect()
}

type Rule = (u16, u16);

/// Replaces frequent pairs by rules until no pair pays for the four bytes of its rule.
fn find_rules(mut names: Vec<Vec<u16>>) -> (Vec<Vec<u16>>, Vec<Rule>) {
    /// A pair joined fewer times than this saves less than its rule costs.
    const WORTHWHILE: usize = 5;
    /// Pairs joined in one round: those that occur at least half as often as the most frequent one.
    const ROUND_FRACTION: usize = 2;

    let mut rules: Vec<Rule> = Vec::new();
    let mut depths: Vec<usize> = Vec::new();
    loop {
        let depth = |code: u16| code.checked_sub(RULE_BASE).map_or(0, |rule| depths[usize::from(rule)]);
        let mut pairs: Vec<(usize, Rule)> = count_pairs(&names)
            .into_iter()
            .filter(|&((left, right), count)| count >= WORTHWHILE && depth(left).max(depth(right)) + 2 < RULE_DEPTH_MAX)
            .map(|(pair, count)| (count, pair))
            .collect();
        // The order decides the outcome, and builds must be reproducible.
        pairs.sort_by_key(|&(count, pair)| (std::cmp::Reverse(count), pair));
        let Some(&(best, _)) = pairs.first() else { break };
        pairs.retain(|&(count, _)| count >= (best / ROUND_FRACTION).max(WORTHWHILE));
        pairs.truncate(RULES_MAX - rules.len());
        if pairs.is_empty() {
            break;
        }

        let mut chosen = HashMap::new();
        for (_, pair) in pairs {
            let new_depth = depth(pair.0).max(depth(pair.1)) + 1;
            chosen.insert(pair, (RULE_BASE as usize + rules.len() + chosen.len(), new_depth));
        }
        let mut new: Vec<_> = chosen.iter().map(|(&pair, &(code, depth))| (code, pair, depth)).collect();
        new.sort();
        for (_, pair, depth) in new {
            rules.push(pair);
            depths.push(depth);
        }
        for name in &mut names {
            join(name, |pair| chosen.get(&pair).map(|&(code, _)| code as u16));
        }
    }
    drop_unused(&mut names, &mut rules);
    (names, rules)
}

fn count_pairs(names: &[Vec<u16>]) -> HashMap<Rule, usize> {
    let mut counts = HashMap::new();
    for name in names {
        for pair in name.windows(2) {
            *counts.entry((pair[0], pair[1])).or_default() += 1;
        }
    }
    counts
}

fn join(name: &mut Vec<u16>, code_of: impl Fn(Rule) -> Option<u16>) {
    let mut joined = Vec::with_capacity(name.len());
    let mut rest = name.as_slice();
    while let Some((&first, tail)) = rest.split_first() {
        match tail.first().and_then(|&second| code_of((first, second))) {
            Some(code) => {
                joined.push(code);
                rest = &tail[1..];
            }
            None => {
                joined.push(first);
                rest = tail;
            }
        }
    }
    *name = joined;
}

/// Undoes rules that later rounds left with too few users, and numbers the rest anew.
fn drop_unused(names: &mut [Vec<u16>], rules: &mut Vec<Rule>) {
    /// Users that make a rule cheaper than writing its two codes out.
    const KEEP_FROM: usize = 3;

    let mut users = vec![0_usize; rules.len()];
    let in_rules = rules.iter().flat_map(|&(left, right)| [left, right]);
    for code in names.iter().flatten().copied().chain(in_rules) {
        if let Some(rule) = code.checked_sub(RULE_BASE) {
            users[usize::from(rule)] += 1;
        }
    }
    // A rule has exactly two parts, so one that goes must not be part of another.
    let is_part = |number: usize| {
        let code = RULE_BASE + number as u16;
        rules.iter().any(|&(left, right)| left == code || right == code)
    };
    let mut spelled: Vec<Vec<u16>> = Vec::with_capacity(rules.len());
    let mut kept = Vec::new();
    for (number, &(left, right)) in rules.iter().enumerate() {
        let part = |code: u16| code.checked_sub(RULE_BASE).map_or(code, |rule| spelled[usize::from(rule)][0]);
        let pair = (part(left), part(right));
        if users[number] >= KEEP_FROM || is_part(number) {
            spelled.push(vec![RULE_BASE + kept.len() as u16]);
            kept.push(pair);
        } else {
            spelled.push(vec![pair.0, pair.1]);
        }
    }
    for name in names {
        *name = name
            .iter()
            .flat_map(|&code| match code.checked_sub(RULE_BASE) {
                Some(rule) => spelled[usize::from(rule)].clone(),
                None => vec![code],
            })
            .collect();
    }
    *rules = kept;
}

/// Returns the numbers of the rules that names use most.
fn most_used(names: &[Vec<u16>]) -> Vec<u16> {
    let mut counts: HashMap<u16, usize> = HashMap::new();
    for rule in names.iter().flatten().filter_map(|code| code.checked_sub(RULE_BASE)) {
        *counts.entry(rule).or_default() += 1;
    }
    let mut rules: Vec<_> = counts.into_iter().collect();
    rules.sort_by_key(|&(rule, count)| (std::cmp::Reverse(count), rule));
    rules.into_iter().map(|(rule, _)| rule).take(NR_SHORT_CODES).collect()
}

fn name_bytes(name: &[u16], short_codes: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &code in name {
        let Some(rule) = code.checked_sub(RULE_BASE) else {
            bytes.push(code as u8);
            continue;
        };
        match short_codes.iter().position(|&short| short == rule) {
            Some(short @ 0..0x20) => bytes.push(short as u8),
            Some(short) => bytes.push((short - 0x20 + 0x80) as u8),
            None => bytes.extend([LONG_CODE + (rule >> 8) as u8, rule as u8]),
        }
    }
    bytes
}

fn push_leb128(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kallsyms::{Kind, Table};

    /// Names as a kernel has them: a few paths, many endings.
    fn sample(count: u64) -> Vec<Entry> {
        let paths = ["tetra::sync::spinlock::SpinLock<T>", "core::fmt::num::imp", "<tetra::log::ring::Ring as core::fmt::Write>"];
        (0..count)
            .map(|number| Entry {
                address: 0xffff_ffff_8008_0000 + number * 40,
                size: 32 + number % 8,
                is_data: number % 5 == 0,
                name: format!("{}::step_{}", paths[(number % 3) as usize], number * 7919 % 1000),
            })
            .collect()
    }

    #[test]
    fn what_is_encoded_reads_back() {
        for count in [0, 1, 15, 16, 17, 1000] {
            let entries = sample(count);
            let bytes = encode(&entries).unwrap();
            let table = Table::parse(&bytes).unwrap();
            let back: Vec<Entry> = table
                .iter()
                .map(|symbol| Entry {
                    address: symbol.address,
                    size: symbol.size,
                    is_data: symbol.kind == Kind::Data,
                    name: symbol.name.to_string(),
                })
                .collect();
            assert_eq!(back, entries);
            for entry in &entries {
                let found = table.lookup(entry.address + entry.size - 1).unwrap();
                assert_eq!((found.name == *entry.name, found.offset), (true, entry.size - 1));
                assert_eq!(table.find(&entry.name).unwrap().name.to_string(), entry.name);
            }
        }
    }

    #[test]
    fn tables_are_small_and_reproducible() {
        let entries = sample(1000);
        let table = encode(&entries).unwrap();
        assert!(table.len() < 20 * entries.len(), "{} bytes a symbol", table.len() / entries.len());
        assert_eq!(table, encode(&entries).unwrap());
    }

    #[test]
    fn letters_beyond_ascii_are_spelled() {
        let entries = [Entry { address: 64, size: 4, is_data: false, name: "größe".to_owned() }];
        let table = encode(&entries).unwrap();
        let name = Table::parse(&table).unwrap().iter().next().unwrap().name.to_string();
        assert_eq!(name, "gr\\u{f6}\\u{df}e");
    }
}
