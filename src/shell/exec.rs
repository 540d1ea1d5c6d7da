//! Running a line: find the command, join its stages, report what went wrong.
//!
//! The first stage writes, the others filter, so one pass down the stages on the caller's stack runs a pipeline. What a person needs to
//! know and would not see in the output (an error, a status, lines cut or lost) goes to the terminal past the pipe.
//!
//! The status of a pipeline is that of its first stage that did not succeed, so that `RUN=` notices a failure in front of a filter.

use core::fmt::{self, Write};
use core::time::Duration;

use arrayvec::ArrayString;

use super::command::{self, Command, CommandError, Context, status};
use super::editor::CLEAR_SCREEN;
use super::filter::{self, Chain, Filter, FilterError, Filters, Lines};
use super::history::History;
use super::isolate;
use super::line::Text as LineText;
use super::options::{self, Options};
use super::parse::{self, Parser, Pipeline};
use super::port::{Interruptible, Port, Text};
use super::suggest;
use crate::proc::{self, View};
use crate::util::errno::Errno;

/// The memory of the filters that keep lines.
const POOL: usize = 64 * 1024;
/// The longest text that can be written to a view.
const WRITE_MAX: usize = 256;
/// The command that runs a line again and again, and so is the executor's own.
const WATCH: &str = "watch";

/// Runs lines.
///
/// All that is large is a field, because a kernel's stack is small, and the command that runs needs most of it. A new one is all zeroes,
/// so that a static one costs no space in the image.
pub(super) struct Executor {
    machine: Machine,
    pipeline: Pipeline,
    watched: Watched,
}

/// What runs a pipeline.
struct Machine {
    port: Port,
    pool: [u8; POOL],
    filters: Filters,
    status: u8,
}

/// The line that `watch` runs.
struct Watched {
    line: LineText,
    pipeline: Pipeline,
}

/// What stands first in a pipeline.
enum Source<'a> {
    Command(&'static Command, &'a [&'a str]),
    View(&'static View),
    /// The operands of a filter that stands first.
    Views(&'a [&'a str]),
}

/// How running commands went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Status {
    /// Pipelines that were run.
    pub ran: usize,
    /// Those among them that failed; a line that makes no sense counts as one run and failed.
    pub failed: usize,
}

impl Executor {
    pub(super) const fn new() -> Self {
        let machine = Machine { port: Port::new(), pool: [0; POOL], filters: Filters::new_const(), status: status::SUCCESS };
        let watched = Watched { line: LineText::new_const(), pipeline: Pipeline::new() };
        Self { machine, pipeline: Pipeline::new(), watched }
    }

    pub(super) const fn port(&self) -> &Port {
        &self.machine.port
    }

    /// The status of the pipeline that ran last.
    pub(super) const fn status(&self) -> u8 {
        self.machine.status
    }

    pub(super) fn set_status(&mut self, status: u8) {
        self.machine.status = status;
    }

    /// Runs all pipelines of `line`, each announced by `echo`. Ctrl-C ends the rest too.
    pub(super) fn run(&mut self, line: &str, history: &History, echo: Echo) -> Status {
        let Self { machine, pipeline, watched } = self;
        machine.run(line, history, echo, pipeline, Some(watched))
    }
}

/// Shows a pipeline before it runs.
type Echo = fn(&Port, &str);

impl Machine {
    /// `watched` is there unless `watch` is what runs the line.
    fn run(&mut self, line: &str, history: &History, echo: Echo, pipeline: &mut Pipeline, mut watched: Option<&mut Watched>) -> Status {
        let mut done = Status::default();
        if let Err(error) = parse::check(line, pipeline) {
            self.port.complain("shell", format_args!("{error}"));
            self.status = status::USAGE;
            return Status { ran: 1, failed: 1 };
        }

        let mut parser = Parser::new(line);
        while let Ok(true) = parser.next_pipeline(self.status, pipeline) {
            echo(&self.port, pipeline.source(line));
            self.status = self.run_pipeline(pipeline, history, watched.as_deref_mut());
            self.port.finish_row();

            done.ran += 1;
            done.failed += usize::from(self.status != status::SUCCESS);
            if self.status == status::INTERRUPTED {
                break;
            }
        }
        done
    }

    fn run_pipeline(&mut self, pipeline: &Pipeline, history: &History, watched: Option<&mut Watched>) -> u8 {
        let first = pipeline.stage(0);
        let Some((&name, args)) = first.split_first() else { return status::SUCCESS };

        self.filters.clear();
        if name == WATCH {
            return match watched {
                None => self.refuse(name, "is running already"),
                Some(_) if pipeline.len() > 1 || pipeline.redirect().is_some() => {
                    self.refuse(name, "quote the line to watch, pipes and all")
                }
                Some(watched) => self.watch(args, history, watched),
            };
        }

        let source = match self.find_source(name, args) {
            Ok(source) => source,
            Err(status) => return status,
        };
        for index in 1..pipeline.len() {
            if let Err(status) = self.add_filter(pipeline, index) {
                return status;
            }
        }
        match pipeline.redirect() {
            Some(target) => self.write_view(target, name, &source, history),
            None => self.show(name, &source, history),
        }
    }

