//! The locks that spin, on four cores: exclusion, contexts, consistency of what readers see, and broken twins that the same cases must catch.
//!
//! Four emulated cores on fewer real ones hand a fair lock over at the pace of the host's scheduler, so what contends ends after a number of rounds
//! or after some seconds, whichever comes first, and counts what it did. `-accel tcg,thread=single` gets through all rounds.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;
use core::hint::black_box;
use core::mem;
use core::pin::pin;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use tetra::cpu::{self, IrqGuard, irq_guard};
use tetra::irq::{self, ipi};
use tetra::pr_fmt;
use tetra::sync::atomic::AtomicU32 as Word;
use tetra::sync::raw::{McsNode, RawLock, TasLock, TicketLock};
use tetra::sync::{CounterCell, IrqSpinLock, Lazy, McsSpinLock, PreemptDisabled, RwLock, SeqLatch, SeqLock, SpinLock};
use tetra::sync::{Lock, LockGuard};
use tetra::{arch, time, upcalls};
use tetra_tests::{case, check, check_eq, suite};

suite!();

const CORES: usize = 4;

/// Runs `work` in a thread of each core at once, the caller's included, and waits until all are done.
fn on_all_cores(work: fn()) {
    static WORK: AtomicUsize = AtomicUsize::new(0);
    static READY: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);

    fn run() {
        READY.fetch_add(1, Ordering::Relaxed);
        wait_until(|| READY.load(Ordering::Relaxed) == CORES as u32);
        // SAFETY: `on_all_cores` stored a `fn()` before it called anybody.
        let work: fn() = unsafe { mem::transmute(WORK.load(Ordering::Relaxed)) };
        work();
        DONE.fetch_add(1, Ordering::Release);
    }

    WORK.store(work as usize, Ordering::Relaxed);
    READY.store(0, Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    for cpu in 1..CORES {
        wait_until(|| tetra::init::call_in_idle_thread(cpu, run));
    }
    run();
    wait_until(|| DONE.load(Ordering::Acquire) == CORES as u32);
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        arch::relax();
    }
}

/// DAIF, further irq-off entries, counts.
fn state() -> (u64, u32, u32) {
    let daif = arch::irq::daif();
    let _irqs_off = IrqGuard::new();
    (daif, irq_guard::extra_depth(), cpu::preempt_count())
}

const ROUNDS: u64 = 100_000;
/// How long a core contends.
const SECONDS: u64 = 3;

/// Calls `work` for `rounds` rounds, or until time is up. Gives the rounds done.
fn rounds(rounds: u64, mut work: impl FnMut(u64)) -> u64 {
    let end = arch::counter::now() + SECONDS * arch::counter::frequency_hz();
    for round in 0..rounds {
        if arch::counter::now() > end {
            return round;
        }
        work(round);
    }
    rounds
}

/// Defines a case in which four cores count under a lock.
macro_rules! exclusion {
    ($($name:ident: $lock:ty, |$of:ident| $take:expr;)+) => {$(
        case!($name);
        fn $name() {
            static LOCK: $lock = <$lock>::new(0);
            static ROUNDS_DONE: AtomicU64 = AtomicU64::new(0);
            on_all_cores(|| {
                let done = rounds(ROUNDS, |_| {
                    let $of = &LOCK;
                    *$take += 1;
                });
                check!(done > 0);
                ROUNDS_DONE.fetch_add(done, Ordering::Relaxed);
            });
            check!(!LOCK.is_locked() && !LOCK.is_contended());
            check_eq!({ let $of = &LOCK; *$take }, ROUNDS_DONE.load(Ordering::Relaxed));
            check_eq!(cpu::preempt_count(), 0);
        }
    )+};
}

