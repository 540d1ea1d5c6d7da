//! Softirqs and tasklets: when they run, what they exclude, and what they do not: the four questions of every course on them.
#![no_std]
#![no_main]

use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use tetra::cpu::{self, BottomHalfGuard, IrqGuard, PreemptGuard};
use tetra::irq::softirq::{self, Softirq};
use tetra::irq::{Tasklet, ipi};
use tetra::sched::workqueue::{self, DelayedWork, Work};
use tetra::time::{self, Timer};
use tetra::{arch, init, sched};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Counts its runs.
static COUNTED: Tasklet<AtomicU32> = Tasklet::new(AtomicU32::new(0), |tasklet| {
    tasklet.data().fetch_add(1, Ordering::Relaxed);
});

fn runs() -> u32 {
    COUNTED.data().load(Ordering::Relaxed)
}

/// Waits until `done`, at most some seconds. False if it never came.
fn wait_until(done: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(10);
    while !done() {
        if time::uptime() > deadline {
            return false;
        }
        arch::relax();
    }
    true
}

case!(in_a_thread_with_no_section_open_it_runs_at_once);
fn in_a_thread_with_no_section_open_it_runs_at_once() {
    let before = runs();
    check!(COUNTED.schedule());
    check_eq!(runs(), before + 1);
    check!(!COUNTED.is_scheduled() && !softirq::is_pending());
}

case!(it_waits_for_the_end_of_the_last_section);
fn it_waits_for_the_end_of_the_last_section() {
    let before = runs();
    for order in [[0, 1], [1, 0]] {
        let mut bottom_halves_off = Some(BottomHalfGuard::new());
        let mut preemption_off = Some(PreemptGuard::new());
        let now = runs();
        check!(COUNTED.schedule() && !COUNTED.schedule() && COUNTED.is_scheduled());
        for which in order {
            check_eq!(runs(), now);
            if which == 0 { bottom_halves_off = None } else { preemption_off = None }
        }
        check!(bottom_halves_off.is_none() && preemption_off.is_none());
        check_eq!(runs(), now + 1);
    }
    check_eq!(runs(), before + 2);
}

case!(with_irqs_off_it_waits_for_them);
fn with_irqs_off_it_waits_for_them() {
    let before = runs();
    let irqs_off = IrqGuard::new();
    check!(COUNTED.schedule());
    drop(BottomHalfGuard::new());
    check_eq!(runs(), before);
    drop(irqs_off);
    check!(wait_until(|| runs() == before + 1));
}

case!(raised_by_a_handler_it_runs_after_it_in_softirq_context_with_irqs_on);
fn raised_by_a_handler_it_runs_after_it_in_softirq_context_with_irqs_on() {
    static SEEN: AtomicU32 = AtomicU32::new(0);
    static LOOK: Tasklet<()> = Tasklet::new((), |_| {
        let facts = [cpu::in_softirq(), cpu::context::in_serving_softirq(), !cpu::in_hardirq(), !cpu::in_task(), !arch::irq::is_masked()];
        SEEN.store(facts.iter().map(|fact| u32::from(*fact)).sum(), Ordering::Relaxed);
    });
    let in_handler = AtomicU32::new(99);
    ipi::interrupt_self(|| {
        LOOK.schedule();
        in_handler.store(SEEN.load(Ordering::Relaxed), Ordering::Relaxed);
    });
    check_eq!(in_handler.load(Ordering::Relaxed), 0);
    check!(wait_until(|| SEEN.load(Ordering::Relaxed) == 5));
}

case!(those_of_high_priority_run_first);
fn those_of_high_priority_run_first() {
    static ORDER: AtomicU32 = AtomicU32::new(0);
    static LOW: Tasklet<u32> = Tasklet::new(1, note);
    static LATER: Tasklet<u32> = Tasklet::new(2, note);
    static HIGH: Tasklet<u32> = Tasklet::new_hi(3, note);
    fn note(tasklet: core::pin::Pin<&Tasklet<u32>>) {
        ORDER.store(ORDER.load(Ordering::Relaxed) * 10 + tasklet.data(), Ordering::Relaxed);
    }
    let section = BottomHalfGuard::new();
    check!(LOW.schedule() && LATER.schedule() && HIGH.schedule());
    drop(section);
    check_eq!(ORDER.load(Ordering::Relaxed), 312);
}