    fn find_source<'a>(&mut self, name: &str, args: &'a [&'a str]) -> Result<Source<'a>, u8> {
        match filter::add(&mut self.filters, name, args) {
            Some(Ok([])) => return Err(self.refuse(name, "reads from a pipe, or the views that it is given")),
            Some(Ok(operands)) => return Ok(Source::Views(operands)),
            Some(Err(error)) => return Err(self.explain_filter(name, &error)),
            None => {}
        }
        if let Some(command) = command::find(name) {
            return Ok(Source::Command(command, args));
        }
        match proc::find(name) {
            Some(view) if args.is_empty() => Ok(Source::View(view)),
            Some(_) => Err(self.refuse(name, "is a view and takes no arguments")),
            None => Err(self.explain_unknown(name)),
        }
    }

    /// Not inlined: its words must be off the stack when the command runs.
    #[inline(never)]
    fn add_filter(&mut self, pipeline: &Pipeline, index: usize) -> Result<(), u8> {
        let words = pipeline.stage(index);
        let Some((&name, args)) = words.split_first() else { return Ok(()) };
        match filter::add(&mut self.filters, name, args) {
            Some(Ok([])) => Ok(()),
            Some(Ok(_)) => Err(self.refuse(name, "reads from the pipe and takes no views here")),
            Some(Err(error)) => Err(self.explain_filter(name, &error)),
            None => {
                self.port.complain(name, format_args!("reads from no pipe; these do: {}", Spaced(&filter::NAMES)));
                Err(status::USAGE)
            }
        }
    }

    /// Runs the pipeline with its output on the terminal.
    fn show(&mut self, name: &str, source: &Source<'_>, history: &History) -> u8 {
        let Self { port, filters, pool, .. } = self;
        let mut out = Interruptible(port);

        let mut cut = 0;
        let result = if filters.is_empty() {
            source.write(&mut Context { out: &mut out, name, port, history, is_terminal: true })
        } else {
            let mut lines = Lines::new(Chain::new(filters, pool, &mut out));
            let result =
                source.write(&mut Context { out: &mut Polling { lines: &mut lines, port }, name, port, history, is_terminal: false });
            let result = forgive_satisfied(result, &lines);
            // What a command leaves that died is not looked at.
            if result != Err(CommandError::Oopsed) {
                cut = lines.finish();
            }
            result
        };
        self.conclude(name, source, result, cut)
    }

    /// Runs the pipeline and hands its output to a view.
    #[inline(never)]
    fn write_view(&mut self, target: &str, name: &str, source: &Source<'_>, history: &History) -> u8 {
        let Some(view) = proc::find(target) else {
            self.port.complain(target, format_args!("{}: no such view", Errno::ENOENT));
            return status::FAILED;
        };
        let mut text = ArrayString::<WRITE_MAX>::new();
        let Self { port, filters, pool, .. } = self;

        let mut lines = Lines::new(Chain::new(filters, pool, &mut text));
        let result = source.write(&mut Context { out: &mut Polling { lines: &mut lines, port }, name, port, history, is_terminal: false });
        let result = forgive_satisfied(result, &lines);
        if result == Err(CommandError::Oopsed) {
            return self.conclude(name, source, result, 0);
        }
        let cut = lines.finish();

        if text.remaining_capacity() == 0 || cut > 0 {
            return self.refuse(target, "the text to write is too long");
        }
        let status = self.conclude(name, source, result, cut);
        if status != status::SUCCESS {
            return status;
        }
        match isolate::run(target, || Ok(view.write(text.trim_end_matches('\n'))?)) {
            Ok(()) => status::SUCCESS,
            Err(error) => {
                self.explain(target, &Source::View(view), error);
                error.status()
            }
        }
    }

    /// Reports how a pipeline ended; gives its status.
    fn conclude(&mut self, name: &str, source: &Source<'_>, result: Result<(), CommandError>, cut: usize) -> u8 {
        if result == Err(CommandError::Oopsed) {
            self.filters = Filters::new_const();
        }
        if cut > 0 {
            self.port.complain("shell", format_args!("{cut} lines were too long for the pipe and went on as two"));
        }
        for (name, lost) in self.filters.iter().filter_map(Filter::lost) {
            self.port.complain(name, format_args!("{lost} lines did not fit into {POOL} bytes and are missing"));
        }

        if self.port.poll_interrupt() {
            Text(&self.port).write_str("^C\n").expect("a port takes all text");
            return status::INTERRUPTED;
        }
        match result {
            Ok(()) => self.filters.iter().map(Filter::status).find(|&status| status != status::SUCCESS).unwrap_or_default(),
            Err(error) => {
                self.explain(name, source, error);
                error.status()
            }
        }
    }

    fn explain(&self, name: &str, source: &Source<'_>, error: CommandError) {
        match (error, source) {
            (CommandError::Usage, Source::Command(command, _)) => self.port.complain("usage", format_args!("{}", command.usage())),
            (CommandError::Errno(errno), _) => self.port.complain(name, format_args!("{errno:#}")),
            (CommandError::Oopsed, _) => {
                self.port.complain(name, format_args!("ended by an oops: `dmesg -l alert` has the report, `oopses` what was lost"))
            }
            (CommandError::Output, _) => self.port.complain(name, format_args!("stopped: the output takes no more")),
            _ => {}
        }
    }

    fn explain_filter(&self, name: &str, error: &FilterError) -> u8 {
        match error {
            FilterError::Pattern(error) => self.port.complain(name, format_args!("{error}")),
            FilterError::Usage => {
                let usage = command::find(name).map_or("", Command::usage);
                self.port.complain("usage", format_args!("{usage}"));
            }
        }
        status::USAGE
    }

    fn explain_unknown(&self, name: &str) -> u8 {
        match suggest::nearest(name) {
            Some(near) => self.port.complain(name, format_args!("no such command; did you mean `{near}`?")),
            None => self.port.complain(name, format_args!("no such command; `help` lists them")),
        }
        status::NOT_FOUND
    }

    fn refuse(&self, name: &str, why: &str) -> u8 {
        self.port.complain(name, format_args!("{why}"));
        status::USAGE
    }

    /// Runs a line again and again until Ctrl-C, or a number of times.
    fn watch(&mut self, args: &[&str], history: &History, watched: &mut Watched) -> u8 {
        let Watched { line, pipeline } = watched;
        let Ok((seconds, rounds)) = watch_arguments(args, line) else {
            return self.explain_filter(WATCH, &FilterError::Usage);
        };

        for round in 1..=rounds {
            self.port.write_text(CLEAR_SCREEN);
            writeln!(Text(&self.port), "every {seconds} s: {line}\n").expect("a port takes all text");
            let _ = self.run(line, history, |_, _| {}, pipeline, None);
            if round == rounds || matches!(self.status, status::INTERRUPTED | status::USAGE) {
                break;
            }
            self.port.pause(Duration::from_secs(seconds));
            if self.port.poll_interrupt() {
                self.port.write_text("^C\n");
                return status::INTERRUPTED;
            }
        }
        self.status
    }
}

impl Source<'_> {
    fn write(&self, context: &mut Context<'_>) -> Result<(), CommandError> {
        match self {
            Self::Command(command, args) => isolate::run(command.name(), || command.run(context, args)),
            Self::View(view) => isolate::run(view.name(), || Ok(view.show(context.out)?)),
            Self::Views(names) => isolate::run(context.name, || write_views(context, names)),
        }
    }
}

