//! What went wrong so far: the taint, the counts of oopses and warnings, what was lost, and what shall end the kernel.

use crate::debug::{bug, oops, taint};
use crate::proc::{self, ViewError};
use crate::sched::death;
use crate::util::errno::Errno;
use core::fmt::Write;

proc::view! { name: "tainted", path: "/proc/sys/kernel/tainted", help: "what happened to this kernel: Linux's number, and in words", show: tainted }
proc::view! { name: "oops_count", path: "/sys/kernel/oops_count", help: "threads that ended by an oops", show: oops_count }
proc::view! { name: "warn_count", path: "/sys/kernel/warn_count", help: "warnings given", show: warn_count }
proc::view! { name: "oopses", path: "/proc/oopses", help: "the threads that ended by an oops, their locks, and what was lost", show: oopses }
proc::view! {
    name: "panic_on_oops",
    path: "/proc/sys/kernel/panic_on_oops",
    help: "1: an oops ends the kernel; echo 1 > panic_on_oops",
    show: show_panic_on_oops,
    write: |text| parse(text).map(oops::set_panic_on_oops),
}
proc::view! {
    name: "panic_on_warn",
    path: "/proc/sys/kernel/panic_on_warn",
    help: "1: a warning ends the kernel; echo 1 > panic_on_warn",
    show: show_panic_on_warn,
    write: |text| parse(text).map(bug::set_panic_on_warn),
}

fn tainted(out: &mut dyn Write) -> Result<(), ViewError> {
    let taint = taint::get_taint();
    Ok(writeln!(out, "{}\n{taint}", taint.bits())?)
}

fn oops_count(out: &mut dyn Write) -> Result<(), ViewError> {
    Ok(writeln!(out, "{}", oops::nr_oopses())?)
}

fn warn_count(out: &mut dyn Write) -> Result<(), ViewError> {
    Ok(writeln!(out, "{}", bug::nr_warnings())?)
}

fn show_panic_on_oops(out: &mut dyn Write) -> Result<(), ViewError> {
    Ok(writeln!(out, "{}", u8::from(oops::panics_on_oops()))?)
}

fn show_panic_on_warn(out: &mut dyn Write) -> Result<(), ViewError> {
    Ok(writeln!(out, "{}", u8::from(bug::panics_on_warn()))?)
}

fn parse(text: &str) -> Result<bool, Errno> {
    match text.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

fn oopses(out: &mut dyn Write) -> Result<(), ViewError> {
    writeln!(out, "oops cpu   pid name")?;
    for thread in death::all_dead() {
        let number = thread.oops_number().unwrap_or(0);
        writeln!(out, "{number:4} {:3} {:5} {}", thread.cpu(), thread.pid(), thread.name())?;
        #[cfg(feature = "lockdep")]
        for lock in thread.held_locks().iter() {
            use crate::sync::{lock_watch, lockdep::report::HeldIn};
            writeln!(out, "               holds {}", HeldIn(&lock, lock_watch::class(lock.class).as_ref()))?;
        }
    }
    let lost = oops::lost();
    write!(out, "lost: {} threads, {} bytes of stacks", lost.threads, lost.stack_bytes)?;
    write!(out, ", {} objects of {} bytes in caches that keep who allocated", lost.objects, lost.object_bytes)?;
    Ok(writeln!(out, ", {} bytes of pages, {} of vmalloc areas", lost.page_bytes, lost.area_bytes)?)
}
