//! Commands, views, pipes, errors, statuses, scripts, and Ctrl-C while they run.

use std::format;
use std::prelude::v1::*;

use super::*;

#[test]
fn registry_has_no_duplicates_and_lists_in_order() {
    assert_eq!(find_duplicate(), None);
    let names: Vec<_> = sorted().map(Command::name).collect();
    assert_eq!(names.len(), COMMANDS.len());
    assert!(names.is_sorted());
    for filter in filter::NAMES {
        assert!(find(filter).is_some(), "{filter} has no help");
    }
}

#[test]
fn ctrl_c_stops_a_command_that_waits_and_the_rest_of_the_line() {
    let mut session = Session::new();
    session.terminal.late.lock().unwrap().extend(b"typed ahead\x03echo after\r");
    session = session.keys("spin; echo never\r").keys("");
    assert_eq!(session.rows()[..3], ["tetra# spin; echo never", "^C", "tetra#"]);
    assert_eq!(session.shell.status(), status::INTERRUPTED);

    let late = core::mem::take(&mut *session.terminal.late.lock().unwrap());
    session.bytes(&Vec::from(late));
    session.shows(&["tetra# spin; echo never", "^C", "tetra# echo after", "after", "tetra#"]);
}

#[test]
fn ctrl_c_stops_a_listing_piped_or_not() {
    for line in ["numbers\r\x03", "numbers | grep -v x\r\x03", "numbers | grep zzz\r\x03", "numbers | wc\r\x03"] {
        let session = Session::new().keys(line);
        assert_eq!(session.shell.status(), status::INTERRUPTED, "{line}");
        assert!(session.sent().len() < 2000, "{line}");
    }
}

#[test]
fn what_is_typed_ahead_is_kept() {
    Session::new().keys("fruit | wc -l\recho 1\recho 2\rech").shows(&[
        "tetra# fruit | wc -l",
        "4",
        "tetra# echo 1",
        "1",
        "tetra# echo 2",
        "2",
        "tetra# ech",
    ]);
}

#[test]
fn pipes_filter_what_a_person_expects() {
    for (line, expected) in [
        ("fruit | grep -i apple", &["apple 9", "Apple 9"][..]),
        ("fruit | grep -v -E '[afp]'", &[]),
        ("fruit | grep -iv -E '^(pear|fig)'", &["apple 9", "Apple 9"]),
        ("fruit | grep -c 9", &["2"]),
        ("fruit | grep -n fig", &["3:fig 100"]),
        ("grep 'r 1' fruit", &["pear 10"]),
        ("fruit | head -n 2", &["pear 10", "apple 9"]),
        ("fruit | tail -1", &["Apple 9"]),
        ("fruit | tail -n +3", &["fig 100", "Apple 9"]),
        ("fruit | sort", &["Apple 9", "apple 9", "fig 100", "pear 10"]),
        ("sort -rnk2 /proc/fruit", &["fig 100", "pear 10", "apple 9", "Apple 9"]),
        ("fruit | sort -n -u -k 2", &["apple 9", "pear 10", "fig 100"]),
        ("fruit | wc", &["4 8 32"]),
        ("cat fruit fruit | sort -u | wc -l", &["4"]),
        ("numbers | tail -n 3 | head -n 1", &["19998"]),
        ("numbers | head -2 | sort -r", &["2", "1"]),
        ("numbers | grep -E '^(1|20)000$' | tail", &["1000", "20000"]),
    ] {
        let (rows, status) = run(line);
        assert_eq!(rows, expected, "{line}");
        assert_eq!(status, u8::from(expected.is_empty()), "{line}");
    }
}

#[test]
fn what_does_not_fit_is_reported() {
    let (rows, status) = run("numbers | sort | wc -l");
    let (count, lost) = (rows[0].clone(), rows[1].clone());
    let count: usize = count.parse().unwrap();
    assert_eq!(lost, format!("sort: {} lines did not fit into 65536 bytes and are missing", 20_000 - count));
    assert_eq!(status, status::FAILED);

    let (rows, status) = run("numbers | tail -n 19999 | wc -l");
    let kept: usize = rows[0].parse().unwrap();
    assert_eq!(rows[1], format!("tail: {} lines did not fit into 65536 bytes and are missing", 19_999 - kept));
    assert_eq!(status, status::FAILED);

    let (rows, _) = run("long | wc");
    assert_eq!(rows, ["3 3 1203", "shell: 2 lines were too long for the pipe and went on as two"]);
}

