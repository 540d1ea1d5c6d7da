//! The log as a whole on a host: writers that nest and writers on several cores, wrap, loss, order, output. Each test has rings of its own.

use super::level::*;
use super::printer::{Printer, Style};
use super::reader::{Lost, Overwritten, Patience, Reader, Step};
use super::record::{HEADER_WORDS, Meta, TEXT_MAX, WORDS_MAX};
use super::ring::{Beneath, Peek, Ring};
use super::text_writer::{TextWriter, words_for};
use super::{dmesg::Query, new_ring, write};
use crate::arch::NR_CPUS;
use std::boxed::Box;
use std::fmt;
use std::string::String;
use std::sync::atomic::{AtomicBool, Ordering};
use std::vec::Vec;
use std::{format, thread, vec};

type Rings<const WORDS: usize> = [Ring<WORDS>; NR_CPUS];

fn rings<const WORDS: usize>() -> &'static Rings<WORDS> {
    Box::leak(Box::new(core::array::from_fn(|_| new_ring())))
}

/// Writes `text` as if the counter were at `ticks`.
fn put<const WORDS: usize>(ring: &Ring<WORDS>, ticks: u64, level: Level, text: &str) -> bool {
    let reservation = ring.reserve(words_for(text.len() as u32), Beneath::MaybeWriter, || ticks);
    let Some(reservation) = reservation else { return false };
    let mut writer = TextWriter::new(ring, reservation, text.len() as u32);
    writer.push_str(text);
    writer.finish(level);
    true
}

fn text_of<const WORDS: usize>(reader: &Reader<WORDS>, step: Step, style: Style) -> String {
    let mut out = Vec::new();
    match step {
        Step::Record(record) => Printer::of_record(record, style).print(reader, |bytes| out.extend_from_slice(bytes)),
        Step::Lost(lost) => Printer::of_lost(lost).print(reader, |bytes| out.extend_from_slice(bytes)),
        other => return format!("{other:?}"),
    }
    String::from_utf8(out).expect("the log holds whole characters")
}

/// Everything a reader gives, without times.
fn all<const WORDS: usize>(reader: &mut Reader<WORDS>) -> Vec<String> {
    let mut lines = vec![];
    loop {
        match reader.advance() {
            Step::End => return lines,
            step => {
                let text = text_of(reader, step, Style::Plain);
                let without_time = text.split_once("] ").map_or(text.as_str(), |(_, rest)| rest);
                lines.push(without_time.trim_end().into());
            }
        }
    }
}

/// Logs while it is being formatted, as an interrupt in the middle of a message would.
struct Interrupted<'a, const WORDS: usize> {
    ring: &'a Ring<WORDS>,
    depth: u32,
}

impl<const WORDS: usize> fmt::Display for Interrupted<'_, WORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.depth > 0 {
            let deeper = Interrupted { ring: self.ring, depth: self.depth - 1 };
            write::write_formatted(self.ring, Beneath::MaybeWriter, KERN_INFO, "", format_args!("depth {}: {deeper} end", self.depth));
        }
        f.write_str("inside")
    }
}

#[test]
fn writers_nest() {
    let rings = rings::<1024>();
    let interrupted = Interrupted { ring: &rings[0], depth: 3 };
    write::write_formatted(&rings[0], Beneath::Nothing, KERN_ERR, "p: ", format_args!("outermost {interrupted} end"));
    put(&rings[0], u64::MAX, KERN_INFO, "after");
    assert_eq!(
        all(&mut Reader::over(rings)),
        ["cpu0 p: outermost inside end", "cpu0 depth 3: inside end", "cpu0 depth 2: inside end", "cpu0 depth 1: inside end", "cpu0 after"]
    );
}

#[test]
fn a_record_takes_no_more_than_it_needs_unless_something_nested_lies_behind() {
    let rings = rings::<1024>();
    write::write_formatted(&rings[0], Beneath::Nothing, KERN_INFO, "", format_args!("{}", 12345));
    assert_eq!(rings[0].newest().pos, words_for(5));
    write::write_pieces(&rings[1], Beneath::Nothing, KERN_INFO, &["a: ", "constant"]);
    assert_eq!(rings[1].newest().pos, words_for(11));
    write::write_formatted(&rings[2], Beneath::Nothing, KERN_INFO, "", format_args!("{}", Interrupted { ring: &rings[2], depth: 1 }));
    assert_eq!(rings[2].newest().pos, WORDS_MAX + words_for("depth 1: inside end".len() as u32));
}

