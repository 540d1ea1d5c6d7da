//! Who holds a spinning lock, and what that tells: recursion, a release by another, a holder that does not let go. Feature `debug_spinlock`.
//!
//! | found | by | then |
//! |---|---|---|
//! | the core that holds the lock takes it again | the taker, before it waits | report with both backtraces, panic: the wait would never end |
//! | another core or thread gives it back, or nobody holds it | the one that does | report with both backtraces; the lock is given back as asked |
//! | a wait longer than the patience | the waiter | report that names the holder, where it took the lock and where it is now; the wait goes on |
//!
//! A core is compared, not a thread: whoever holds a spinlock is not preempted, so what runs on the holder's core is the holder or an interrupt that
//! it waits for. Readers of an `RwLock` are many and are not kept; a wait for them is reported without a name.
//!
//! # Memory ordering
//! The fields are the holder's, written while it holds the lock. Others read them without order, for a report: they may see the next holder's.
//! A core that finds its own number wrote it itself and has not cleared it since, so the check for recursion is exact.
//!
//! Neighbours: `meta` calls this; `debug::lock_report` prints, through upcalls, since names of functions and other cores' stacks are beyond this
//! layer.

use crate::arch;
use crate::cpu;
use crate::upcalls;
use core::fmt;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Return addresses kept of the place where a lock was taken.
pub const TRACE_LEN: usize = 8;
/// Milliseconds that a waiter waits before it reports, unless set otherwise. Longer than a busy host may hold up an emulated core.
const DEFAULT_PATIENCE_MS: u64 = 10_000;

static PATIENCE_MS: AtomicU64 = AtomicU64::new(DEFAULT_PATIENCE_MS);
static NR_REPORTS: AtomicU32 = AtomicU32::new(0);

/// Sets after how many milliseconds of waiting a report comes; the same wait reports again after twice that time, and so on.
///
/// Context: any.
pub fn set_patience_ms(millis: u64) {
    PATIENCE_MS.store(millis.max(1), Relaxed);
}

/// Reports since boot. Context: any.
pub fn nr_reports() -> u32 {
    NR_REPORTS.load(Relaxed)
}

/// The holder of a lock.
pub(super) struct Holder {
    /// Identity of the core, never 0; 0: nobody.
    core: AtomicUsize,
    cpu: AtomicU32,
    pid: AtomicU32,
    thread: AtomicUsize,
    /// Counts of the context that took it.
    count: AtomicU32,
    place: AtomicPtr<Location<'static>>,
    trace: [AtomicUsize; TRACE_LEN],
}

impl Holder {
    #[expect(clippy::declare_interior_mutable_const, reason = "an initial value, copied into each lock")]
    pub const NOBODY: Self = Self {
        core: AtomicUsize::new(0),
        cpu: AtomicU32::new(0),
        pid: AtomicU32::new(0),
        thread: AtomicUsize::new(0),
        count: AtomicU32::new(0),
        place: AtomicPtr::new(ptr::null_mut()),
        trace: [const { AtomicUsize::new(0) }; TRACE_LEN],
    };

    pub fn is_somebody(&self) -> bool {
        self.core.load(Relaxed) != 0
    }

    /// Notes that this core holds the lock. Context: it does.
    #[track_caller]
    pub fn set(&self) {
        self.cpu.store(cpu::id() as u32, Relaxed);
        self.pid.store(cpu::task::try_current().map_or(0, |task| task.pid()), Relaxed);
        self.thread.store(arch::current(), Relaxed);
        self.count.store(cpu::preempt_count(), Relaxed);
        self.place.store(ptr::from_ref(Location::caller()).cast_mut(), Relaxed);
        upcalls::lock_trace(&self.trace);
        self.core.store(this_core(), Relaxed);
    }

    /// Notes that nobody holds the lock, and reports if it was not this core and thread. Context: it is about to be released.
    pub fn clear(&self, created: &'static Location<'static>) {
        let holder = self.core.load(Relaxed);
        if holder == 0 {
            self.report(format_args!("a lock is given back that nobody holds; {}", self.described(created)));
        } else if holder != this_core() {
            self.report(format_args!("cpu{} gives back a lock of another core; {}", cpu::id(), self.described(created)));
        } else if self.thread.load(Relaxed) != arch::current() {
            self.report(format_args!("a thread gives back a lock of another thread; {}", self.described(created)));
        }
        self.core.store(0, Relaxed);
    }

    /// Reports and panics if this core holds the lock already.
    #[track_caller]
    pub fn check_before_wait(&self, created: &'static Location<'static>) {
        if self.core.load(Relaxed) == this_core() {
            self.recursion(created, Location::caller());
        }
    }

    #[cold]
    #[inline(never)]
    fn recursion(&self, created: &'static Location<'static>, again: &Location<'_>) -> ! {
        let was_in_thread = self.count.load(Relaxed) & HANDLER_BITS == 0;
        let hint = if was_in_thread && !cpu::in_task() {
            "a handler takes the lock of what it interrupted: take it there with lock_irqsave (or lock_bh)"
        } else {
            "its holder takes it again"
        };
        self.report(format_args!("recursion at {again}: {hint}; {}", self.described(created)));
        panic!("spinlock recursion on cpu{} at {again}: {hint}; {}", cpu::id(), self.described(created));
    }

    #[cold]
    fn report(&self, what: fmt::Arguments<'_>) {
        let ask = self.is_somebody().then(|| self.cpu.load(Relaxed) as usize);
        upcalls::lock_report(what, &self.trace, ask);
        // Counted when it is whole, so that who waits for the count may look at the text.
        NR_REPORTS.fetch_add(1, Relaxed);
    }

