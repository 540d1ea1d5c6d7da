//! RCU on four cores: nothing is freed under a reader, whatever context it reads in; callbacks come in order, in small rounds; sleeping cores sleep on;
//! and what the checks say.
//!
//! Case `an_early_free_is_seen` is the broken twin of the one before it: the same readers, and a writer that does not wait.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use tetra::irq::{Tasklet, ipi};
use tetra::mm::{GfpFlags, RcuBox};
use tetra::sched::kthread::{self, Builder, JoinHandle};
use tetra::sched::{self};
use tetra::sync::Completion;
use tetra::sync::rcu::{
    self, HIGH_MARK, MAX_BATCH, MAX_FLOOD_BATCH, Rcu, RcuHead, RcuList, RcuListNode, rcu_barrier, rcu_read_lock, synchronize_rcu,
    synchronize_rcu_expedited,
};
use tetra::{arch, cpu, time};
use tetra_tests::{case, check, check_eq, eventually, suite};

suite!();

const GOOD: u64 = 0x600d_600d_600d_600d;
const POISON: u64 = 0xdead_dead_dead_dead;

/// A value whose drop shows.
struct Canary {
    state: AtomicU64,
    dropped: &'static AtomicU32,
}

impl Canary {
    fn new(dropped: &'static AtomicU32) -> RcuBox<Self> {
        RcuBox::new(Self { state: AtomicU64::new(GOOD), dropped }, GfpFlags::KERNEL).expect("memory")
    }

