//! SysRq: what a kernel that answers no command can still be asked, by BREAK and a key on the serial line.
//!
//! The serial port's interrupt handler comes here, so nothing is needed of the shell or of any thread: only that core 0 takes interrupts. The same keys are
//! there as `sysrq KEY` and `echo KEY > /proc/sysrq-trigger`. Keys and names are Linux's (Documentation/admin-guide/sysrq.rst).
//!
//! Answers go to the log and out to the wire at once, whatever the console level: in a handler, polled, since who asks may have no other way to see them. That
//! keeps this core's interrupts off meanwhile, up to some seconds at 115200 baud; the watchdogs are told.
//!
//! Rejected: a thread that answers. It would need the scheduler, which may be what hangs.
//!
//! Neighbours: `drivers::serial` (BREAK), `show` (threads, cores, locks).

use super::detectors::watchdog;
use super::panic;
use super::report_log::Turn;
use super::show;
use crate::cpu::task::TaskState;
use crate::drivers::serial;
use crate::log::{self, KERN_NOTICE};
use crate::mm::page_alloc;
use crate::platform::hardware;
use crate::sched::thread;
use crate::time::{hrtimer, tick, timer};
use crate::{cpu, time};

/// A key and what it does.
#[derive(Clone, Copy, Debug)]
pub struct SysrqKey {
    /// The key.
    pub key: u8,
    /// Linux's name of it, for the help.
    pub name: &'static str,
    /// One line on what it does.
    pub help: &'static str,
    action: fn(),
}

/// All keys but the digits.
pub const KEYS: [SysrqKey; 9] = [
    SysrqKey { key: b'b', name: "reboot(b)", help: "boots the machine anew, at once", action: reboot },
    SysrqKey { key: b'c', name: "crash(c)", help: "panics", action: crash },
    SysrqKey { key: b'd', name: "show-all-locks(d)", help: "the locks that are held, by whom and since when", action: show_all_locks },
    SysrqKey { key: b'h', name: "help(h)", help: "the keys", action: help },
    SysrqKey { key: b'l', name: "show-backtrace-all-active-cpus(l)", help: "what each core does", action: show_backtraces },
    SysrqKey { key: b'm', name: "show-memory-usage(m)", help: "free pages, zone by zone", action: show_memory },
    SysrqKey { key: b'q', name: "show-all-timers(q)", help: "what each core's timers wait for", action: show_timers },
    SysrqKey { key: b't', name: "show-task-states(t)", help: "all threads: state and backtrace", action: show_tasks },
    SysrqKey { key: b'w', name: "show-blocked-tasks(w)", help: "the threads in state D", action: show_blocked },
];

/// Upcall of drivers: BREAK and a key have come. Context: hardirq.
#[unsafe(no_mangle)]
fn tetra_sysrq(key: u8) {
    handle(key);
}

/// Does what `key` stands for, and shows the answer on the console at once. An unknown key shows the help. False if it is unknown.
///
/// Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::debug::sysrq;
/// assert!(sysrq::handle(b't')); // all threads
/// ```
pub fn handle(key: u8) -> bool {
    let before = log::set_console_loglevel(u8::MAX);
    if let digit @ b'0'..=b'9' = key {
        let level = digit - b'0';
        show::line(KERN_NOTICE, format_args!("sysrq: Loglevel set to {level}"));
        send_what_was_said();
        log::set_console_loglevel(level);
        return true;
    }
    let found = KEYS.iter().find(|known| known.key == key.to_ascii_lowercase());
    match found {
        Some(known) => show::line(KERN_NOTICE, format_args!("sysrq: {}", known.name)),
        None => show::line(KERN_NOTICE, format_args!("sysrq: no such key: {}", key.escape_ascii())),
    }
    {
        let _turn = Turn::wait();
        found.map_or(help as fn(), |known| known.action)();
    }
    send_what_was_said();
    log::set_console_loglevel(before);
    found.is_some()
}

