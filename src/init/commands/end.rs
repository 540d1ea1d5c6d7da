//! `reboot`, `poweroff`, `panic` and `fault`: how a kernel, or a thread of it, ends on purpose.

use crate::cpu;
use crate::debug::panic;
use crate::debug::provoke::{self, Crash};
use crate::irq::ipi;
use crate::platform::hardware;
use crate::sched::kthread::Builder;
use crate::shell::complete::Request;
use crate::shell::{self, CommandError, Context};
use crate::util::errno::Errno;

shell::command! {
    name: "reboot",
    usage: "reboot",
    help: "boots the machine anew, by the watchdog",
    run: |ctx, args| match args {
        [] => {
            writeln!(ctx.out, "rebooting")?;
            hardware::reboot()
        }
        _ => Err(CommandError::Usage),
    },
}

shell::command! {
    name: "poweroff",
    usage: "poweroff [CODE]",
    help: "ends QEMU, with CODE; halts a board",
    run: |ctx, args| {
        let code = match *args {
            [] => 0,
            [code] => u32::try_from(shell::number(code)?).map_err(|_| CommandError::Usage)?,
            _ => return Err(CommandError::Usage),
        };
        writeln!(ctx.out, "power off")?;
        hardware::power_off(code)
    },
}

shell::command! {
    name: "panic",
    usage: "panic [TEXT]",
    help: "the report of a panic, and the end",
    run: |_, args| {
        match *args {
            [] => panic::end_kernel(format_args!("asked for at the prompt")),
            [text] => panic::end_kernel(format_args!("{text}")),
            _ => Err(CommandError::Usage),
        }
    },
}

shell::command! {
    name: "fault",
    usage: "fault [KIND [CPU [irq]]]",
    help: "the ways to crash; crashes in one of them",
    details: "In the command's thread, on cpu0, or in one on CPU: that thread ends with an oops, and the rest runs on. With `irq`, in an interrupt\nhandler of that core: that is a panic, as any is after `echo 1 > panic_on_oops`.",
    complete: complete_fault,
    run: fault,
}

fn complete_fault(request: &Request<'_>, offer: &mut dyn FnMut(&str)) {
    if request.args.is_empty() {
        provoke::CRASHES.iter().for_each(|crash| offer(crash.name));
    }
}

fn fault(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (kind, cpu, in_irq) = match *args {
        [] => return list(ctx),
        [kind] => (kind, 0, false),
        [kind, cpu] => (kind, shell::number(cpu)?, false),
        [kind, cpu, "irq"] => (kind, shell::number(cpu)?, true),
        _ => return Err(CommandError::Usage),
    };
    let Some(crash) = provoke::CRASHES.iter().find(|crash| crash.name == kind) else {
        return Err(ctx.fail(format_args!("{kind}: no such kind; `fault` lists them")));
    };
    if !cpu::is_online(cpu) {
        return Err(ctx.fail(format_args!("cpu{cpu} is not online")));
    }
    commit(ctx, crash, cpu, in_irq)
}

fn list(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    for crash in &provoke::CRASHES {
        writeln!(ctx.out, "  {:14} {}", crash.name, crash.help)?;
    }
    Ok(())
}

fn commit(ctx: &Context<'_>, crash: &Crash, cpu: usize, in_irq: bool) -> Result<(), CommandError> {
    match (in_irq, cpu == cpu::id()) {
        (true, true) => ipi::interrupt_self(crash.run),
        (true, false) => ipi::call_on(cpu, crash.run).map_err(|_| ctx.fail(format_args!("cpu{cpu} went offline")))?,
        (false, true) => (crash.run)(),
        (false, false) => {
            const NAMES: [&str; cpu::NR_CPUS] = ["call/0", "call/1", "call/2", "call/3"];
            let thread = Builder::new(NAMES[cpu]).affinity(1 << cpu).run(crash.run).map_err(Errno::from)?;
            thread
                .join()
                .map_err(|_| ctx.fail(format_args!("the thread on cpu{cpu} ended by an oops: `dmesg -l alert` has the report")))?;
        }
    }
    Err(ctx.fail(format_args!("{} was survived", crash.name)))
}
