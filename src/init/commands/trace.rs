//! The views `trace` and `tracing_on`: what the tracepoints recorded.

use crate::arch::counter;
use crate::debug::tracepoint;
use crate::proc::{self, ViewError};
use crate::util::errno::Errno;
use core::fmt::Write;

proc::view! {
    name: "trace",
    path: "/sys/kernel/debug/tracing/trace",
    help: "the last switches, interrupts, waits for locks and page requests of each core, by time",
    show: trace,
}
proc::view! {
    name: "tracing_on",
    path: "/sys/kernel/debug/tracing/tracing_on",
    help: "1: events are recorded; echo 0 > tracing_on keeps what is there",
    show: show_on,
    write: set_on,
}

fn trace(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "# CPU#    TIMESTAMP  EVENT")?;
    tracepoint::merged().try_for_each(|(cpu, record)| {
        let us = u128::from(record.time) * 1_000_000 / u128::from(counter::frequency_hz());
        writeln!(out, "  [{cpu:03}] {:6}.{:06}: {record}", us / 1_000_000, us % 1_000_000)
    })?;
    Ok(())
}

fn show_on(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "{}", u8::from(tracepoint::is_on()))?;
    Ok(())
}

fn set_on(text: &str) -> Result<(), Errno> {
    match text.trim() {
        "1" => tracepoint::set_on(true),
        "0" => tracepoint::set_on(false),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}
