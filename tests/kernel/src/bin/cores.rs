//! Cores, contexts and guards: what the ground rules promise, on four cores.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use tetra::cpu::{self, IrqGuard, PreemptGuard, irq_guard, preempt};
use tetra::irq::Tasklet;
use tetra::irq::ipi::{self, AsyncCall};
use tetra::sync::{IrqSpinLock, SpinLock};
use tetra::{arch, time};
use tetra_tests::{case, check, check_eq, eventually, suite};

suite!();

case!(four_cores_are_online);
fn four_cores_are_online() {
    check_eq!(cpu::online_mask(), 0b1111);
    check_eq!(cpu::nr_online(), 4);
}

case!(every_busy_core_ticks);
fn every_busy_core_ticks() {
    /// Busy until it has ticked, however little of its host's time this core gets.
    fn busy() {
        let (deadline, before) = (time::uptime() + Duration::from_secs(20), time::ticks_of(cpu::id()));
        while time::ticks_of(cpu::id()) < before + 3 && time::uptime() < deadline {
            arch::relax();
        }
        NR_TICKED.fetch_add(u32::from(time::ticks_of(cpu::id()) >= before + 3), Ordering::Relaxed);
        NR_DONE.fetch_add(1, Ordering::Release);
    }
    static NR_TICKED: AtomicU32 = AtomicU32::new(0);
    static NR_DONE: AtomicU32 = AtomicU32::new(0);
    for cpu in 1..4 {
        check!(tetra::init::call_in_idle_thread(cpu, busy));
    }
    busy();
    while NR_DONE.load(Ordering::Acquire) < 4 {
        arch::relax();
    }
    check_eq!(NR_TICKED.load(Ordering::Relaxed), 4);
}

case!(per_cpu_data_is_per_cpu);
fn per_cpu_data_is_per_cpu() {
    tetra::per_cpu! {
        static MINE: AtomicU64 = AtomicU64::new(7);
    }
    for cpu in 0..4 {
        check_eq!(MINE.on(cpu).load(Ordering::Relaxed), 7);
    }
    ipi::call_on_all(|| MINE.this().store(100 + cpu::id() as u64, Ordering::Relaxed));
    for cpu in 0..4 {
        check_eq!(MINE.on(cpu).load(Ordering::Relaxed), 100 + cpu as u64);
    }
}

case!(a_call_runs_where_it_was_sent_and_in_hardirq);
fn a_call_runs_where_it_was_sent_and_in_hardirq() {
    for target in 0..4 {
        let (ran_on, contexts) = (AtomicU32::new(99), AtomicU32::new(0));
        let sent = ipi::call_on(target, || {
            ran_on.store(cpu::id() as u32, Ordering::Relaxed);
            contexts.store(u32::from(cpu::in_hardirq()) | u32::from(arch::irq::is_masked()) << 1, Ordering::Relaxed);
        });
        check_eq!(sent, Ok(()));
        check_eq!(ran_on.load(Ordering::Relaxed), target as u32);
        let here = target == cpu::id();
        check_eq!(contexts.load(Ordering::Relaxed), if here { 0b10 } else { 0b11 });
    }
    check_eq!(ipi::call_on(4, || ()), Err(ipi::CpuOffline(4)));
    check_eq!(ipi::call_on(1000, || ()), Err(ipi::CpuOffline(1000)));
}

case!(calls_from_all_cores_to_all_cores_arrive);
fn calls_from_all_cores_to_all_cores_arrive() {
    static ARRIVED: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
    static STORMERS: AtomicU32 = AtomicU32::new(0);
    const ROUNDS: u32 = 30;

    fn storm() {
        for _ in 0..ROUNDS {
            ipi::call_on_others(|| {
                ARRIVED[cpu::id()].fetch_add(1, Ordering::Relaxed);
            });
        }
        STORMERS.fetch_add(1, Ordering::Release);
    }
    for cpu in 1..4 {
        check!(tetra::init::call_in_idle_thread(cpu, storm));
    }
    storm();
    while STORMERS.load(Ordering::Acquire) != 4 {
        arch::relax();
    }
    for arrived in &ARRIVED {
        check_eq!(arrived.load(Ordering::Relaxed), 3 * ROUNDS);
    }
}

case!(an_interrupt_of_ones_own_is_a_hardirq);
fn an_interrupt_of_ones_own_is_a_hardirq() {
    let seen = AtomicU32::new(0);
    check!(cpu::in_task() && !cpu::in_interrupt());
    ipi::interrupt_self(|| seen.store(u32::from(cpu::in_hardirq() && !cpu::in_task() && cpu::is_atomic()), Ordering::Relaxed));
    check_eq!(seen.load(Ordering::Relaxed), 1);
    check!(cpu::in_task() && cpu::preempt_count() == 0);
}

/// DAIF, further irq-off entries, counts.
fn state() -> (u64, u32, u32) {
    let daif = arch::irq::daif();
    let _irqs_off = IrqGuard::new();
    (daif, irq_guard::extra_depth(), cpu::preempt_count())
}

case!(irq_guards_drop_in_every_order);
fn irq_guards_drop_in_every_order() {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let before = state();
    for order in ORDERS {
        let mut guards = [Some(IrqGuard::new()), Some(IrqGuard::new()), Some(IrqGuard::new())];
        for at in order {
            check!(arch::irq::is_masked());
            guards[at] = None;
        }
        check!(!arch::irq::is_masked());
        check_eq!(state(), before);
    }
}