// Question 1: data that only tasklets of one kind share, must it be locked? No: a tasklet never runs on two cores.
case!(question_1_a_tasklet_never_runs_on_two_cores);
fn question_1_a_tasklet_never_runs_on_two_cores() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    static OVERLAPS: AtomicU32 = AtomicU32::new(0);
    /// Changed by a load and a store, as if it were a plain number.
    static PLAIN: AtomicU64 = AtomicU64::new(0);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    static ASKERS_DONE: AtomicU32 = AtomicU32::new(0);
    static SHARED: Tasklet<()> = Tasklet::new((), |_| {
        OVERLAPS.fetch_add(u32::from(INSIDE.swap(true, Ordering::Relaxed)), Ordering::Relaxed);
        let value = PLAIN.load(Ordering::Relaxed);
        time::udelay(1);
        PLAIN.store(value + 1, Ordering::Relaxed);
        RUNS.fetch_add(1, Ordering::Relaxed);
        INSIDE.store(false, Ordering::Relaxed);
    });
    fn ask() {
        for _ in 0..2000 {
            SHARED.schedule();
        }
        ASKERS_DONE.fetch_add(1, Ordering::Release);
    }
    for cpu in 1..4 {
        check!(init::call_in_idle_thread(cpu, ask));
    }
    ask();
    check!(wait_until(|| ASKERS_DONE.load(Ordering::Acquire) == 4));
    SHARED.kill();
    check_eq!(OVERLAPS.load(Ordering::Relaxed), 0);
    check_eq!(PLAIN.load(Ordering::Relaxed), RUNS.load(Ordering::Relaxed));
    // Asked for again before it has begun it runs once, so how often is chance.
    check!(RUNS.load(Ordering::Relaxed) > 0);
}

/// Two that wait inside for each other: both come through only if they run at the same time.
struct Meeting {
    arrived: AtomicU32,
    met: AtomicU32,
}

impl Meeting {
    const fn new() -> Self {
        Self { arrived: AtomicU32::new(0), met: AtomicU32::new(0) }
    }

    fn meet(&self) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        if wait_until(|| self.arrived.load(Ordering::Relaxed) == 2) {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn have_met(&self) -> bool {
        wait_until(|| self.met.load(Ordering::Relaxed) == 2)
    }
}

// Question 2: data that tasklets of different kinds share? It must: two of them run on two cores at once.
case!(question_2_different_tasklets_run_at_the_same_time);
fn question_2_different_tasklets_run_at_the_same_time() {
    static MEETING: Meeting = Meeting::new();
    static ONE: Tasklet<()> = Tasklet::new((), |_| MEETING.meet());
    static OTHER: Tasklet<()> = Tasklet::new((), |_| MEETING.meet());
    check!(init::call_in_idle_thread(1, || _ = ONE.schedule()));
    check!(init::call_in_idle_thread(2, || _ = OTHER.schedule()));
    check!(MEETING.have_met());
}

// Question 3: data that only one softirq shares with itself? It must: two cores serve the same softirq at once. Here that of the timers.
case!(question_3_a_softirq_runs_on_two_cores_at_the_same_time);
fn question_3_a_softirq_runs_on_two_cores_at_the_same_time() {
    static MEETING: Meeting = Meeting::new();
    static ONE: Timer<()> = Timer::new((), |_| MEETING.meet());
    static OTHER: Timer<()> = Timer::new((), |_| MEETING.meet());
    check!(init::call_in_idle_thread(1, || _ = ONE.start(Duration::ZERO)));
    check!(init::call_in_idle_thread(2, || _ = OTHER.start(Duration::ZERO)));
    check!(MEETING.have_met());
}

// Question 4: data that different softirqs share? It must: they run on two cores at once...
case!(question_4_different_softirqs_run_at_the_same_time);
fn question_4_different_softirqs_run_at_the_same_time() {
    static MEETING: Meeting = Meeting::new();
    static ONE: Timer<()> = Timer::new((), |_| MEETING.meet());
    static OTHER: Tasklet<()> = Tasklet::new((), |_| MEETING.meet());
    check!(init::call_in_idle_thread(1, || _ = ONE.start(Duration::ZERO)));
    check!(init::call_in_idle_thread(2, || _ = OTHER.schedule()));
    check!(MEETING.have_met());
}

// ...but never one inside another on the same core, so a plain spinlock is enough among them.
case!(on_one_core_a_softirq_is_never_interrupted_by_another);
fn on_one_core_a_softirq_is_never_interrupted_by_another() {
    static ORDER: AtomicU32 = AtomicU32::new(0);
    static INNER: Tasklet<()> = Tasklet::new_hi((), |_| ORDER.store(ORDER.load(Ordering::Relaxed) * 10 + 2, Ordering::Relaxed));
    static OUTER: Tasklet<()> = Tasklet::new((), |_| {
        INNER.schedule();
        ipi::interrupt_self(|| ());
        ORDER.store(ORDER.load(Ordering::Relaxed) * 10 + 1, Ordering::Relaxed);
    });
    OUTER.schedule();
    check!(wait_until(|| ORDER.load(Ordering::Relaxed) == 12));
}

case!(disabled_it_waits_and_enabled_it_runs);
fn disabled_it_waits_and_enabled_it_runs() {
    let before = runs();
    COUNTED.disable();
    COUNTED.disable();
    check!(COUNTED.schedule());
    core::pin::Pin::static_ref(&COUNTED).enable();
    check_eq!(runs(), before);
    core::pin::Pin::static_ref(&COUNTED).enable();
    check_eq!(runs(), before + 1);
}

case!(killed_before_it_began_it_does_not_run);
fn killed_before_it_began_it_does_not_run() {
    let before = runs();
    COUNTED.disable();
    check!(COUNTED.schedule() && COUNTED.kill() && !COUNTED.kill());
    core::pin::Pin::static_ref(&COUNTED).enable();
    check_eq!(runs(), before);
    check!(COUNTED.schedule());
    check_eq!(runs(), before + 1);
}

case!(one_that_is_dropped_is_waited_for);
fn one_that_is_dropped_is_waited_for() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static ENDED: AtomicBool = AtomicBool::new(false);
    fn slow(_: core::pin::Pin<&Tasklet<()>>) {
        BEGUN.store(true, Ordering::Release);
        time::udelay(20_000);
        ENDED.store(true, Ordering::Release);
    }
    {
        let tasklet = pin!(Tasklet::new((), slow));
        let tasklet = tasklet.as_ref();
        check!(ipi::call_on(1, || _ = tasklet.schedule_pinned()).is_ok());
        check!(wait_until(|| BEGUN.load(Ordering::Acquire)));
    }
    check!(ENDED.load(Ordering::Acquire));
}

