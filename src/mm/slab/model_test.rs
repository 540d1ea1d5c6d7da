//! The slab against a naive model: one `bool` an object.

use super::*;
use proptest::prelude::*;
use std::prelude::v1::*;
use std::vec;

#[derive(Clone, Copy, Debug)]
enum Op {
    Take,
    TakeUpTo(usize),
    Put(usize),
}

/// An operation from 64 random bits; `Put` hits objects beyond the end as well.
fn op_from(bits: u64, nr_objects: usize) -> Op {
    let operand = (bits >> 8) as usize;
    match bits % 8 {
        0..=2 => Op::Take,
        3 => Op::TakeUpTo(operand % 70),
        _ => Op::Put(operand % (nr_objects + 3)),
    }
}

fn step(words: &mut [u64], model: &mut [bool], op: Op) {
    let nr_objects = model.len();
    let mut map = SlabMap::open(words, nr_objects);
    match op {
        Op::Take => {
            let expected = model.iter().position(|is_out| !is_out);
            assert_eq!(map.take(), expected);
            expected.into_iter().for_each(|index| model[index] = true);
        }
        Op::TakeUpTo(max) => {
            let expected: Vec<usize> = (0..nr_objects).filter(|index| !model[*index]).take(max).collect();
            let mut taken = Vec::new();
            assert_eq!(map.take_up_to(max, |index| taken.push(index)), expected.len());
            assert_eq!(taken, expected);
            taken.into_iter().for_each(|index| model[index] = true);
        }
        Op::Put(index) => {
            let expected = match model.get(index) {
                None => Err(PutError::NotAnObject),
                Some(false) => Err(PutError::AlreadyFree),
                Some(true) => Ok(()),
            };
            assert_eq!(map.put(index), expected);
            if expected.is_ok() {
                model[index] = false;
            }
        }
    }
    let out = model.iter().filter(|is_out| **is_out).count();
    assert_eq!((map.nr_free(), map.is_full(), map.is_unused()), (nr_objects - out, out == nr_objects, out == 0), "{op:?}");
}

fn new(nr_objects: usize) -> (Vec<u64>, Vec<bool>) {
    let mut words = vec![0x5a5a; nr_objects.div_ceil(64)];
    SlabMap::format(&mut words, nr_objects);
    (words, vec![false; nr_objects])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Short histories, which proptest shrinks to the few operations that matter.
    #[test]
    fn short_histories_agree_with_the_model(nr_objects in 1..600_usize, history in prop::collection::vec(any::<u64>(), 1..200)) {
        let (mut words, mut model) = new(nr_objects);
        for bits in history {
            step(&mut words, &mut model, op_from(bits, nr_objects));
        }
        let map = SlabMap::open(&mut words, nr_objects);
        prop_assert!(map.taken().eq((0..nr_objects).filter(|index| model[*index])));
    }
}

#[test]
fn a_million_seeded_operations_agree_with_the_model() {
    let mut seed = 0x7465_7472_6121_0002_u64;
    for nr_objects in [4, 42, 64, 127] {
        let (mut words, mut model) = new(nr_objects);
        for _ in 0..250_000 {
            // Xorshift64 (Marsaglia, "Xorshift RNGs", 2003): the same operations on every machine.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            step(&mut words, &mut model, op_from(seed.wrapping_mul(0x2545_f491_4f6c_dd1d), nr_objects));
        }
    }
}

#[test]
fn words_beyond_the_objects_give_nothing() {
    let mut words = [0; 3];
    let mut map = SlabMap::format(&mut words, 65);
    assert_eq!(map.take_up_to(1000, |_| ()), 65);
    assert!(map.is_full() && map.take().is_none() && !map.is_taken(65) && !map.is_taken(9999));
    assert_eq!(map.put(65), Err(PutError::NotAnObject));
}