#[test]
fn the_oldest_go_first_and_are_counted() {
    let rings = rings::<64>();
    let mut reader = Reader::over(rings);
    assert!(put(&rings[0], 0, KERN_INFO, "the first"));
    assert!(matches!(reader.advance(), Step::Record(_)));
    for i in 1..=100 {
        assert!(put(&rings[0], i, KERN_INFO, &format!("message {i:3}"))); // five words
    }
    let lines = all(&mut reader);
    assert_eq!(lines[0], "cpu0: 88 messages lost");
    let expected: Vec<String> = (89..=100).map(|i| format!("cpu0 message {i:3}")).collect();
    assert_eq!(lines[1..], expected);
    assert_eq!(all(&mut Reader::over(rings)), expected, "a new reader begins with what is kept and has lost nothing");
}

#[test]
fn positions_and_numbers_may_wrap() {
    let rings = rings::<64>();
    rings[1].set_origin(u32::MAX - 20, u32::MAX - 2);
    let places = core::array::from_fn(|cpu| rings[cpu].newest());
    let mut reader = Reader::resume(rings, places, Patience::Wait);
    for i in 0..50 {
        assert!(put(&rings[1], i, KERN_INFO, &format!("message {i:3}")));
        assert_eq!(all(&mut reader), [format!("cpu1 message {i:3}")]);
    }
}

#[test]
fn an_oversize_message_is_cut_and_marked() {
    let rings = rings::<1024>();
    let long = "x".repeat(TEXT_MAX as usize + 1);
    assert!(!write::write_constant(&rings[0], KERN_INFO, &long), "left to the slow way");
    write::write_pieces(&rings[0], Beneath::Nothing, KERN_INFO, &["", &long]);
    write::write_formatted(&rings[0], Beneath::Nothing, KERN_INFO, "", format_args!("{long}{}", 1));
    let cut = format!("cpu0 {} <cut off>", &long[1..]);
    assert_eq!(all(&mut Reader::over(rings)), [cut.clone(), cut]);
}

#[test]
fn an_open_record_is_not_overwritten_by_what_nests_in_it() {
    let rings = rings::<64>();
    let reservation = rings[0].reserve(words_for(16), Beneath::Nothing, || 1).expect("room");
    let written = (0..100).filter(|i| put(&rings[0], 2 + i, KERN_INFO, "a flood in an irq")).count();
    assert_eq!(written, 9, "as many as fit beside the open one");
    let mut writer = TextWriter::new(&rings[0], reservation, 16);
    writer.push_str("still whole");
    writer.finish(KERN_ERR);

    let mut reader = Reader::over(rings);
    assert!(put(&rings[0], 200, KERN_INFO, "and on"), "the ring goes on");
    let lines = all(&mut reader);
    assert_eq!(lines[0], "cpu0 still whole");
    assert_eq!(lines.iter().filter(|line| line.contains("a flood")).count(), 9);
    assert_eq!(lines[10..], ["cpu0: 91 messages lost", "cpu0 and on"]);
}

#[test]
fn the_quick_way_gives_up_only_before_an_open_record() {
    let rings = rings::<64>();
    for i in 0..100 {
        assert!(write::write_constant(&rings[0], KERN_INFO, &"constant"[..i % 9]), "message {i}");
    }
    let _never_committed = rings[0].reserve(words_for(0), Beneath::Nothing, || 1).expect("room");
    let before = (rings[0].newest().seq, (0..100).filter(|_| write::write_constant(&rings[0], KERN_INFO, "")).count());
    assert_eq!(before.1, 20, "all of the ring but the open record");
    assert_eq!(rings[0].newest().seq, before.0 + 20, "what it did not write it does not count as lost: the slow way does");
    assert!(!write::write_constant(&rings[0], KERN_INFO, ""));
}

#[test]
fn a_dead_writer_does_not_block_its_ring() {
    let rings = rings::<64>();
    let _never_committed = rings[0].reserve(words_for(100), Beneath::Nothing, || 1).expect("room");
    let ok = (0..100).all(|i| {
        let reservation = rings[0].reserve(words_for(8), Beneath::Nothing, || 2 + i);
        reservation.is_some_and(|reservation| {
            TextWriter::new(&rings[0], reservation, 8).finish(KERN_INFO);
            true
        })
    });
    assert!(ok, "a writer with nothing beneath it must pass the dead record");
    assert_eq!(all(&mut Reader::over(rings)).len(), 64 / HEADER_WORDS as usize);
}

