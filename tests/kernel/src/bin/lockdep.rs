//! The lock order validator and the lock statistics in the kernel: the self-test, silence over what is in order, and each report on real locks.
//!
//! A report switches the validator off, so each case that provokes one has a kernel of its own.
#![no_std]
#![no_main]

use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, Ordering};
use tetra::irq::ipi;
use tetra::sync::lock_stat::live::{self as lock_stat, Way};
use tetra::sync::lockdep::{self, selftest};
use tetra::sync::{IrqSpinLock, RwLock, SeqLock, SpinLock, lock_watch};
use tetra::{arch, printk, proc};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Prints whole lines.
struct Console(arrayvec::ArrayString<250>);

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if character == '\n' {
                printk!(KERN_NOTICE "# {}", self.0.as_str());
                self.0.clear();
            } else {
                let _ = self.0.try_push(character);
            }
        }
        Ok(())
    }
}

/// Keeps what is looked for in a text too long to keep.
struct Seen<'a> {
    line: arrayvec::ArrayString<250>,
    wanted: &'a str,
    is_there: bool,
}

impl fmt::Write for Seen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let _ = self.line.try_push(character);
            if character == '\n' {
                self.is_there |= self.line.contains(self.wanted);
                self.line.clear();
            }
        }
        Ok(())
    }
}

fn view_contains(name: &str, wanted: &str) -> bool {
    let mut seen = Seen { line: arrayvec::ArrayString::new(), wanted, is_there: false };
    let shown = proc::find(name).map(|view| view.show(&mut seen));
    shown == Some(Ok(())) && seen.is_there
}

case!(no_cell_of_the_self_test_is_unexpected);
fn no_cell_of_the_self_test_is_unexpected() {
    let outcome = selftest::run(&mut Console(arrayvec::ArrayString::new()));
    check!(outcome.is_ok_and(|outcome| outcome.nr_cases >= 210 && outcome.nr_unexpected == 0));
}

case!(what_is_in_order_is_not_reported);
fn what_is_in_order_is_not_reported() {
    static OUTER: SpinLock<u32> = SpinLock::new(0);
    static INNER: IrqSpinLock<u32> = IrqSpinLock::new(0);
    static READ: RwLock<u32> = RwLock::new(0);
    static TIME: SeqLock<u64> = SeqLock::new(0);
    static PAIR: [SpinLock<u32>; 2] = [const { SpinLock::new(0) }; 2];
    for _ in 0..3 {
        let outer = OUTER.lock();
        let mut inner = INNER.lock();
        *inner += *outer;
        drop(outer);
        drop(inner);
        // The other order by a try: nobody waits.
        let inner = INNER.lock();
        check!(OUTER.try_lock().is_some());
        drop(inner);
        // Readers in a handler go in beside the reader that they interrupt.
        let reader = READ.read();
        ipi::interrupt_self(|| _ = black_box(*READ.read()));
        drop(reader);
        *READ.write_irqsave() += 1;
        TIME.write().set(1);
        let (first, second) = (PAIR[0].lock(), PAIR[1].lock_nested(1));
        check!(*first == *second);
    }
    check!(lockdep::is_on() && lockdep::check_no_locks_held());
}

case!(the_boot_and_its_commands_were_in_order);
fn the_boot_and_its_commands_were_in_order() {
    check!(lockdep::is_on());
    check!(lock_watch::class_ids().count() > 5);
    check!(view_contains("/proc/lockdep", "src/"));
    check!(view_contains("lockdep_stats", "debug_locks:"));
}

case!(held_locks_are_listed_with_their_place);
fn held_locks_are_listed_with_their_place() {
    static LOCK: SpinLock<u32> = SpinLock::new(0);
    check!(view_contains("locks_held", "no core holds a lock"));
    let held = LOCK.lock();
    check!(view_contains("locks_held", "thread  lockdep::held_locks_are_listed_with_their_place::LOCK"));
    drop(held);
    check!(view_contains("locks_held", "no core holds a lock"));
}

