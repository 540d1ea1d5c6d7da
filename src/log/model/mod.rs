//! The log's algorithms under loom: `ring.rs` and `drain_flag.rs`, compiled once more over loom's words, with a broken twin for each edge.
//!
//! Two threads, small rings: what loom can finish. `RUSTFLAGS="--cfg loom" cargo test --release --lib log::model`.

mod atomic;
#[expect(dead_code, reason = "a model uses part of it")]
#[path = "../drain_flag.rs"]
mod drain_flag;
#[expect(dead_code, reason = "a model uses part of it")]
#[path = "../record.rs"]
mod record;
#[expect(dead_code, reason = "a model uses part of it")]
#[path = "../ring.rs"]
mod ring;

use crate::log::level;

use atomic::{AtomicU32, AtomicU64, Edge, Ordering, failure_of, failure_without};
use drain_flag::DrainFlag;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use record::{HEADER_WORDS, Meta};
use ring::{Beneath, Peek, Ring};

/// Two records of one word of text.
const WORDS: usize = 8;
const RECORD_WORDS: u32 = HEADER_WORDS + 1;
const META: Meta = Meta { seq: 0, bytes: 8, flags: 0, level: level::KERN_INFO };

fn new_ring() -> Arc<Ring<WORDS>> {
    Arc::new(Ring::of_zeros(AtomicU64::new(0), AtomicU32::new(0), std::array::from_fn(|_| AtomicU64::new(0))))
}

/// What record `seq` has as its text.
fn text_of(seq: u32) -> u64 {
    0x1000 + u64::from(seq)
}

/// One of the two ways to write record `seq`.
type Write = fn(&Ring<WORDS>, u32);

const WAYS: [Write; 2] = [write_slowly, write_quickly];

fn write_slowly(ring: &Ring<WORDS>, seq: u32) {
    let reservation = ring.reserve(RECORD_WORDS, Beneath::Nothing, || u64::from(seq)).expect("nothing is open");
    ring.store(reservation.text(), text_of(seq));
    ring.commit(reservation, RECORD_WORDS, META);
}

fn write_quickly(ring: &Ring<WORDS>, seq: u32) {
    let reservation = ring.try_reserve(RECORD_WORDS, || u64::from(seq)).expect("nothing is open");
    ring.store(reservation.text(), text_of(seq));
    ring.commit_whole(reservation, META);
}

/// Reads the record at the start of the ring, or the oldest kept; what the ring gives for good must be right.
fn read(ring: &Ring<WORDS>) {
    let Peek::Done { pos, ticks, meta, .. } = ring.peek(0) else { return };
    assert_eq!(u64::from(meta.seq), ticks, "a header of two records");
    let mut text = [0];
    if ring.copy(pos, pos + HEADER_WORDS, &mut text) {
        assert_eq!(text[0], text_of(meta.seq), "wrong text taken for good");
    }
}

/// Writes the records `seqs` while another core reads. The writer is the model's first thread: loom remembers one access a word, and a writer that loads
/// `head` again before its CAS would hide the reader's load from it.
fn reader_against_writer(ring: &Arc<Ring<WORDS>>, write: Write, seqs: core::ops::Range<u32>) {
    let reader = thread::spawn({
        let ring = ring.clone();
        move || read(&ring)
    });
    seqs.for_each(|seq| write(ring, seq));
    reader.join().expect("the reader ends");
    assert!(matches!(ring.peek(0), Peek::Done { .. }), "the record never came");
}

fn reader_against_publisher(write: Write) {
    reader_against_writer(&new_ring(), write, 0..1);
}

fn reader_against_overwriter(write: Write) {
    let ring = new_ring();
    (0..2).for_each(|seq| write(&ring, seq));
    reader_against_writer(&ring, write, 2..3);
}

/// Holds with all edges, and fails without `edge`, by the reader's own words.
fn holds_by(edge: Edge, model: fn(Write)) {
    for write in WAYS {
        assert_eq!(failure_of(move || model(write)), None);
        let failure = failure_without(edge, move || model(write)).expect("the twin without the edge must fail");
        assert!(failure.contains("wrong text") || failure.contains("a header of two"), "another failure: {failure}");
    }
}

#[test]
fn a_finished_record_is_read_whole() {
    holds_by(Edge::Publish, reader_against_publisher);
}

#[test]
fn an_overwritten_record_is_recognised() {
    holds_by(Edge::Evict, reader_against_overwriter);
}

/// A try-flag as one writes it first.
struct TryFlag(AtomicU32);

trait Flag: Send + Sync + 'static {
    fn request(&self) -> bool;
    fn take_up(&self);
    fn is_done(&self) -> bool;
}

impl Flag for DrainFlag {
    fn request(&self) -> bool {
        self.request()
    }
    fn take_up(&self) {
        self.take_up();
    }
    fn is_done(&self) -> bool {
        self.is_done()
    }
}

impl Flag for TryFlag {
    fn request(&self) -> bool {
        self.0.swap(1, Ordering::AcqRel) == 0
    }
    fn take_up(&self) {}
    fn is_done(&self) -> bool {
        self.0.store(0, Ordering::Release);
        true
    }
}

/// Two cores that each write a record and ask for it to be shown.
fn two_writers_one_drainer<F: Flag>(flag: F) {
    struct Shared<F> {
        flag: F,
        written: [AtomicU32; 2],
        shown: UnsafeCell<[u32; 2]>,
    }
    // Loom checks what Sync promises: an access to `shown` that is not ordered ends the model.
    // SAFETY: see above.
    unsafe impl<F: Sync> Sync for Shared<F> {}
    // SAFETY: the parts are plain data.
    unsafe impl<F: Send> Send for Shared<F> {}

    fn write_and_drain<F: Flag>(shared: &Shared<F>, me: usize) {
        shared.written[me].store(1, Ordering::Relaxed);
        if !shared.flag.request() {
            return;
        }
        loop {
            shared.flag.take_up();
            let written = [0, 1].map(|i| shared.written[i].load(Ordering::Relaxed));
            // SAFETY: the flag admits one drainer.
            shared.shown.with_mut(|shown| unsafe { *shown = written });
            if shared.flag.is_done() {
                return;
            }
        }
    }

    let shared = Arc::new(Shared { flag, written: [AtomicU32::new(0), AtomicU32::new(0)], shown: UnsafeCell::new([0, 0]) });
    let other = thread::spawn({
        let shared = shared.clone();
        move || write_and_drain(&shared, 1)
    });
    write_and_drain(&shared, 0);
    other.join().expect("the other core ends");
    // SAFETY: the other thread has ended.
    let shown = shared.shown.with(|shown| unsafe { *shown });
    assert_eq!(shown, [1, 1], "a record was left lying");
}

#[test]
fn no_record_is_left_lying() {
    let model = || two_writers_one_drainer(DrainFlag::of_zero(AtomicU32::new(0)));
    assert_eq!(failure_of(model), None);
    let failure = failure_without(Edge::HandOver, model).expect("the twin without the edge HandOver must fail");
    assert!(failure.contains("left lying") || failure.contains("Causality violation"), "another failure: {failure}");
}

#[test]
fn a_plain_try_flag_is_caught() {
    let failure = failure_of(|| two_writers_one_drainer(TryFlag(AtomicU32::new(0)))).expect("the twin must fail");
    assert!(failure.contains("left lying"), "another failure: {failure}");
}
