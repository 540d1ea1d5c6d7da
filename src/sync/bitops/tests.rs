//! Shared bit maps against a vector of `bool`, and several threads on one word.

extern crate std;

use std::sync::Arc;
use std::thread;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::util::bitmap::BitmapExt;

/// Bits in the maps of the tests.
const NR_BITS: usize = 192;

/// What a step does to the bit, and whether it tells the value before.
type Step = (fn(&Bitmap<3>, usize) -> Option<bool>, fn(bool) -> bool);

/// Every operation that changes a bit.
const STEPS: &[Step] = &[
    (|map, nr| (map.set_bit(nr), None).1, |_| true),
    (|map, nr| (map.clear_bit(nr), None).1, |_| false),
    (|map, nr| (map.change_bit(nr), None).1, |bit| !bit),
    (|map, nr| Some(map.test_and_set_bit(nr)), |_| true),
    (|map, nr| Some(map.test_and_clear_bit(nr)), |_| false),
    (|map, nr| Some(map.test_and_change_bit(nr)), |bit| !bit),
    (|map, nr| Some(map.test_and_set_bit_lock(nr)), |_| true),
    (|map, nr| (map.clear_bit_unlock(nr), None).1, |_| false),
    (|map, nr| (map.nonatomic_clear_bit_unlock(nr), None).1, |_| false),
    (|map, nr| (map.nonatomic_set_bit(nr), None).1, |_| true),
    (|map, nr| (map.nonatomic_clear_bit(nr), None).1, |_| false),
    (|map, nr| (map.nonatomic_change_bit(nr), None).1, |bit| !bit),
    (|map, nr| Some(map.nonatomic_test_and_set_bit(nr)), |_| true),
    (|map, nr| Some(map.nonatomic_test_and_clear_bit(nr)), |_| false),
    (|map, nr| Some(map.nonatomic_test_and_change_bit(nr)), |bit| !bit),
];

proptest! {
    #[test]
    fn operations_match_the_model(
        steps in proptest::collection::vec((0..STEPS.len(), 0..NR_BITS), 0..300),
        start in 0..NR_BITS,
        size in 0..=NR_BITS,
    ) {
        let (map, mut model) = (Bitmap::<3>::new(), vec![false; NR_BITS]);
        for (step, nr) in steps {
            let (act, after) = STEPS[step];
            if let Some(told) = act(&map, nr) {
                prop_assert_eq!(told, model[nr]);
            }
            model[nr] = after(model[nr]);
        }

        for (nr, &bit) in model.iter().enumerate() {
            prop_assert_eq!((BitOps::test_bit(&map, nr), map.test_bit_acquire(nr)), (bit, bit));
        }
        prop_assert_eq!(map.find_next_bit(size, start), (start..size).find(|&nr| model[nr]));
        prop_assert_eq!(map.find_next_zero_bit(size, start), (start..size).find(|&nr| !model[nr]));
        prop_assert_eq!(map.find_first_bit(size), (0..size).find(|&nr| model[nr]));
        prop_assert_eq!(map.find_first_zero_bit(size), (0..size).find(|&nr| !model[nr]));
        prop_assert_eq!(map.weight(size), (0..size).filter(|&nr| model[nr]).count());
        prop_assert_eq!(map.set_bits(size).collect::<Vec<_>>(), (0..size).filter(|&nr| model[nr]).collect::<Vec<_>>());
    }
}

#[test]
fn one_word_and_slices_are_maps_too() {
    let word = AtomicU64::new(0);
    word.set_bit(63);
    assert_eq!(word.read(), 1 << 63);
    let words = [AtomicU64::new(0), AtomicU64::new(0)];
    words.set_bit(64);
    assert!(words[..].test_and_clear_bit(64));
    assert_eq!(words[1].read(), 0);
}

#[test]
fn an_owner_has_the_plain_operations() {
    let mut map = Bitmap::<2>::default();
    map.get_mut().set_bit(65);
    assert!(!map.get_mut().test_and_change_bit(1));
    assert_eq!(map.set_bits(128).collect::<Vec<_>>(), [1, 65]);
}

#[test]
fn threads_share_a_word() {
    let map = Arc::new(Bitmap::<1>::new());
    let threads = (0..4).map(|thread| {
        let map = Arc::clone(&map);
        thread::spawn(move || {
            for round in 0..10_001 {
                assert_eq!(map.test_and_change_bit(thread * 16), round % 2 == 1);
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(map.words()[0].read(), 0x0001_0001_0001_0001);
}

#[test]
#[should_panic(expected = "bit 192 is outside the map of 192 bits")]
fn a_bit_outside_panics() {
    Bitmap::<3>::new().set_bit(192);
}

#[test]
#[should_panic(expected = "bit 64 is outside the map of 64 bits")]
fn a_bit_outside_one_word_panics() {
    AtomicU64::new(0).test_and_set_bit(64);
}
