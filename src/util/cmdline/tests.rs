//! Sound lines, odd lines, and noise.

use super::*;
use proptest::prelude::*;
use std::format;
use std::prelude::v1::*;

fn pairs(line: &str) -> Vec<(&str, Option<&str>)> {
    CommandLine::new(line).iter().map(|argument| (argument.key, argument.value)).collect()
}

#[test]
fn words_flags_and_values() {
    assert_eq!(pairs("  quiet\tloglevel=7\n root=/dev/x=y "), [("quiet", None), ("loglevel", Some("7")), ("root", Some("/dev/x=y"))]);
    assert_eq!(pairs(""), []);
    assert_eq!(pairs(" \t "), []);
    assert_eq!(pairs("a= =b ="), [("a", Some("")), ("", Some("b")), ("", Some(""))]);
}

#[test]
fn quotes_keep_blanks() {
    assert_eq!(pairs(r#"run="cpus; dmesg" x"#), [("run", Some("cpus; dmesg")), ("x", None)]);
    assert_eq!(pairs(r#""run=cpus; dmesg" x"#), [("run", Some("cpus; dmesg")), ("x", None)]);
    assert_eq!(pairs(r#"run="echo \" a; b" x"#), [("run", Some(r#"echo \" a; b"#)), ("x", None)]);
    assert_eq!(pairs(r#"run="a\\" x"#), [("run", Some(r#"a\\"#)), ("x", None)]);
    assert_eq!(pairs(r#"a="" b"#), [("a", Some("")), ("b", None)]);
    assert_eq!(pairs(r#"a=b" "c"#), [("a", Some(r#"b" "c"#))]);
    assert_eq!(pairs(r#"run="never closed; x"#), [("run", Some("never closed; x"))]);
    assert_eq!(pairs("\""), [("", None)]);
}

#[test]
fn the_last_value_wins() {
    let line = CommandLine::new("mem=1G quiet=1 mem=2G quiet=0 max-cpus=2 max_cpus=3");
    assert_eq!(line.number("mem"), Ok(Some(2 << 30)));
    assert_eq!(line.boolean("quiet"), Ok(Some(false)));
    assert_eq!((line.number("max_cpus"), line.number("max-cpus")), (Ok(Some(3)), Ok(Some(3))));
    assert_eq!(line.string("me"), None);
}

#[test]
fn numbers() {
    for (text, number) in [("0", 0), ("010", 10), ("0x1f", 31), ("0XfFk", 255 << 10), ("512M", 512 << 20), ("3g", 3 << 30), ("1T", 1 << 40)]
    {
        assert_eq!(parse_number(text), Ok(number), "{text}");
    }
    for text in ["", "x", "0x", "K", "-1", "+1", "1.5G", "1 G", "1KB", "0xg", "١"] {
        assert_eq!(parse_number(text), Err(ValueError::Malformed), "{text}");
    }
    for text in ["18446744073709551616", "0x10000000000000000", "16777216T"] {
        assert_eq!(parse_number(text), Err(ValueError::TooLarge), "{text}");
    }
    assert_eq!(parse_number("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(CommandLine::new("panic").number("panic"), Err(ValueError::Missing));
    assert_eq!(Errno::from(ValueError::TooLarge), Errno::ERANGE);
}

#[test]
fn truth_values() {
    let line = CommandLine::new("a b=Yes c=off d=maybe e=");
    assert_eq!(line.boolean("a"), Ok(Some(true)));
    assert_eq!(line.boolean("b"), Ok(Some(true)));
    assert_eq!(line.boolean("c"), Ok(Some(false)));
    assert_eq!(line.boolean("d"), Err(ValueError::Malformed));
    assert_eq!(line.boolean("e"), Err(ValueError::Malformed));
    assert_eq!(line.boolean("f"), Ok(None));
}

#[test]
fn unknown_arguments_are_listed_once() {
    let known = [Param { name: "mem", value: "BYTES", help: "" }, Param { name: "max-cpus", value: "N", help: "" }];
    let line = CommandLine::new("mme=1G mem=2G max_cpus=1 console=tty0 mme=3 console=tty1");
    let unknown: Vec<_> = line.unknown(&known).map(|argument| argument.key).collect();
    assert_eq!(unknown, ["mme", "console"]);
}

#[linkme::distributed_slice(PARAMS)]
static TEST_PARAM: Param = Param { name: "test_only", value: "", help: "exists in tests" };

#[test]
fn declared_arguments_are_found() {
    assert!(PARAMS.contains(&TEST_PARAM));
    assert_eq!(CommandLine::new("test-only test_onl").unknown(&PARAMS).map(|argument| argument.key).collect::<Vec<_>>(), ["test_onl"]);
}

#[test]
fn bytes_that_are_no_text_end_the_line() {
    assert_eq!(CommandLine::from_bytes(b"quiet\0junk").as_str(), "quiet");
    assert_eq!(CommandLine::from_bytes(b"a b\xff c").as_str(), "a b");
    assert_eq!(CommandLine::from_bytes(b"").as_str(), "");
}

/// What a naive reader, byte by byte into strings of its own, makes of a line.
fn naive(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for char in line.chars() {
        is_quoted ^= char == '"';
        if char.is_whitespace() && !is_quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(char);
        }
    }
    words.push(word);
    words.into_iter().filter(|word| !word.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "\\PC{0,4}") {
        let line = CommandLine::from_bytes(&bytes);
        let _ = (line.string(&name), line.number(&name), line.boolean(&name), line.unknown(&PARAMS).count());
        for argument in line.iter() {
            let _ = (parse_number(argument.key), argument.value.map(parse_number), argument.value.map(parse_boolean));
        }
    }

    #[test]
    fn words_are_those_of_a_naive_reader(line in "[ab=\" \\t\u{a0}é]{0,30}") {
        prop_assert_eq!(CommandLine::new(&line).iter().count(), naive(&line).len());
        for (argument, word) in CommandLine::new(&line).iter().zip(naive(&line)) {
            let letters = |text: &str| text.replace(['"', '='], "");
            let joined = format!("{}{}", argument.key, argument.value.unwrap_or(""));
            prop_assert_eq!(letters(&joined), letters(&word));
        }
    }

    #[test]
    fn numbers_round_trip(number: u64, suffix in 0usize..5) {
        let shift = suffix * 10;
        let text = format!("{}{}", number >> shift, ["", "K", "m", "G", "t"][suffix]);
        prop_assert_eq!(parse_number(&text), Ok(number >> shift << shift));
        prop_assert_eq!(parse_number(&format!("{number:#x}")), Ok(number));
    }

    #[test]
    fn quoted_values_come_back(value in "[^\"\\\\\0]{0,40}") {
        let line = format!("quiet run=\"{value}\" mem=1");
        prop_assert_eq!(CommandLine::new(&line).string("run"), Some(value.as_str()));
        prop_assert_eq!(CommandLine::new(&line).number("mem"), Ok(Some(1)));
    }
}
