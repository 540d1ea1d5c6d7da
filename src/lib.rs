//! Tetra: a kernel for the Raspberry Pi 4 that shows how locks, memory and failures really work on four cores.
//!
//! # The map
//! A module calls its own layer or those above it in this table; `upcalls` holds the few calls that go the other way.
//!
//! | layer | modules | what is there |
//! |---|---|---|
//! | pure | [`util`] | bitmap, cmdline, errno, queues |
//! | processor | [`arch`] | all assembly; `host` gives the same names over `std` |
//! | core | [`cpu`] | per-CPU data, `current`, the count word, guards, context queries |
//! | log | [`log`] | levels, per-core rings, consoles, `dmesg` |
//! | reports | [`debug`] | faults, backtraces, symbols, panic |
//! | locks | [`sync`] | atomics, bit operations, barriers, locks, RCU, lock order and statistics |
//! | memory | [`mm`] | addresses, memblock, zones and pages, slabs, `kmalloc`, `KBox`, vmalloc, DMA |
//! | threads, time, interrupts | [`sched`], [`time`], [`irq`] | threads, run queues, work; clocks and timers; lines, softirqs, tasklets, calls between cores |
//! | devices | [`drivers`], [`platform`] | GIC, PL011, timer, mailbox, GPIO, LED, watchdog; the BCM2711 |
//! | views | [`proc`] | what `cat /proc/...` shows |
//! | prompt | [`shell`] | editor, commands, pipes; labs |
//! | figures | [`mod@bench`] | the counted operations |
//! | boot | [`init`] | the boot order, one call a line |
//!
//! Contexts are in each doc comment: *hardirq* (an interrupt's handler, irqs masked), *softirq* (a bottom half), *thread*; "any" means all
//! three. Where to begin reading: `boot/start.S`, then [`init`], then what you came for.
#![cfg_attr(not(test), no_std)]
// Examples as well. Within `cfg_attr`, since rustdoc gives one that says `no_std` plainly no `main`.
#![cfg_attr(target_os = "none", doc(test(attr(cfg_attr(all(), no_std)))))]
#![cfg_attr(target_os = "none", feature(asm_goto_with_outputs))]

#[cfg(target_os = "none")]
extern crate alloc;
#[cfg(any(test, not(target_os = "none")))]
extern crate std;

pub mod util;

pub mod arch;

#[macro_use]
pub mod cpu;

#[macro_use]
pub mod log;

#[macro_use]
pub mod debug;
pub mod sync;

pub mod mm;

pub mod irq;
pub mod sched;
pub mod time;

pub mod drivers;
pub mod platform;

pub mod proc;
pub mod shell;

#[cfg(target_os = "none")]
pub mod bench;

#[cfg(target_os = "none")]
pub mod init;

pub mod upcalls;