/// Before the rings are full, and before the level is what it was. False if the wire takes nothing: then it is no use to go on.
fn send_what_was_said() -> bool {
    let is_sent = serial::flush();
    watchdog::excuse_this_core();
    is_sent
}

fn reboot() {
    hardware::reboot();
}

fn crash() {
    panic::end_kernel(format_args!("sysrq triggered crash"));
}

fn help() {
    show::line(KERN_NOTICE, format_args!("sysrq: BREAK, and within 5 s: 0-9 console log level"));
    for known in &KEYS {
        show::line(KERN_NOTICE, format_args!("sysrq:   {:34} {}", known.name, known.help));
    }
}

fn show_backtraces() {
    for cpu in cpu::online() {
        show::core(KERN_NOTICE, cpu);
        if !send_what_was_said() {
            break;
        }
    }
}

fn show_tasks() {
    for thread in thread::all() {
        show::task(KERN_NOTICE, &thread);
        if !send_what_was_said() {
            break;
        }
    }
}

fn show_blocked() {
    let is_blocked = |state: TaskState| state.contains(TaskState::UNINTERRUPTIBLE) && !state.contains(TaskState::NOLOAD);
    let mut nr_blocked = 0;
    for thread in thread::all().filter(|thread| is_blocked(thread.state())) {
        nr_blocked += 1;
        show::task(KERN_NOTICE, &thread);
        if let Some(owner) = thread.task().waits_for() {
            show::line(KERN_NOTICE, format_args!("  it waits for a mutex that {owner} holds"));
        }
        if !send_what_was_said() {
            break;
        }
    }
    show::line(KERN_NOTICE, format_args!("sysrq: {nr_blocked} threads in state D"));
}

fn show_memory() {
    for zone in page_alloc::zones().iter().filter(|zone| zone.managed() > 0) {
        let (free, listed) = (zone.nr_free(), page_alloc::nr_listed(zone.kind));
        let name = zone.kind.name();
        show::line(
            KERN_NOTICE,
            format_args!(
                "zone {name:8} {:8} kB managed, {:8} kB free, {:6} kB on the cores' lists",
                zone.managed() * 4,
                free * 4,
                listed * 4
            ),
        );
    }
}

fn show_all_locks() {
    let by_threads: usize = thread::all().map(|thread| show::held_locks(KERN_NOTICE, &thread)).sum();
    let by_handlers: usize = cpu::online().map(|cpu| show::handler_locks(KERN_NOTICE, cpu)).sum();
    if cfg!(any(feature = "lockdep", feature = "lock_stat")) {
        show::line(KERN_NOTICE, format_args!("sysrq: {} locks are held", by_threads + by_handlers));
    } else {
        show::line(KERN_NOTICE, format_args!("sysrq: this build does not note who holds what: build with the feature lockdep"));
    }
}

fn show_timers() {
    show::line(KERN_NOTICE, format_args!("sysrq: now at {} ns, jiffy {}", time::ktime_get().as_ns(), time::jiffies()));
    for cpu in cpu::online() {
        let (stops, is_stopped) = tick::stops_of(cpu);
        let tick = if is_stopped { "stopped" } else { "runs" };
        show::line(KERN_NOTICE, format_args!("cpu{cpu}: {} ticks, tick {tick}, stopped {stops} times", time::ticks_of(cpu)));
        match timer::next_jiffy(cpu) {
            u64::MAX => show::line(KERN_NOTICE, format_args!("cpu{cpu}: no timer is armed")),
            jiffy => show::line(KERN_NOTICE, format_args!("cpu{cpu}: next timer at jiffy {jiffy}")),
        }
        if let Some(when) = hrtimer::next_event(cpu) {
            show::line(KERN_NOTICE, format_args!("cpu{cpu}: next high-resolution timer at {} ns", when.as_ns()));
        }
    }
}
