//! The ordered forms under loom: message passing and store buffering hold with them, and fail with each weaker twin.

use loom::sync::Arc;
use loom::thread;

use super::AtomicU32;
use crate::sync::barrier;

/// What a twin's assertion says: a negative test must fail by this, not by some limit of the checker.
const STALE: &str = "stale data";

/// Lets loom make the cells before the threads start.
fn made<const N: usize>(cells: [AtomicU32; N]) -> [AtomicU32; N] {
    for cell in &cells {
        cell.read();
    }
    cells
}

/// Message passing: data, then the flag by `publish`; if `look` sees the flag, the data must be there.
fn message_passing(publish: fn(&AtomicU32), look: fn(&AtomicU32) -> bool) {
    loom::model(move || {
        let cells = Arc::new(made([0; 2].map(AtomicU32::new)));
        let writer = {
            let cells = Arc::clone(&cells);
            thread::spawn(move || {
                cells[0].set(1);
                publish(&cells[1]);
            })
        };
        if look(&cells[1]) {
            assert_eq!(cells[0].read(), 1, "{STALE}");
        }
        writer.join().expect("the writer does not panic");
    });
}

/// Store buffering: each side stores, does `between` on a cell of its own, looks at the other's: one of them must see the other.
fn store_buffering(between: fn(&AtomicU32)) {
    loom::model(move || {
        let cells = Arc::new(made([0; 4].map(AtomicU32::new)));
        let other = {
            let cells = Arc::clone(&cells);
            thread::spawn(move || {
                cells[0].set(1);
                between(&cells[2]);
                cells[1].read()
            })
        };
        cells[1].set(1);
        between(&cells[3]);
        let seen = cells[0].read();
        let seen_by_other = other.join().expect("the other side does not panic");
        assert!(seen == 1 || seen_by_other == 1, "{STALE}");
    });
}

/// Makes a test a form of publishing, read by an acquire load.
macro_rules! publishers {
    ($($name:ident: $publish:expr;)+) => {
        $(
            #[test]
            fn $name() {
                message_passing($publish, |flag| flag.load_acquire() != 0);
            }
        )+
    };
}

/// Makes a test a form of looking, of what a release store published.
macro_rules! lookers {
    ($($name:ident: $look:expr;)+) => {
        $(
            #[test]
            fn $name() {
                message_passing(|flag| flag.store_release(1), $look);
            }
        )+
    };
}

/// Makes a test a full barrier.
macro_rules! barriers {
    ($($name:ident: $between:expr;)+) => {
        $(
            #[test]
            fn $name() {
                store_buffering($between);
            }
        )+
    };
}

publishers! {
    store_release_publishes: |flag| flag.store_release(1);
    xchg_release_publishes: |flag| {
        flag.xchg_release(1);
    };
    cmpxchg_release_publishes: |flag| {
        let _ = flag.cmpxchg_release(0, 1);
    };
    add_return_release_publishes: |flag| {
        flag.add_return_release(1);
    };
    fetch_or_release_publishes: |flag| {
        flag.fetch_or_release(1);
    };
    add_unless_release_publishes: |flag| {
        flag.add_unless_release(1, 5);
    };
    xchg_publishes: |flag| {
        flag.xchg(1);
    };
    inc_return_publishes: |flag| {
        flag.inc_return();
    };
    wmb_publishes: |flag| {
        barrier::smp_wmb();
        flag.set(1);
    };
    mb_before_atomic_publishes: |flag| {
        barrier::smp_mb_before_atomic();
        flag.inc();
    };
}

lookers! {
    fetch_add_acquire_looks: |flag| flag.fetch_add_acquire(0) != 0;
    xchg_acquire_looks: |flag| flag.xchg_acquire(0) != 0;
    cmpxchg_acquire_looks: |flag| flag.cmpxchg_acquire(1, 2).is_ok();
    dec_if_positive_acquire_looks: |flag| flag.dec_if_positive_acquire().is_some();
    inc_not_zero_acquire_looks: |flag| flag.inc_not_zero_acquire();
    dec_and_test_looks: |flag| flag.dec_and_test();
    rmb_looks: |flag| {
        let seen = flag.read() != 0;
        barrier::smp_rmb();
        seen
    };
}

barriers! {
    mb_is_full: |_| barrier::smp_mb();
    xchg_is_full: |cell| {
        cell.xchg(1);
    };
    cmpxchg_is_full: |cell| {
        let _ = cell.cmpxchg(0, 1);
    };
    add_return_is_full: |cell| {
        cell.add_return(1);
    };
    fetch_or_is_full: |cell| {
        cell.fetch_or(1);
    };
    inc_not_zero_of_zero_and_mb_is_full: |cell| {
        assert!(!cell.inc_not_zero());
        barrier::smp_mb();
    };
    inc_and_mb_after_atomic_is_full: |cell| {
        cell.inc();
        barrier::smp_mb_after_atomic();
    };
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_relaxed_store_does_not_publish() {
    message_passing(|flag| flag.set(1), |flag| flag.load_acquire() != 0);
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_acquire_rmw_does_not_publish() {
    message_passing(
        |flag| {
            flag.xchg_acquire(1);
        },
        |flag| flag.load_acquire() != 0,
    );
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_relaxed_load_does_not_look() {
    message_passing(|flag| flag.store_release(1), |flag| flag.read() != 0);
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_release_rmw_does_not_look() {
    message_passing(|flag| flag.store_release(1), |flag| flag.fetch_add_release(0) != 0);
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_failed_cmpxchg_does_not_look() {
    message_passing(|flag| flag.store_release(1), |flag| flag.cmpxchg(0, 5) == Err(1));
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_acquire_rmw_is_not_full() {
    store_buffering(|cell| {
        cell.xchg_acquire(1);
    });
}

#[test]
#[should_panic(expected = "stale data")]
fn twin_failed_conditional_is_not_full() {
    store_buffering(|cell| {
        cell.inc_not_zero();
    });
}