exclusion! {
    ticket_lock_excludes: SpinLock<u64>, |lock| lock.lock();
    ticket_lock_excludes_with_irqs_off: SpinLock<u64>, |lock| lock.lock_irqsave();
    ticket_lock_excludes_with_bottom_halves_off: SpinLock<u64>, |lock| lock.lock_bh();
    tas_lock_excludes: Lock<u64, TasLock, PreemptDisabled>, |lock| lock.lock();
    mcs_lock_excludes: McsSpinLock<u64>, |lock| lock.lock_with(pin!(McsNode::new()));
    tries_exclude: SpinLock<u64>, |lock| loop {
        if let Some(guard) = lock.try_lock() {
            break guard;
        }
    };
}

/// A lock that looks and then takes, in two steps; between them another core may run.
struct TwoSteps(Word);

// SAFETY: none: it is the broken twin that the case above must catch.
unsafe impl RawLock for TwoSteps {
    const INIT: Self = Self(Word::new(0));
    type Node = ();
    type Token = ();

    unsafe fn begin(&self, _: NonNull<()>) -> ((), bool) {
        ((), false)
    }

    fn wait(&self, (): (), _: &mut dyn FnMut()) {
        while self.0.load_acquire() != 0 {
            arch::relax();
        }
        arch::relax();
        self.0.set(1);
    }

    unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<()> {
        None
    }

    unsafe fn unlock(&self, (): ()) {
        self.0.store_release(0);
    }

    fn is_locked(&self) -> bool {
        self.0.read() != 0
    }

    fn is_contended(&self) -> bool {
        false
    }
}

/// Counts under a raw lock: data beside it, so that no check of the kernel's own steps in.
struct Counted<R> {
    raw: R,
    count: UnsafeCell<u64>,
}

// SAFETY: for a sound lock its exclusion; for the twin, lost counts are what is looked for, and nothing depends on their values.
unsafe impl<R: Sync> Sync for Counted<R> {}

impl<R: RawLock<Node = ()>> Counted<R> {
    const fn new() -> Self {
        Self { raw: R::INIT, count: UnsafeCell::new(0) }
    }

    fn add(&self) {
        let token = self.raw.lock();
        // SAFETY: see `Sync`.
        unsafe { self.count.get().write_volatile(self.get() + 1) };
        // SAFETY: taken above.
        unsafe { self.raw.unlock(token) };
    }

    fn get(&self) -> u64 {
        // SAFETY: see `Sync`.
        unsafe { self.count.get().read_volatile() }
    }
}

case!(a_lock_in_two_steps_is_caught);
fn a_lock_in_two_steps_is_caught() {
    fn lost<R: RawLock<Node = ()> + 'static>(counted: &'static Counted<R>, work: fn(), done: &AtomicU64) -> bool {
        on_all_cores(work);
        counted.get() != done.load(Ordering::Relaxed)
    }

    static SOUND: Counted<TicketLock> = Counted::new();
    static BROKEN: Counted<TwoSteps> = Counted::new();
    static DONE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let by_sound = || _ = DONE[0].fetch_add(rounds(ROUNDS / 10, |_| SOUND.add()), Ordering::Relaxed);
    let by_broken = || _ = DONE[1].fetch_add(rounds(ROUNDS, |_| BROKEN.add()), Ordering::Relaxed);
    check!(!lost(&SOUND, by_sound, &DONE[0]));
    // Whether two cores meet between the steps is chance: the more so on a busy host, where they may run one after the other.
    let deadline = time::uptime() + core::time::Duration::from_secs(60);
    let mut is_caught = false;
    while !is_caught && time::uptime() < deadline {
        is_caught = lost(&BROKEN, by_broken, &DONE[1]);
    }
    check!(is_caught);
}

