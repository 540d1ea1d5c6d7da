//! Threads and the scheduler on four cores: begin and end, wake-ups, preemption, priorities, affinity, stop and park, signals.
//!
//! Threads of these cases count what they did, and a case checks the counts after it has joined them; where a case depends on who comes first, all of its
//! threads are bound to one core and started while a more urgent thread holds it.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use tetra::cpu::task::{TaskState, set_current_state};
use tetra::cpu::{self, IrqGuard, PreemptGuard};
use tetra::sched::kthread::{self, Builder, JoinHandle, SpawnError};
use tetra::sched::{self, Priority, RcuWait, Signal, features, signal, thread};
use tetra::sync::SpinLock;
use tetra::util::errno::Errno;
use tetra::{arch, time};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Waits, yielding, until `condition` holds; false after 20 s.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(20);
    while !condition() {
        if time::uptime() > deadline {
            return false;
        }
        sched::yield_now();
        arch::relax();
    }
    true
}

/// No thread is left of those that the case made. Asleep between the looks: a less urgent one that is on its last steps, bound to this core, must get
/// there.
fn none_is_left(before: usize) -> bool {
    let deadline = time::uptime() + Duration::from_secs(20);
    while thread::nr_threads() > before && time::uptime() < deadline {
        sched::msleep(5);
    }
    thread::nr_threads() <= before
}

fn priority(number: usize) -> Priority {
    Priority::new(number).expect("below 32")
}

fn is_asleep<T>(handle: &JoinHandle<T>) -> bool {
    !handle.thread().state().is_empty() && handle.thread().is_asleep()
}

case!(a_thread_runs_and_its_value_comes_back);
fn a_thread_runs_and_its_value_comes_back() {
    let handle = kthread::run("adder", || (1..=10u64).sum::<u64>()).unwrap();
    check_eq!(handle.join(), Ok(55));
    let me = sched::current();
    check_eq!(me.pid(), 1);
    check!(cpu::in_task() && cpu::preempt_count() == 0);
}

case!(a_thread_knows_its_name_and_core);
fn a_thread_knows_its_name_and_core() {
    for target in 0..4 {
        let handle = Builder::new("a-name-that-is-too-long").bind(target).run(|| (cpu::id(), sched::current().name())).unwrap();
        let pid = handle.thread().pid();
        check!(thread::find(pid).is_none_or(|found| found.pid() == pid));
        let (cpu, name) = handle.join().unwrap();
        check_eq!(cpu, target);
        check_eq!(name.as_str(), "a-name-that-is-t");
    }
    check_eq!(Builder::new("nowhere").bind(9).run(|| ()).err(), Some(SpawnError::CpuOffline));
}

case!(values_and_closures_are_dropped_once);
fn values_and_closures_are_dropped_once() {
    let before = thread::nr_threads();
    static DROPS: AtomicU32 = AtomicU32::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    let captured = Counted;
    drop(kthread::run("joined", move || captured).unwrap().join());
    check_eq!(DROPS.load(Ordering::Relaxed), 1);
    // Detached before its end, and after.
    kthread::run("early", || {
        sched::msleep(20);
        Counted
    })
    .unwrap()
    .detach();
    let late = kthread::run("late", || Counted).unwrap();
    check!(eventually(|| late.is_finished()));
    drop(late);
    check!(eventually(|| DROPS.load(Ordering::Relaxed) == 3));
    check!(none_is_left(before));
}

case!(a_created_thread_waits_for_its_start);
fn a_created_thread_waits_for_its_start() {
    static RAN: AtomicBool = AtomicBool::new(false);
    let handle = Builder::new("later").create(|| RAN.store(true, Ordering::Relaxed)).unwrap();
    sched::msleep(30);
    check!(!RAN.load(Ordering::Relaxed));
    check!(handle.start() && !handle.start());
    check_eq!(handle.join(), Ok(()));
    check!(RAN.load(Ordering::Relaxed));
}

