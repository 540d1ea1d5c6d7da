//! `bench-messages`: the benchmark's log line so many times, for whoever counts what comes over the wire.

use tetra::shell::{self, CommandError, Context};
use tetra::{log, printk};

shell::command! {
    name: "bench-messages",
    usage: "bench-messages COUNT",
    help: "logs the benchmark's message COUNT times and waits until the console has it",
    run: messages,
}

fn messages(_ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let &[count] = args else { return Err(CommandError::Usage) };
    let count: u32 = count.parse().map_err(|_| CommandError::Usage)?;
    for _ in 0..count {
        printk!(KERN_NOTICE "bench: message {} value {:x}", 42u32, 0xbeef_u32);
        log::drain();
    }
    Ok(())
}