case!(one_that_asks_for_itself_for_ever_leaves_the_machine_usable);
fn one_that_asks_for_itself_for_ever_leaves_the_machine_usable() {
    static STOP: AtomicBool = AtomicBool::new(false);
    static ENDLESS: Tasklet<AtomicU64> = Tasklet::new(AtomicU64::new(0), |tasklet| {
        tasklet.data().fetch_add(1, Ordering::Relaxed);
        if !STOP.load(Ordering::Relaxed) {
            tasklet.schedule_pinned();
        }
    });
    let before: u32 = (0..4).map(softirq::nr_overloads).sum();
    ENDLESS.schedule();
    // This thread goes on, and interrupts and timers as well.
    let start = time::uptime();
    let rounds = ENDLESS.data().load(Ordering::Relaxed);
    check!(wait_until(|| ENDLESS.data().load(Ordering::Relaxed) > rounds + 30 && time::uptime() > start + Duration::from_millis(50)));
    STOP.store(true, Ordering::Relaxed);
    check!(wait_until(|| !ENDLESS.is_scheduled()));
    check!((0..4).map(softirq::nr_overloads).sum::<u32>() > before);
}

case!(softirqs_are_counted);
fn softirqs_are_counted() {
    let served = || (0..4).map(|cpu| softirq::nr_served(cpu, Softirq::Tasklet)).sum::<u32>();
    let before = served();
    COUNTED.schedule();
    check!(served() > before);
}

case!(a_kill_that_could_not_end_is_reported, alone: "expect Kernel panic .*killed or dropped while it is queued or runs, by a softirq\nexit 101");
fn a_kill_that_could_not_end_is_reported() {
    static SUICIDE: Tasklet<()> = Tasklet::new((), |tasklet| _ = tasklet.kill());
    SUICIDE.schedule();
}

case!(a_softirq_that_keeps_a_section_is_reported, alone: "expect Kernel panic .*softirq TASKLET came with count 0x100 and left 0x101\nexit 101");
fn a_softirq_that_keeps_a_section_is_reported() {
    static FORGETFUL: Tasklet<()> = Tasklet::new((), |_| cpu::preempt::preempt_disable());
    FORGETFUL.schedule();
}

