//! Commands: what one is, the registry of all, and what a running one has to hand.
//!
//! As with views, the linker gathers commands from wherever [`command!`](macro@crate::shell::command) stands, also in a user's own crate, so
//! that a command lives beside what it shows. The `Command` is a constant and `run` a plain function: no allocation, no registration
//! call to forget.

use core::fmt::{self, Write};
use core::time::Duration;

use super::complete::{self, Completer, Request};
use super::history::History;
use super::port::Port;
use crate::proc::ViewError;
use crate::util::errno::Errno;

/// Every command of the image, in the linker's order: use [`sorted`] to list them.
#[linkme::distributed_slice]
pub static COMMANDS: [Command];

/// Registers a command.
///
/// ```
/// use tetra::shell::{self, CommandError, Context};
///
/// shell::command! {
///     name: "greet",
///     usage: "greet NAME",
///     help: "says hello to NAME",
///     details: "An example.",
///     complete: shell::complete::nothing,
///     run: greet,
/// }
///
/// fn greet(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
///     let &[name] = args else { return Err(CommandError::Usage) };
///     writeln!(ctx.out, "hello, {name}")?;
///     Ok(())
/// }
/// ```
///
/// `details` and `complete` may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __command {
    (
        name: $name:expr, usage: $usage:expr, help: $help:expr,
        $(details: $details:expr,)? $(complete: $complete:expr,)? run: $run:expr $(,)?
    ) => {
        const _: () = {
            #[$crate::proc::__linkme::distributed_slice($crate::shell::COMMANDS)]
            #[linkme(crate = $crate::proc::__linkme)]
            static COMMAND: $crate::shell::Command =
                $crate::shell::Command::new($name, $usage, $help, $run)$(.details($details))?$(.completing($complete))?;
        };
    };
}

/// Runs a command with its arguments, the name not among them.
pub type Run = fn(&mut Context<'_>, &[&str]) -> Result<(), CommandError>;

/// Something to type at the prompt.
pub struct Command {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    details: &'static str,
    complete: Completer,
    run: Run,
}

impl Command {
    /// Creates a command; `usage` shows name and arguments, `help` says in one line what the command shows or does.
    ///
    /// # Panics
    /// At compile time, if `name` is empty.
    #[must_use]
    pub const fn new(name: &'static str, usage: &'static str, help: &'static str, run: Run) -> Self {
        assert!(!name.is_empty(), "a command needs a name");
        Self { name, usage, help, details: "", complete: complete::nothing, run }
    }

    /// Adds the text that `help NAME` shows below the usage.
    #[must_use]
    pub const fn details(mut self, details: &'static str) -> Self {
        self.details = details;
        self
    }

    /// Adds the completion of arguments.
    #[must_use]
    pub const fn completing(mut self, complete: Completer) -> Self {
        self.complete = complete;
        self
    }

    /// The name that is typed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Name and arguments.
    #[must_use]
    pub const fn usage(&self) -> &'static str {
        self.usage
    }

    /// One line that says what the command shows or does.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    pub(super) const fn long_help(&self) -> &'static str {
        self.details
    }

    pub(super) fn complete(&self, request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
        (self.complete)(request, offer);
    }

    pub(super) fn run(&self, context: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
        (self.run)(context, args)
    }
}

/// Finds a command by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Lists all commands by ascending name, each name once.
pub fn sorted() -> impl Iterator<Item = &'static Command> {
    let after = |last: &str| COMMANDS.iter().filter(|command| command.name > last).min_by_key(|command| command.name);
    core::iter::successors(after(""), move |last| after(last.name))
}

/// Finds a name that two commands share: a bug that the boot checks report.
#[must_use]
pub fn find_duplicate() -> Option<&'static str> {
    let count = |name: &str| COMMANDS.iter().filter(|command| command.name == name).count();
    COMMANDS.iter().map(Command::name).find(|name| count(name) > 1)
}

