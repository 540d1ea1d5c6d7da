//! Editing, completion, history, search, pastes and odd input, compared by screens.

use std::format;
use std::prelude::v1::*;

use super::*;

#[test]
fn first_screen_says_how_to_begin_and_to_leave() {
    let session = Session::new();
    let sent = session.sent();
    assert!(sent.contains("Type `help`") && sent.contains("To leave QEMU, press Ctrl-A and then X."));
    session.shows(&["tetra#"]).has_cursor_at(0, 7);
}

#[test]
fn typing_and_editing() {
    Session::new()
        .keys("ecko hello")
        .keys("\x01\x1b[C\x1b[C\x1b[Ch\x1b[D\x1b[D\x7f")
        .shows(&["tetra# ekho hello"])
        .has_cursor_at(0, 8)
        .keys("\x1b[3~\x1b[3~ch")
        .shows(&["tetra# echo hello"])
        .keys("\x05 big world\x1bb\x1bb")
        .has_cursor_at(0, 18)
        .keys("\x17\x19\x19")
        .shows(&["tetra# echo hello hello big world"])
        .keys("\x0b\x15")
        .shows(&["tetra#"])
        .keys("\x19\x02\x06\x1b[H\x1b[F\x1bb\x1bf!")
        .shows(&["tetra# echo hello hello!"])
        .keys("\r")
        .shows(&["tetra# echo hello hello!", "hello hello!", "tetra#"]);
}

#[test]
fn ctrl_w_takes_an_argument_and_alt_b_a_word() {
    Session::new().keys("cat /proc/fruit\x1bb").has_cursor_at(0, 17).keys("\x05\x17").shows(&["tetra# cat"]).has_cursor_at(0, 11);
}

#[test]
fn completes_commands_views_paths_and_arguments() {
    Session::new().keys("hel\t").shows(&["tetra# help"]).has_cursor_at(0, 12).keys("ech\tx").shows(&["tetra# help echo x"]);
    Session::new().keys("fru\t").shows(&["tetra# fruit"]).has_cursor_at(0, 13);
    Session::new().keys("cat /s\t").shows(&["tetra# cat /sys/"]).keys("\t\t\t").shows(&["tetra# cat /sys/kernel/debug/frost"]);
    Session::new().keys("echo on >fro\t").shows(&["tetra# echo on >frost"]);
    Session::new().keys("fruit | gr\t").shows(&["tetra# fruit | grep"]);
    Session::new().keys("cat; hel\t").shows(&["tetra# cat; help"]);
}

#[test]
fn completion_in_the_middle_keeps_the_rest() {
    Session::new().keys("cat  x\x1b[D\x1b[Dfru\t").shows(&["tetra# cat fruit  x"]).has_cursor_at(0, 17);
}

#[test]
fn completion_lists_what_differs_after_the_common_beginning() {
    let session = Session::new().keys("cat f\t").shows(&["tetra# cat fr"]);
    assert_eq!(session.bells(), 0);
    session.keys("\t").shows(&["tetra# cat fr", "frost  fruit", "tetra# cat fr"]).has_cursor_at(2, 13);
    assert_eq!(Session::new().keys("cat zz\t").bells(), 1);
}

#[test]
fn history_goes_up_and_down_and_keeps_the_draft() {
    Session::new()
        .keys("echo 1\recho 2\rdra\x0c\x1b[A")
        .shows(&["tetra# echo 2"])
        .keys("\x1b[A\x1b[A")
        .shows(&["tetra# echo 1"])
        .keys("\x1b[B\x1b[B")
        .shows(&["tetra# dra"])
        .keys("ft")
        .shows(&["tetra# draft"])
        .keys("\x15history\r")
        .shows(&["tetra# history", "    1  echo 1", "    2  echo 2", "    3  history", "tetra#"]);
}

#[test]
fn ctrl_r_searches_as_one_types() {
    let session = Session::new()
        .keys("echo apple\recho banana\recho cherry\rabc\x0c\x12a")
        .shows(&["(reverse-i-search)`a': echo banana"])
        .keys("p")
        .shows(&["(reverse-i-search)`ap': echo apple"])
        .has_cursor_at(0, 29)
        .keys("\x7f\x12")
        .shows(&["(reverse-i-search)`a': echo apple"])
        .keys("\x07")
        .shows(&["tetra# abc"])
        .keys("\x12ban\x05!")
        .shows(&["tetra# echo banana!"])
        .keys("\x1b[B\x1b[B\x0c")
        .shows(&["tetra# abc"])
        .keys("\x12zz");
    assert!(session.bells() >= 2);
    session.shows(&["(failed search)`zz': abc"]).keys("\x03").shows(&["tetra# abc^C", "tetra#"]).keys("\x12cher\r").shows(&[
        "tetra# abc^C",
        "tetra# echo cherry",
        "cherry",
        "tetra#",
    ]);
}

#[test]
fn ctrl_c_drops_the_line_and_sets_the_status() {
    let session = Session::new().keys("echo no\x1b[H\x03echo $?\r");
    session.shows(&["tetra# echo no^C", "tetra# echo $?", "130", "tetra#"]);
}

