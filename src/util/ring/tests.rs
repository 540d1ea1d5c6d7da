//! The ring against a queue, and across two threads.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::prelude::v1::*;
use std::vec;

#[test]
fn each_end_has_one_user() {
    static RING: ByteRing<8> = ByteRing::new();
    let producer = RING.producer().unwrap();
    assert!(RING.producer().is_none());
    drop(producer);
    let consumer = RING.consumer().unwrap();
    assert!(RING.producer().is_some() && RING.consumer().is_none());
    drop(consumer);
    assert!(RING.consumer().is_some());
}

#[test]
fn full_and_empty_use_every_slot() {
    let ring = ByteRing::<4>::new();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(consumer.pop(), None);
    assert_eq!(producer.push_slice(b"abcdef"), 4);
    assert_eq!((producer.push(b'x'), producer.room(), ring.len()), (Err(b'x'), 0, 4));
    assert_eq!(consumer.pop(), Some(b'a'));
    assert_eq!(producer.push(b'e'), Ok(()));
    assert_eq!((consumer.clear(), ring.is_empty()), (4, true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_a_bounded_queue(start: usize, steps in prop::collection::vec((any::<bool>(), 0usize..12), 0..100)) {
        // The counts may start anywhere, just before they wrap too.
        let ring = ByteRing::<8>::new();
        ring.head.0.store(start, Relaxed);
        ring.tail.0.store(start, Relaxed);
        let (mut producer, mut consumer, mut model) = (ring.producer().unwrap(), ring.consumer().unwrap(), VecDeque::new());
        let mut next = 0u8;
        for (is_push, len) in steps {
            if is_push {
                let bytes: Vec<u8> = (0..len).map(|offset| next.wrapping_add(offset as u8)).collect();
                let pushed = producer.push_slice(&bytes);
                prop_assert_eq!(pushed, len.min(8 - model.len()));
                model.extend(&bytes[..pushed]);
                next = next.wrapping_add(pushed as u8);
            } else {
                let mut bytes = vec![0; len];
                let popped = consumer.pop_slice(&mut bytes);
                prop_assert_eq!(&bytes[..popped], model.drain(..len.min(model.len())).collect::<Vec<_>>());
            }
            prop_assert_eq!((ring.len(), producer.room()), (model.len(), 8 - model.len()));
        }
    }
}

#[test]
fn two_threads_lose_and_invent_nothing() {
    const TOTAL: u32 = 200_000;
    static RING: ByteRing<64> = ByteRing::new();
    let sender = std::thread::spawn(|| {
        let mut producer = RING.producer().unwrap();
        for number in 0..TOTAL {
            while producer.push(number as u8).is_err() {
                std::thread::yield_now();
            }
        }
    });
    let mut consumer = RING.consumer().unwrap();
    for number in 0..TOTAL {
        let byte = loop {
            match consumer.pop() {
                Some(byte) => break byte,
                None => std::thread::yield_now(),
            }
        };
        assert_eq!(byte, number as u8);
    }
    sender.join().unwrap();
    assert!(RING.is_empty());
}