/// What a running command has to hand.
pub struct Context<'a> {
    /// Where the command writes what it shows: the terminal, the next stage of a pipe, or a view. Lines end in `\n`. An error means
    /// that no more is wanted: return it by `?`, which is what ends a long listing at Ctrl-C.
    pub out: &'a mut dyn Write,
    pub(super) name: &'a str,
    pub(super) port: &'a Port,
    pub(super) history: &'a History,
    /// Whether `out` is the terminal itself, with no pipe and no view behind it.
    pub(super) is_terminal: bool,
}

impl Context<'_> {
    /// Whether Ctrl-C was pressed since the line was entered. A command that takes long without writing must ask now and then.
    ///
    /// Context: thread; does not sleep.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.port.poll_interrupt()
    }

    /// Sends a log packet, which the host decodes, to the terminal in one piece. A pipe takes text only.
    ///
    /// Context: thread; may sleep.
    ///
    /// # Errors
    /// `CommandError::Failed`, said on the terminal, if a pipe or a view stands behind the command; `Interrupted` after Ctrl-C.
    pub fn write_packet(&self, packet: &[u8]) -> Result<(), CommandError> {
        if !self.is_terminal {
            return Err(
                self.fail(format_args!("this build logs in binary, which the host decodes and no pipe can read: run it without a pipe"))
            );
        }
        if self.interrupted() {
            return Err(CommandError::Interrupted);
        }
        self.port.write_packet(packet);
        Ok(())
    }

    /// Waits for about `time`; it ends early if a key is pressed.
    ///
    /// Context: thread; sleeps.
    ///
    /// # Errors
    /// `CommandError::Interrupted` if the key is Ctrl-C.
    pub fn pause(&self, time: Duration) -> Result<(), CommandError> {
        self.port.pause(time);
        if self.interrupted() { Err(CommandError::Interrupted) } else { Ok(()) }
    }

    /// Waits for about `time` for a key, and takes it. What was typed ahead comes first.
    ///
    /// Context: thread; sleeps.
    ///
    /// # Errors
    /// `CommandError::Interrupted` if the key is Ctrl-C.
    pub fn key(&self, time: Duration) -> Result<Option<u8>, CommandError> {
        if let Some(byte) = self.port.read_ahead() {
            return Ok(Some(byte));
        }
        self.pause(time)?;
        Ok(self.port.read_ahead())
    }

    /// Whether the output goes to the terminal itself, and not through a pipe or to a view: then it may move the cursor.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Says on the terminal, past any pipe, why the command fails; gives the error to return.
    pub fn fail(&self, why: fmt::Arguments<'_>) -> CommandError {
        self.port.complain(self.name, why);
        CommandError::Failed
    }

    /// The lines entered so far.
    #[must_use]
    pub const fn history(&self) -> &History {
        self.history
    }
}

/// Why a command did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The arguments are wrong: the shell shows the usage.
    Usage,
    /// The command has said why, by [`Context::fail`].
    Failed,
    /// What it called failed: the shell shows the error.
    Errno(Errno),
    /// Ctrl-C.
    Interrupted,
    /// It died of a fault: the report is in the log.
    Oopsed,
    /// The output takes no more; no failure if the next stage of a pipe has what it wants.
    Output,
}

impl CommandError {
    /// The exit status: as a Unix shell has it, or the number of the error.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Failed => status::FAILED,
            Self::Usage => status::USAGE,
            Self::Errno(errno) => u8::try_from(errno.code()).unwrap_or(status::FAILED),
            Self::Interrupted | Self::Output => status::INTERRUPTED,
            Self::Oopsed => status::OOPSED,
        }
    }
}

impl From<fmt::Error> for CommandError {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl From<Errno> for CommandError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ViewError> for CommandError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Output => Self::Output,
            ViewError::Errno(errno) => Self::Errno(errno),
        }
    }
}

/// Exit statuses with a fixed meaning.
pub mod status {
    /// All is well.
    pub const SUCCESS: u8 = 0;
    /// The command failed, or `grep` found nothing.
    pub const FAILED: u8 = 1;
    /// Wrong arguments, or the line makes no sense.
    pub const USAGE: u8 = 2;
    /// There is no such command.
    pub const NOT_FOUND: u8 = 127;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
    /// The command died of a fault: what a Unix shell shows for SIGSEGV.
    pub const OOPSED: u8 = 139;
}
