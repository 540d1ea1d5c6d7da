//! `dmesg`, and `log`: what was said, and how much of it the console shows.

use crate::drivers::serial;
use crate::log::{self, Level, Printer, Query, Reader, Step, Style};
use crate::shell::{self, CommandError, Context, Options};
use arrayvec::ArrayVec;
use core::time::Duration;

shell::command! {
    name: "dmesg",
    usage: "dmesg [-w] [-c|-C] [-n LEVEL] [-l LEVEL[,LEVEL...]] [TEXT]",
    help: "the kernel's log",
    details: "-w (or -f) goes on with what is said later, until Ctrl-C. -c clears when it has shown, -C without showing: later calls begin there.\n-l shows LEVEL (name or number) and graver, or just those of a list. TEXT: only messages that contain it.\n-n sets what the console shows, as `log LEVEL` does.",
    run: dmesg,
}

shell::command! {
    name: "log",
    usage: "log [LEVEL]",
    help: "which messages the console shows; sets it",
    details: "A message is shown if its number is below LEVEL: `log 8` shows all, `log 4` errors and graver. `log emerg` to `log debug`\nshow that level too. `log say TEXT` logs TEXT.",
    run: log,
}

fn level(text: &str) -> Option<Level> {
    Level::parse(text).or_else(|| Level::ALL.into_iter().find(|level| text == level.name()))
}

fn dmesg(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (mut follow, mut clear, mut query) = (false, false, Query::new());
    let mut options = Options::new(args, "ln");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'f' | 'w' => follow = true,
            'c' => clear = true,
            'C' => {
                log::clear();
                return Ok(());
            }
            'l' => query = of_levels(query, value).ok_or(CommandError::Usage)?,
            'n' => {
                log::set_console_loglevel(threshold(value).ok_or(CommandError::Usage)?);
                return Ok(());
            }
            _ => return Err(CommandError::Usage),
        }
    }
    match *options.operands() {
        [] => {}
        [_] if cfg!(feature = "defmt") => {
            return Err(ctx.fail(format_args!(
                "this build keeps the log in binary, whose text only the host knows: search there, or build with LOG=text"
            )));
        }
        [text] => query = query.with_text(text),
        _ => return Err(CommandError::Usage),
    }

    show(ctx, &query, follow)?;
    if clear {
        log::clear();
    }
    Ok(())
}

/// One level means that and graver, a list just its levels.
fn of_levels<'q>(query: Query<'q>, text: &str) -> Option<Query<'q>> {
    if !text.contains(',') {
        return Some(query.up_to(level(text)?));
    }
    let mut levels = ArrayVec::<Level, { Level::ALL.len() }>::new();
    for name in text.split(',') {
        levels.try_push(level(name)?).ok()?;
    }
    Some(query.of_levels(levels))
}

/// The console level that `text` asks for: a number, or the name of a level that shall just be shown.
fn threshold(text: &str) -> Option<u8> {
    match text.parse::<u8>() {
        Ok(number @ 0..=8) => Some(number),
        _ => Some(level(text)?.number() + 1),
    }
}

fn show(ctx: &mut Context<'_>, query: &Query<'_>, follow: bool) -> Result<(), CommandError> {
    const POLL: Duration = Duration::from_millis(100);
    let mut reader = Reader::from_oldest();
    loop {
        match query.advance(&mut reader) {
            Step::Record(record) if record.is_defmt() => print_packet(ctx, Printer::of_record(record, Style::Plain), &reader)?,
            Step::Record(record) => print(ctx, Printer::of_record(record, Style::Plain), &reader)?,
            Step::Lost(lost) => print(ctx, Printer::of_lost(lost), &reader)?,
            Step::End if !follow => return Ok(()),
            // A message that a core is still writing: the reader gives up on it after a second.
            Step::Waiting | Step::End => ctx.pause(POLL)?,
        }
    }
}

fn print(ctx: &mut Context<'_>, printer: Printer, reader: &Reader) -> Result<(), CommandError> {
    let mut result = Ok(());
    printer.print(reader, |bytes| {
        for chunk in bytes.utf8_chunks() {
            if result.is_ok() {
                result = ctx.out.write_str(chunk.valid());
            }
        }
    });
    Ok(result?)
}

/// Sends a record of defmt frames as the console does; the host decodes it wherever it comes.
fn print_packet(ctx: &mut Context<'_>, printer: Printer, reader: &Reader) -> Result<(), CommandError> {
    let mut packet = ArrayVec::<u8, { serial::PACKET_MAX }>::new();
    printer.print(reader, |bytes| packet.try_extend_from_slice(bytes).expect("a record is shorter than the longest packet"));
    ctx.write_packet(&packet)
}

fn log(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match *args {
        [] => {
            writeln!(ctx.out, "console shows messages below level {}:", log::console_loglevel())?;
            for level in Level::ALL {
                let mark = if log::is_shown(level) { "shown" } else { "kept" };
                writeln!(ctx.out, "  {} {:8} {mark}", level.number(), level.name())?;
            }
            Ok(())
        }
        ["say", text] => {
            crate::pr_notice!("{}", text);
            Ok(())
        }
        [text] => {
            let threshold = threshold(text).ok_or(CommandError::Usage)?;
            let before = log::set_console_loglevel(threshold);
            writeln!(ctx.out, "console loglevel: {threshold} (was {before})")?;
            Ok(())
        }
        _ => Err(CommandError::Usage),
    }
}
