//! Static tracepoints: a line where something happens, and for each core a ring with the last of what did.
//!
//! `hit(Event::SchedSwitch, prev, next)` stands in the scheduler, the interrupt entry, the locks and the page allocator. Without the feature `tracepoints`
//! it is nothing; with it, and after `echo 1 > tracing_on`, the event goes, stamped by the counter, into the ring of the core on which it happened. The
//! view `trace` merges the rings. Off at first: a stamp costs little on a board, but an emulator takes a lock for it, which would slow each test.
//!
//! Rejected: callbacks that are registered for an event, as Linux has them. They need code that is patched while it runs, or a call through memory at
//! each place, and there is one user. Also rejected: a line in the log for each event, which would take locks and wake threads in the very places that
//! are watched.
//!
//! Context: any, also with a run queue's lock held, in lock checks and in a handler. Takes no lock, never waits; irqs are masked while a record is written.
//!
//! # Memory ordering
//! That of [`ring`]. `IS_ON` is relaxed: a core may see it late.
//!
//! Names of events and arguments are Linux's (`Documentation/trace/events.rst`), as far as there is one of the kind.

pub mod ring;

use core::fmt;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// A core goes from one thread (its pid) to another.
    SchedSwitch,
    /// An interrupt is taken: its INTID.
    IrqHandlerEntry,
    /// Its handler has returned: INTID, and 1 if there was one.
    IrqHandlerExit,
    /// A lock is not free, and the wait begins: its address.
    ContentionBegin,
    /// The wait is over.
    ContentionEnd,
    /// Pages were allocated: the first one's number and the order; or could not be, with number 0, which is never given out.
    MmPageAlloc,
    /// They were given back.
    MmPageFree,
}

impl Event {
    /// All of them, by number.
    pub const ALL: [Self; 7] = [
        Self::SchedSwitch,
        Self::IrqHandlerEntry,
        Self::IrqHandlerExit,
        Self::ContentionBegin,
        Self::ContentionEnd,
        Self::MmPageAlloc,
        Self::MmPageFree,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SchedSwitch => "sched_switch",
            Self::IrqHandlerEntry => "irq_handler_entry",
            Self::IrqHandlerExit => "irq_handler_exit",
            Self::ContentionBegin => "contention_begin",
            Self::ContentionEnd => "contention_end",
            Self::MmPageAlloc => "mm_page_alloc",
            Self::MmPageFree => "mm_page_free",
        }
    }
}

/// One event, as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The counter's value.
    pub time: u64,
    /// What happened.
    pub event: Event,
    /// Its arguments, in the order of [`Event`]'s description.
    pub arguments: [u64; 2],
}

/// `sched_switch: prev_pid=0 next_pid=7`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.arguments;
        write!(f, "{}: ", self.event.name())?;
        match self.event {
            Event::SchedSwitch => write!(f, "prev_pid={first} next_pid={second}"),
            Event::IrqHandlerEntry => write!(f, "irq={first}"),
            Event::IrqHandlerExit => write!(f, "irq={first} ret={}", if second == 0 { "unhandled" } else { "handled" }),
            Event::ContentionBegin | Event::ContentionEnd => write!(f, "lock_addr={first:#x}"),
            Event::MmPageAlloc | Event::MmPageFree => write!(f, "pfn={first:#x} order={second}"),
        }
    }
}

/// Says that something happens.
///
/// Context: any.
#[inline(always)]
pub fn hit(event: Event, first: u64, second: u64) {
    hit_with(event, || [first, second]);
}

/// The same, for arguments that have to be fetched: `arguments` is called if the event is recorded.
///
/// Context: any.
#[inline(always)]
pub fn hit_with(event: Event, arguments: impl FnOnce() -> [u64; 2]) {
    // On the host test threads are no cores of one machine: nothing is recorded there.
    #[cfg(all(feature = "tracepoints", target_os = "none"))]
    if live::is_on() {
        live::record(event, arguments());
    }
    #[cfg(not(all(feature = "tracepoints", target_os = "none")))]
    let _ = (event, arguments);
}

#[cfg(all(feature = "tracepoints", target_os = "none"))]
pub use live::{is_on, merged, set_on};

#[cfg(all(feature = "tracepoints", target_os = "none"))]
mod live {
    use super::ring::Ring;
    use super::{Event, Record};
    use crate::arch::{NR_CPUS, counter};
    use crate::cpu;
    use crate::cpu::irq_guard::with_irqs_masked;
    use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// Records that each core keeps.
    const KEPT: usize = 256;

    static RINGS: [Ring<KEPT>; NR_CPUS] = [const { Ring::new() }; NR_CPUS];
    static IS_ON: AtomicBool = AtomicBool::new(false);

    /// Whether events are recorded. Context: any.
    #[inline]
    pub fn is_on() -> bool {
        IS_ON.load(Relaxed)
    }

    /// Has events recorded, or not. What the rings hold stays. Context: any.
    pub fn set_on(on: bool) {
        IS_ON.store(on, Relaxed);
    }

    #[cold]
    #[inline(never)]
    pub(super) fn record(event: Event, arguments: [u64; 2]) {
        // Masked: one writer a ring at a time, and no handler between the moment and the place that it takes in the ring.
        with_irqs_masked(|| RINGS[cpu::id()].put(&Record { time: counter::now(), event, arguments }));
    }

    /// What the rings hold, with the core on which it happened, by ascending time. What happens from now on is not among it.
    ///
    /// Context: any. A record that is overwritten meanwhile is left out.
    pub fn merged() -> impl Iterator<Item = (usize, Record)> {
        let mut cursors: [Cursor; NR_CPUS] = core::array::from_fn(Cursor::new);
        core::iter::from_fn(move || {
            let cpu =
                (0..NR_CPUS).filter(|&cpu| cursors[cpu].next.is_some()).min_by_key(|&cpu| cursors[cpu].next.map(|record| record.time))?;
            let record = cursors[cpu].next?;
            cursors[cpu].step();
            Some((cpu, record))
        })
    }

    /// How far a reader is in the ring of a core.
    struct Cursor {
        cpu: usize,
        number: u64,
        end: u64,
        next: Option<Record>,
    }

    impl Cursor {
        fn new(cpu: usize) -> Self {
            let end = RINGS[cpu].end();
            let mut cursor = Self { cpu, number: end.saturating_sub(KEPT as u64), end, next: None };
            cursor.step();
            cursor
        }

        fn step(&mut self) {
            self.next = (self.number..self.end).find_map(|number| {
                self.number = number + 1;
                RINGS[self.cpu].get(number)
            });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn events_are_listed_by_number() {
        assert!(Event::ALL.iter().enumerate().all(|(number, event)| *event as usize == number));
    }

    #[test]
    fn a_record_reads_like_linux_has_it() {
        let text = |event, arguments| Record { time: 0, event, arguments }.to_string();
        assert_eq!(text(Event::SchedSwitch, [0, 7]), "sched_switch: prev_pid=0 next_pid=7");
        assert_eq!(text(Event::IrqHandlerExit, [27, 1]), "irq_handler_exit: irq=27 ret=handled");
        assert_eq!(text(Event::MmPageAlloc, [0x40, 2]), "mm_page_alloc: pfn=0x40 order=2");
    }
}