#[test]
fn ctrl_d_deletes_or_says_that_there_is_no_way_out() {
    Session::new().keys("ab\x01\x04").shows(&["tetra# b"]).keys("\x04\x04").shows(&[
        "tetra#",
        "There is nowhere to go: `poweroff` ends the machine.",
        "tetra#",
    ]);
}

#[test]
fn ctrl_l_keeps_the_line() {
    Session::new().keys("echo 1\recho 2\x1b[D\x0c").shows(&["tetra# echo 2"]).has_cursor_at(0, 12);
}

#[test]
fn a_line_longer_than_the_row_scrolls() {
    let letters: String = (b'a'..=b'z').cycle().take(300).map(char::from).collect();
    let session = Session::new().keys(&letters);
    let row = session.rows().remove(0);
    assert_eq!(session.rows().len(), 1, "it stays in its row");
    assert!(row.starts_with("tetra# <") && row.ends_with("klmn") && row.len() < 80, "{row}");

    let session = session.keys("\x01");
    assert_eq!(session.rows(), [format!("tetra# {}>", &letters[..71])]);
    let session = session.has_cursor_at(0, 7).keys(&"\x1b[C".repeat(150));
    let row = session.rows().remove(0);
    let visible = row.strip_prefix("tetra# <").and_then(|rest| rest.strip_suffix('>')).expect("marks on both sides");
    assert!(letters.contains(visible));
    let under_cursor = row.chars().nth(session.cursor().1.into());
    assert_eq!(under_cursor, letters.chars().nth(150));
}

#[test]
fn an_overlong_line_is_not_run_and_says_so() {
    let line = "echo ".to_string() + &"y".repeat(LINE_MAX + 5);
    let session = Session::new().keys(&line).keys("\r");
    assert_eq!(session.bells(), 10);
    let rows = session.rows();
    assert_eq!(rows[1..], ["shell: not run: 10 characters more than 1024 bytes; Up shows what fit", "tetra#"]);

    let session = session.keys("\x1b[A\x7f\r");
    assert!(session.sent().contains(&"y".repeat(LINE_MAX - 6)), "what fit can be edited and run");
    assert_eq!(session.shell.status(), 0);
}

#[test]
fn utf8_moves_by_characters() {
    Session::new()
        .keys("echo 'naïve €uro ∀x'\x1b[D\x1b[D\x7f¬")
        .shows(&["tetra# echo 'naïve €uro ¬x'"])
        .has_cursor_at(0, 25)
        .keys("\x01\x1b[C\x05\r")
        .shows(&["tetra# echo 'naïve €uro ¬x'", "naïve €uro ¬x", "tetra#"]);
}

#[test]
fn malformed_input_is_seen_and_not_run() {
    let mut session = Session::new();
    session.bytes(b"echo a\xffb\xe2\x82c\r");
    session.shows(&["tetra# echo a?b?c", "shell: column 7: the input is no UTF-8 here", "tetra#"]);
}

#[test]
fn keys_without_a_meaning_ring_and_are_counted() {
    let session = Session::new().keys("echo \x14\x1b[99q漢ok\r");
    assert_eq!(session.bells(), 3);
    session.shows(&["tetra# echo ok", "shell: ignored: 3 keys or characters that mean nothing here", "ok", "tetra#"]);
}

#[test]
fn a_paste_of_10_kb_runs_every_line() {
    let lines: Vec<String> = (0..300).map(|n| format!("echo line {n} of a long paste")).collect();
    let paste = lines.join("\r\n") + "\r";
    assert!(paste.len() > 9_000);
    for mut session in [Session::new(), Session::new().keys("\x1b[200~")] {
        session.bytes(paste.as_bytes());
        let sent = session.sent();
        for n in 0..300 {
            assert!(sent.contains(&format!("\r\nline {n} of a long paste\r\n")), "line {n} did not run");
        }
        assert_eq!(session.bells(), 0);
        assert_eq!(session.rows().last().map(String::as_str), Some("tetra#"));
    }
}

#[test]
fn a_paste_of_one_line_of_10_kb_loses_nothing_in_silence() {
    let session = Session::new().keys(&"x".repeat(10_240)).keys("\recho ok\r");
    assert_eq!(session.bells(), 10_240 - LINE_MAX);
    assert!(session.sent().contains("not run: 9216 characters more than 1024 bytes"));
    assert_eq!(session.rows()[session.rows().len() - 2..], ["ok", "tetra#"]);
}

#[test]
fn others_can_write_between_hide_and_redraw() {
    let mut editor = Box::new(Editor::new());
    let mut screen = emulator();
    let mut out = String::new();

    editor.redraw(&mut out).unwrap();
    for byte in *b"echo x\x02" {
        let _ = editor.feed(byte, &mut out);
    }
    editor.hide(&mut out).unwrap();
    out.push_str("[    1.000000] cpu0 news\r\n");
    editor.redraw(&mut out).unwrap();

    screen.process(out.as_bytes());
    assert_eq!(screen.screen().contents(), "[    1.000000] cpu0 news\ntetra# echo x");
    assert_eq!(screen.screen().cursor_position(), (1, 12));
}
