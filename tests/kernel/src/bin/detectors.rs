//! The detectors: each is tripped on purpose, reports once and says when it is over; and none of them speaks of what is legal.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use tetra::cpu::task::{TaskState, set_current_state};
use tetra::cpu::{IrqGuard, PreemptGuard};
use tetra::debug::detectors::settings::Setting;
use tetra::debug::detectors::{hung_task, watchdog};
use tetra::debug::sysrq;
use tetra::irq::{Tasklet, ipi};
use tetra::log::{self, Query, Reader, Step};
use tetra::sched::kthread::Builder;
use tetra::sched::{self, RcuWait};
use tetra::sync::{IrqSpinLock, Mutex, SpinLock};
use tetra::{arch, time};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// How many messages contain `text`.
fn said(text: &str) -> usize {
    let query = Query::new().with_text(text);
    let mut reader = Reader::from_oldest();
    let mut count = 0;
    loop {
        match query.advance(&mut reader) {
            Step::Record(_) => count += 1,
            Step::Lost(_) => {}
            Step::Waiting | Step::End => return count,
        }
    }
}

/// Sleeps until `condition` holds; false after 20 s.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(20);
    while !condition() {
        if time::uptime() > deadline {
            return false;
        }
        sched::msleep(50);
    }
    true
}

