//! The sequence under loom: one writer, one reader, two words. What `read` and the latch give is whole; a twin without any one of the four
//! orders gives halves.
//!
//! The reader is the thread that is spawned: with the writer spawned, loom never runs the whole write before the reader's first look, and passes
//! the twins that fail there.

use super::count::SeqCount;
use super::latch::Step;
use crate::sync::atomic::AtomicU32;
use loom::sync::Arc;
use loom::thread;

struct Pair {
    count: SeqCount,
    words: [AtomicU32; 2],
}

/// One write of (1, 1) over (0, 0), and reads until one succeeds at once.
fn whole(write: fn(&Pair), try_read: fn(&Pair) -> Option<[u32; 2]>) {
    loom::model(move || {
        let pair = Arc::new(Pair { count: SeqCount::new(), words: [AtomicU32::new(0), AtomicU32::new(0)] });
        // Makes the cells before they are shared.
        assert_eq!((pair.count.nr_writes(), pair.words[0].read(), pair.words[1].read()), (0, 0, 0));
        let reader = {
            let pair = Arc::clone(&pair);
            thread::spawn(move || {
                if let Some([first, second]) = try_read(&pair) {
                    assert!(first == second, "torn: {first} {second}");
                }
            })
        };
        write(&pair);
        reader.join().expect("the reader does not panic");
        assert_eq!(try_read(&pair), Some([1, 1]));
    });
}

fn write(pair: &Pair) {
    let begun = pair.count.write_begin();
    store(pair);
    pair.count.write_end(begun);
}

fn store(pair: &Pair) {
    pair.words.iter().for_each(|word| word.set(1));
}

fn copy(pair: &Pair) -> [u32; 2] {
    [pair.words[0].read(), pair.words[1].read()]
}

/// One attempt, as `SeqLock::read` makes it; a writer at it is waited for.
fn try_read(pair: &Pair) -> Option<[u32; 2]> {
    let begun = pair.count.begin();
    let copied = copy(pair);
    (!pair.count.retry(begun)).then_some(copied)
}

#[test]
fn a_reader_sees_all_or_nothing() {
    whole(write, try_read);
}

#[test]
#[should_panic(expected = "torn")]
fn twin_writer_without_barrier_after_the_odd_number() {
    whole(
        |pair| {
            pair.count.raw().set(1);
            store(pair);
            pair.count.raw().store_release(2);
        },
        try_read,
    );
}

#[test]
#[should_panic(expected = "torn")]
fn twin_writer_without_release_of_the_even_number() {
    whole(
        |pair| {
            let _ = pair.count.write_begin();
            store(pair);
            pair.count.raw().set(2);
        },
        try_read,
    );
}

#[test]
#[should_panic(expected = "torn")]
fn twin_reader_without_acquire_in_the_first_look() {
    whole(write, |pair| {
        let begun = pair.count.raw().read();
        let copied = copy(pair);
        crate::sync::barrier::smp_rmb();
        (begun & 1 == 0 && pair.count.raw().read() == begun).then_some(copied)
    });
}

#[test]
#[should_panic(expected = "torn")]
fn twin_reader_without_barrier_before_the_second_look() {
    whole(write, |pair| {
        let begun = pair.count.begin();
        let copied = copy(pair);
        (pair.count.raw().read() == begun.0).then_some(copied)
    });
}

struct Latch {
    step: Step,
    copies: [[AtomicU32; 2]; 2],
}

/// One write of (1, 1) over (0, 0) in each copy, and one attempt to read.
fn latched(advance: fn(&Step), retry: fn(&Step, u32) -> bool) {
    loom::model(move || {
        let latch = Arc::new(Latch { step: Step::new(), copies: [0; 2].map(|_| [0; 2].map(AtomicU32::new)) });
        assert!(latch.step.begin() == 0 && latch.copies.iter().flatten().all(|word| word.read() == 0));
        let reader = {
            let latch = Arc::clone(&latch);
            thread::spawn(move || {
                let begun = latch.step.begin();
                let copy = &latch.copies[(begun & 1) as usize];
                let (first, second) = (copy[0].read(), copy[1].read());
                assert!(retry(&latch.step, begun) || first == second, "torn: {first} {second}");
            })
        };
        for copy in &latch.copies {
            advance(&latch.step);
            copy.iter().for_each(|word| word.set(1));
        }
        reader.join().expect("the reader does not panic");
    });
}

#[test]
fn a_latch_is_whole() {
    latched(Step::advance, Step::retry);
}

#[test]
#[should_panic(expected = "torn")]
fn twin_latch_without_barrier_after_the_step() {
    latched(|step| step.raw().store_release(step.raw().read() + 1), Step::retry);
}

#[test]
#[should_panic(expected = "torn")]
fn twin_latch_without_release_of_the_step() {
    latched(
        |step| {
            step.raw().set(step.raw().read() + 1);
            crate::sync::barrier::smp_wmb();
        },
        Step::retry,
    );
}

#[test]
#[should_panic(expected = "torn")]
fn twin_latch_reader_without_barrier() {
    latched(Step::advance, |step, begun| step.raw().read() != begun);
}
