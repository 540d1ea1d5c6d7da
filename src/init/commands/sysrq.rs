//! `sysrq KEY`, and `/proc/sysrq-trigger`: what BREAK and a key do on the serial line.

use crate::debug::sysrq::{self, KEYS};
use crate::proc;
use crate::shell::complete::Request;
use crate::shell::{self, CommandError, Context};
use crate::util::errno::Errno;
use core::fmt::Write;

shell::command! {
    name: "sysrq",
    usage: "sysrq [KEY]",
    help: "what BREAK and KEY do: a look at a kernel that hangs; lists the keys",
    details: "At the terminal itself it works although no command does: BREAK, then the key within 5 s. In QEMU: Ctrl-A B.",
    complete: complete,
    run: run,
}

proc::view! {
    name: "sysrq-trigger",
    path: "/proc/sysrq-trigger",
    help: "the keys of SysRq; writing one does what it stands for",
    show: |out| Ok(write_keys(out)?),
    write: |text| match text.trim().as_bytes() {
        [key, ..] if sysrq::handle(*key) => Ok(()),
        _ => Err(Errno::EINVAL),
    },
}

fn complete(request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    if request.args.is_empty() {
        KEYS.iter().filter_map(|known| core::str::from_utf8(core::slice::from_ref(&known.key)).ok()).for_each(offer);
    }
}

fn run(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match args {
        [] => Ok(write_keys(ctx.out)?),
        [key] if key.len() == 1 => match sysrq::handle(key.as_bytes()[0]) {
            true => Ok(()),
            false => Err(CommandError::Failed),
        },
        _ => Err(CommandError::Usage),
    }
}

fn write_keys(out: &mut dyn Write) -> core::fmt::Result {
    writeln!(out, "  0-9 loglevel(0-9)                      which messages the console shows")?;
    KEYS.iter().try_for_each(|known| writeln!(out, "  {}   {:34} {}", known.key.escape_ascii(), known.name, known.help))
}