    fn is_good(&self) -> bool {
        self.state.load(Ordering::Relaxed) == GOOD
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.state.store(POISON, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Readers on all cores but this one, until `STOP`.
struct Readers {
    handles: [JoinHandle<()>; 3],
}

static STOP: AtomicBool = AtomicBool::new(false);
static READS: AtomicU32 = AtomicU32::new(0);
/// How often readers found a value that was not good.
static NR_BAD: AtomicU32 = AtomicU32::new(0);

impl Readers {
    fn start(value: &'static Rcu<Canary>) -> Self {
        STOP.store(false, Ordering::Relaxed);
        READS.store(0, Ordering::Relaxed);
        NR_BAD.store(0, Ordering::Relaxed);
        let handles = [1, 2, 3].map(|cpu| {
            Builder::new("reader")
                .bind(cpu)
                .run(move || {
                    while !STOP.load(Ordering::Relaxed) {
                        let section = rcu_read_lock();
                        if let Some(canary) = value.read(&section) {
                            let is_good = (0..20).all(|_| {
                                arch::relax();
                                black_box(canary).is_good()
                            });
                            NR_BAD.fetch_add(u32::from(!is_good), Ordering::Relaxed);
                        }
                        drop(section);
                        READS.fetch_add(1, Ordering::Relaxed);
                        sched::cond_resched();
                    }
                })
                .unwrap()
        });
        check!(eventually(|| READS.load(Ordering::Relaxed) > 10));
        Self { handles }
    }

    fn stop(self) {
        STOP.store(true, Ordering::Relaxed);
        for handle in self.handles {
            check_eq!(handle.join(), Ok(()));
        }
    }
}

case!(nothing_is_freed_under_a_reader);
fn nothing_is_freed_under_a_reader() {
    static VALUE: Rcu<Canary> = Rcu::empty();
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    const ROUNDS: u32 = 300;
    let readers = Readers::start(&VALUE);
    for round in 0..ROUNDS {
        let old = VALUE.replace(Canary::new(&DROPPED));
        match round % 30 {
            0 => drop(old.map(|old| old.synchronize())),
            15 => drop(old.map(|old| old.synchronize_expedited())),
            _ => drop(old),
        }
        if round % 8 == 0 {
            sched::msleep(1);
        }
    }
    readers.stop();
    check_eq!(NR_BAD.load(Ordering::Relaxed), 0);
    drop(VALUE.take());
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), ROUNDS);
}

case!(an_early_free_is_seen);
fn an_early_free_is_seen() {
    static VALUE: Rcu<Canary> = Rcu::empty();
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    VALUE.assign(Canary::new(&DROPPED));
    let readers = Readers::start(&VALUE);
    let deadline = time::uptime() + Duration::from_secs(20);
    while NR_BAD.load(Ordering::Relaxed) == 0 && time::uptime() < deadline {
        for _ in 0..50 {
            if let Some(old) = VALUE.replace(Canary::new(&DROPPED)) {
                // What a writer that does not wait does to its readers; the memory itself stays until they are done.
                old.state.store(POISON, Ordering::Relaxed);
            }
            time::udelay(50);
        }
        sched::msleep(1);
    }
    readers.stop();
    check!(NR_BAD.load(Ordering::Relaxed) > 0);
    drop(VALUE.take());
    rcu_barrier();
}

/// Runs `hold` with a function that waits until it may return; meanwhile no grace period may end.
fn waits_for(hold: impl FnOnce(&'static AtomicBool, &'static AtomicBool)) {
    static IS_INSIDE: AtomicBool = AtomicBool::new(false);
    static MAY_LEAVE: AtomicBool = AtomicBool::new(false);
    static HAS_LEFT: AtomicBool = AtomicBool::new(false);
    IS_INSIDE.store(false, Ordering::Relaxed);
    MAY_LEAVE.store(false, Ordering::Relaxed);
    HAS_LEFT.store(false, Ordering::Relaxed);
    hold(&IS_INSIDE, &MAY_LEAVE);
    check!(eventually(|| IS_INSIDE.load(Ordering::Acquire)));
    let waiters = [synchronize_rcu as fn(), synchronize_rcu_expedited].map(|wait| {
        Builder::new("waiter")
            .bind(0)
            .run(move || {
                wait();
                HAS_LEFT.store(true, Ordering::Release);
            })
            .unwrap()
    });
    sched::msleep(60);
    check!(!HAS_LEFT.load(Ordering::Acquire));
    MAY_LEAVE.store(true, Ordering::Release);
    for waiter in waiters {
        check_eq!(waiter.join(), Ok(()));
    }
}

/// Stays where it is until it may leave. Ends by itself, so that a failure does not hang.
fn stay(is_inside: &AtomicBool, may_leave: &AtomicBool) {
    is_inside.store(true, Ordering::Release);
    let deadline = time::uptime() + Duration::from_secs(10);
    while !may_leave.load(Ordering::Acquire) && time::uptime() < deadline {
        arch::relax();
    }
}

case!(a_reader_in_a_thread_is_waited_for);
fn a_reader_in_a_thread_is_waited_for() {
    waits_for(|is_inside, may_leave| {
        let reader = Builder::new("reader").bind(1).run(|| {
            let outer = rcu_read_lock();
            let inner = rcu_read_lock();
            drop(outer);
            stay(is_inside, may_leave);
            drop(inner);
        });
        reader.unwrap().detach();
    });
}

case!(a_preemption_off_section_is_waited_for);
fn a_preemption_off_section_is_waited_for() {
    waits_for(|is_inside, may_leave| {
        let reader = Builder::new("pinned").bind(2).run(|| {
            let _pinned = cpu::PreemptGuard::new();
            stay(is_inside, may_leave);
        });
        reader.unwrap().detach();
    });
}

case!(a_reader_in_a_softirq_is_waited_for);
fn a_reader_in_a_softirq_is_waited_for() {
    static FLAGS: [core::sync::atomic::AtomicPtr<AtomicBool>; 2] = [const { core::sync::atomic::AtomicPtr::new(ptr::null_mut()) }; 2];
    static TASKLET: Tasklet<()> = Tasklet::new((), |_| {
        // SAFETY: statics, stored below before the tasklet is scheduled.
        let [is_inside, may_leave] = [0, 1].map(|at| unsafe { &*FLAGS[at].load(Ordering::Acquire) });
        let _section = rcu_read_lock();
        stay(is_inside, may_leave);
    });
    waits_for(|is_inside, may_leave| {
        FLAGS[0].store(ptr::from_ref(is_inside).cast_mut(), Ordering::Release);
        FLAGS[1].store(ptr::from_ref(may_leave).cast_mut(), Ordering::Release);
        Builder::new("raiser").bind(3).run(|| TASKLET.schedule()).unwrap().detach();
    });
    TASKLET.kill();
}

case!(a_reader_in_a_hardirq_is_waited_for);
fn a_reader_in_a_hardirq_is_waited_for() {
    waits_for(|is_inside, may_leave| {
        let caller = Builder::new("caller").bind(2).run(|| {
            let _ = ipi::call_on(1, || {
                let _section = rcu_read_lock();
                stay(is_inside, may_leave);
            });
        });
        caller.unwrap().detach();
    });
}

case!(sleeping_cores_are_not_woken);
fn sleeping_cores_are_not_woken() {
    const CALLS: u32 = 40;
    // Whatever earlier cases had them do is done.
    check!(eventually(|| (1..4).all(|cpu| rcu::core_state(cpu).is_asleep)));
    let state = || [1, 2, 3].map(rcu::core_state);
    let before = state();
    for _ in 0..CALLS / 2 {
        synchronize_rcu();
        synchronize_rcu_expedited();
    }
    let after = state();
    for (before, after) in before.iter().zip(&after) {
        // They may have been up for something else now and then.
        check!(after.nr_kicks - before.nr_kicks <= CALLS / 8);
        check!((after.watch - before.watch) / 2 <= u64::from(CALLS / 2));
    }
}

case!(grace_periods_end_while_all_cores_are_busy);
fn grace_periods_end_while_all_cores_are_busy() {
    STOP.store(false, Ordering::Relaxed);
    let busy = [1, 2, 3].map(|cpu| {
        let spin = || {
            while !STOP.load(Ordering::Relaxed) {
                arch::relax();
            }
        };
        Builder::new("busy").bind(cpu).run(spin).unwrap()
    });
    check!(eventually(|| (1..4).all(|cpu| !rcu::core_state(cpu).is_asleep)));
    let before = rcu::grace_period_seq();
    synchronize_rcu();
    let kicks = |cpu| rcu::core_state(cpu).nr_kicks;
    let kicks_before: u32 = (1..4).map(kicks).sum();
    synchronize_rcu_expedited();
    check!((1..4).map(kicks).sum::<u32>() > kicks_before);
    check!(rcu::grace_period_seq() >= before + 4);
    STOP.store(true, Ordering::Relaxed);
    for handle in busy {
        check_eq!(handle.join(), Ok(()));
    }
}

/// A callback that notes its turn.
#[repr(C)]
struct Turn {
    head: RcuHead,
    turn: AtomicU32,
}

static TURNS: AtomicU32 = AtomicU32::new(0);

unsafe fn take_turn(head: NonNull<RcuHead>) {
    // SAFETY: the head is the first field of a `Turn`, which is a static or lives until all turns were taken.
    let turn = unsafe { head.cast::<Turn>().as_ref() };
    turn.turn.store(TURNS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
}

fn queue(turn: &mut Turn) {
    // SAFETY: `rcu_barrier` is called before the turns go out of scope or are used again.
    unsafe { rcu::call_rcu(NonNull::from(turn).cast(), take_turn) };
}

case!(callbacks_run_in_order);
fn callbacks_run_in_order() {
    const NR: usize = 200;
    TURNS.store(0, Ordering::Relaxed);
    let mut turns = [(); NR].map(|()| Turn { head: RcuHead::new(), turn: AtomicU32::new(u32::MAX) });
    let seq = rcu::grace_period_seq();
    for (at, turn) in turns.iter_mut().enumerate() {
        queue(turn);
        if at % 64 == 0 {
            sched::msleep(5);
        }
    }
    rcu_barrier();
    check!(rcu::grace_period_seq() > seq);
    check!(turns.iter().enumerate().all(|(at, turn)| turn.turn.load(Ordering::Relaxed) == at as u32));
}

case!(a_barrier_waits_for_the_callbacks_of_all_cores);
fn a_barrier_waits_for_the_callbacks_of_all_cores() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static VALUES: [Rcu<Canary>; 4] = [const { Rcu::empty() }; 4];
    const EACH: u32 = 50;
    let handles = [0, 1, 2, 3].map(|cpu| {
        Builder::new("queuer").bind(cpu).run(move || (0..=EACH).for_each(|_| VALUES[cpu].assign(Canary::new(&DROPPED)))).unwrap()
    });
    for handle in handles {
        check_eq!(handle.join(), Ok(()));
    }
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), 4 * EACH);
    // Nothing is queued: it does not wait for ever.
    rcu_barrier();
    VALUES.iter().for_each(|value| drop(value.take()));
    rcu_barrier();
}

