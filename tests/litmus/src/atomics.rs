//! Every value-returning atomic operation: as a full barrier between two accesses (`sb_`), as the store that publishes (`publish_`), as the
//! load that looks (`look_`).
//!
//! The words that the operations work on begin with 1, so that the conditional ones store; what publishes leaves another value, what looks
//! tells whether it found 1.

use tetra::sync::atomic::{Atomic, AtomicI32};

/// Exports the three functions for each operation.
macro_rules! full_forms {
    ($($op:ident: $effect:expr, seen: $seen:expr;)+) => {
        $(
            const _: () = {
                const EFFECT: fn(&AtomicI32) = $effect;
                const SEEN: fn(&AtomicI32) -> bool = $seen;

                #[unsafe(export_name = concat!("sb_", stringify!($op)))]
                #[inline(never)]
                extern "C" fn store_buffering(mine: &AtomicI32, other: &AtomicI32, word: &AtomicI32) -> u64 {
                    mine.set(1);
                    EFFECT(word);
                    u64::from(other.read().cast_unsigned())
                }

                #[unsafe(export_name = concat!("publish_", stringify!($op)))]
                #[inline(never)]
                extern "C" fn publish(data: &AtomicI32, flag: &AtomicI32) -> u64 {
                    data.set(1);
                    EFFECT(flag);
                    0
                }

                #[unsafe(export_name = concat!("look_", stringify!($op)))]
                #[inline(never)]
                extern "C" fn look(data: &AtomicI32, flag: &AtomicI32) -> u64 {
                    let seen = SEEN(flag);
                    told(seen, data)
                }
            };
        )+
    };
}

/// Exports the release forms as what publishes.
macro_rules! release_forms {
    ($($op:ident: $effect:expr;)+) => {
        $(
            const _: () = {
                const EFFECT: fn(&AtomicI32) = $effect;

                #[unsafe(export_name = concat!("publish_", stringify!($op)))]
                #[inline(never)]
                extern "C" fn publish(data: &AtomicI32, flag: &AtomicI32) -> u64 {
                    data.set(1);
                    EFFECT(flag);
                    0
                }
            };
        )+
    };
}

/// Exports the acquire forms as what looks.
macro_rules! acquire_forms {
    ($($op:ident: $seen:expr;)+) => {
        $(
            const _: () = {
                const SEEN: fn(&AtomicI32) -> bool = $seen;

                #[unsafe(export_name = concat!("look_", stringify!($op)))]
                #[inline(never)]
                extern "C" fn look(data: &AtomicI32, flag: &AtomicI32) -> u64 {
                    let seen = SEEN(flag);
                    told(seen, data)
                }
            };
        )+
    };
}

/// What a reader saw: 2 for the flag, 1 for the data. So 2 is stale data.
#[inline(always)]
fn told(seen: bool, data: &AtomicI32) -> u64 {
    u64::from(seen) << 1 | u64::from(data.read().cast_unsigned())
}

full_forms! {
    xchg: |word| { word.xchg(5); }, seen: |word| word.xchg(7) == 1;
    cmpxchg: |word| { let _ = word.cmpxchg(1, 5); }, seen: |word| word.cmpxchg(1, 7).is_ok();
    try_cmpxchg: |word| { word.try_cmpxchg(&mut 1, 5); }, seen: |word| word.try_cmpxchg(&mut 1, 7);
    add_return: |word| { word.add_return(3); }, seen: |word| word.add_return(3) == 4;
    sub_return: |word| { word.sub_return(3); }, seen: |word| word.sub_return(3) == -2;
    inc_return: |word| { word.inc_return(); }, seen: |word| word.inc_return() == 2;
    dec_return: |word| { word.dec_return(); }, seen: |word| word.dec_return() == 0;
    fetch_add: |word| { word.fetch_add(3); }, seen: |word| word.fetch_add(3) == 1;
    fetch_sub: |word| { word.fetch_sub(3); }, seen: |word| word.fetch_sub(3) == 1;
    fetch_inc: |word| { word.fetch_inc(); }, seen: |word| word.fetch_inc() == 1;
    fetch_dec: |word| { word.fetch_dec(); }, seen: |word| word.fetch_dec() == 1;
    fetch_and: |word| { word.fetch_and(6); }, seen: |word| word.fetch_and(6) == 1;
    fetch_andnot: |word| { word.fetch_andnot(1); }, seen: |word| word.fetch_andnot(1) == 1;
    fetch_or: |word| { word.fetch_or(4); }, seen: |word| word.fetch_or(4) == 1;
    fetch_xor: |word| { word.fetch_xor(3); }, seen: |word| word.fetch_xor(3) == 1;
    sub_and_test: |word| { word.sub_and_test(1); }, seen: |word| word.sub_and_test(1);
    dec_and_test: |word| { word.dec_and_test(); }, seen: |word| word.dec_and_test();
    inc_and_test: |word| { word.inc_and_test(); }, seen: |word| word.inc_and_test();
    add_negative: |word| { word.add_negative(-3); }, seen: |word| !word.add_negative(-1);
    add_unless: |word| { word.add_unless(3, 0); }, seen: |word| word.add_unless(3, 0);
    fetch_add_unless: |word| { word.fetch_add_unless(3, 0); }, seen: |word| word.fetch_add_unless(3, 0) == 1;
    inc_not_zero: |word| { word.inc_not_zero(); }, seen: |word| word.inc_not_zero();
    dec_if_positive: |word| { word.dec_if_positive(); }, seen: |word| word.dec_if_positive().is_some();
    inc_unless_negative: |word| { word.inc_unless_negative(); }, seen: |word| word.inc_unless_negative() == Some(2);
}