case!(a_handler_takes_the_lock_that_its_thread_holds_by_irqsave_a_million_times);
fn a_handler_takes_the_lock_that_its_thread_holds_by_irqsave_a_million_times() {
    static LOCK: SpinLock<u64> = SpinLock::new(0);
    const ROUNDS: u64 = 1_000_000;
    const SGI: u8 = 8;
    fn count(_data: usize) -> irq::IrqReturn {
        *LOCK.lock_irqsave() += 1;
        irq::IrqReturn::Handled
    }
    let before = state();
    check!(irq::request(u16::from(SGI), "lock test", count, 0).is_ok());
    for round in 0..ROUNDS {
        if round % (ROUNDS / 20) == 0 {
            tetra::pr_info!("{} of {} rounds", round, ROUNDS);
        }
        let mut guard = LOCK.lock_irqsave();
        // Pends until the guard is gone.
        upcalls::irqchip_send_sgi(SGI, 1 << cpu::id());
        *guard += 1;
    }
    let deadline = time::uptime() + core::time::Duration::from_secs(20);
    while *LOCK.lock_irqsave() < 2 * ROUNDS && time::uptime() < deadline {
        arch::relax();
    }
    check_eq!(*LOCK.lock_irqsave(), 2 * ROUNDS);
    check_eq!(state(), before);
}

case!(guards_dropped_in_every_order_leave_the_core_as_found);
fn guards_dropped_in_every_order_leave_the_core_as_found() {
    static A: SpinLock<()> = SpinLock::new(());
    static B: IrqSpinLock<()> = IrqSpinLock::new(());
    static C: RwLock<()> = RwLock::new(());
    static D: SeqLock<u64> = SeqLock::new(0);
    let before = state();
    let orders = (0..256_usize).map(|code| [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6]);
    for order in orders.filter(|order| (0..4).all(|guard| order.contains(&guard))) {
        let (mut a, mut b) = (Some(A.lock_bh()), Some(B.lock()));
        let (mut c, mut d) = (Some(C.read_irqsave()), Some(D.write_irq()));
        for which in order {
            match which {
                0 => a = None,
                1 => b = None,
                2 => c = None,
                _ => d = None,
            }
            check_eq!(arch::irq::is_masked(), b.is_some() || c.is_some() || d.is_some());
        }
        check!(a.is_none());
        check_eq!(state(), before);
    }
}

case!(readers_never_see_a_writer_at_work);
fn readers_never_see_a_writer_at_work() {
    static PAIR: RwLock<(u64, u64)> = RwLock::new((0, 0));
    static TORN: AtomicU32 = AtomicU32::new(0);
    static WRITES: AtomicU64 = AtomicU64::new(0);
    on_all_cores(|| {
        rounds(20_000, |round| {
            if round % 4 == cpu::id() as u64 {
                let mut pair = PAIR.write();
                pair.0 += 1;
                arch::relax();
                pair.1 += 1;
                WRITES.fetch_add(1, Ordering::Relaxed);
            } else {
                let pair = PAIR.read();
                TORN.fetch_add(u32::from(black_box(pair.0) != black_box(pair.1)), Ordering::Relaxed);
            }
        });
    });
    let writes = WRITES.load(Ordering::Relaxed);
    check_eq!(TORN.load(Ordering::Relaxed), 0);
    check_eq!(*PAIR.read(), (writes, writes));
    check!(!PAIR.is_locked() && !PAIR.is_contended());
}

case!(a_reader_in_a_handler_passes_a_waiting_writer);
fn a_reader_in_a_handler_passes_a_waiting_writer() {
    static LOCK: RwLock<u32> = RwLock::new(7);
    static IS_WRITTEN: AtomicBool = AtomicBool::new(false);
    let reader = LOCK.read();
    check!(tetra::init::call_in_idle_thread(1, || {
        *LOCK.write() = 8;
        IS_WRITTEN.store(true, Ordering::Release);
    }));
    wait_until(|| LOCK.is_contended() && LOCK.try_read().is_none());
    let seen = AtomicU32::new(0);
    ipi::interrupt_self(|| seen.store(*LOCK.read(), Ordering::Relaxed));
    check_eq!(seen.load(Ordering::Relaxed), 7);
    check!(!IS_WRITTEN.load(Ordering::Acquire));
    drop(reader);
    wait_until(|| IS_WRITTEN.load(Ordering::Acquire));
    check_eq!(*LOCK.read(), 8);
}