    /// The holder as it is now: a report takes its time, and the lock may be given back while it prints.
    #[cold]
    fn snapshot(&self) -> Self {
        let copy = |field: &AtomicUsize| AtomicUsize::new(field.load(Relaxed));
        Self {
            core: copy(&self.core),
            cpu: AtomicU32::new(self.cpu.load(Relaxed)),
            pid: AtomicU32::new(self.pid.load(Relaxed)),
            thread: copy(&self.thread),
            count: AtomicU32::new(self.count.load(Relaxed)),
            place: AtomicPtr::new(self.place.load(Relaxed)),
            trace: core::array::from_fn(|frame| copy(&self.trace[frame])),
        }
    }

    fn described(&self, created: &'static Location<'static>) -> Described<'_> {
        Described { holder: self, created }
    }
}

/// Counts that say "in a handler": hardirq depth, and serving a softirq.
const HANDLER_BITS: u32 = 0xf_0100;

/// A lock and its holder, in words.
struct Described<'a> {
    holder: &'a Holder,
    created: &'static Location<'static>,
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lock created at {}, ", self.created)?;
        if !self.holder.is_somebody() {
            return f.write_str("now held by nobody or by readers");
        }
        let (cpu, pid, count) = (self.holder.cpu.load(Relaxed), self.holder.pid.load(Relaxed), self.holder.count.load(Relaxed));
        write!(f, "taken by cpu{cpu} pid {pid} (count {count:#x})")?;
        // SAFETY: null, or the address of a `Location` that lives for ever.
        match unsafe { self.holder.place.load(Relaxed).as_ref() } {
            Some(place) => write!(f, " at {place}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.is_somebody().then(|| self.cpu.load(Relaxed));
        f.debug_struct("Holder").field("cpu", &cpu).finish_non_exhaustive()
    }
}

/// What a waiter knows of its wait.
pub(super) struct Patience<'a> {
    holder: &'a Holder,
    created: &'static Location<'static>,
    waits_at: &'static Location<'static>,
    start: u64,
    limit: u64,
}

impl<'a> Patience<'a> {
    #[track_caller]
    pub fn new(holder: &'a Holder, created: &'static Location<'static>) -> Self {
        let limit = arch::counter::frequency_hz() / 1000 * PATIENCE_MS.load(Relaxed);
        Self { holder, created, waits_at: Location::caller(), start: arch::counter::now(), limit }
    }

    /// Reports if the wait has lasted too long by now.
    pub fn look(&mut self) {
        let waited = arch::counter::now().wrapping_sub(self.start);
        if waited >= self.limit {
            self.limit = waited.saturating_mul(2);
            let seconds = waited / arch::counter::frequency_hz();
            let holder = self.holder.snapshot();
            let described = holder.described(self.created);
            holder.report(format_args!("cpu{} waits for {seconds} s at {}; {described}", cpu::id(), self.waits_at));
        }
    }
}

/// Identity of the core that runs this; never 0.
#[cfg(any(target_os = "none", loom))]
fn this_core() -> usize {
    cpu::id() + 1
}

/// Identity of the thread that runs this, which on the host is what a core is on the target; never 0.
#[cfg(not(any(target_os = "none", loom)))]
fn this_core() -> usize {
    std::thread_local! {
        static MARK: u8 = const { 0 };
    }
    MARK.with(|mark| &raw const *mark as usize)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::sync::{RwLock, SpinLock};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::string::{String, ToString};
    use std::sync::mpsc;
    use std::thread;

    /// What the report said: on the host it is a panic with its text.
    fn report_of(f: impl FnOnce()) -> String {
        let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("nothing was reported");
        payload.downcast_ref::<String>().expect("a formatted report").to_string()
    }

    #[test]
    fn recursion_is_reported_with_both_places() {
        let lock = SpinLock::new(0);
        let _held = lock.lock();
        let text = report_of(|| drop(lock.lock()));
        assert!(text.contains("recursion") && text.matches("debug_spinlock.rs").count() == 3, "{text}");
    }

    #[test]
    fn a_writer_that_reads_its_own_lock_is_reported() {
        let lock = RwLock::new(0);
        let _held = lock.write();
        assert!(report_of(|| drop(lock.read())).contains("recursion"));
    }

    #[test]
    fn a_try_on_an_own_lock_fails_and_is_no_error() {
        let lock = SpinLock::new(0);
        let _held = lock.lock();
        assert!(lock.try_lock().is_none());
    }

    #[test]
    fn a_release_by_another_core_is_reported() {
        struct Smuggled<T>(T);
        // SAFETY: not sound, on purpose: it is what the report is for.
        unsafe impl<T> Send for Smuggled<T> {}

        let lock = SpinLock::new(0);
        let smuggled = Smuggled(lock.lock());
        let text = thread::scope(|scope| {
            let other = scope.spawn(move || {
                let guard = smuggled;
                report_of(|| drop(guard))
            });
            other.join().unwrap()
        });
        assert!(text.contains("another core"), "{text}");
    }

    #[test]
    fn a_long_wait_is_reported_and_names_the_holder() {
        super::set_patience_ms(20);
        let lock = SpinLock::new(0);
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let held = lock.lock();
            scope.spawn(|| tell.send(report_of(|| drop(lock.lock()))));
            let text = told.recv().unwrap();
            assert!(text.contains("waits for 0 s") && text.contains("taken by cpu0"), "{text}");
            drop(held);
        });
        super::set_patience_ms(super::DEFAULT_PATIENCE_MS);
    }
}
