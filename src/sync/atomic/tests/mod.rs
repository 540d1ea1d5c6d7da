//! Every operation at its edges (`values.rs`), against the integers' own arithmetic, and by several threads at once.

extern crate std;

use std::sync::Arc;
use std::thread;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

#[macro_use]
mod values;

#[test]
fn values_are_right() {
    for (name, case) in values::CASES {
        std::println!("{name}");
        case();
    }
}

#[test]
fn pointers_are_exchanged() {
    let (mut one, mut two) = (1, 2);
    let (first, second) = (&raw mut one, &raw mut two);
    let pointer = AtomicPtr::new(first);
    assert_eq!(pointer.xchg(second), first);
    assert_eq!(pointer.cmpxchg(first, core::ptr::null_mut()), Err(second));
    // SAFETY: The pointer is to `two`, which lives.
    assert_eq!(unsafe { *pointer.read() }, 2);
    assert_eq!(pointer.cmpxchg_release(second, core::ptr::null_mut()), Ok(second));
    assert!(pointer.load_acquire().is_null());
}

#[test]
fn an_owner_needs_no_atomic_access() {
    let mut variables = [AtomicU16::new(1), AtomicU16::new(2)];
    *variables[0].get_mut() = 7;
    AtomicU16::get_mut_slice(&mut variables)[1] = 8;
    assert_eq!(variables.map(|variable| variable.read()), [7, 8]);
}

#[test]
fn threads_lose_no_update() {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 5_000;

    let counters = Arc::new([const { AtomicU32::new(0) }; 3]);
    let threads = (0..THREADS).map(|_| {
        let counters = Arc::clone(&counters);
        thread::spawn(move || {
            for _ in 0..ROUNDS {
                counters[0].inc();
                counters[1].inc_not_zero();
                let mut old = counters[2].read();
                loop {
                    let new = old + 1;
                    if counters[2].try_cmpxchg(&mut old, new) {
                        break;
                    }
                }
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(counters.each_ref().map(Atomic::read), [THREADS * ROUNDS, 0, THREADS * ROUNDS]);
}

proptest! {
    #[test]
    fn arithmetic_is_that_of_the_integer(before in any::<i16>(), operand in any::<i16>(), other in any::<i16>()) {
        forms!(i16, before, [add_return](operand) => before.wrapping_add(operand), before.wrapping_add(operand));
        forms!(i16, before, [fetch_sub](operand) => before, before.wrapping_sub(operand));
        forms!(i16, before, [fetch_andnot](operand) => before, before & !operand);
        forms!(i16, before, [add_negative](operand) => before.wrapping_add(operand) < 0, before.wrapping_add(operand));
        let sum = if before == other { before } else { before.wrapping_add(operand) };
        forms!(i16, before, [add_unless](operand, other) => before != other, sum);
        forms!(i16, before, [sub_and_test](operand) => before == operand, before.wrapping_sub(operand));
    }
}