case!(a_writer_is_not_starved_by_readers);
fn a_writer_is_not_starved_by_readers() {
    static LOCK: RwLock<u32> = RwLock::new(0);
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    on_all_cores(|| {
        if cpu::id() != 0 {
            while !IS_DONE.load(Ordering::Relaxed) {
                black_box(*LOCK.read());
            }
            return;
        }
        let done = rounds(2_000, |_| *LOCK.write() += 1);
        check!(done >= 20);
        check_eq!(u64::from(*LOCK.read()), done);
        IS_DONE.store(true, Ordering::Relaxed);
    });
    check!(!LOCK.is_locked());
}

const WORDS: usize = 8;

fn count_torn(torn: &AtomicU32, words: [u64; WORDS]) {
    torn.fetch_add(u32::from(words.iter().any(|word| *word != words[0])), Ordering::Relaxed);
}

case!(seqlock_readers_see_whole_values);
fn seqlock_readers_see_whole_values() {
    static LOCK: SeqLock<[u64; WORDS]> = SeqLock::new([0; WORDS]);
    static TORN: AtomicU32 = AtomicU32::new(0);
    static WRITES: AtomicU64 = AtomicU64::new(0);
    on_all_cores(|| {
        let done = rounds(20_000, |_| match cpu::id() {
            0 | 1 => LOCK.write().update(|words| words.iter_mut().for_each(|word| *word += 1)),
            _ => count_torn(&TORN, LOCK.read()),
        });
        if cpu::id() < 2 {
            WRITES.fetch_add(done, Ordering::Relaxed);
        }
    });
    let writes = WRITES.load(Ordering::Relaxed);
    check_eq!(TORN.load(Ordering::Relaxed), 0);
    check_eq!(LOCK.read(), [writes; WORDS]);
    check_eq!(u64::from(LOCK.nr_writes()), writes);
}

case!(a_reader_that_does_not_look_twice_is_caught);
fn a_reader_that_does_not_look_twice_is_caught() {
    static WORDS_ALONE: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
    static TORN: AtomicU32 = AtomicU32::new(0);
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    on_all_cores(|| match cpu::id() {
        0 => {
            let deadline = time::uptime() + core::time::Duration::from_secs(10);
            let mut value = 0;
            while TORN.load(Ordering::Relaxed) == 0 && time::uptime() < deadline {
                value += 1;
                WORDS_ALONE.iter().for_each(|word| word.store(value, Ordering::Relaxed));
            }
            IS_DONE.store(true, Ordering::Relaxed);
        }
        _ => {
            while !IS_DONE.load(Ordering::Relaxed) {
                count_torn(&TORN, core::array::from_fn(|at| WORDS_ALONE[at].load(Ordering::Relaxed)));
            }
        }
    });
    check!(TORN.load(Ordering::Relaxed) > 0);
}

case!(latch_readers_see_whole_values_also_in_a_handler);
fn latch_readers_see_whole_values_also_in_a_handler() {
    static LATCH: SeqLatch<[u64; WORDS], PreemptDisabled> = SeqLatch::with_policy([0; WORDS]);
    static TORN: AtomicU32 = AtomicU32::new(0);
    on_all_cores(|| {
        rounds(10_000, |round| match (cpu::id(), round % 64) {
            (0, 0) => LATCH.update(|words| {
                ipi::interrupt_self(|| count_torn(&TORN, LATCH.read()));
                words.map(|word| word + 1)
            }),
            (0, _) => LATCH.update(|words| words.map(|word| word + 1)),
            _ => count_torn(&TORN, LATCH.read()),
        });
    });
    check_eq!(TORN.load(Ordering::Relaxed), 0);
    count_torn(&TORN, LATCH.read());
    check!(LATCH.read()[0] > 0 && TORN.load(Ordering::Relaxed) == 0);
}

