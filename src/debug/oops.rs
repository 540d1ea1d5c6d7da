//! The end of a thread that is broken, in a kernel that is not: the report, what is lost, and the way out.
//!
//! A fault or a panic in a thread with nothing around it, no section counted and irqs on, can have broken what the thread itself was at and nothing else:
//! whatever must not be seen half done is done in such a section, or under a sleeping lock, which stays taken. So the thread ends and the rest runs on.
//! Anywhere else, and in the threads that the kernel cannot do without (`sched::death`), it is a panic as ever.
//!
//! Nothing is unwound and nothing is given back. Destructors of a thread that is broken would run over broken data; and its stack may hold what others
//! still refer to: a timer, a piece of work, a note in a queue of waiters. So stack and block are never used again. That is a leak, it is bounded by the
//! number of threads, and it is told: each report says what was lost, and [`lost`] adds up what the reports said.
//!
//! From the fault to the next thread irqs stay masked, and the last steps run on the core's overflow stack, which holds nothing at that time: the thread's
//! own may be full, and is to stay as it is. It is free again when the next thread runs.
//!
//! A panic or a fault while the report is made finds irqs masked, so it is the kernel's end.
//!
//! Neighbours: `fault` and `panic` ask, `report_log` has the lines, `sched::death` ends the thread, `sync` tells who waits for its locks.

use super::backtrace::Start;
use super::fault::FaultCause;
use super::panic::{self, Cause};
use super::report;
use super::report_log::{LogLines, Turn};
use super::taint::{Taint, add_taint};
use crate::arch::exception::{self, ExceptionFrame, Vector};
use crate::arch::layout::STACK_SIZE;
use crate::log::Level;
use crate::mm::addr::PAGE_SIZE;
use crate::mm::page_alloc::page_address;
use crate::mm::{kmem_cache, page_owner, vmalloc};
use crate::sched::{self, Thread, death};
use crate::{arch, cpu};
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use core::panic::{Location, PanicInfo};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Pieces of memory that a report names one by one.
const MAX_NAMED: usize = 8;

static NR_OOPSES: AtomicU64 = AtomicU64::new(0);
/// What the reports named, by kind.
static LOST: [Tally; KINDS.len()] = [const { Tally { count: AtomicU64::new(0), bytes: AtomicU64::new(0) } }; KINDS.len()];
/// `panic_on_oops`.
static PANICS_ON_OOPS: AtomicBool = AtomicBool::new(false);

/// Threads that ended by an oops since boot: Linux's `/sys/kernel/oops_count`. Context: any.
pub fn nr_oopses() -> u64 {
    NR_OOPSES.load(Ordering::Relaxed)
}

/// Whether an oops ends the kernel. Context: any.
pub fn panics_on_oops() -> bool {
    PANICS_ON_OOPS.load(Ordering::Relaxed)
}

/// Sets `panic_on_oops`. Context: any.
pub fn set_panic_on_oops(on: bool) {
    PANICS_ON_OOPS.store(on, Ordering::Relaxed);
}

/// What the reports have named as lost, added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Threads, each with its block.
    pub threads: u64,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// Objects that they had allocated from caches that keep who did.
    pub objects: u64,
    /// Bytes of these.
    pub object_bytes: u64,
    /// Bytes of pages, if who allocates them is kept (`page_owner=on`).
    pub page_bytes: u64,
    /// Bytes of vmalloc areas.
    pub area_bytes: u64,
}

/// How many, and how much.
struct Tally {
    count: AtomicU64,
    bytes: AtomicU64,
}

/// What was lost since boot. Context: any.
pub fn lost() -> Lost {
    let threads = nr_oopses();
    let bytes_of = |kind: Kind| LOST[kind as usize].bytes.load(Ordering::Relaxed);
    Lost {
        threads,
        stack_bytes: threads * STACK_SIZE as u64,
        objects: LOST[Kind::Objects as usize].count.load(Ordering::Relaxed),
        object_bytes: bytes_of(Kind::Objects),
        page_bytes: bytes_of(Kind::Pages),
        area_bytes: bytes_of(Kind::Areas),
    }
}

/// Nothing but the running thread is broken by what happened at a depth of `count`.
fn is_survivable(count: u32, has_irqs_on: bool) -> bool {
    count == 0 && has_irqs_on && !panics_on_oops() && !panic::is_panicking() && death::may_end()
}

/// Upcall of debug: a fault. True if the frame now leads to the end of the thread. Context: the fault's handler.
#[unsafe(no_mangle)]
fn tetra_die_of_fault(frame: &mut ExceptionFrame, vector: Vector, overflow: bool) -> bool {
    // An interrupt may be what finds a stack full; it stays pending, and the next thread takes it.
    let is_of_thread = vector == Vector::ThreadSync || overflow && vector == Vector::ThreadIrq;
    if !is_of_thread || !is_survivable(frame.preempt_count(), frame.has_irqs_on()) {
        return false;
    }
    let fault = FaultCause { frame, vector, overflow };
    let number = report(&Cause::Fault(fault), fault.start());
    // SAFETY: the thread is given up. Irqs stay masked until another one runs, so nothing of this core but `death::end` uses the overflow stack.
    unsafe { frame.redirect_to_overflow_stack(death::end, number as usize) };
    true
}

/// What a thread says that panics.
struct LastWords<'a> {
    info: &'a PanicInfo<'a>,
    start: Start,
}