case!(acquisitions_waits_and_times_are_counted);
fn acquisitions_waits_and_times_are_counted() {
    static LOCK: SpinLock<u32> = SpinLock::new(0);
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    lock_stat::clear();
    for _ in 0..9 {
        *LOCK.lock() += 1;
    }
    let held = LOCK.lock();
    check!(tetra::init::call_in_idle_thread(1, || {
        *LOCK.lock() += 1;
        IS_DONE.store(true, Ordering::Release);
    }));
    while !LOCK.is_contended() {
        arch::relax();
    }
    tetra::time::udelay(1000);
    drop(held);
    while !IS_DONE.load(Ordering::Acquire) {
        arch::relax();
    }
    let class = lock_watch::class_ids().last().expect("the lock has a class");
    let row = lock_stat::row(class, Way::Exclusive);
    let ms = arch::counter::frequency_hz() / 1000;
    check_eq!(row.acquisitions, 11);
    check_eq!((row.waits.count, row.holds.count), (1, 11));
    check!(row.waits.total >= ms && row.waits.min == Some(row.waits.max));
    check!(row.holds.max >= ms && row.holds.min.is_some_and(|min| min < row.holds.max) && row.holds.total > row.holds.max);
    check_eq!(lock_stat::sites(class).sorted().next().map(|site| (site.count, site.at.file())), Some((1, file!())));
    check!(view_contains("/proc/lock_stat", "waits at"));
    lock_stat::clear();
    check_eq!(lock_stat::row(class, Way::Exclusive).acquisitions, 0);
}

static A: SpinLock<u32> = SpinLock::new(0);
static B: SpinLock<u32> = SpinLock::new(0);

#[inline(never)]
fn takes_b_inside_a() {
    let (a, b) = (A.lock(), B.lock());
    black_box((&a, &b));
}

#[inline(never)]
fn takes_a_inside_b() {
    let (b, a) = (B.lock(), A.lock());
    black_box((&a, &b));
}

case!(two_orders_are_reported_with_both_chains,
    alone: "expect lockdep: ==== two locks are taken in both orders\nexpect takes_a_inside_b\nexpect lockdep::B, created at\nexpect lockdep::A, created at\nexpect new: .A. is taken while|new: .B. is taken while\nexpect seen before, 1:\nexpect takes_b_inside_a\nexpect CPU0 +CPU1\nexpect thread: lockdep::B\nexpect not checked from now on\nexit 0");
fn two_orders_are_reported_with_both_chains() {
    takes_b_inside_a();
    check!(lockdep::is_on());
    takes_a_inside_b();
    check!(!lockdep::is_on());
    takes_a_inside_b();
}

case!(a_lock_of_a_handler_taken_with_irqs_on_is_reported,
    alone: "expect lockdep: ==== locks and interrupts\nexpect held while a hardirq can come\nexpect a hardirq takes\nexpect a hardirq comes, which\nexit 0");
fn a_lock_of_a_handler_taken_with_irqs_on_is_reported() {
    ipi::interrupt_self(|| *A.lock() += 1);
    check!(lockdep::is_on());
    *A.lock() += 1;
    check!(!lockdep::is_on());
}

case!(a_lock_behind_a_handlers_lock_taken_with_irqs_on_is_reported,
    alone: "expect lockdep: ==== locks and interrupts\nexpect a hardirq comes, which\nexit 0");
fn a_lock_behind_a_handlers_lock_taken_with_irqs_on_is_reported() {
    *B.lock() += 1;
    ipi::interrupt_self(|| *A.lock() += 1);
    check!(lockdep::is_on());
    let (a, b) = (A.lock_irqsave(), B.lock_irqsave());
    black_box((&a, &b));
    check!(!lockdep::is_on());
}

case!(irqs_that_come_back_on_under_a_lock_are_seen, alone: "expect lockdep: ==== locks and interrupts\nexit 0");
fn irqs_that_come_back_on_under_a_lock_are_seen() {
    ipi::interrupt_self(|| *A.lock() += 1);
    let off = B.lock_irqsave();
    let inner = A.lock();
    drop(off);
    check!(lockdep::is_on());
    drop(inner);
    check!(!lockdep::is_on());
}

case!(a_class_inside_itself_is_reported, alone: "expect a lock is taken inside another of its class\nexpect holds .A.\nexpect waits for .A.\nexit 0");
fn a_class_inside_itself_is_reported() {
    static PAIR: [SpinLock<u32>; 2] = [const { SpinLock::new(0) }; 2];
    let (first, second) = (PAIR[0].lock(), PAIR[1].lock());
    check!(*first == *second && !lockdep::is_on());
}

case!(a_reader_that_reads_again_is_reported, alone: "expect a lock is taken inside another of its class\nexit 0");
fn a_reader_that_reads_again_is_reported() {
    static LOCK: RwLock<u32> = RwLock::new(0);
    let (first, second) = (LOCK.read(), LOCK.read());
    check!(*first == *second && !lockdep::is_on());
}

case!(a_lock_held_at_the_end_is_reported, alone: "expect a thread ends with locks held\nexpect thread: lockdep::A, created at\nexit 0");
fn a_lock_held_at_the_end_is_reported() {
    let held = A.lock();
    check!(!lockdep::check_no_locks_held());
    drop(held);
    check!(lockdep::check_no_locks_held());
}