case!(a_percpu_counter_sums_exactly);
fn a_percpu_counter_sums_exactly() {
    tetra::per_cpu! {
        static COUNTER: CounterCell = CounterCell::new();
    }
    on_all_cores(|| {
        for _ in 0..ROUNDS {
            COUNTER.add(3);
            COUNTER.dec();
        }
    });
    check_eq!(COUNTER.sum(), 2 * CORES as i64 * ROUNDS as i64);
}

case!(a_lazy_value_is_made_once);
fn a_lazy_value_is_made_once() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    static VALUE: Lazy<u32> = Lazy::new(|| {
        time::udelay(2_000);
        MADE.fetch_add(1, Ordering::Relaxed) + 7
    });
    static RIGHT: AtomicU32 = AtomicU32::new(0);
    on_all_cores(|| {
        RIGHT.fetch_add(u32::from(*VALUE == 7), Ordering::Relaxed);
    });
    check_eq!((MADE.load(Ordering::Relaxed), RIGHT.load(Ordering::Relaxed)), (1, CORES as u32));
}

/// What `debug_spinlock` must say.
mod reports {
    use super::*;
    use tetra::sync::debug_spinlock;

    static LOCK: SpinLock<u32> = SpinLock::new(0);

    case!(a_core_that_takes_its_lock_again_is_reported,
        alone: "expect spinlock: recursion at\nexpect spinlock: taken at:\nexpect takes_first\nexpect Kernel panic on cpu0: spinlock recursion\nexpect takes_again\nexit 101");
    fn a_core_that_takes_its_lock_again_is_reported() {
        let first = takes_first();
        takes_again();
        drop(first);
    }

    #[inline(never)]
    fn takes_first() -> Guard<'static> {
        black_box(LOCK.lock())
    }

    #[inline(never)]
    fn takes_again() {
        black_box(&LOCK.lock());
    }

    type Guard<'a> = LockGuard<'a, u32, tetra::sync::raw::DefaultLock, PreemptDisabled, PreemptDisabled>;

    case!(a_handler_that_takes_its_threads_lock_is_reported,
        alone: "expect a handler takes the lock of what it interrupted\nexpect Kernel panic on cpu0: spinlock recursion\nexpect in: hardirq\nexit 101");
    fn a_handler_that_takes_its_threads_lock_is_reported() {
        let _held = LOCK.lock();
        ipi::interrupt_self(|| *LOCK.lock() += 1);
    }

    case!(a_lock_given_back_by_another_core_is_reported, alone: "expect cpu2 gives back a lock of another core\nexpect taken by cpu0\nexit 0");
    fn a_lock_given_back_by_another_core_is_reported() {
        let mut held = Some(LOCK.lock());
        let smuggled = AtomicUsize::new(&raw mut held as usize);
        let _ = ipi::call_on(2, || {
            let guard = smuggled.load(Ordering::Relaxed) as *mut Option<Guard<'static>>;
            // SAFETY: not sound for the lock, on purpose: it is what the report is for. The caller waits, so the guard is there and nobody else uses it.
            unsafe { (*guard).take() };
            // The count that the guard lowered was this core's.
            cpu::preempt::preempt_disable();
        });
        // SAFETY: this core's section, whose guard the other core has dropped.
        unsafe { cpu::preempt::preempt_enable() };
        check_eq!(debug_spinlock::nr_reports(), 1);
    }

    case!(a_holder_that_does_not_let_go_is_named, alone: "expect cpu1 waits for\nexpect taken by cpu0\nexpect spinlock: cpu0 is now\nexit 0");
    fn a_holder_that_does_not_let_go_is_named() {
        debug_spinlock::set_patience_ms(100);
        let held = LOCK.lock();
        check!(tetra::init::call_in_idle_thread(1, || *LOCK.lock() += 1));
        let deadline = time::uptime() + core::time::Duration::from_secs(20);
        while debug_spinlock::nr_reports() == 0 && time::uptime() < deadline {
            arch::relax();
        }
        drop(held);
        wait_until(|| *LOCK.lock() == 1);
        check!(debug_spinlock::nr_reports() >= 1);
    }
}