/// Sets `setting` for the time of `f`, and forgets what was said before.
fn with(setting: Setting, value: u32, f: impl FnOnce()) {
    let before = setting.get();
    check_eq!(setting.set(value), Ok(()));
    log::clear();
    f();
    check_eq!(setting.set(before), Ok(()));
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

#[inline(never)]
fn spin_until_over() {
    let limit = time::uptime() + Duration::from_secs(30);
    while !IS_OVER.load(Ordering::Relaxed) && time::uptime() < limit {
        arch::relax();
    }
    black_box(());
}

case!(a_section_that_does_not_end_is_a_soft_lockup);
fn a_section_that_does_not_end_is_a_soft_lockup() {
    with(Setting::WatchdogThresh, 1, || {
        static HELD: SpinLock<()> = SpinLock::new(());
        IS_OVER.store(false, Ordering::Relaxed);
        let before = watchdog::of_core(2).nr_lockups.0;
        let spinner = Builder::new("spinner").bind(2).run(|| {
            let _held = HELD.lock();
            spin_until_over();
        });
        check!(eventually(|| said("BUG: soft lockup - CPU#2 stuck for") == 1));
        check!(eventually(|| said("preemption stays off in spinner") == 1));
        check!(eventually(|| said("detectors::spin_until_over") >= 1));
        check!(eventually(|| said("holds a spinning lock detectors::a_section_that_does_not_end") == 1));
        // Some beats later it is the same event.
        sched::msleep(1500);
        check_eq!(said("BUG: soft lockup - CPU#2"), 1);
        check_eq!(watchdog::of_core(2).nr_lockups.0, before + 1);
        check_eq!(said("hard lockup"), 0);
        IS_OVER.store(true, Ordering::Relaxed);
        check_eq!(spinner.unwrap().join(), Ok(()));
        check!(eventually(|| said("soft lockup over - CPU#2 switches threads again") == 1));
    });
}

/// Spends its time in `memset`, which has no frame of its own.
#[inline(never)]
fn fill_until_over() {
    let mut block = [0u8; 4096];
    while !IS_OVER.load(Ordering::Relaxed) {
        black_box(&mut block).fill(black_box(1));
    }
}

case!(the_caller_of_a_function_without_a_frame_is_in_the_backtrace);
fn the_caller_of_a_function_without_a_frame_is_in_the_backtrace() {
    IS_OVER.store(false, Ordering::Relaxed);
    let spinner = Builder::new("spinner").bind(2).run(fill_until_over);
    sched::msleep(50);
    for _ in 0..10 {
        log::clear();
        sysrq::handle(b'l');
        check!(eventually(|| said("detectors::fill_until_over+") == 1));
    }
    IS_OVER.store(true, Ordering::Relaxed);
    check_eq!(spinner.unwrap().join(), Ok(()));
}

case!(a_tasklet_that_does_not_end_is_a_soft_lockup);
fn a_tasklet_that_does_not_end_is_a_soft_lockup() {
    with(Setting::WatchdogThresh, 1, || {
        IS_OVER.store(false, Ordering::Relaxed);
        static ENDLESS: Tasklet<()> = Tasklet::new((), |_| spin_until_over());
        let spinner = Builder::new("raiser").bind(1).run(|| {
            ENDLESS.schedule();
        });
        check!(eventually(|| said("soft lockup - CPU#1") == 1));
        check!(eventually(|| said("a softirq or tasklet does not end in raiser") == 1));
        IS_OVER.store(true, Ordering::Relaxed);
        check_eq!(spinner.unwrap().join(), Ok(()));
    });
}

case!(a_core_with_irqs_off_is_a_hard_lockup);
fn a_core_with_irqs_off_is_a_hard_lockup() {
    with(Setting::WatchdogThresh, 2, || {
        static HELD: IrqSpinLock<()> = IrqSpinLock::new(());
        IS_OVER.store(false, Ordering::Relaxed);
        let before = watchdog::of_core(3).nr_lockups.1;
        let deaf = Builder::new("deaf").bind(3).run(|| {
            let _held = HELD.lock();
            spin_until_over();
        });
        check!(eventually(|| said("BUG: hard lockup - CPU#3 has taken no interrupt for") == 1));
        // The report goes on after its first line: it waits for an answer.
        check!(eventually(|| said("cpu3 does not say where it is") == 1));
        check!(eventually(|| said("cpu3 runs deaf") == 1));
        check!(eventually(|| said("holds a spinning lock detectors::a_core_with_irqs_off") == 1));
        check!(eventually(|| said("cpu3 last masked irqs at") == 1));
        sched::msleep(2000);
        check_eq!(said("BUG: hard lockup - CPU#3"), 1);
        check_eq!(watchdog::of_core(3).nr_lockups.1, before + 1);
        IS_OVER.store(true, Ordering::Relaxed);
        check_eq!(deaf.unwrap().join(), Ok(()));
        check!(eventually(|| said("hard lockup over - CPU#3 takes interrupts again") == 1));
    });
}

case!(a_core_that_waits_for_a_lock_with_irqs_off_says_where);
fn a_core_that_waits_for_a_lock_with_irqs_off_says_where() {
    with(Setting::WatchdogThresh, 2, || {
        static WANTED: SpinLock<()> = SpinLock::new(());
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        IS_OVER.store(false, Ordering::Relaxed);
        let holder = Builder::new("holder").bind(1).run(|| {
            let _held = WANTED.lock();
            IS_TAKEN.store(true, Ordering::Relaxed);
            spin_until_over();
        });
        check!(eventually(|| IS_TAKEN.load(Ordering::Relaxed)));
        let waiter = Builder::new("lock-waiter").bind(2).run(|| drop(WANTED.lock_irqsave()));
        check!(eventually(|| said("BUG: hard lockup - CPU#2") == 1));
        check!(eventually(|| said("cpu2 is in lock-waiter") == 1));
        IS_OVER.store(true, Ordering::Relaxed);
        check_eq!((holder.unwrap().join(), waiter.unwrap().join()), (Ok(()), Ok(())));
    });
}

case!(a_thread_that_waits_for_a_mutex_is_a_hung_task);
fn a_thread_that_waits_for_a_mutex_is_a_hung_task() {
    with(Setting::HungTaskTimeout, 1, || {
        static WANTED: Mutex<()> = Mutex::new(());
        static LEAVE: RcuWait = RcuWait::new();
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        IS_OVER.store(false, Ordering::Relaxed);
        let before = hung_task::nr_reported();
        let owner = Builder::new("mutex-owner").run(|| {
            let _owned = WANTED.lock();
            IS_TAKEN.store(true, Ordering::Relaxed);
            LEAVE.wait_until(TaskState::IDLE, || IS_OVER.load(Ordering::Relaxed));
        });
        check!(eventually(|| IS_TAKEN.load(Ordering::Relaxed)));
        let waiter = Builder::new("mutex-waiter").run(|| drop(WANTED.lock()));
        check!(eventually(|| said("INFO: task mutex-waiter:") == 1));
        check!(eventually(|| said(" waits for a mutex that mutex-owner (pid ") == 1));
        check!(eventually(|| said("task:mutex-waiter     state:D") == 1));
        check!(eventually(|| said("tetra::sync::") >= 1));
        sched::msleep(1000);
        check_eq!(said("INFO: task"), 1);
        check_eq!(hung_task::nr_reported(), before + 1);
        IS_OVER.store(true, Ordering::Relaxed);
        LEAVE.wake_up();
        check_eq!((owner.unwrap().join(), waiter.unwrap().join()), (Ok(()), Ok(())));
    });
}

case!(what_is_legal_is_not_spoken_of);
fn what_is_legal_is_not_spoken_of() {
    with(Setting::WatchdogThresh, 2, || {
        with(Setting::HungTaskTimeout, 1, || {
            // A thread that computes and may be preempted; one that sleeps in state D, but to a time; two that wait without being load.
            let busy = Builder::new("busy").bind(1).run(|| time::mdelay(5000));
            let sleeper = Builder::new("sleeper").bind(2).run(|| sched::msleep(4000));
            let waiters = [TaskState::INTERRUPTIBLE, TaskState::IDLE].map(|state| {
                Builder::new("waiter").run(move || {
                    set_current_state(state);
                    sched::schedule_timeout(Duration::from_secs(4))
                })
            });
            // This one waits for a thread that works longer than a sleep in state D may last.
            let joined = Builder::new("joined").bind(1).run(|| time::mdelay(2500)).unwrap();
            check_eq!(joined.join(), Ok(()));
            // Core 3 idles all the while, and the others do in the end.
            sched::msleep(3500);
            check_eq!((busy.unwrap().join(), sleeper.unwrap().join()), (Ok(()), Ok(())));
            waiters.into_iter().for_each(|waiter| check_eq!(waiter.unwrap().join(), Ok(Duration::ZERO)));
            check_eq!((said("BUG: soft lockup"), said("BUG: hard lockup"), said("INFO: task")), (0, 0, 0));
        });
    });
}

case!(a_detector_that_is_off_is_silent);
fn a_detector_that_is_off_is_silent() {
    with(Setting::WatchdogThresh, 0, || {
        check!(watchdog::of_core(0).beat.is_none() && watchdog::of_core(3).beat.is_none());
        let spinner = Builder::new("spinner").bind(2).run(|| {
            let _section = PreemptGuard::new();
            time::mdelay(2500);
        });
        check_eq!(spinner.unwrap().join(), Ok(()));
        check_eq!(said("BUG: soft lockup"), 0);
    });
    check!(eventually(|| watchdog::of_core(3).beat.is_some()));
    check!(Setting::WatchdogThresh.set(3601).is_err() && Setting::SoftlockupPanic.set(2).is_err());
}

case!(an_idle_core_is_woken_for_its_beats_alone);
fn an_idle_core_is_woken_for_its_beats_alone() {
    let beat = || watchdog::of_core(3).beat;
    let (first, ticks) = (beat(), time::ticks_of(3));
    check!(first.is_some());
    // The threshold is 10 s: a beat every 4 s.
    check!(eventually(|| beat() != first));
    check!(time::ticks_of(3) <= ticks + 50);
}

case!(sysrq_shows_tasks_locks_and_cores_from_a_handler);
fn sysrq_shows_tasks_locks_and_cores_from_a_handler() {
    static HELD: SpinLock<()> = SpinLock::new(());
    static WANTED: Mutex<()> = Mutex::new(());
    log::clear();
    let owned = WANTED.lock();
    let blocked = Builder::new("blocked").run(|| drop(WANTED.lock()));
    let blocked = blocked.unwrap();
    check!(eventually(|| blocked.thread().state().contains(TaskState::UNINTERRUPTIBLE) && !blocked.thread().is_on_cpu()));
    let held = HELD.lock();
    ipi::interrupt_self(|| {
        for key in *b"ltwdmq" {
            check!(sysrq::handle(key));
        }
        check!(!sysrq::handle(b'z'));
    });
    drop(held);
    drop(owned);
    check_eq!(blocked.join(), Ok(()));
    check_eq!(said("cpu0 is in init (pid 1), asking"), 1);
    check!(said("cpu3 is in idle/3") >= 1);
    check!(said("task:init ") >= 1);
    // Among all tasks and among the blocked ones.
    check_eq!(said("task:blocked          state:D"), 2);
    check_eq!(said("it waits for a mutex that init (pid 1) holds"), 1);
    check_eq!(said("sysrq: 1 threads in state D"), 1);
    check_eq!(said("holds a spinning lock detectors::sysrq_shows_tasks"), 1);
    check_eq!(said("holds a sleeping lock detectors::sysrq_shows_tasks"), 1);
    check!(said("kB managed") >= 1 && said("next high-resolution timer") >= 1);
    check_eq!(said("no such key: z"), 1);
}

case!(sysrq_sets_the_console_level);
fn sysrq_sets_the_console_level() {
    let before = log::console_loglevel();
    check!(sysrq::handle(b'5'));
    check_eq!(log::console_loglevel(), 5);
    // What shows something puts the level back.
    check!(sysrq::handle(b'm'));
    check_eq!(log::console_loglevel(), 5);
    log::set_console_loglevel(before);
}

case!(a_soft_lockup_can_be_a_panic, alone: "append watchdog_thresh=1 softlockup_panic=1\nexpect BUG: soft lockup - CPU#1 stuck for\nexpect Kernel panic on cpu1: soft lockup on cpu1\nexpect spin_until_over\nexit 101");
fn a_soft_lockup_can_be_a_panic() {
    let spinner = Builder::new("spinner").bind(1).run(|| {
        let _section = PreemptGuard::new();
        spin_until_over();
    });
    let _ended = spinner.unwrap().join();
}

case!(a_hard_lockup_can_be_a_panic, alone: "append watchdog_thresh=2 hardlockup_panic=1\nexpect BUG: hard lockup - CPU#2 has taken no interrupt for\nexpect Kernel panic on cpu1: hard lockup of cpu2\nexpect cpu2 did not answer\nexit 101");
fn a_hard_lockup_can_be_a_panic() {
    let deaf = Builder::new("deaf").bind(2).run(|| {
        let _section = IrqGuard::new();
        spin_until_over();
    });
    let _ended = deaf.unwrap().join();
}

case!(two_dead_cores_are_both_reported, alone: "append watchdog_thresh=2\nexpect CPU#2 has taken no interrupt\nexpect CPU#3 has taken no interrupt\nexit zero");
fn two_dead_cores_are_both_reported() {
    // In this order at whatever times they die: cpu1 looks at cpu2 first.
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    let deaf = [2, 3].map(|cpu| {
        Builder::new("deaf").bind(cpu).run(|| {
            let _section = IrqGuard::new();
            ARRIVED.fetch_add(1, Ordering::Relaxed);
            spin_until_over();
        })
    });
    check!(eventually(|| ARRIVED.load(Ordering::Relaxed) == 2));
    check!(eventually(|| said("BUG: hard lockup - CPU#2") + said("BUG: hard lockup - CPU#3") == 2));
    IS_OVER.store(true, Ordering::Relaxed);
    deaf.into_iter().for_each(|deaf| check_eq!(deaf.unwrap().join(), Ok(())));
}

case!(a_ring_of_mutexes_is_named, alone: "append hung_task_timeout=1 hung_task_panic=1\nexpect INFO: task (first|second):\nexpect this is a ring\nexpect Kernel panic on cpu\\d: \\d hung tasks\nexit 101");
fn a_ring_of_mutexes_is_named() {
    static MUTEXES: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
    static TAKEN: AtomicU32 = AtomicU32::new(0);

    fn take(mine: usize) {
        let _mine = MUTEXES[mine].lock();
        TAKEN.fetch_add(1, Ordering::Relaxed);
        while TAKEN.load(Ordering::Relaxed) != 2 {
            sched::msleep(10);
        }
        drop(MUTEXES[1 - mine].lock());
    }
    for (name, mine) in [("first", 0), ("second", 1)] {
        Builder::new(name).run(move || take(mine)).unwrap().detach();
    }
    // Not in `join`, which is a wait in state D itself.
    while time::uptime() < Duration::from_secs(60) {
        set_current_state(TaskState::IDLE);
        sched::schedule_timeout(Duration::from_secs(1));
    }
}
