//! The commands that belong to the shell itself.

use super::command::{Command, CommandError, Context};
use super::complete;
use super::editor::CLEAR_SCREEN;
use super::exec::{Spaced, write_views};
use super::options::Options;
use crate::proc::{self, View};
use crate::shell::command;

command! {
    name: "help",
    usage: "help [NAME]",
    help: "commands and views, or what is known about one",
    complete: complete::commands,
    run: help,
}

command! {
    name: "echo",
    usage: "echo [-n] [WORD...]",
    help: "its arguments; `echo WORD > VIEW` sets a view",
    details: "With -n, without a newline. `$?` stands for the status of the last command, 0 for success.",
    run: echo,
}

command! {
    name: "history",
    usage: "history [-c COUNT]",
    help: "the lines entered so far, numbered",
    details: "With -c, the last COUNT only. Up and Down go through them, Ctrl-R searches them.",
    run: history,
}

command! {
    name: "cat",
    usage: "cat VIEW...",
    help: "the text of views, by name or path",
    details: "`cat meminfo` and `cat /proc/meminfo` are the same, and so is `meminfo` alone.",
    complete: complete::views,
    run: cat,
}

command! {
    name: "ls",
    usage: "ls [-l] [PATH]",
    help: "the views there are, or those below PATH",
    details: "With -l one a line: r or rw, as it can be read or set, the name, the path, and what it shows.",
    complete: complete::views,
    run: ls,
}

command! {
    name: "clear",
    usage: "clear",
    help: "nothing: it blanks the screen, as Ctrl-L does",
    run: clear,
}

command! {
    name: "watch",
    usage: "watch [-n SECONDS] [-c COUNT] LINE",
    help: "the output of LINE, again every 2 seconds",
    details: "Until Ctrl-C, or COUNT times. A key refreshes at once. Quote a LINE with pipes: watch 'irq | grep timer'",
    complete: complete::commands,
    run: only_in_a_line,
}

command! {
    name: "grep",
    usage: "grep [-EFivcn] [-e] PATTERN [VIEW...]",
    help: "the lines of a pipe or of views that match PATTERN",
    details: "-E extended syntax, -F no syntax, -i ignore case, -v lines that do not match, -c count, -n number them.\nStatus 1 if there is none.",
    complete: complete::views,
    run: only_in_a_line,
}

command! {
    name: "head",
    usage: "head [-n COUNT] [VIEW...]",
    help: "the first 10 lines of a pipe or of views, or COUNT",
    complete: complete::views,
    run: only_in_a_line,
}

command! {
    name: "tail",
    usage: "tail [-n [+]COUNT] [VIEW...]",
    help: "the last 10 lines of a pipe or of views, or COUNT",
    details: "With +COUNT, all lines from line COUNT on.",
    complete: complete::views,
    run: only_in_a_line,
}

command! {
    name: "sort",
    usage: "sort [-nru] [-k FIELD] [VIEW...]",
    help: "the lines of a pipe or of views in order",
    details: "-n by number, -r backwards, -u equal ones once, -k from the FIELDth word on.",
    complete: complete::views,
    run: only_in_a_line,
}

command! {
    name: "wc",
    usage: "wc [-lwc] [VIEW...]",
    help: "how many lines, words and bytes a pipe or views have",
    complete: complete::views,
    run: only_in_a_line,
}

/// What `help` shows below its lists.
const KEYS: &str = "
`help NAME` says more. Views are shown by their names, or by `cat`. Join with `|` and `;`, set a view with `>`.
Tab completes, Up and Ctrl-R find earlier lines, Ctrl-C stops a command. To leave QEMU: Ctrl-A, then X.
";

fn help(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match *args {
        [] => help_all(ctx),
        [name] => match (command::find(name), proc::find(name)) {
            (None, None) => Err(ctx.fail(format_args!("{name}: no such command or view"))),
            (command, view) => {
                command.map_or(Ok(()), |command| help_command(ctx, command))?;
                view.map_or(Ok(()), |view| help_view(ctx, view))
            }
        },
        _ => Err(CommandError::Usage),
    }
}

fn help_all(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    writeln!(ctx.out, "Commands, and what they show:")?;
    for command in command::sorted() {
        writeln!(ctx.out, "  {:14} {}", command.name(), command.help())?;
    }
    if !proc::VIEWS.is_empty() {
        writeln!(ctx.out, "Views:")?;
    }
    for view in proc::sorted() {
        writeln!(ctx.out, "  {:14} {}", view.name(), view.help())?;
    }
    Ok(ctx.out.write_str(KEYS)?)
}

fn help_command(ctx: &mut Context<'_>, command: &Command) -> Result<(), CommandError> {
    writeln!(ctx.out, "{}\n  shows: {}", command.usage(), command.help())?;
    for line in command.long_help().lines() {
        writeln!(ctx.out, "  {line}")?;
    }
    Ok(())
}

fn help_view(ctx: &mut Context<'_>, view: &View) -> Result<(), CommandError> {
    writeln!(ctx.out, "cat {}\n  shows: {}", view.path(), view.help())?;
    if view.is_writable() {
        writeln!(ctx.out, "  Settable: echo WORD > {}", view.path())?;
    }
    Ok(())
}

fn echo(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (words, end) = match args {
        ["-n", words @ ..] => (words, ""),
        words => (words, "\n"),
    };
    write!(ctx.out, "{}{end}", Spaced(words))?;
    Ok(())
}

fn history(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let mut count = usize::MAX;
    let mut options = Options::new(args, "c");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'c' | '#' => count = super::options::number(value)?,
            _ => return Err(CommandError::Usage),
        }
    }
    if !options.operands().is_empty() {
        return Err(CommandError::Usage);
    }

    let history = ctx.history;
    let skipped = history.numbered().count().saturating_sub(count);
    for (number, line) in history.numbered().skip(skipped) {
        writeln!(ctx.out, "{number:5}  {line}")?;
    }
    Ok(())
}

fn cat(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match args {
        [] => Err(CommandError::Usage),
        [option, ..] if option.starts_with('-') => Err(CommandError::Usage),
        names => write_views(ctx, names),
    }
}

fn ls(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let mut is_long = false;
    let mut options = Options::new(args, "");
    while let Some((letter, _)) = options.next_option()? {
        match letter {
            'l' => is_long = true,
            _ => return Err(CommandError::Usage),
        }
    }
    let below = match *options.operands() {
        [] => "/",
        [path] => path,
        _ => return Err(CommandError::Usage),
    };

    let mut is_empty = true;
    for view in proc::sorted().filter(|view| is_below(view, below)) {
        is_empty = false;
        if is_long {
            let mode = if view.is_writable() { "rw" } else { "r-" };
            writeln!(ctx.out, "{mode} {:14} {:36} {}", view.name(), view.path(), view.help())?;
        } else {
            writeln!(ctx.out, "{}", view.path())?;
        }
    }
    if is_empty { Err(ctx.fail(format_args!("{below}: no such view"))) } else { Ok(()) }
}

/// Whether `view` is the one at `path`, or in that directory.
fn is_below(view: &View, path: &str) -> bool {
    let directory = path.trim_end_matches('/');
    match view.path().strip_prefix(directory) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => view.name() == path,
    }
}

fn clear(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    if args.is_empty() { Ok(ctx.out.write_str(CLEAR_SCREEN)?) } else { Err(CommandError::Usage) }
}

/// The body of what the shell reads itself before it looks for commands; registered for `help` and completion.
fn only_in_a_line(_: &mut Context<'_>, _: &[&str]) -> Result<(), CommandError> {
    Err(CommandError::Usage)
}