release_forms! {
    store_release: |flag| flag.store_release(1);
    xchg_release: |flag| { flag.xchg_release(5); };
    cmpxchg_release: |flag| { let _ = flag.cmpxchg_release(1, 5); };
    add_return_release: |flag| { flag.add_return_release(3); };
    dec_return_release: |flag| { flag.dec_return_release(); };
    fetch_or_release: |flag| { flag.fetch_or_release(4); };
    fetch_andnot_release: |flag| { flag.fetch_andnot_release(1); };
    add_unless_release: |flag| { flag.add_unless_release(3, 0); };
    inc_not_zero_release: |flag| { flag.inc_not_zero_release(); };
    dec_if_positive_release: |flag| { flag.dec_if_positive_release(); };
    inc_unless_negative_release: |flag| { flag.inc_unless_negative_release(); };
}

acquire_forms! {
    load_acquire: |flag| flag.load_acquire() == 1;
    load_acquire_not_1: |flag| flag.load_acquire() != 1;
    xchg_acquire: |flag| flag.xchg_acquire(7) == 1;
    cmpxchg_acquire: |flag| flag.cmpxchg_acquire(1, 7).is_ok();
    add_return_acquire: |flag| flag.add_return_acquire(3) == 4;
    inc_return_acquire: |flag| flag.inc_return_acquire() == 2;
    fetch_or_acquire: |flag| flag.fetch_or_acquire(4) == 1;
    fetch_andnot_acquire: |flag| flag.fetch_andnot_acquire(1) == 1;
    add_unless_acquire: |flag| flag.add_unless_acquire(3, 0);
    inc_not_zero_acquire: |flag| flag.inc_not_zero_acquire();
    dec_if_positive_acquire: |flag| flag.dec_if_positive_acquire().is_some();
    inc_unless_negative_acquire: |flag| flag.inc_unless_negative_acquire() == Some(2);
    read: |flag| flag.read() == 1;
    failed_cmpxchg: |flag| flag.cmpxchg(0, 7) == Err(1);
}

/// Takes a word from 0, as a lock would, between two accesses.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sb_cmpxchg_zero(mine: &AtomicI32, other: &AtomicI32, word: &AtomicI32) -> u64 {
    mine.set(1);
    let _ = word.cmpxchg_zero(5);
    u64::from(other.read().cast_unsigned())
}

/// Publishes by a flag that goes back to 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_zero_release(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    data.set(1);
    flag.store_release(0);
    0
}

/// Takes the flag from 0, then reads the data.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_cmpxchg_zero(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    let seen = flag.cmpxchg_zero(5).is_ok();
    told(seen, data)
}

/// Publishes a flag that was 0.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn publish_cmpxchg_zero(data: &AtomicI32, flag: &AtomicI32) -> u64 {
    data.set(1);
    let _ = flag.cmpxchg_zero(1);
    0
}

/// The narrow and the wide words have the same forms: one of each.
macro_rules! widths {
    ($($sb:ident $publish:ident $look:ident: $word:ty;)+) => {
        $(
            /// Exchanges between two accesses.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $sb(mine: &AtomicI32, other: &AtomicI32, word: &Atomic<$word>) -> u64 {
                mine.set(1);
                word.xchg(5);
                u64::from(other.read().cast_unsigned())
            }

            /// Data, then the flag by an exchange.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $publish(data: &AtomicI32, flag: &Atomic<$word>) -> u64 {
                data.set(1);
                flag.xchg(5);
                0
            }

            /// The flag by an exchange, then data.
            #[unsafe(no_mangle)]
            #[inline(never)]
            extern "C" fn $look(data: &AtomicI32, flag: &Atomic<$word>) -> u64 {
                let seen = flag.xchg(7) == 5;
                told(seen, data)
            }
        )+
    };
}

widths! {
    sb_xchg_u8 publish_xchg_u8 look_xchg_u8: u8;
    sb_xchg_u64 publish_xchg_u64 look_xchg_u64: u64;
}
