//! `symbols` and the view `kallsyms`: names for addresses, and back.

use crate::debug::kallsyms::{Kind, Symbol, Table};
use crate::debug::{address::Whereabouts, symbols};
use crate::proc::{self, ViewError};
use crate::shell::{self, CommandError, Context};
use crate::util::errno::Errno;
use core::fmt::Write;

shell::command! {
    name: "symbols",
    usage: "symbols [ADDRESS|NAME]",
    help: "what lies at an address, where a name lies, or how many names are known",
    details: "ADDRESS in hexadecimal, with 0x. NAME in full, as in `kallsyms`; `kallsyms | grep WORD` finds it.",
    run: symbols,
}

proc::view! {
    name: "kallsyms",
    path: "/proc/kallsyms",
    help: "every symbol of the kernel: address, t for code or d for data, name",
    show: kallsyms,
}

fn symbols(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let Some(table) = symbols::table() else {
        return Err(ctx.fail(format_args!("this image has no symbol table; tools mkimage appends one")));
    };
    match *args {
        [] => writeln!(ctx.out, "{} symbols", table.len())?,
        [text] => match text.strip_prefix("0x") {
            Some(digits) => {
                let address = usize::from_str_radix(digits, 16).map_err(|_| CommandError::Usage)?;
                writeln!(ctx.out, "{address:#018x} is in {}", Whereabouts(address))?;
            }
            None => by_name(ctx, table, text)?,
        },
        _ => return Err(CommandError::Usage),
    }
    Ok(())
}

fn by_name(ctx: &mut Context<'_>, table: &Table<'_>, name: &str) -> Result<(), CommandError> {
    match table.find(name) {
        Some(symbol) => Ok(write_symbol(ctx.out, &symbol)?),
        None => Err(ctx.fail(format_args!("{name}: no symbol of that name; `kallsyms | grep WORD` searches"))),
    }
}

fn kallsyms(out: &mut dyn Write) -> Result<(), ViewError> {
    let table = symbols::table().ok_or(Errno::ENODATA)?;
    for symbol in table.iter() {
        write_symbol(out, &symbol)?;
    }
    Ok(())
}

fn write_symbol(out: &mut dyn Write, symbol: &Symbol<'_>) -> core::fmt::Result {
    let kind = match symbol.kind {
        Kind::Function => 't',
        Kind::Data => 'd',
    };
    writeln!(out, "{:016x} {kind} {}", symbol.address, symbol.name)
}