case!(guards_of_all_kinds_drop_in_any_order);
fn guards_of_all_kinds_drop_in_any_order() {
    static A: SpinLock<u32> = SpinLock::new(0);
    static B: IrqSpinLock<u32> = IrqSpinLock::new(0);
    static C: SpinLock<u32> = SpinLock::new(0);
    let before = state();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let (mut a, mut b) = (Some(A.lock_bh()), Some(B.lock()));
        let (mut c, mut p) = (Some(C.lock_irqsave()), Some(PreemptGuard::new()));
        for which in order {
            match which {
                0 => a = None,
                1 => b = None,
                2 => c = None,
                _ => p = None,
            }
        }
        check!(a.is_none() && b.is_none() && c.is_none() && p.is_none());
        check_eq!(state(), before);
    }
}

case!(get_cpu_pins_and_counts);
fn get_cpu_pins_and_counts() {
    let cpu = preempt::get_cpu();
    check_eq!(cpu::preempt_count(), 1);
    check_eq!(cpu, cpu::id());
    // SAFETY: undoes the `get_cpu` above.
    unsafe { preempt::put_cpu() };
    check_eq!(cpu::preempt_count(), 0);
}

case!(enabling_without_a_look_leaves_the_work_to_the_next_section);
fn enabling_without_a_look_leaves_the_work_to_the_next_section() {
    static RAN: AtomicU32 = AtomicU32::new(0);
    static WORK: Tasklet<()> = Tasklet::new((), |_| {
        RAN.fetch_add(1, Ordering::Relaxed);
    });
    // No interrupt may come in between, whose end would look as well.
    let irqs_off = IrqGuard::new();
    preempt::preempt_disable();
    WORK.schedule();
    // SAFETY: undoes the line above.
    unsafe { preempt::preempt_enable_no_resched() };
    check_eq!((RAN.load(Ordering::Relaxed), cpu::preempt_count()), (0, 0));
    drop(irqs_off);
    preempt::preempt_disable();
    // SAFETY: undoes the line above.
    unsafe { preempt::preempt_enable() };
    check!(eventually(|| RAN.load(Ordering::Relaxed) == 1));
}

case!(a_handler_takes_the_lock_that_a_thread_holds_by_irqsave);
fn a_handler_takes_the_lock_that_a_thread_holds_by_irqsave() {
    static LOCK: IrqSpinLock<u64> = IrqSpinLock::new(0);
    static INTERRUPT: AsyncCall = AsyncCall::new(&|| *LOCK.lock() += 1);
    const ROUNDS: u64 = 10_000;
    let before = state();
    for round in 0..ROUNDS {
        let mut count = LOCK.lock();
        check_eq!(*count, 2 * round);
        *count += 1;
        // Requested with the lock held: it comes when the lock is given back, or it would wait for its own thread for ever.
        check!(INTERRUPT.send(cpu::id()).is_ok());
        drop(count);
        while INTERRUPT.is_pending() {
            arch::relax();
        }
    }
    check_eq!(*LOCK.lock(), 2 * ROUNDS);
    check_eq!(state(), before);
}

case!(four_cores_lose_no_update_under_one_lock);
fn four_cores_lose_no_update_under_one_lock() {
    static COUNTER: SpinLock<u64> = SpinLock::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    // Few: with four vCPUs on two host cores a fair lock waits for whichever the host has descheduled.
    const ROUNDS: u64 = 200;

    fn add() {
        for _ in 0..ROUNDS {
            *COUNTER.lock() += 1;
        }
        DONE.fetch_add(1, Ordering::Release);
    }
    for cpu in 1..4 {
        check!(tetra::init::call_in_idle_thread(cpu, add));
    }
    add();
    while DONE.load(Ordering::Acquire) != 4 {
        arch::relax();
    }
    check_eq!(*COUNTER.lock(), 4 * ROUNDS);
}

case!(a_call_with_irqs_off_is_refused, alone: "expect Kernel panic on cpu0: call to another core with irqs off\nexit 101");
fn a_call_with_irqs_off_is_refused() {
    let _irqs_off = IrqGuard::new();
    let _ = ipi::call_on(1, || ());
}

case!(a_call_that_panics_is_reported_on_its_core, alone: "expect Kernel panic on cpu2: in a call\nexpect in: hardirq\nexpect cpu0 was in init\nexit 101");
fn a_call_that_panics_is_reported_on_its_core() {
    let _ = ipi::call_on(2, || panic!("in a call"));
}

case!(an_unhandled_line_is_masked_and_named);
fn an_unhandled_line_is_masked_and_named() {
    use tetra::drivers::gicv2::IntId;
    const NOBODYS: u16 = 200;
    static SEEN: AtomicBool = AtomicBool::new(false);
    let gic = tetra::platform::hardware::gic();
    let line = IntId::new(NOBODYS).unwrap();
    check!(gic.enable(line).is_ok() && gic.set_pending(line).is_ok());
    let deadline = time::uptime() + Duration::from_secs(2);
    while gic.is_enabled(line) && time::uptime() < deadline {
        arch::relax();
    }
    SEEN.store(!gic.is_enabled(line), Ordering::Relaxed);
    check!(SEEN.load(Ordering::Relaxed));
}