case!(a_barrier_waits_for_a_callback_that_runs);
fn a_barrier_waits_for_a_callback_that_runs() {
    static STAGE: AtomicU32 = AtomicU32::new(0);
    unsafe fn take_long(_: NonNull<RcuHead>) {
        STAGE.store(1, Ordering::Relaxed);
        time::mdelay(100);
        STAGE.store(2, Ordering::Relaxed);
    }
    let mut head = RcuHead::new();
    let head = (&raw mut head).expose_provenance();
    let queuer = Builder::new("queuer").bind(1).run(move || {
        let head = NonNull::new(ptr::with_exposed_provenance_mut(head)).expect("on the stack");
        // SAFETY: it stays there until the barrier below has come back.
        unsafe { rcu::call_rcu(head, take_long) };
    });
    check_eq!(queuer.unwrap().join(), Ok(()));
    check!(eventually(|| STAGE.load(Ordering::Relaxed) != 0));
    rcu_barrier();
    check_eq!(STAGE.load(Ordering::Relaxed), 2);
}

case!(grace_periods_end_while_softirqs_do_not);
fn grace_periods_end_while_softirqs_do_not() {
    static IS_OVER: AtomicBool = AtomicBool::new(false);
    static AGAIN: Tasklet<()> = Tasklet::new((), |tasklet| {
        if !IS_OVER.load(Ordering::Relaxed) {
            tasklet.schedule_pinned();
        }
    });
    kthread::run("flood", || AGAIN.schedule()).unwrap().join().unwrap();
    (0..3).for_each(|_| synchronize_rcu());
    IS_OVER.store(true, Ordering::Relaxed);
}