#[test]
fn an_unfinished_record_holds_back_what_is_later_but_not_for_ever() {
    let rings = rings::<256>();
    put(&rings[1], 5, KERN_INFO, "before");
    let open = rings[0].reserve(words_for(8), Beneath::Nothing, || 10).expect("room");
    put(&rings[0], 11, KERN_INFO, "nested");
    put(&rings[1], 20, KERN_INFO, "later");

    let mut patient = Reader::over(rings);
    assert!(matches!(patient.advance(), Step::Record(_)));
    assert_eq!(patient.advance(), Step::Waiting);

    let mut in_panic = Reader::resume(rings, patient.places(), Patience::Skip);
    assert_eq!(all(&mut in_panic), ["cpu0: 1 message lost", "cpu0 nested", "cpu1 later"]);

    TextWriter::new(&rings[0], open, 8).finish(KERN_INFO);
    assert_eq!(all(&mut patient), ["cpu0", "cpu0 nested", "cpu1 later"]);
}

#[test]
fn all_cores_are_merged_by_time() {
    let rings = rings::<256>();
    for (cpu, ticks) in [(3, 40), (1, 10), (2, 30), (0, 20), (1, 25), (0, 30)] {
        put(&rings[cpu], ticks, KERN_INFO, &format!("at {ticks}"));
    }
    let expected = ["cpu1 at 10", "cpu0 at 20", "cpu1 at 25", "cpu0 at 30", "cpu2 at 30", "cpu3 at 40"];
    assert_eq!(all(&mut Reader::over(rings)), expected);
}

#[test]
fn what_is_overwritten_while_it_is_shown_says_so() {
    let rings = rings::<64>();
    put(&rings[0], 1, KERN_INFO, &"y".repeat(200));
    let mut reader = Reader::over(rings);
    let Step::Record(record) = reader.advance() else { panic!("no record") };
    let mut printer = Printer::of_record(record, Style::Plain);
    let mut shown = Vec::new();
    for _ in 0..2 {
        let piece = printer.piece(&reader).to_vec();
        printer.consume(piece.len());
        shown.extend(piece);
    }
    (0..20).for_each(|i| _ = put(&rings[0], 2 + i, KERN_INFO, "newer"));
    assert!(reader.copy(&record, 0, &mut [0]) == Err(Overwritten));
    printer.print(&reader, |bytes| shown.extend_from_slice(bytes));
    let shown = String::from_utf8(shown).expect("text");
    assert!(shown.ends_with("y<overwritten>\n") && !shown.contains("newer"), "{shown}");
}

#[test]
fn lines_have_the_prefix_that_the_documents_show() {
    let rings = rings::<256>();
    let ticks = 12_345_678 * (crate::arch::counter::frequency_hz() / 1_000_000);
    for text in ["one", "two\nlines", "ended\n", "", "\n", "a\n\nb"] {
        put(&rings[2], ticks, KERN_NOTICE, text);
    }
    let mut reader = Reader::over(rings);
    let mut shown = String::new();
    for _ in 0..6 {
        let step = reader.advance();
        shown += &text_of(&reader, step, Style::Plain);
    }
    let p = "[    12.345678] cpu2 ";
    assert_eq!(shown, format!("{p}one\n{p}two\n{p}lines\n{p}ended\n{p}\n{p}\n{p}a\n{p}\n{p}b\n"));
    let step = Reader::over(rings).advance();
    assert_eq!(text_of(&reader, step, Style::WithLevel), format!("notice {p}one\n"));
}

#[test]
fn any_length_is_shown_whole_in_pieces_taken_one_byte_at_a_time() {
    let rings = rings::<1024>();
    for length in (0..150).chain([TEXT_MAX as usize]) {
        let text: String = (0..length).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        put(&rings[0], 1, KERN_INFO, &text);
        let mut reader = Reader::over(rings);
        let mut last = reader.advance();
        while let step @ Step::Record(_) = reader.advance() {
            last = step;
        }
        let Step::Record(record) = last else { panic!("no record") };
        let mut printer = Printer::of_record(record, Style::Plain);
        let mut shown = Vec::new();
        while let Some(&byte) = printer.piece(&reader).first() {
            shown.push(byte);
            printer.consume(1);
        }
        assert_eq!(String::from_utf8(shown).expect("text").split_once("cpu0 ").map(|s| s.1), Some(format!("{text}\n").as_str()));
    }
}

#[test]
fn a_character_is_never_split_between_two_pieces() {
    let rings = rings::<1024>();
    for before in 0..60 {
        assert!(put(&rings[0], before, KERN_INFO, &format!("{}é€𝄞", "x".repeat(before as usize))));
    }
    let mut reader = Reader::over(rings);
    while let Step::Record(record) = reader.advance() {
        let mut whole = String::new();
        Printer::of_record(record, Style::Plain).print(&reader, |piece| whole += std::str::from_utf8(piece).expect("whole characters"));
        assert!(whole.ends_with("é€𝄞\n"), "{whole}");
    }
}

