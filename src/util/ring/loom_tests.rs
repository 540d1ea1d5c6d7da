//! Every interleaving and reordering of two threads that the C11 model allows.

use super::*;
use loom::sync::Arc;
use std::prelude::v1::*;

/// Sends three bytes through a ring of two, so that slots are used again while the other side looks.
fn run(publish: Ordering) {
    let ring = Arc::new(ByteRing::<2>::new());
    let sender_ring = ring.clone();
    let sender = loom::thread::spawn(move || {
        let mut producer = sender_ring.producer().unwrap();
        let mut sent = 0;
        for byte in [1, 2, 3] {
            sent += producer.push_published(&[byte], publish);
        }
        sent
    });
    let mut consumer = ring.consumer().unwrap();
    let mut received = Vec::new();
    for _ in 0..2 {
        received.extend(consumer.pop());
    }
    let sent = sender.join().unwrap();
    received.extend(core::iter::from_fn(|| consumer.pop()));
    assert_eq!(received.len(), sent);
    assert!(received.windows(2).all(|pair| pair[0] < pair[1]), "{received:?}");
}

#[test]
fn bytes_arrive_once_and_in_order() {
    loom::model(|| run(Release));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_relaxed_head_is_caught() {
    loom::model(|| run(Relaxed));
}

#[test]
fn an_end_given_back_hands_its_progress_on() {
    loom::model(|| {
        let ring = Arc::new(ByteRing::<2>::new());
        let other_ring = ring.clone();
        let other = loom::thread::spawn(move || other_ring.producer().map_or(0, |mut producer| producer.push_slice(&[7])));
        let mine = ring.producer().map_or(0, |mut producer| producer.push_slice(&[7]));
        let sent = mine + other.join().unwrap();
        let mut consumer = ring.consumer().unwrap();
        assert!(sent >= 1);
        for _ in 0..sent {
            assert_eq!(consumer.pop(), Some(7));
        }
        assert_eq!(consumer.pop(), None);
    });
}