case!(handlers_may_queue_callbacks);
fn handlers_may_queue_callbacks() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static VALUE: Rcu<Canary> = Rcu::empty();
    VALUE.assign(Canary::new(&DROPPED));
    ipi::interrupt_self(|| drop(VALUE.take()));
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), 1);
}

case!(a_callback_does_not_overtake_a_reader);
fn a_callback_does_not_overtake_a_reader() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static VALUE: Rcu<Canary> = Rcu::empty();
    static IS_INSIDE: Completion = Completion::new();
    static MAY_LEAVE: AtomicBool = AtomicBool::new(false);
    VALUE.assign(Canary::new(&DROPPED));
    let reader = Builder::new("reader").bind(1).run(|| {
        let section = rcu_read_lock();
        let canary = VALUE.read(&section).expect("assigned above");
        IS_INSIDE.complete();
        let deadline = time::uptime() + Duration::from_secs(10);
        while !MAY_LEAVE.load(Ordering::Acquire) && time::uptime() < deadline {
            arch::relax();
        }
        canary.is_good()
    });
    IS_INSIDE.wait();
    drop(VALUE.take());
    sched::msleep(60);
    check_eq!(DROPPED.load(Ordering::Relaxed), 0);
    MAY_LEAVE.store(true, Ordering::Release);
    check_eq!(reader.unwrap().join(), Ok(true));
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), 1);
}

/// Pages that no zone has given away.
fn free_pages() -> usize {
    tetra::mm::page_alloc::zones().iter().map(|zone| zone.nr_free()).sum()
}

case!(a_backlog_is_run_in_larger_rounds_and_its_memory_comes_back);
fn a_backlog_is_run_in_larger_rounds_and_its_memory_comes_back() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static VALUE: Rcu<Canary> = Rcu::empty();
    static IS_INSIDE: AtomicBool = AtomicBool::new(false);
    static MAY_LEAVE: AtomicBool = AtomicBool::new(false);
    const NR: u32 = 100_000;
    check!(u64::from(NR) > HIGH_MARK);
    let flood = |nr: u32| {
        IS_INSIDE.store(false, Ordering::Relaxed);
        MAY_LEAVE.store(false, Ordering::Relaxed);
        // The grace period cannot end before all are queued.
        let reader = Builder::new("reader").bind(1).run(|| {
            let _section = rcu_read_lock();
            IS_INSIDE.store(true, Ordering::Release);
            let deadline = time::uptime() + Duration::from_secs(60);
            while !MAY_LEAVE.load(Ordering::Acquire) && time::uptime() < deadline {
                arch::relax();
            }
        });
        let queuer = Builder::new("flood").bind(2).run(move || {
            check!(eventually(|| IS_INSIDE.load(Ordering::Acquire)));
            (0..nr).for_each(|_| VALUE.assign(Canary::new(&DROPPED)));
            drop(VALUE.take());
            MAY_LEAVE.store(true, Ordering::Release);
        });
        check_eq!(queuer.unwrap().join(), Ok(()));
        check_eq!(reader.unwrap().join(), Ok(()));
        rcu_barrier();
        free_pages()
    };
    let free_after_one = flood(NR);
    let stats = rcu::callback_stats(2);
    check!(stats.max_batch > MAX_BATCH && stats.max_batch <= MAX_FLOOD_BATCH);
    // Nothing of a second flood stays behind.
    check!(flood(NR / 10) + 64 >= free_after_one);
    check_eq!(DROPPED.load(Ordering::Relaxed), NR + NR / 10);
}