/// Counts its runs, after a sleep.
static SLEEPY: Work<AtomicU32> = Work::new(AtomicU32::new(0), |work| {
    sched::msleep(5);
    work.data().fetch_add(1, Ordering::Relaxed);
});

case!(work_runs_in_a_thread_that_may_sleep);
fn work_runs_in_a_thread_that_may_sleep() {
    let before = SLEEPY.data().load(Ordering::Relaxed);
    ipi::interrupt_self(|| check!(SLEEPY.schedule()));
    SLEEPY.flush();
    check_eq!(SLEEPY.data().load(Ordering::Relaxed), before + 1);
    for cpu in 0..4 {
        check!(core::pin::Pin::static_ref(&SLEEPY).schedule_on(cpu));
        SLEEPY.flush();
    }
    check!(core::pin::Pin::static_ref(&SLEEPY).schedule_unbound());
    workqueue::flush();
    check_eq!(SLEEPY.data().load(Ordering::Relaxed), before + 6);
}

case!(bound_work_runs_on_its_core);
fn bound_work_runs_on_its_core() {
    static WHERE: Work<AtomicU32> = Work::new(AtomicU32::new(99), |work| work.data().store(cpu::id() as u32, Ordering::Relaxed));
    for cpu in [2, 0, 3, 1] {
        check!(core::pin::Pin::static_ref(&WHERE).schedule_on(cpu));
        WHERE.flush();
        check_eq!(WHERE.data().load(Ordering::Relaxed), cpu as u32);
    }
}

case!(work_asked_for_from_four_cores_never_runs_twice_at_once);
fn work_asked_for_from_four_cores_never_runs_twice_at_once() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    static OVERLAPS: AtomicU32 = AtomicU32::new(0);
    static RUNS: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    static SHARED: Work<()> = Work::new((), |_| {
        OVERLAPS.fetch_add(u32::from(INSIDE.swap(true, Ordering::Relaxed)), Ordering::Relaxed);
        sched::yield_now();
        RUNS.fetch_add(1, Ordering::Relaxed);
        INSIDE.store(false, Ordering::Relaxed);
    });
    fn ask() {
        for _ in 0..200 {
            SHARED.schedule();
            sched::yield_now();
        }
        DONE.fetch_add(1, Ordering::Release);
    }
    for cpu in 1..4 {
        check!(init::call_in_idle_thread(cpu, ask));
    }
    ask();
    check!(wait_until(|| DONE.load(Ordering::Acquire) == 4));
    SHARED.flush();
    check!(RUNS.load(Ordering::Relaxed) > 0);
    check_eq!(OVERLAPS.load(Ordering::Relaxed), 0);
}

case!(cancelled_work_does_not_run_and_is_waited_for);
fn cancelled_work_does_not_run_and_is_waited_for() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static ENDED: AtomicBool = AtomicBool::new(false);
    static SLOW: Work<()> = Work::new((), |_| {
        BEGUN.store(true, Ordering::Release);
        sched::msleep(30);
        ENDED.store(true, Ordering::Release);
    });
    static BEHIND: Work<AtomicU32> = Work::new(AtomicU32::new(0), |work| _ = work.data().fetch_add(1, Ordering::Relaxed));
    check!(core::pin::Pin::static_ref(&SLOW).schedule_on(1) && core::pin::Pin::static_ref(&BEHIND).schedule_on(1));
    check!(wait_until(|| BEGUN.load(Ordering::Acquire)));
    check!(BEHIND.cancel_sync());
    check!(!SLOW.cancel_sync() && ENDED.load(Ordering::Acquire));
    check_eq!(BEHIND.data().load(Ordering::Relaxed), 0);
}

case!(delayed_work_waits_and_can_be_cancelled);
fn delayed_work_waits_and_can_be_cancelled() {
    static LATER: DelayedWork<AtomicU32> = DelayedWork::new(AtomicU32::new(0), |work| _ = work.data().fetch_add(1, Ordering::Relaxed));
    let runs = || LATER.work().data().load(Ordering::Relaxed);
    let start = time::ktime_get();
    check!(!LATER.schedule(Duration::from_millis(30)) && LATER.is_pending());
    check!(wait_until(|| runs() == 1));
    check!(time::ktime_get() - start >= Duration::from_millis(30));
    check!(!LATER.schedule(Duration::from_millis(30)) && LATER.cancel_sync());
    sched::msleep(60);
    check_eq!(runs(), 1);
}