case!(a_wake_up_is_never_lost);
fn a_wake_up_is_never_lost() {
    static TURN: AtomicU32 = AtomicU32::new(0);
    static PLACES: [RcuWait; 2] = [const { RcuWait::new() }; 2];
    const ROUNDS: u32 = 2000;

    fn play(me: u32) {
        for round in 0..ROUNDS {
            PLACES[me as usize].wait_until(TaskState::UNINTERRUPTIBLE, || TURN.load(Ordering::Relaxed) == 2 * round + me);
            TURN.store(2 * round + me + 1, Ordering::Relaxed);
            PLACES[1 - me as usize].wake_up();
        }
    }
    for cores in [(1, 1), (1, 2)] {
        TURN.store(0, Ordering::Relaxed);
        let first = Builder::new("ping").bind(cores.0).run(|| play(0)).unwrap();
        let second = Builder::new("pong").bind(cores.1).run(|| play(1)).unwrap();
        check_eq!((first.join(), second.join()), (Ok(()), Ok(())));
        check_eq!(TURN.load(Ordering::Relaxed), 2 * ROUNDS);
    }
}

case!(a_kernel_loop_is_preempted_in_the_middle_and_goes_on);
fn a_kernel_loop_is_preempted_in_the_middle_and_goes_on() {
    static STEPS: AtomicU64 = AtomicU64::new(0);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let looping = Builder::new("loop").bind(2).run(|| {
        while !IS_OVER.load(Ordering::Relaxed) {
            STEPS.store(STEPS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    });
    let looping = looping.unwrap();
    check!(eventually(|| STEPS.load(Ordering::Relaxed) > 1000));
    // One as urgent gets its turn, one more urgent runs at once.
    check_eq!(Builder::new("equal").bind(2).run(|| 1).unwrap().join(), Ok(1));
    check_eq!(Builder::new("urgent").bind(2).priority(priority(20)).run(|| 2).unwrap().join(), Ok(2));
    let before = STEPS.load(Ordering::Relaxed);
    check!(eventually(|| STEPS.load(Ordering::Relaxed) > before));
    check!(looping.thread().nr_switches().1 >= 2);
    IS_OVER.store(true, Ordering::Relaxed);
    check_eq!(looping.join(), Ok(()));
}

case!(no_preemption_in_a_section);
fn no_preemption_in_a_section() {
    static IS_IN: AtomicBool = AtomicBool::new(false);
    static IS_OUT: AtomicBool = AtomicBool::new(false);
    static WAS_BEFORE: AtomicBool = AtomicBool::new(false);
    let section = Builder::new("section").bind(3).run(|| {
        let pinned = PreemptGuard::new();
        IS_IN.store(true, Ordering::Release);
        time::udelay(60_000);
        IS_OUT.store(true, Ordering::Release);
        drop(pinned);
        // The urgent thread ran where the section ended.
        WAS_BEFORE.load(Ordering::Acquire)
    });
    let section = section.unwrap();
    check!(eventually(|| IS_IN.load(Ordering::Acquire)));
    let urgent = Builder::new("urgent").bind(3).priority(priority(30)).run(|| {
        WAS_BEFORE.store(true, Ordering::Release);
        IS_OUT.load(Ordering::Acquire)
    });
    check_eq!(urgent.unwrap().join(), Ok(true));
    check_eq!(section.join(), Ok(true));
}

case!(more_urgent_threads_run_first_and_equals_in_turn);
fn more_urgent_threads_run_first_and_equals_in_turn() {
    static ORDER: SpinLock<([u8; 8], usize)> = SpinLock::new(([0; 8], 0));
    const URGENCIES: [u8; 5] = [5, 12, 5, 31, 12];
    // Bound to this thread's own core, which it holds until all are ready.
    let pinned = PreemptGuard::new();
    let handles = URGENCIES.map(|number| {
        let body = move || {
            let mut order = ORDER.lock();
            let at = order.1;
            order.0[at] = number;
            order.1 += 1;
        };
        Builder::new("one").bind(0).priority(priority(usize::from(number))).run(body).unwrap()
    });
    drop(pinned);
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check_eq!(ORDER.lock().0[..5], [31, 12, 12, 5, 5]);
}

case!(a_changed_priority_takes_effect_in_the_queue);
fn a_changed_priority_takes_effect_in_the_queue() {
    static ORDER: AtomicU32 = AtomicU32::new(0);
    let append = |digit: u32| move || ORDER.store(ORDER.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed);
    let pinned = PreemptGuard::new();
    let start = |digit| Builder::new("one").bind(0).priority(priority(10)).run(append(digit)).unwrap();
    let (one, two, three) = (start(1), start(2), start(3));
    sched::set_priority(three.thread(), priority(11));
    sched::set_priority(two.thread(), priority(12));
    check_eq!(two.thread().priority(), priority(12));
    sched::set_priority(two.thread(), priority(10));
    check_eq!(two.thread().priority(), priority(10));
    drop(pinned);
    check_eq!((one.join(), two.join(), three.join()), (Ok(()), Ok(()), Ok(())));
    check_eq!(ORDER.load(Ordering::Relaxed), 312);
}

case!(equals_share_a_core);
fn equals_share_a_core() {
    static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let handles = [0, 1, 2].map(|index: usize| {
        let body = move || {
            while !IS_OVER.load(Ordering::Relaxed) {
                COUNTS[index].fetch_add(1, Ordering::Relaxed);
            }
        };
        Builder::new("equal").bind(1).run(body).unwrap()
    });
    let all_ran = || handles.iter().all(|handle| handle.thread().nr_switches().1 >= 2);
    check!(eventually(all_ran));
    IS_OVER.store(true, Ordering::Relaxed);
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check!(COUNTS.iter().all(|count| count.load(Ordering::Relaxed) > 0));
}

case!(affinity_is_kept_and_can_be_changed);
fn affinity_is_kept_and_can_be_changed() {
    static WRONG: AtomicU32 = AtomicU32::new(0);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    let roaming = Builder::new("roaming").affinity(0b0010).run(|| {
        let is_allowed = || {
            let _pinned = PreemptGuard::new();
            sched::current().affinity() & (1 << cpu::id()) != 0
        };
        while !IS_OVER.load(Ordering::Relaxed) {
            // The mask may just have been changed: then this thread is on its way, and must be taken there without its doing.
            let deadline = time::uptime() + Duration::from_secs(10);
            while !is_allowed() && time::uptime() < deadline {
                arch::relax();
            }
            WRONG.fetch_add(u32::from(!is_allowed() && time::uptime() >= deadline), Ordering::Relaxed);
        }
    });
    let roaming = roaming.unwrap();
    for mask in [0b0100, 0b1000, 0b0110, 0b0001, 0b0010] {
        check_eq!(sched::set_affinity(roaming.thread(), mask), Ok(()));
        // On core 0 it is as urgent as this thread, so it cannot be seen running there.
        check!(eventually(|| mask & (1 << roaming.thread().cpu()) != 0 && !roaming.thread().state().contains(TaskState::DEAD)));
        sched::msleep(20);
    }
    check_eq!(sched::set_affinity(roaming.thread(), 0), Err(Errno::EINVAL));
    IS_OVER.store(true, Ordering::Relaxed);
    check_eq!(roaming.join(), Ok(()));
    check_eq!(WRONG.load(Ordering::Relaxed), 0);
}

case!(a_thread_can_move_itself);
fn a_thread_can_move_itself() {
    let mover = kthread::run("mover", || {
        (0..8).all(|step| {
            let target = step % 4;
            sched::set_affinity(&thread::ThreadRef::current(), 1 << target).is_ok() && cpu::id() == target
        })
    });
    check_eq!(mover.unwrap().join(), Ok(true));
}

case!(an_idle_core_pulls_work_unless_told_not_to);
fn an_idle_core_pulls_work_unless_told_not_to() {
    static MET: AtomicU32 = AtomicU32::new(0);
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    // All made ready on core 0 while nothing else runs there; every core is to get some.
    let pinned = PreemptGuard::new();
    let handles = [(); 8].map(|()| {
        let body = || {
            while !IS_OVER.load(Ordering::Relaxed) {
                MET.fetch_or(1 << cpu::id(), Ordering::Relaxed);
            }
        };
        kthread::run("work", body).unwrap()
    });
    drop(pinned);
    check!(eventually(|| MET.load(Ordering::Relaxed) == 0b1111));
    IS_OVER.store(true, Ordering::Relaxed);
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
}

case!(stop_ends_a_sleeper);
fn stop_ends_a_sleeper() {
    let sleeper = kthread::run("sleeper", || {
        let mut rounds = 0;
        loop {
            set_current_state(TaskState::INTERRUPTIBLE);
            if kthread::should_stop() {
                break;
            }
            sched::schedule();
            rounds += 1;
        }
        sched::current().task().set_state(TaskState::RUNNING);
        rounds
    });
    let sleeper = sleeper.unwrap();
    check!(eventually(|| is_asleep(&sleeper)));
    check_eq!(sleeper.thread().state().letter(), 'S');
    check!(sched::wake_up_process(sleeper.thread()));
    check!(eventually(|| is_asleep(&sleeper)));
    check_eq!(sleeper.stop(), Ok(2));
}

case!(a_parked_thread_stands_still);
fn a_parked_thread_stands_still() {
    static STEPS: AtomicU64 = AtomicU64::new(0);
    let worker = kthread::run("worker", || {
        while !kthread::should_stop() {
            kthread::parkme();
            STEPS.fetch_add(1, Ordering::Relaxed);
            sched::yield_now();
        }
    });
    let worker = worker.unwrap();
    for _ in 0..20 {
        check!(worker.park());
        let at = STEPS.load(Ordering::Relaxed);
        // An ordinary wake-up does not end it.
        check!(!sched::wake_up_process(worker.thread()));
        time::udelay(2000);
        check_eq!(STEPS.load(Ordering::Relaxed), at);
        worker.unpark();
        check!(eventually(|| STEPS.load(Ordering::Relaxed) > at));
    }
    check!(worker.park());
    check_eq!(worker.stop(), Ok(()));
}

case!(signals_end_the_waits_that_permit_them);
fn signals_end_the_waits_that_permit_them() {
    fn wait_in(state: TaskState) -> Result<(), Errno> {
        loop {
            set_current_state(state);
            let answer = signal::check_signals(state);
            if answer.is_err() {
                sched::current().task().set_state(TaskState::RUNNING);
                return answer;
            }
            sched::schedule();
        }
    }
    let waiter = |state| kthread::run("waiter", move || wait_in(state)).unwrap();
    let interruptible = waiter(TaskState::INTERRUPTIBLE);
    let killable = waiter(TaskState::KILLABLE);
    check!(eventually(|| is_asleep(&interruptible) && is_asleep(&killable)));
    check_eq!(killable.thread().state().letter(), 'D');
    signal::send(killable.thread(), Signal::Term);
    signal::send(interruptible.thread(), Signal::Term);
    check_eq!(interruptible.join(), Ok(Err(Errno::ERESTARTSYS)));
    sched::msleep(20);
    check!(!killable.is_finished());
    signal::send(killable.thread(), Signal::Kill);
    check_eq!(killable.join(), Ok(Err(Errno::ERESTARTSYS)));
    check_eq!(Signal::parse("sigkill"), Some(Signal::Kill));
    check_eq!(Signal::parse("9"), Some(Signal::Kill));
}

case!(sleeps_end_late_but_never_early);
fn sleeps_end_late_but_never_early() {
    let sleepers = [5u64, 25, 60, 1].map(|millis| {
        let body = move || {
            let start = time::uptime();
            sched::msleep(millis);
            time::uptime() - start >= Duration::from_millis(millis)
        };
        kthread::run("sleeper", body).unwrap()
    });
    for sleeper in sleepers {
        check_eq!(sleeper.join(), Ok(true));
    }
}

case!(a_herd_on_one_lock_gets_through);
fn a_herd_on_one_lock_gets_through() {
    static GATE: AtomicBool = AtomicBool::new(false);
    static COUNTER: SpinLock<u64> = SpinLock::new(0);
    const HERD: usize = 40;
    let handles = [(); HERD].map(|()| {
        let body = || {
            while !GATE.load(Ordering::Acquire) {
                sched::yield_now();
            }
            for _ in 0..50 {
                *COUNTER.lock() += 1;
            }
        };
        kthread::run("herd", body).unwrap()
    });
    GATE.store(true, Ordering::Release);
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    check_eq!(*COUNTER.lock(), 50 * HERD as u64);
}

/// A generator that needs no state but a seed: good enough to vary a test.
fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

case!(a_thousand_threads_are_all_joined);
fn a_thousand_threads_are_all_joined() {
    static DONE: AtomicUsize = AtomicUsize::new(0);
    const BATCH: usize = 100;
    const BATCHES: usize = 10;

    fn live(seed: u64) -> u64 {
        let mut seed = seed | 1;
        for _ in 0..4 {
            match next_random(&mut seed) % 5 {
                0 => sched::yield_now(),
                1 => sched::set_priority(sched::current(), priority(10 + (seed % 8) as usize)),
                2 => {
                    let mask = 1 << (next_random(&mut seed) % 4);
                    let _ = sched::set_affinity(&thread::ThreadRef::current(), mask);
                }
                3 => {
                    set_current_state(TaskState::INTERRUPTIBLE);
                    sched::schedule_timeout(Duration::from_millis(seed % 20));
                }
                _ => (0..seed % 3000).for_each(|_| arch::relax()),
            }
        }
        DONE.fetch_add(1, Ordering::Relaxed);
        seed
    }

    let before = thread::nr_threads();
    let mut seed = 0x1234_5678_9abc_def1;
    for _ in 0..BATCHES {
        let handles: [JoinHandle<u64>; BATCH] = core::array::from_fn(|_| {
            let seed = next_random(&mut seed);
            kthread::run("one-of-many", move || live(seed)).unwrap()
        });
        for handle in &handles {
            match next_random(&mut seed) % 4 {
                0 => signal::send(handle.thread(), Signal::Kill),
                1 => drop(sched::wake_up_process(handle.thread())),
                2 => drop(sched::set_affinity(handle.thread(), 1 + (seed % 15) as u32)),
                _ => sched::set_priority(handle.thread(), priority(8 + (seed % 9) as usize)),
            }
        }
        for handle in handles {
            check!(handle.join().is_ok());
        }
    }
    check_eq!(DONE.load(Ordering::Relaxed), BATCH * BATCHES);
    check!(none_is_left(before));
}

case!(features_can_be_switched);
fn features_can_be_switched() {
    for (feature, _) in features::FEATURES {
        check!(features::is_on(feature));
        features::set(feature, false);
        check!(!features::is_on(feature));
        features::set(feature, true);
    }
}

case!(a_sleep_in_a_section_is_reported, alone: "expect sleeping function called from invalid context at tests/kernel\nexpect atomic since its first section began at tests/kernel/src/bin/threads\nexpect BUG: init \\(pid 1\\) in thread, count 0x1\nexpect scheduling while atomic\nexit 101");
fn a_sleep_in_a_section_is_reported() {
    let _pinned = PreemptGuard::new();
    sched::msleep(10);
}

case!(a_sleep_with_irqs_off_is_reported, alone: "expect sleeping function called from invalid context\nexpect atomic since interrupts went off at .*a_sleep_with_irqs_off\nexpect irqs off\nexpect scheduling while atomic\nexit 101");
fn a_sleep_with_irqs_off_is_reported() {
    let _irqs_off = IrqGuard::new();
    sched::msleep(10);
}

case!(a_threads_stack_overflow_is_named, alone: "expect stack overflow: sp 0x[0-9a-f]+ is in the guard page below the stack of deep \\(pid [0-9]+\\)\nexpect thread: deep\nexit 0");
fn a_threads_stack_overflow_is_named() {
    #[expect(unconditional_recursion, reason = "it shall overflow the stack")]
    fn deeper(depth: u64) -> u64 {
        let frame = core::hint::black_box([depth; 16]);
        deeper(frame[3] + 1) + frame[5]
    }
    check_eq!(kthread::run("deep", || deeper(0)).unwrap().join(), Err(kthread::Oopsed));
}