case!(a_flood_of_callbacks_runs_in_small_rounds);
fn a_flood_of_callbacks_runs_in_small_rounds() {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    static VALUE: Rcu<Canary> = Rcu::empty();
    const NR: u32 = 5000;
    let before = rcu::callback_stats(0);
    for _ in 0..=NR {
        VALUE.assign(Canary::new(&DROPPED));
    }
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), NR);
    let after = rcu::callback_stats(0);
    check!(after.max_batch <= MAX_BATCH);
    check!(after.invoked - before.invoked >= u64::from(NR));
    check!(after.rounds - before.rounds >= u64::from(NR) / MAX_BATCH);
    drop(VALUE.take());
    rcu_barrier();
}

case!(a_list_is_walked_while_it_changes);
fn a_list_is_walked_while_it_changes() {
    static LIST: RcuList<AtomicU32> = RcuList::new();
    const STAY: u32 = 5;
    fn put(value: u32) {
        let node = RcuBox::new(RcuListNode::new(AtomicU32::new(value)), GfpFlags::KERNEL).expect("memory");
        LIST.lock().push_front(node);
    }
    (0..STAY).for_each(put);
    STOP.store(false, Ordering::Relaxed);
    let walkers = [1, 2, 3].map(|cpu| {
        let walk = || {
            let mut nr_walks = 0;
            while !STOP.load(Ordering::Relaxed) || nr_walks == 0 {
                let section = rcu_read_lock();
                let found = LIST.iter(&section).filter(|value| value.load(Ordering::Relaxed) < STAY).count();
                drop(section);
                if found != STAY as usize {
                    return Err(found);
                }
                nr_walks += 1;
                sched::cond_resched();
            }
            Ok(())
        };
        Builder::new("walker").bind(cpu).run(walk).unwrap()
    });
    for round in 0..300 {
        put(100 + round % 3);
        if round % 3 == 2 {
            let removed = LIST.lock().remove_first(|value| value.load(Ordering::Relaxed) == 101);
            check!(removed.is_some());
            check_eq!(LIST.lock().retain(|value| value.load(Ordering::Relaxed) < STAY), 2);
            sched::msleep(1);
        }
    }
    STOP.store(true, Ordering::Relaxed);
    for walker in walkers {
        check_eq!(walker.join(), Ok(Ok(())));
    }
    check_eq!(LIST.lock().retain(|_| false), STAY as usize);
    rcu_barrier();
}

case!(writers_without_a_lock_build_on_what_they_read);
fn writers_without_a_lock_build_on_what_they_read() {
    static SUM: Rcu<u32> = Rcu::empty();
    const EACH: u32 = 100;
    SUM.assign(RcuBox::new(0, GfpFlags::KERNEL).unwrap());
    let adders = [0, 1, 2, 3].map(|cpu| {
        let add = || {
            for _ in 0..EACH {
                let mut new = RcuBox::new(0, GfpFlags::KERNEL).unwrap();
                loop {
                    let section = rcu_read_lock();
                    let current = SUM.read(&section).expect("never empty");
                    *new = current + 1;
                    match SUM.replace_if(&section, current, new) {
                        Ok(old) => break drop(old),
                        Err(back) => new = back,
                    }
                }
            }
        };
        Builder::new("adder").bind(cpu).run(add).unwrap()
    });
    for adder in adders {
        check_eq!(adder.join(), Ok(()));
    }
    check_eq!(SUM.take().map(|sum| *sum), Some(4 * EACH));
    rcu_barrier();
}