#[test]
fn queries_filter_by_level_and_text() {
    let rings = rings::<256>();
    for (i, (level, text)) in [(KERN_ERR, "gic: bad"), (KERN_INFO, "gic: good"), (KERN_WARNING, "uart: bad")].into_iter().enumerate() {
        put(&rings[i], i as u64, level, text);
    }
    let show = |query: Query<'_>| {
        let mut reader = Reader::over(rings);
        let mut found = vec![];
        while let step @ Step::Record(record) = query.advance(&mut reader) {
            assert_eq!(record.cpu(), record.ticks() as usize);
            found.push(text_of(&reader, step, Style::Plain).split_once("cpu").map(|s| String::from(&s.1[2..])).unwrap_or_default());
        }
        found.concat()
    };
    let all = Query::default().with_cleared();
    assert_eq!(show(all), "gic: bad\ngic: good\nuart: bad\n");
    assert_eq!(show(all.up_to(KERN_WARNING)), "gic: bad\nuart: bad\n");
    assert_eq!(show(all.of_levels([KERN_INFO])), "gic: good\n");
    assert_eq!(show(all.with_text("bad")), "gic: bad\nuart: bad\n");
    assert_eq!(show(all.with_text("gic: bad and more")), "");
    super::clear();
    assert_eq!(show(Query::new()), "", "the clear mark");
}

/// A message that cannot be mistaken for another, of a length that varies.
fn pattern(cpu: usize, i: u32) -> String {
    format!("{cpu}:{i}:{}", "z".repeat((i % 90) as usize))
}

/// Reads until all writers are done and the log is empty; gives the count of messages seen and lost for each core, after checking each text.
fn read_along<const WORDS: usize>(rings: &'static Rings<WORDS>, is_done: &AtomicBool) -> [(u32, u32); NR_CPUS] {
    let mut reader = Reader::resume(rings, Default::default(), Patience::Wait);
    let mut counts = [(0, 0); NR_CPUS];
    loop {
        let was_done = is_done.load(Ordering::Acquire);
        match reader.advance() {
            Step::Record(record) => {
                let cpu = record.cpu();
                let text = text_of(&reader, Step::Record(record), Style::Plain);
                let (seen, lost) = &mut counts[cpu];
                let expected = format!(" cpu{cpu} {}\n", pattern(cpu, *seen + *lost));
                if !text.contains("<overwritten>") {
                    assert!(text.ends_with(&expected), "expected {expected:?}, got {text:?}");
                }
                *seen += 1;
            }
            Step::Lost(Lost { cpu, count }) => counts[cpu].1 += count,
            Step::Waiting => thread::yield_now(),
            Step::End if was_done => return counts,
            Step::End => {}
        }
    }
}

#[test]
fn writers_on_two_cores_and_a_reader_on_a_third() {
    const MESSAGES: u32 = 20_000;
    let rings = rings::<512>();
    let is_done = AtomicBool::new(false);
    let counts = thread::scope(|scope| {
        let reader = scope.spawn(|| read_along(rings, &is_done));
        let writers = [0, 3].map(|cpu| {
            scope.spawn(move || {
                for i in 0..MESSAGES {
                    let text = pattern(cpu, i);
                    match i % 2 {
                        0 => assert!(write::write_constant(&rings[cpu], KERN_INFO, &text)),
                        _ => write::write_formatted(&rings[cpu], Beneath::Nothing, KERN_INFO, "", format_args!("{text}{}", "")),
                    }
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().expect("a writer failed"));
        is_done.store(true, Ordering::Release);
        reader.join().expect("the reader failed")
    });
    for cpu in [0, 3] {
        assert_eq!(counts[cpu].0 + counts[cpu].1, MESSAGES, "messages of cpu{cpu} unaccounted for: {counts:?}");
        assert!(counts[cpu].0 > 0, "{counts:?}");
    }
}

#[test]
fn a_mark_that_was_never_written_is_waited_for() {
    let ring = new_ring::<64>();
    let reservation = ring.reserve(HEADER_WORDS, Beneath::Nothing, || 1).expect("room");
    assert!(matches!(ring.peek(0), Peek::Open { ticks: Some(1), .. }));
    ring.store(0, 0); // as if the core had stopped between the two
    assert!(matches!(ring.peek(0), Peek::Open { ticks: None, .. }));
    assert_eq!(ring.skip(0), HEADER_WORDS);
    ring.commit(reservation, HEADER_WORDS, Meta { seq: 0, bytes: 0, flags: 0, level: KERN_INFO });
    assert!(matches!(ring.peek(0), Peek::Done { .. }));
}
