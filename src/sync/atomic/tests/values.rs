//! Each operation at its edges: wrap, sign, both ways of each condition. No `std`: the kernel's own tests run the same cases on the target.

use super::{Atomic, AtomicI32, AtomicUsize};

/// Every case by name.
pub const CASES: &[(&str, fn())] = &[
    ("u8_wraps_and_compares", u8_wraps_and_compares),
    ("u16_wraps_and_compares", u16_wraps_and_compares),
    ("u32_wraps_and_compares", u32_wraps_and_compares),
    ("u64_wraps_and_compares", u64_wraps_and_compares),
    ("usize_wraps_and_compares", usize_wraps_and_compares),
    ("i8_wraps_and_compares", i8_wraps_and_compares),
    ("i16_wraps_and_compares", i16_wraps_and_compares),
    ("i32_wraps_and_compares", i32_wraps_and_compares),
    ("i64_wraps_and_compares", i64_wraps_and_compares),
    ("isize_wraps_and_compares", isize_wraps_and_compares),
    ("i8_has_a_sign", i8_has_a_sign),
    ("i16_has_a_sign", i16_has_a_sign),
    ("i32_has_a_sign", i32_has_a_sign),
    ("i64_has_a_sign", i64_has_a_sign),
    ("isize_has_a_sign", isize_has_a_sign),
    ("a_large_unsigned_count_is_positive", a_large_unsigned_count_is_positive),
    ("a_failed_try_brings_the_value_found", a_failed_try_brings_the_value_found),
    ("flags_have_logic", flags_have_logic),
    ("constants_of_an_algorithm", constants_of_an_algorithm),
];

/// Checks the four forms of `$op` on a variable that holds `$before`: result `$result`, value after `$after`.
macro_rules! forms {
    ($type:ty, $before:expr, [$($op:ident)+] $args:tt => $result:expr, $after:expr) => {
        $({
            let variable = Atomic::<$type>::new($before);
            assert_eq!(variable.$op $args, $result, "result of {}", stringify!($op));
            assert_eq!(variable.read(), $after, "value after {}", stringify!($op));
        })+
    };
}

/// Checks a void operation.
macro_rules! void {
    ($type:ty, $before:expr, $op:ident $args:tt => $after:expr) => {{
        let variable = Atomic::<$type>::new($before);
        variable.$op $args;
        assert_eq!(variable.read(), $after, "value after {}", stringify!($op));
    }};
}