case!(strict_grace_periods_are_hurried);
fn strict_grace_periods_are_hurried() {
    static VALUE: Rcu<Canary> = Rcu::empty();
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    check!(rcu::set_strict(true));
    let readers = Readers::start(&VALUE);
    let kicks = || (1..4).map(|cpu| rcu::core_state(cpu).nr_kicks).sum::<u32>();
    let before = kicks();
    for _ in 0..20 {
        drop(VALUE.replace(Canary::new(&DROPPED)));
        synchronize_rcu();
    }
    check!(kicks() > before);
    readers.stop();
    check_eq!(NR_BAD.load(Ordering::Relaxed), 0);
    check!(rcu::set_strict(false));
    drop(VALUE.take());
    rcu_barrier();
    check_eq!(DROPPED.load(Ordering::Relaxed), 20);
}

case!(sections_leave_the_count_as_they_found_it);
fn sections_leave_the_count_as_they_found_it() {
    let before = cpu::preempt_count();
    let place = rcu::rcu_read_lock_place();
    check!(place.is_none() && !rcu::rcu_read_lock_held());
    let outer = rcu_read_lock();
    let inner = rcu_read_lock();
    let place = rcu::rcu_read_lock_place();
    check!(place.is_some_and(|place| place.file().ends_with("rcu.rs")));
    drop(outer);
    check!(rcu::rcu_read_lock_held() && rcu::rcu_read_lock_place().is_some());
    drop(inner);
    check_eq!(cpu::preempt_count(), before);
    check!(rcu::rcu_read_lock_place().is_none());
}

case!(
    a_stall_is_reported,
    alone: "append rcu_stall_timeout=1\nexpect rcu: stall: grace period \\d+ has waited \\d+ ms for cpu1 .noticed on cpu\nexpect rcu: cpu1 runs dawdler .pid \\d+., count 0x1.*in a read section that began at .*rcu.rs\nexpect a_stall_is_reported\nexpect rcu: a section there does not end\nexpect has waited\nexit 0"
);
fn a_stall_is_reported() {
    let dawdler = Builder::new("dawdler").bind(1).run(|| {
        let _section = rcu_read_lock();
        time::udelay(3_500_000);
    });
    sched::msleep(50);
    synchronize_rcu();
    check!(rcu::nr_stall_reports() >= 1 && rcu::nr_stall_reports() <= 3);
    check_eq!(dawdler.unwrap().join(), Ok(()));
}

case!(
    a_stall_with_interrupts_off_is_reported,
    alone: "append rcu_stall_timeout=1\nexpect rcu: stall: .* for cpu2 .noticed on cpu\nexpect cpu2 does not answer: it has interrupts off\nexit 0"
);
fn a_stall_with_interrupts_off_is_reported() {
    let deaf = Builder::new("deaf").bind(2).run(|| {
        let _irqs_off = cpu::IrqGuard::new();
        let deadline = time::uptime() + Duration::from_millis(2500);
        while time::uptime() < deadline {}
    });
    sched::msleep(50);
    synchronize_rcu();
    check_eq!(deaf.unwrap().join(), Ok(()));
}

case!(
    a_load_outside_of_a_section_is_reported,
    alone: "expect BUG: rcu_dereference outside of a read section\nexpect at .*rcu.rs:\\d+, cpu0, thread init\nexit 0"
);
fn a_load_outside_of_a_section_is_reported() {
    let pointer = tetra::sync::atomic::AtomicPtr::<u32>::new(ptr::null_mut());
    let section = rcu_read_lock();
    check!(rcu::rcu_dereference(&pointer).is_null());
    drop(section);
    check!(rcu::rcu_dereference(&pointer).is_null());
    black_box(());
}

case!(
    sleeping_in_a_section_is_reported,
    alone: "expect BUG: sleeping function called from invalid context at .*rcu.rs\nexpect BUG: atomic since rcu_read_lock.. was called at .*rcu.rs\nexpect Kernel panic .*scheduling while atomic\nexit 101"
);
fn sleeping_in_a_section_is_reported() {
    let _section = rcu_read_lock();
    synchronize_rcu();
}

case!(kthreads_that_end_leave_no_section);
fn kthreads_that_end_leave_no_section() {
    check_eq!(kthread::run("reader", || drop(rcu_read_lock())).unwrap().join(), Ok(()));
    synchronize_rcu();
}
