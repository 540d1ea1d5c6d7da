//! Plain bit maps against a vector of `bool`.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Bits in the maps of the tests: three words.
const NR_BITS: usize = 3 * WORD_BITS;

/// One operation on a map.
#[derive(Clone, Copy, Debug)]
enum Op {
    Set(usize),
    Clear(usize),
    Change(usize),
    TestAndSet(usize),
    TestAndClear(usize),
    TestAndChange(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let nr = || 0..NR_BITS;
    let op = prop_oneof![
        nr().prop_map(Op::Set),
        nr().prop_map(Op::Clear),
        nr().prop_map(Op::Change),
        nr().prop_map(Op::TestAndSet),
        nr().prop_map(Op::TestAndClear),
        nr().prop_map(Op::TestAndChange),
    ];
    proptest::collection::vec(op, 0..200)
}

/// Does `op` on map and model; the operations that return must return what the model had.
fn apply(map: &mut [u64; 3], model: &mut [bool], op: Op) {
    match op {
        Op::Set(nr) => (map.set_bit(nr), model[nr] = true).0,
        Op::Clear(nr) => (map.clear_bit(nr), model[nr] = false).0,
        Op::Change(nr) => (map.change_bit(nr), model[nr] ^= true).0,
        Op::TestAndSet(nr) => assert_eq!(map.test_and_set_bit(nr), std::mem::replace(&mut model[nr], true)),
        Op::TestAndClear(nr) => assert_eq!(map.test_and_clear_bit(nr), std::mem::replace(&mut model[nr], false)),
        Op::TestAndChange(nr) => {
            let flipped = !model[nr];
            assert_eq!(map.test_and_change_bit(nr), std::mem::replace(&mut model[nr], flipped));
        }
    }
}

proptest! {
    #[test]
    fn operations_match_the_model(ops in ops()) {
        let (mut map, mut model) = ([0; 3], vec![false; NR_BITS]);
        for op in ops {
            apply(&mut map, &mut model, op);
        }
        for (nr, &bit) in model.iter().enumerate() {
            prop_assert_eq!(map.test_bit(nr), bit);
        }
    }

    #[test]
    fn searches_match_the_model(map in any::<[u64; 3]>(), dense in any::<bool>(), size in 0..=NR_BITS, start in 0..=NR_BITS + 1) {
        let map = if dense { map } else { map.map(|word| word & word >> 1 & word >> 2 & word >> 3 & word >> 5) };
        let bit = |nr: usize| map[nr / 64] >> (nr % 64) & 1 == 1;
        prop_assert_eq!(map.find_next_bit(size, start), (start..size).find(|&nr| bit(nr)));
        prop_assert_eq!(map.find_next_zero_bit(size, start), (start..size).find(|&nr| !bit(nr)));
        prop_assert_eq!(map.find_first_bit(size), (0..size).find(|&nr| bit(nr)));
        prop_assert_eq!(map.find_first_zero_bit(size), (0..size).find(|&nr| !bit(nr)));
        prop_assert_eq!(map.weight(size), (0..size).filter(|&nr| bit(nr)).count());
        prop_assert_eq!(map.set_bits(size).collect::<Vec<_>>(), (0..size).filter(|&nr| bit(nr)).collect::<Vec<_>>());
    }
}

#[test]
fn words_for_rounds_up() {
    assert_eq!([0, 1, 64, 65, 128].map(words_for), [0, 1, 1, 2, 2]);
}

#[test]
fn ends_of_words_are_found() {
    for nr in [0, 63, 64, 127, 128, 191] {
        let mut map = [0; 3];
        map.set_bit(nr);
        assert_eq!(map.find_first_bit(NR_BITS), Some(nr));
        assert_eq!(map.find_first_bit(nr), None);
        let inverse = map.map(|word: u64| !word);
        assert_eq!(inverse.find_first_zero_bit(NR_BITS), Some(nr));
        assert_eq!(inverse.find_first_zero_bit(nr), None);
    }
}

#[test]
fn a_map_of_no_bits_has_none() {
    let map: [u64; 0] = [];
    assert_eq!(map.find_first_bit(0), None);
    assert_eq!(map.weight(0), 0);
    assert_eq!(map.set_bits(0).count(), 0);
}

#[test]
#[should_panic(expected = "bit 192 is outside the map of 192 bits")]
fn setting_outside_panics() {
    [0_u64; 3].set_bit(192);
}

#[test]
#[should_panic(expected = "bit 64 is outside the map of 64 bits")]
fn testing_outside_panics() {
    0_u64.test_bit(64);
}

#[test]
#[should_panic(expected = "bit 128 is outside the map of 128 bits")]
fn searching_outside_panics() {
    [0_u64; 2].find_first_bit(129);
}