/// The arithmetic of any integer type, at its edges.
macro_rules! integer_tests {
    ($($name:ident: $int:ident;)+) => {
        $(
            fn $name() {
                const MIN: $int = $int::MIN;
                const MAX: $int = $int::MAX;

                void!($int, MAX, add(1) => MIN);
                void!($int, MIN, sub(1) => MAX);
                void!($int, MAX, inc() => MIN);
                void!($int, MIN, dec() => MAX);
                void!($int, 0b1100, and(0b1010) => 0b1000);
                void!($int, 0b1100, or(0b1010) => 0b1110);
                void!($int, 0b1100, xor(0b1010) => 0b0110);
                void!($int, 0b1100, andnot(0b1010) => 0b0100);

                forms!($int, MAX, [add_return add_return_relaxed add_return_acquire add_return_release](2) => MIN + 1, MIN + 1);
                forms!($int, MIN, [sub_return sub_return_relaxed sub_return_acquire sub_return_release](2) => MAX - 1, MAX - 1);
                forms!($int, MAX, [inc_return inc_return_relaxed inc_return_acquire inc_return_release]() => MIN, MIN);
                forms!($int, MIN, [dec_return dec_return_relaxed dec_return_acquire dec_return_release]() => MAX, MAX);
                forms!($int, MAX, [fetch_add fetch_add_relaxed fetch_add_acquire fetch_add_release](2) => MAX, MIN + 1);
                forms!($int, MIN, [fetch_sub fetch_sub_relaxed fetch_sub_acquire fetch_sub_release](2) => MIN, MAX - 1);
                forms!($int, MAX, [fetch_inc fetch_inc_relaxed fetch_inc_acquire fetch_inc_release]() => MAX, MIN);
                forms!($int, MIN, [fetch_dec fetch_dec_relaxed fetch_dec_acquire fetch_dec_release]() => MIN, MAX);

                forms!($int, 12, [fetch_and fetch_and_relaxed fetch_and_acquire fetch_and_release](10) => 12, 8);
                forms!($int, 12, [fetch_or fetch_or_relaxed fetch_or_acquire fetch_or_release](10) => 12, 14);
                forms!($int, 12, [fetch_xor fetch_xor_relaxed fetch_xor_acquire fetch_xor_release](10) => 12, 6);
                forms!($int, 12, [fetch_andnot fetch_andnot_relaxed fetch_andnot_acquire fetch_andnot_release](10) => 12, 4);

                forms!($int, MAX, [xchg xchg_relaxed xchg_acquire xchg_release](MIN) => MAX, MIN);
                forms!($int, MAX, [cmpxchg cmpxchg_relaxed cmpxchg_acquire cmpxchg_release](MAX, 5) => Ok(MAX), 5);
                forms!($int, MAX, [cmpxchg cmpxchg_relaxed cmpxchg_acquire cmpxchg_release](MAX - 1, 5) => Err(MAX), MAX);
                forms!($int, 0, [cmpxchg_zero cmpxchg_zero_relaxed cmpxchg_zero_acquire cmpxchg_zero_release](MAX) => Ok(0), MAX);
                forms!($int, MAX, [cmpxchg_zero cmpxchg_zero_relaxed cmpxchg_zero_acquire cmpxchg_zero_release](1) => Err(MAX), MAX);
                forms!($int, 7, [try_cmpxchg try_cmpxchg_relaxed try_cmpxchg_acquire try_cmpxchg_release](&mut 7, 8) => true, 8);

                forms!($int, 5, [sub_and_test sub_and_test_relaxed sub_and_test_acquire sub_and_test_release](5) => true, 0);
                forms!($int, 5, [sub_and_test sub_and_test_relaxed sub_and_test_acquire sub_and_test_release](4) => false, 1);
                forms!($int, 1, [dec_and_test dec_and_test_relaxed dec_and_test_acquire dec_and_test_release]() => true, 0);
                forms!($int, MIN, [dec_and_test dec_and_test_relaxed dec_and_test_acquire dec_and_test_release]() => false, MAX);
                forms!($int, 0, [inc_and_test inc_and_test_relaxed inc_and_test_acquire inc_and_test_release]() => false, 1);

                forms!($int, 3, [add_unless add_unless_relaxed add_unless_acquire add_unless_release](2, 4) => true, 5);
                forms!($int, MAX, [add_unless add_unless_relaxed add_unless_acquire add_unless_release](2, MAX) => false, MAX);
                forms!($int, 3, [fetch_add_unless fetch_add_unless_relaxed fetch_add_unless_acquire fetch_add_unless_release](2, 4) => 3, 5);
                forms!($int, 4, [fetch_add_unless fetch_add_unless_relaxed fetch_add_unless_acquire fetch_add_unless_release](2, 4) => 4, 4);
                forms!($int, 1, [inc_not_zero inc_not_zero_relaxed inc_not_zero_acquire inc_not_zero_release]() => true, 2);
                forms!($int, 0, [inc_not_zero inc_not_zero_relaxed inc_not_zero_acquire inc_not_zero_release]() => false, 0);
                forms!($int, 1, [dec_if_positive dec_if_positive_relaxed dec_if_positive_acquire dec_if_positive_release]() => Some(0), 0);
                forms!($int, MAX, [dec_if_positive dec_if_positive_relaxed dec_if_positive_acquire dec_if_positive_release]() => Some(MAX - 1), MAX - 1);
                forms!($int, 0, [dec_if_positive dec_if_positive_relaxed dec_if_positive_acquire dec_if_positive_release]() => None, 0);

                let variable = Atomic::<$int>::new(1);
                variable.set(MIN);
                assert_eq!(variable.load_acquire(), MIN);
                variable.store_release(MAX);
                assert_eq!(variable.load_acquire(), MAX);
            }
        )+
    };
}

integer_tests! {
    u8_wraps_and_compares: u8;
    u16_wraps_and_compares: u16;
    u32_wraps_and_compares: u32;
    u64_wraps_and_compares: u64;
    usize_wraps_and_compares: usize;
    i8_wraps_and_compares: i8;
    i16_wraps_and_compares: i16;
    i32_wraps_and_compares: i32;
    i64_wraps_and_compares: i64;
    isize_wraps_and_compares: isize;
}