#[test]
fn errors_say_what_and_where() {
    for (line, expected, code) in [
        ("echo 'ab", "shell: column 6: this ' is never closed", status::USAGE),
        ("é | | x", "shell: column 5: no command before `|`", status::USAGE),
        ("fruit |", "shell: column 7: no command after `|`", status::USAGE),
        ("echo x >", "shell: column 8: no view after `>`", status::USAGE),
        ("; echo", "shell: column 1: no command before `;`", status::USAGE),
        ("echo a && echo b", "shell: column 8: `&&` is not known here; there are `|`, `;` and `> VIEW`", status::USAGE),
        ("echo x > a b", "shell: column 12: only one view can follow `>`", status::USAGE),
        ("echo \\", "shell: column 6: nothing follows this backslash", status::USAGE),
        ("hlep", "hlep: no such command; did you mean `help`?", status::NOT_FOUND),
        ("frobnicate", "frobnicate: no such command; `help` lists them", status::NOT_FOUND),
        ("cat nothing", "cat: nothing: no such view; `ls` lists them", status::FAILED),
        ("cat", "usage: cat VIEW...", status::USAGE),
        ("frost", "frost: EAGAIN (11): try again", 11),
        ("cat frost", "cat: frost: EAGAIN (11): try again", status::FAILED),
        ("fruit | echo", "echo: reads from no pipe; these do: grep head sort tail wc", status::USAGE),
        ("grep x", "grep: reads from a pipe, or the views that it is given", status::USAGE),
        ("fruit | grep -E '(a'", "grep: pattern, character 1: `(` is never closed", status::USAGE),
        ("fruit | head -n x", "usage: head [-n COUNT] [VIEW...]", status::USAGE),
        ("fruit 3", "fruit: is a view and takes no arguments", status::USAGE),
        ("echo on > fruit", "fruit: EACCES (13): access denied", 13),
        ("echo x > frost", "frost: EINVAL (22): invalid argument", 22),
        ("echo x > nothing", "nothing: ENOENT (2): no such view", status::FAILED),
        ("watch", "usage: watch [-n SECONDS] [-c COUNT] LINE", status::USAGE),
    ] {
        let (rows, status) = run(line);
        assert_eq!(rows, [expected], "{line}");
        assert_eq!(status, code, "{line}");
    }
}

#[test]
fn words_quotes_sequences_comments_and_status() {
    for (line, expected) in [
        ("echo  a   'b  c' \"d \\\" $?\" e\\ f # g", &["a b  c d \" 0 e f"][..]),
        ("echo a#b '#' ''", &["a#b #"]),
        ("echo 1; echo 2 ;", &["1", "2"]),
        ("frost; echo $? '$?' \\$?", &["frost: EAGAIN (11): try again", "11 $? $?"]),
        ("echo -n a; echo b", &["a", "b"]),
        ("echo 'a|b;c>d'", &["a|b;c>d"]),
        ("echo off > /sys/kernel/debug/frost; echo $?", &["0"]),
        ("   ", &[]),
        ("# nothing", &[]),
    ] {
        assert_eq!(run(line).0, expected, "{line}");
    }
}

#[test]
fn help_and_ls_show_everything() {
    let text = Session::new().keys("help\r").sent();
    for line in ["  echo           its arguments", "  fruit          four kinds of fruit and how many", "Ctrl-A, then X"] {
        assert!(text.contains(line), "{line}");
    }
    assert_eq!(
        run("help frost").0,
        ["cat /sys/kernel/debug/frost", "  shows: nothing yet; takes `on` and `off`", "  Settable: echo WORD > /sys/kernel/debug/frost"]
    );
    assert_eq!(run("help clear").0, ["clear", "  shows: nothing: it blanks the screen, as Ctrl-L does"]);
    assert_eq!(run("ls /sys").0, ["/sys/kernel/debug/frost"]);
    assert_eq!(run("ls /sy").0, ["ls: /sy: no such view"]);
    assert!(run("ls -l frost").0[0].starts_with("rw frost          /sys/kernel/debug/frost"));
    assert_eq!(run("ls | grep -c /").0, [proc::VIEWS.len().to_string()]);
}

#[test]
fn watch_repeats_refreshes_and_stops() {
    let session = Session::new().keys("watch -n 1 -c 3 'fruit | head -1'\r");
    assert_eq!(session.sent().matches("every 1 s: fruit | head -1\r\n\r\npear 10\r\n").count(), 3);
    assert_eq!(session.shell.status(), 0);

    let session = Session::new();
    session.terminal.late.lock().unwrap().extend(b"\x03");
    let session = session.keys("watch echo hi\r");
    assert_eq!(session.sent().matches("hi\r\n").count(), 3, "typed, in the headline, run");
    assert_eq!(session.shell.status(), status::INTERRUPTED);
    let session = Session::new().keys("watch -c 1 watch echo\r");
    assert!(session.sent().contains("watch: is running already"));
    assert_eq!(session.shell.status(), status::USAGE);
}

#[test]
fn a_script_runs_as_if_typed() {
    let mut session = Session::new().keys("\x03\x0c");
    let done = session.shell.run_script("echo 1; frost\n# comment\nhlep | wc; fruit | grep fig");
    assert_eq!(done, Status { ran: 4, failed: 2 });
    session.shows(&[
        "tetra# echo 1",
        "1",
        "tetra# frost",
        "frost: EAGAIN (11): try again",
        "tetra# hlep | wc",
        "hlep: no such command; did you mean `help`?",
        "tetra# fruit | grep fig",
        "fig 100",
    ]);

    let mut session = Session::new();
    assert_eq!(session.shell.run_script("echo 1; echo 'x"), Status { ran: 1, failed: 1 });
    assert!(!session.sent().contains("1\r\n"), "a script with an error does nothing");
    assert_eq!(session.shell.run_script(""), Status { ran: 0, failed: 0 });
}

#[test]
fn type_ahead_that_does_not_fit_is_reported() {
    let session = Session::new();
    session.terminal.input.lock().unwrap().extend(b"fruit\r".iter().chain(&[b' '; 20_000]));
    let session = session.keys("");
    assert!(session.sent().contains("shell: 3616 bytes typed ahead did not fit and are lost\r\n"));
}
