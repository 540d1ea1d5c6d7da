//! Readers and writers as threads of the host: not in a build for one core, where nothing keeps them apart.

use super::*;
use crate::arch::irq;
use crate::cpu::preempt_count;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const ROUNDS: u64 = 20_000;
const WORDS: usize = 8;

/// Runs writers of arrays of equal words against readers that check them.
fn never_torn(write: impl Fn(u64) + Sync, read: impl Fn() -> [u64; WORDS] + Sync) {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let words = read();
                    assert!(words.iter().all(|word| *word == words[0]), "torn: {words:?}");
                }
            });
        }
        let writers: [_; 2] = core::array::from_fn(|_| scope.spawn(|| (0..ROUNDS).for_each(&write)));
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_reader_sees_whole_values() {
    let lock = SeqLock::new([0; WORDS]);
    never_torn(|value| lock.write().set([value; WORDS]), || lock.read());
    assert_eq!(lock.nr_writes(), 2 * ROUNDS as u32);
}

#[test]
fn a_reader_of_a_latch_sees_whole_values() {
    let latch = SeqLatch::new([0; WORDS]);
    never_torn(|value| latch.write([value; WORDS]), || latch.read());
}

#[test]
fn no_update_is_lost() {
    let (lock, latch) = (SeqLock::new([0_u64; 2]), SeqLatch::new(0_u64));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS / 4 {
                    lock.write().update(|pair| pair.iter_mut().for_each(|word| *word += 1));
                    latch.update(|word| word + 1);
                }
            });
        }
    });
    assert_eq!((lock.read(), latch.read()), ([ROUNDS; 2], ROUNDS));
}

#[test]
fn what_was_copied_while_a_writer_came_is_no_value() {
    let lock = SeqLock::new(1_u32);
    let section = lock.begin();
    let copied = section.copy();
    lock.write().set(2);
    assert_eq!(section.end(copied), None);
    let section = lock.begin();
    let copied = section.copy();
    assert_eq!(section.end(copied), Some(2));
}

#[test]
fn a_latch_is_read_in_the_middle_of_a_write() {
    let latch = SeqLatch::new(1_u64);
    latch.update(|old| {
        assert_eq!(latch.read(), old);
        2
    });
    latch.step.advance();
    latch.copies[0].store(3);
    assert_eq!(latch.read(), 2);
    latch.step.advance();
    assert_eq!(latch.read(), 3);
}

#[test]
fn a_second_writer_is_kept_out() {
    let lock = SeqLock::new(0_u8);
    let guard = lock.write();
    assert!(lock.try_write().is_none() && lock.try_write_irqsave().is_none() && lock.is_locked());
    drop(guard);
    assert!(lock.try_write_bh().is_some());
}

#[test]
fn each_form_marks_its_context_and_clears_it() {
    let lock = SeqLock::new(0_u16);
    let guard = lock.write_irqsave();
    assert!(irq::is_masked());
    drop(guard);
    drop(lock.write_irq());
    let guard = lock.write_bh();
    assert!(crate::cpu::in_softirq());
    drop(guard);
    assert!(preempt_count() == 0 && !irq::is_masked());
}

crate::sync::seq_data! {
    /// Fields of two widths without a gap.
    #[derive(Debug, PartialEq)]
    struct Mixed {
        wide: u64,
        narrow: [u32; 2],
    }
}

#[test]
fn a_struct_survives() {
    let lock = SeqLock::new(Mixed { wide: 1, narrow: [2, 3] });
    lock.write().update(|mixed| mixed.narrow[1] = 4);
    assert_eq!(lock.read(), Mixed { wide: 1, narrow: [2, 4] });
}
