//! The shell: a prompt on a serial line, commands, and views joined by pipes.
//!
//! Layers, each in its file and each testable alone:
//!
//! ```text
//! bytes -> keys -> editor (line, history, search, complete; row, window) -> text of a line
//! text  -> parse -> exec -> command or view -> filter (grep head tail sort wc; pattern) -> port -> bytes
//! ```
//!
//! Pure code over a [`Console`]: the same shell runs on PL011 and, under test, against a terminal emulator. Everything lives in one
//! [`Shell`] of fixed size: no allocation, so that the prompt works when memory is what is broken. Commands are gathered from the
//! whole image by [`command!`](macro@crate::shell::command), views by [`proc::view!`](macro@crate::proc::view).

mod builtins;
mod command;
pub mod complete;
mod editor;
mod exec;
mod filter;
mod filter_sort;
mod filter_tail;
mod history;
mod isolate;
mod keys;
#[cfg(target_os = "none")]
pub mod labs;
mod line;
mod options;
mod parse;
mod pattern;
mod pattern_compiler;
mod port;
mod row;
mod search;
mod suggest;
#[cfg(target_os = "none")]
mod terminal;
#[cfg(test)]
mod tests;
mod window;

pub use self::command::{COMMANDS, Command, CommandError, Context, Run, find, find_duplicate, sorted, status};
pub use self::editor::{Editor, Event, PROMPT};
pub use self::exec::Status;
pub use self::history::History;
pub use self::keys::{Decoder, Key, Keys};
pub use self::line::{LINE_MAX, Line, Text};
pub use self::options::{Options, number};
pub use self::parse::{SyntaxError, SyntaxErrorKind};
pub use self::pattern::{Case, Pattern, PatternError, PatternErrorKind, Syntax};
pub use self::port::Console;
pub use self::row::Row;
#[cfg(target_os = "none")]
pub use self::terminal::SerialTerminal;
#[doc(inline)]
pub use crate::__command as command;
#[cfg(target_os = "none")]
#[doc(inline)]
pub use crate::__lab as lab;

use self::exec::Executor;
use self::port::Raw;

/// What stands above the first prompt.
const GREETING: &str = "\
Type `help` for the commands. Tab completes, Ctrl-C stops a command.
To leave QEMU, press Ctrl-A and then X.
";

/// Tells the terminal not to put marks around what is pasted: pasted lines are to be run as if typed.
const NO_PASTE_MARKS: &str = "\x1b[?2004l";

/// A shell on one terminal.
///
/// About 110 KiB, and all zeroes when new: a static one lies in `.bss`. It must not be built on a kernel stack.
pub struct Shell {
    editor: Editor,
    executor: Executor,
}

impl Shell {
    /// Creates a shell without a terminal: it reads nothing, and what it writes is dropped.
    #[must_use]
    pub const fn new() -> Self {
        Self { editor: Editor::new(), executor: Executor::new() }
    }

    /// Gives the shell its terminal.
    pub fn attach(&mut self, console: &'static dyn Console) {
        self.executor.port().attach(console);
    }

    /// Sets the width of the terminal, 80 at first.
    pub fn set_columns(&mut self, columns: usize) {
        self.editor.set_columns(columns);
    }

    /// The status of the command that ran last, as `$?` has it.
    #[must_use]
    pub const fn status(&self) -> u8 {
        self.executor.status()
    }

    /// Greets and serves whoever is at the terminal, for ever.
    ///
    /// Context: thread; sleeps.
    pub fn run(&mut self) -> ! {
        self.greet();
        loop {
            self.serve();
            self.executor.port().wait();
        }
    }

    /// Says how to begin, and shows the prompt.
    ///
    /// Context: thread; may sleep.
    pub fn greet(&mut self) {
        self.executor.port().finish_row();
        self.executor.port().write_text(NO_PASTE_MARKS);
        self.executor.port().write_text(GREETING);
        self.show_prompt();
    }

    /// Takes every byte that has been received, and runs the lines that they complete.
    ///
    /// Context: thread; may sleep.
    pub fn serve(&mut self) {
        while let Some(byte) = self.executor.port().read() {
            self.feed(byte);
        }
    }

    /// Runs `script` as if it were typed: each command is shown behind a prompt before it runs. Ctrl-C ends it.
    ///
    /// Context: thread; may sleep.
    pub fn run_script(&mut self, script: &str) -> Status {
        let Self { editor, executor } = self;
        editor.hide(&mut Raw::new(executor.port())).expect("a port takes all text");

        executor.port().clear_interrupt();
        executor.run(script, editor.history(), |port, source| {
            port.finish_row();
            port.write_text(PROMPT);
            port.write_text(source);
            port.write_text("\n");
        })
    }

    fn feed(&mut self, byte: u8) {
        let event = self.editor.feed(byte, &mut Raw::new(self.executor.port()));
        match event {
            Event::None => return,
            Event::Line => self.run_entered(),
            Event::Interrupt => self.executor.set_status(status::INTERRUPTED),
            Event::EndOfInput => self.executor.port().write_text("There is nowhere to go: `poweroff` ends the machine.\n"),
        }
        self.show_prompt();
    }

    fn run_entered(&mut self) {
        let Self { editor, executor } = self;
        executor.port().clear_interrupt();
        if !editor.entered().is_empty() {
            let _ = executor.run(editor.entered(), editor.history(), |_, _| {});
        }

        let dropped = executor.port().take_dropped();
        if dropped > 0 {
            executor.port().complain("shell", format_args!("{dropped} bytes typed ahead did not fit and are lost"));
        }
    }

    fn show_prompt(&mut self) {
        let Self { editor, executor } = self;
        executor.port().finish_row();
        editor.redraw(&mut Raw::new(executor.port())).expect("a port takes all text");
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}