/// Writes the views called `names`, one behind the other; one that fails does not keep the others from being shown.
pub(super) fn write_views(context: &mut Context<'_>, names: &[&str]) -> Result<(), CommandError> {
    let mut outcome = Ok(());
    for name in names {
        let Some(view) = proc::find(name) else {
            outcome = Err(context.fail(format_args!("{name}: no such view; `ls` lists them")));
            continue;
        };
        match view.show(context.out) {
            Ok(()) => {}
            Err(proc::ViewError::Output) => return Err(CommandError::Output),
            Err(proc::ViewError::Errno(errno)) => outcome = Err(context.fail(format_args!("{name}: {errno:#}"))),
        }
    }
    outcome
}

/// Writes into a pipe until Ctrl-C.
struct Polling<'a, 'l> {
    lines: &'a mut Lines<'l>,
    port: &'a Port,
}

impl Write for Polling<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.contains('\n') && self.port.poll_interrupt() {
            return Err(fmt::Error);
        }
        self.lines.write_str(text)
    }
}

/// Takes it for success that a command was stopped because a filter has all it needs.
fn forgive_satisfied(result: Result<(), CommandError>, lines: &Lines<'_>) -> Result<(), CommandError> {
    match result {
        Err(CommandError::Output) if lines.is_satisfied() => Ok(()),
        other => other,
    }
}

/// Reads `[-n SECONDS] [-c COUNT] LINE`, the line into `line`.
fn watch_arguments(args: &[&str], line: &mut LineText) -> Result<(u64, usize), CommandError> {
    let (mut seconds, mut rounds) = (2, usize::MAX);
    let mut options = Options::new(args, "nc");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'n' => seconds = options::number(value)? as u64,
            'c' => rounds = options::number(value)?,
            _ => return Err(CommandError::Usage),
        }
    }

    line.clear();
    write!(line, "{}", Spaced(options.operands()))?;
    if line.is_empty() { Err(CommandError::Usage) } else { Ok((seconds, rounds)) }
}

/// Words with a space between.
pub(super) struct Spaced<'a>(pub(super) &'a [&'a str]);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { " " } else { "" })?;
            f.write_str(word)?;
        }
        Ok(())
    }
}
