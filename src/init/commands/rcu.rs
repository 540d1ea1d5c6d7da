//! The view of RCU: grace periods, and what each core does for them.

use crate::cpu;
use crate::proc::{self, ViewError};
use crate::sync::rcu;
use core::fmt::Write;

proc::view! {
    name: "rcu",
    path: "/proc/rcu",
    help: "grace periods, and each core's readers and callbacks",
    show: show,
}

fn show(out: &mut dyn Write) -> Result<(), ViewError> {
    let seq = rcu::grace_period_seq();
    let state = if rcu::is_grace_period_running(seq) { "one runs" } else { "none runs" };
    writeln!(out, "grace periods:      {:10}  {state}", rcu::nr_grace_periods(seq))?;
    writeln!(out, "expedited calls:    {:10}", rcu::nr_expedited())?;
    writeln!(out, "stall reports:      {:10}  after {} s", rcu::nr_stall_reports(), rcu::stall_timeout().as_secs())?;
    writeln!(out, "strict:             {:>10}", if rcu::is_strict() { "yes" } else { "no" })?;
    writeln!(out, "cpu  reads   waited for      sleeps      kicks     queued    invoked     rounds  max-batch")?;
    for cpu in cpu::online() {
        let (core, callbacks) = (rcu::core_state(cpu), rcu::callback_stats(cpu));
        writeln!(
            out,
            "{cpu:3}  {:<6}  {:<10}  {:10} {:10} {:10} {:10} {:10} {:10}",
            if core.is_asleep { "no" } else { "may" },
            if core.is_waited_for { "yes" } else { "no" },
            core.watch / 2,
            core.nr_kicks,
            callbacks.queued,
            callbacks.invoked,
            callbacks.rounds,
            callbacks.max_batch
        )?;
    }
    Ok(())
}