/// Upcall of debug: a panic. Comes back if it is the kernel's. Context: any.
#[unsafe(no_mangle)]
fn tetra_die_of_panic(info: &PanicInfo<'_>, start: Start) {
    if !is_survivable(cpu::preempt_count(), !arch::irq::is_masked()) {
        return;
    }
    let words = LastWords { info, start };
    arch::irq::mask();
    // SAFETY: irqs are masked, in a thread, and stay so until another one runs.
    unsafe { exception::call_on_overflow_stack(die_of_panic, (&raw const words).addr()) }
}

extern "C" fn die_of_panic(words: usize) -> ! {
    // SAFETY: the only caller passes the address of its `LastWords`, on a stack that stays as it is.
    let words = unsafe { &*(words as *const LastWords<'_>) };
    let number = report(&Cause::Rust(words.info), words.start);
    death::end(number as usize)
}

/// Reports an oops; its number. Context: irqs masked, no depth counted.
#[inline(never)]
fn report(cause: &Cause<'_>, start: Start) -> u64 {
    let number = NR_OOPSES.fetch_add(1, Ordering::Relaxed) + 1;
    add_taint(Taint::Die);
    let _turn = Turn::wait();
    let mut out = LogLines::new(Level::Alert);
    // The log takes all text.
    let _ = write(&mut out, number, cause, start);
    number
}

fn write(out: &mut LogLines, number: u64, cause: &Cause<'_>, start: Start) -> fmt::Result {
    writeln!(out, "Internal error: Oops #{number} on cpu{}: {cause}", cpu::id())?;
    report::write_context(out)?;
    if let Cause::Fault(fault) = cause {
        report::write_registers(out, fault.frame)?;
    }
    report::write_backtrace(out, start)?;
    let thread = sched::current();
    write_locks(out, thread)?;
    write_lost(out, thread)?;
    writeln!(out, "---[ end of oops #{number} ]---")
}

/// The locks that nobody will give back.
fn write_locks(out: &mut LogLines, thread: &Thread) -> fmt::Result {
    if thread.task().lock_depth() != 0 {
        writeln!(out, "{thread} holds the big kernel lock for ever, taken {} times", thread.task().lock_depth())?;
    }
    #[cfg(feature = "lockdep")]
    for lock in thread.held_locks().iter() {
        use crate::sync::{lock_watch, lockdep::report::HeldIn};
        writeln!(out, "{thread} holds for ever: {}", HeldIn(&lock, lock_watch::class(lock.class).as_ref()))?;
    }
    Ok(())
}

/// The memory that nobody will free: what the allocators say that the thread asked for and that is in use. Pages and objects only where they keep that.
fn write_lost(out: &mut LogLines, thread: &Thread) -> fmt::Result {
    let pid = thread.pid();
    let mut lost = Losses::default();
    kmem_cache::for_each_of(pid, |cache, object, size| {
        lost.add(Kind::Objects, size, Named { at: object.addr().get(), what: cache, line: 0 })
    });
    let pages = page_owner::all_held().filter(|held| held.pid == pid);
    pages.for_each(|held| lost.add(Kind::Pages, PAGE_SIZE << held.order, Named::at(page_address(held.pfn).addr(), held.place)));
    vmalloc::for_each_area_of(pid, |area| lost.add(Kind::Areas, area.len, Named::at(area.start, area.place)));
    lost.write(out, thread)
}

/// Whose memory it is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Of slab caches.
    Objects = 0,
    /// Of the page allocator.
    Pages = 1,
    /// Of the vmalloc region.
    Areas = 2,
}

const KINDS: [&str; 3] = ["objects", "blocks of pages", "vmalloc areas"];

/// One piece, as the report names it.
struct Named {
    at: usize,
    /// The cache, or the file in which the pages were asked for.
    what: &'static str,
    /// Line in that file; 0: a cache.
    line: u32,
}

impl Named {
    fn at(at: usize, place: &'static Location<'static>) -> Self {
        Self { at, what: place.file(), line: place.line() }
    }
}

/// What a thread leaves behind, by kind: how many, bytes, and the first few of them.
#[derive(Default)]
struct Losses {
    counts: [u64; KINDS.len()],
    bytes: [u64; KINDS.len()],
    named: ArrayVec<(Named, usize), MAX_NAMED>,
}

impl Losses {
    fn add(&mut self, kind: Kind, size: usize, named: Named) {
        self.counts[kind as usize] += 1;
        self.bytes[kind as usize] += size as u64;
        // Those beyond the room are in the sum.
        let _ = self.named.try_push((named, size));
    }

    /// Writes them, and adds them to what was lost so far.
    fn write(&self, out: &mut LogLines, thread: &Thread) -> fmt::Result {
        for (Named { at, what, line }, size) in &self.named {
            write!(out, "{thread} allocated and did not free: {at:#x}, {size} bytes ")?;
            if *line == 0 { writeln!(out, "of {what}")? } else { writeln!(out, "from {what}:{line}")? }
        }
        write!(out, "lost with {thread}: {STACK_SIZE} bytes of stack")?;
        for (kind, name) in KINDS.iter().enumerate() {
            let (count, bytes) = (self.counts[kind], self.bytes[kind]);
            LOST[kind].count.fetch_add(count, Ordering::Relaxed);
            LOST[kind].bytes.fetch_add(bytes, Ordering::Relaxed);
            if count != 0 {
                write!(out, ", {count} {name} of {bytes} bytes")?;
            }
        }
        writeln!(out)
    }
}
