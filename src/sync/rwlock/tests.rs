//! Readers and writers as threads of the host: not in a build for one core, where nothing keeps them apart.

use super::*;
use crate::arch::{count, irq};
use crate::cpu::preempt_count;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn readers_see_no_half_written_pair() {
    const ROUNDS: u64 = 5_000;
    let pair = RwLock::new((0_u64, 0_u64));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let mut pair = pair.write();
                    pair.0 += 1;
                    thread::yield_now();
                    pair.1 += 1;
                }
            });
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let pair = pair.read();
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert!(!pair.is_locked() && !pair.is_contended());
    assert_eq!(pair.into_inner(), (2 * ROUNDS, 2 * ROUNDS));
}

#[test]
fn readers_are_inside_at_once_and_keep_writers_out() {
    let lock = RwLock::new(5);
    let (one, other) = (lock.read(), lock.try_read().expect("readers share"));
    assert_eq!(*one + *other, 10);
    assert!(lock.try_write().is_none() && lock.is_locked() && !lock.is_write_locked());
    drop((one, other));
    let writer = lock.write();
    assert!(lock.try_read().is_none() && lock.try_write_bh().is_none() && lock.is_write_locked());
    drop(writer);
    assert!(!lock.is_locked() && preempt_count() == 0);
}

#[test]
fn a_waiting_writer_keeps_later_threads_out_and_lets_handlers_in() {
    let lock = RwLock::new(0);
    let reader = lock.read();
    thread::scope(|scope| {
        scope.spawn(|| *lock.write() += 1);
        wait_until(|| lock.is_contended() && lock.try_read().is_none());

        count::enter_softirq();
        let handler = lock.read();
        assert_eq!(*handler, 0);
        drop(handler);
        // SAFETY: undoes the entry above.
        unsafe { count::leave_softirq() };

        let late = scope.spawn(|| *lock.read());
        thread::sleep(Duration::from_millis(20));
        assert!(!late.is_finished(), "a reader overtook the writer");
        drop(reader);
        assert_eq!(late.join().unwrap(), 1);
    });
}

#[test]
fn a_writer_gets_in_while_readers_come_and_go() {
    let lock = RwLock::new(());
    let (is_done, is_inside) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let guard = lock.read();
                    is_inside.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                    is_inside.fetch_sub(1, Ordering::Relaxed);
                    drop(guard);
                }
            });
        }
        for _ in 0..500 {
            let guard = lock.write();
            assert_eq!(is_inside.load(Ordering::Relaxed), 0);
            drop(guard);
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn each_form_marks_its_context_and_clears_it() {
    let lock = RwLock::<_, BottomHalfDisabled>::with_policy(());
    drop((lock.read(), lock.read_bh(), lock.read_irq(), lock.read_irqsave()));
    assert!(preempt_count() == 0 && !irq::is_masked());
    let writer = lock.write_irqsave();
    assert!(irq::is_masked());
    drop(writer);
    drop(lock.write_bh());
    drop(lock.try_write_irq());
    assert!(preempt_count() == 0 && !irq::is_masked());
}