/// What depends on the sign.
macro_rules! signed_tests {
    ($($name:ident: $int:ident;)+) => {
        $(
            fn $name() {
                const MIN: $int = $int::MIN;
                const MAX: $int = $int::MAX;

                forms!($int, -1, [inc_and_test inc_and_test_relaxed inc_and_test_acquire inc_and_test_release]() => true, 0);
                forms!($int, 1, [add_negative add_negative_relaxed add_negative_acquire add_negative_release](-2) => true, -1);
                forms!($int, 1, [add_negative add_negative_relaxed add_negative_acquire add_negative_release](-1) => false, 0);
                forms!($int, MAX, [add_negative add_negative_relaxed add_negative_acquire add_negative_release](1) => true, MIN);
                forms!($int, -1, [dec_if_positive dec_if_positive_relaxed dec_if_positive_acquire dec_if_positive_release]() => None, -1);
                forms!($int, MIN, [dec_if_positive dec_if_positive_relaxed dec_if_positive_acquire dec_if_positive_release]() => None, MIN);
                forms!($int, 0, [inc_unless_negative inc_unless_negative_relaxed inc_unless_negative_acquire inc_unless_negative_release]() => Some(1), 1);
                forms!($int, -1, [inc_unless_negative inc_unless_negative_relaxed inc_unless_negative_acquire inc_unless_negative_release]() => None, -1);
                forms!($int, MIN, [inc_unless_negative inc_unless_negative_relaxed inc_unless_negative_acquire inc_unless_negative_release]() => None, MIN);
                forms!($int, -5, [cmpxchg cmpxchg_relaxed cmpxchg_acquire cmpxchg_release](-5, -6) => Ok(-5), -6);
                forms!($int, -5, [add_unless add_unless_relaxed add_unless_acquire add_unless_release](1, -5) => false, -5);
            }
        )+
    };
}

signed_tests! {
    i8_has_a_sign: i8;
    i16_has_a_sign: i16;
    i32_has_a_sign: i32;
    i64_has_a_sign: i64;
    isize_has_a_sign: isize;
}

fn a_large_unsigned_count_is_positive() {
    forms!(u32, 1 << 31, [dec_if_positive dec_if_positive_relaxed]() => Some((1 << 31) - 1), (1 << 31) - 1);
    forms!(u8, 0xff, [inc_and_test inc_and_test_release]() => true, 0);
}

fn a_failed_try_brings_the_value_found() {
    let variable = AtomicI32::new(-3);
    let mut expected = 4;
    assert!(!variable.try_cmpxchg(&mut expected, 9));
    assert_eq!(expected, -3);
    assert!(variable.try_cmpxchg(&mut expected, 9));
    assert_eq!(variable.read(), 9);
}

fn flags_have_logic() {
    forms!(bool, false, [fetch_or fetch_or_relaxed fetch_or_acquire fetch_or_release](true) => false, true);
    forms!(bool, true, [fetch_and fetch_and_relaxed fetch_and_acquire fetch_and_release](false) => true, false);
    forms!(bool, true, [fetch_xor fetch_xor_relaxed fetch_xor_acquire fetch_xor_release](true) => true, false);
    forms!(bool, true, [fetch_andnot fetch_andnot_relaxed fetch_andnot_acquire fetch_andnot_release](true) => true, false);
    forms!(bool, true, [xchg xchg_relaxed xchg_acquire xchg_release](false) => true, false);
    forms!(bool, true, [cmpxchg cmpxchg_relaxed cmpxchg_acquire cmpxchg_release](false, true) => Err(true), true);
}

fn constants_of_an_algorithm() {
    /// The upper half and the lowest two bits: a run of ones, turned.
    const BITS: u64 = u64::MAX << 32 | 3;
    let variable = AtomicUsize::new(4);
    assert!(variable.add_unless_any_acquire::<8, BITS>());
    assert_eq!(variable.read(), 12);
    for taken in [13, 14, 1 << 32, usize::MAX] {
        variable.set(taken);
        assert!(!variable.add_unless_any_acquire::<8, BITS>());
        assert_eq!(variable.read(), taken);
    }
    variable.set(4);
    assert_eq!(variable.fetch_sub_const_release::<8>(), 4);
    assert_eq!(variable.read(), usize::MAX - 3);
    assert!(!variable.cmpxchg_to_zero_release(4));
    assert_eq!(variable.read(), usize::MAX - 3);
    assert!(variable.cmpxchg_to_zero_release(usize::MAX - 3));
    assert_eq!(variable.read(), 0);
}
