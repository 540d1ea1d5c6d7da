//! The shell as a person meets it: keys in, screens of a terminal emulator out.
//!
//! Here is the terminal that the cases in `editing`, `running` and `wild` share, and the views and commands they show and run.

mod editing;
mod running;
mod wild;

use core::num::NonZero;
use core::time::Duration;
use std::collections::VecDeque;
use std::format;
use std::prelude::v1::*;
use std::sync::Mutex;

use super::*;
use crate::proc::{self, ViewError};
use crate::util::errno::Errno;

/// A terminal of 80 columns and 24 rows.
struct Terminal {
    input: Mutex<VecDeque<u8>>,
    /// Bytes that arrive only once a command waits or asks for them.
    late: Mutex<VecDeque<u8>>,
    screen: Mutex<vt100::Parser>,
    sent: Mutex<Vec<u8>>,
}

fn emulator() -> vt100::Parser {
    const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
    const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();
    vt100::Parser::new(ROWS, COLUMNS, 0)
}

impl Console for Terminal {
    fn try_read(&self) -> Option<u8> {
        self.input.lock().unwrap().pop_front()
    }

    fn write_bytes(&self, bytes: &[u8]) {
        self.screen.lock().unwrap().process(bytes);
        self.sent.lock().unwrap().extend(bytes);
    }

    fn wait_for_input(&self, timeout: Option<Duration>) {
        assert!(timeout.is_some(), "only a command waits in these tests");
        let late = self.late.lock().unwrap().pop_front();
        self.input.lock().unwrap().extend(late);
    }
}

/// A shell at a terminal.
struct Session {
    shell: Box<Shell>,
    terminal: &'static Terminal,
}

impl Session {
    fn new() -> Self {
        let terminal = Box::leak(Box::new(Terminal {
            input: Mutex::default(),
            late: Mutex::default(),
            screen: Mutex::new(emulator()),
            sent: Mutex::default(),
        }));
        let mut shell = Box::new(Shell::new());
        shell.attach(terminal);
        shell.greet();
        Self { shell, terminal }.keys("\x0c")
    }

    fn keys(mut self, keys: &str) -> Self {
        self.bytes(keys.as_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.terminal.input.lock().unwrap().extend(bytes);
        self.shell.serve();
    }

    /// The rows of the screen, blank ones at the end left out.
    fn rows(&self) -> Vec<String> {
        let text = self.terminal.screen.lock().unwrap().screen().contents();
        text.lines().map(|row| row.trim_end().to_string()).collect()
    }

    fn cursor(&self) -> (u16, u16) {
        self.terminal.screen.lock().unwrap().screen().cursor_position()
    }

    fn bells(&self) -> usize {
        self.terminal.sent.lock().unwrap().iter().filter(|&&byte| byte == 7).count()
    }

    fn sent(&self) -> String {
        String::from_utf8(self.terminal.sent.lock().unwrap().clone()).expect("the shell sends UTF-8")
    }

    #[track_caller]
    fn shows(self, expected: &[&str]) -> Self {
        assert_eq!(self.rows(), expected);
        self
    }

    #[track_caller]
    fn has_cursor_at(self, row: u16, column: u16) -> Self {
        assert_eq!(self.cursor(), (row, column));
        self
    }
}

/// Runs `line` and gives what it shows, and its status.
fn run(line: &str) -> (Vec<String>, u8) {
    let session = Session::new().keys(line).keys("\r");
    let mut rows = session.rows();
    assert_eq!(rows.first().map(String::as_str), Some(format!("tetra# {line}").trim_end()));
    assert_eq!(rows.pop().as_deref(), Some("tetra#"));
    (rows.split_off(1), session.shell.status())
}

proc::view! {
    name: "fruit",
    path: "/proc/fruit",
    help: "four kinds of fruit and how many",
    show: |out| Ok(out.write_str("pear 10\napple 9\nfig 100\nApple 9\n")?),
}

proc::view! {
    name: "frost",
    path: "/sys/kernel/debug/frost",
    help: "nothing yet; takes `on` and `off`",
    show: |_| Err(ViewError::Errno(Errno::EAGAIN)),
    write: |text| if matches!(text, "on" | "off") { Ok(()) } else { Err(Errno::EINVAL) },
}

proc::view! {
    name: "numbers",
    path: "/proc/numbers",
    help: "20000 lines with a number each",
    show: |out| Ok((1..=20_000).try_for_each(|number| writeln!(out, "{number}"))?),
}

proc::view! {
    name: "long",
    path: "/proc/long",
    help: "a line of 1200 bytes",
    show: |out| Ok(writeln!(out, "{}", "x".repeat(1200))?),
}

command! {
    name: "spin",
    usage: "spin",
    help: "nothing, until Ctrl-C",
    run: |ctx, _| {
        while !ctx.interrupted() {
            ctx.pause(Duration::from_millis(1))?;
        }
        Err(CommandError::Interrupted)
    },
}
