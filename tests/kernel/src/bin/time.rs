//! Clocks and timers: never early, in order, safe to cancel; and an idle core without a tick.
#![no_std]
#![no_main]

use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use tetra::irq::ipi;
use tetra::time::{self, HrTimer, Ktime, Timer, hrtimer, timer};
use tetra::{arch, cpu, init, sched};
use tetra_tests::{case, check, check_eq, suite};

suite!();

/// Waits until `done`, at most `seconds`. False if it never came.
fn wait_until(seconds: u64, done: impl Fn() -> bool) -> bool {
    let deadline = time::uptime() + Duration::from_secs(seconds);
    while !done() {
        if time::uptime() > deadline {
            return false;
        }
        arch::relax();
    }
    true
}

/// Steele and Vigna's SplitMix64: numbers that look random.
fn random(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

case!(the_clock_never_goes_back_on_any_core);
fn the_clock_never_goes_back_on_any_core() {
    static LAST: AtomicU64 = AtomicU64::new(0);
    for round in 0..40 {
        let sent = ipi::call_on(round % 4, || {
            let now = time::ktime_get().as_ns();
            check!(LAST.swap(now, Ordering::Relaxed) <= now);
        });
        check!(sent.is_ok());
    }
    let (before, jiffies) = (time::ktime_get(), time::jiffies());
    time::udelay(50_000);
    check!(time::ktime_get() - before >= Duration::from_millis(50));
    check!(time::jiffies() >= jiffies + 4 && time::ktime_get_raw() > before);
    check!(time::uptime().as_secs() < 600 && time::jiffies() / time::HZ == time::uptime().as_secs());
}

case!(udelay_is_never_early);
fn udelay_is_never_early() {
    for us in [0, 1, 3, 10, 100, 999] {
        let start = time::ktime_get();
        time::udelay(us);
        check!(time::ktime_get() - start >= Duration::from_micros(us));
    }
}

/// What is known of one random timer.
struct Shot {
    armed: AtomicU64,
    after: AtomicU64,
    fired: AtomicU32,
}

const NR_TIMERS: usize = 10_000;
const PER_CORE: usize = NR_TIMERS / 4;
/// Latest key that has fired on each core.
static LATEST: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static EARLY: AtomicU32 = AtomicU32::new(0);
static OUT_OF_ORDER: AtomicU32 = AtomicU32::new(0);
static FIRED: AtomicU32 = AtomicU32::new(0);

impl Shot {
    const fn new() -> Self {
        Self { armed: AtomicU64::new(0), after: AtomicU64::new(0), fired: AtomicU32::new(0) }
    }

    fn arm(&self, after: Duration) {
        self.armed.store(time::ktime_get().as_ns(), Ordering::Relaxed);
        self.after.store(after.as_nanos() as u64, Ordering::Relaxed);
    }

    fn fire(&self, key: u64) {
        let due = self.armed.load(Ordering::Relaxed) + self.after.load(Ordering::Relaxed);
        EARLY.fetch_add(u32::from(time::ktime_get().as_ns() < due), Ordering::Relaxed);
        OUT_OF_ORDER.fetch_add(u32::from(LATEST[cpu::id()].swap(key, Ordering::Relaxed) > key), Ordering::Relaxed);
        self.fired.fetch_add(1, Ordering::Relaxed);
        FIRED.fetch_add(1, Ordering::Relaxed);
    }
}

fn begin_shots() {
    for latest in &LATEST {
        latest.store(0, Ordering::Relaxed);
    }
    FIRED.store(0, Ordering::Relaxed);
}

fn check_shots(nr_timers: usize) {
    check!(wait_until(60, || FIRED.load(Ordering::Relaxed) as usize >= nr_timers));
    time::udelay(30_000);
    check_eq!(FIRED.load(Ordering::Relaxed) as usize, nr_timers);
    check_eq!(EARLY.load(Ordering::Relaxed), 0);
    check_eq!(OUT_OF_ORDER.load(Ordering::Relaxed), 0);
}

case!(ten_thousand_random_timers_on_four_cores_fire_in_order_and_none_early);
fn ten_thousand_random_timers_on_four_cores_fire_in_order_and_none_early() {
    static TIMERS: [Timer<Shot>; NR_TIMERS] = [const { Timer::new(Shot::new(), |timer| timer.data().fire(timer.expires())) }; NR_TIMERS];
    fn arm_mine() {
        let first = cpu::id() * PER_CORE;
        for (number, timer) in TIMERS.iter().enumerate().skip(first).take(PER_CORE) {
            // Near and far, so that several levels of the wheel are used.
            let range_us = if random(number as u64).is_multiple_of(4) { 3_000_000 } else { 300_000 };
            let after = Duration::from_micros(random(number as u64 + 77) % range_us);
            timer.data().arm(after);
            timer.start(after);
        }
    }
    begin_shots();
    for cpu in 1..4 {
        check!(init::call_in_idle_thread(cpu, arm_mine));
    }
    arm_mine();
    check_shots(NR_TIMERS);
    check!(TIMERS.iter().all(|timer| timer.data().fired.load(Ordering::Relaxed) == 1 && !timer.is_pending()));
}

case!(random_high_resolution_timers_on_four_cores_fire_in_order_and_none_early);
fn random_high_resolution_timers_on_four_cores_fire_in_order_and_none_early() {
    const NR: usize = 2000;
    static TIMERS: [HrTimer<Shot>; NR] = [const { HrTimer::new(Shot::new(), |timer| timer.data().fire(timer.expires().as_ns())) }; NR];
    fn arm_mine() {
        let first = cpu::id() * (NR / 4);
        let base = time::ktime_get() + Duration::from_millis(20);
        // None fires before all are armed, however slow the host: one that is armed after its time would rightly come late.
        let _irqs_off = cpu::IrqGuard::new();
        for (number, timer) in TIMERS.iter().enumerate().skip(first).take(NR / 4) {
            let when = base + Duration::from_nanos(random(number as u64) % 500_000_000);
            timer.data().armed.store(when.as_ns(), Ordering::Relaxed);
            Pin::static_ref(timer).start_at(when);
        }
    }
    begin_shots();
    for cpu in 1..4 {
        check!(init::call_in_idle_thread(cpu, arm_mine));
    }
    arm_mine();
    check_shots(NR);
    check!(TIMERS.iter().all(|timer| timer.data().fired.load(Ordering::Relaxed) == 1));
}

/// Something that notices when it is used after its time.
struct Watched {
    inside: AtomicBool,
    runs: AtomicU32,
}

impl Watched {
    const fn new() -> Self {
        Self { inside: AtomicBool::new(false), runs: AtomicU32::new(0) }
    }

    fn run(&self) {
        self.inside.store(true, Ordering::Relaxed);
        time::udelay(20);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.inside.store(false, Ordering::Relaxed);
    }

    /// Nobody is inside, and nobody comes.
    fn is_quiet(&self) -> bool {
        let runs = self.runs.load(Ordering::Relaxed);
        let inside = self.inside.load(Ordering::Relaxed);
        time::udelay(30);
        !inside && !self.inside.load(Ordering::Relaxed) && self.runs.load(Ordering::Relaxed) == runs
    }
}

case!(after_cancel_sync_the_function_does_not_run);
fn after_cancel_sync_the_function_does_not_run() {
    static RACER: HrTimer<Watched> = HrTimer::new(Watched::new(), |timer| {
        timer.data().run();
        // Every other time it arms itself again, so that the cancel meets that as well.
        if timer.data().runs.load(Ordering::Relaxed) % 2 == 0 {
            timer.start_pinned(Duration::from_micros(20));
        }
    });
    let (mut prevented, mut late) = (0, 0);
    for round in 0..300 {
        let before = RACER.data().runs.load(Ordering::Relaxed);
        let after = Duration::from_micros(random(round) % 100);
        check!(ipi::call_on(1 + round as usize % 3, || _ = RACER.start(after)).is_ok());
        time::udelay(random(round + 1000) % 100);
        let was_armed = RACER.cancel_sync();
        check!(RACER.data().is_quiet() && !RACER.is_pending());
        prevented += u32::from(was_armed);
        late += u32::from(RACER.data().runs.load(Ordering::Relaxed) > before);
    }
    // Both sides of the race were seen.
    check!(prevented > 0 && late > 0);
}

case!(cores_that_arm_and_cancel_one_timer_never_run_it_twice_at_once);
fn cores_that_arm_and_cancel_one_timer_never_run_it_twice_at_once() {
    static OVERLAPS: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    static CONTESTED: HrTimer<Watched> = HrTimer::new(Watched::new(), |timer| {
        OVERLAPS.fetch_add(u32::from(timer.data().inside.load(Ordering::Relaxed)), Ordering::Relaxed);
        timer.data().run();
    });
    fn contest() {
        for round in 0..150 {
            CONTESTED.start(Duration::from_micros(random(round * 4 + cpu::id() as u64) % 50));
            time::udelay(random(round) % 40);
            if round % 3 == 0 {
                CONTESTED.cancel_sync();
            }
        }
        DONE.fetch_add(1, Ordering::Release);
    }
    for cpu in 1..4 {
        check!(init::call_in_idle_thread(cpu, contest));
    }
    contest();
    check!(wait_until(30, || DONE.load(Ordering::Acquire) == 4));
    CONTESTED.cancel_sync();
    check!(CONTESTED.data().is_quiet());
    check_eq!(OVERLAPS.load(Ordering::Relaxed), 0);
    check!(CONTESTED.data().runs.load(Ordering::Relaxed) > 0);
}

case!(a_timer_that_is_dropped_does_not_fire);
fn a_timer_that_is_dropped_does_not_fire() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..20 {
        let timer = pin!(Timer::new([0u64; 8], |_| _ = RUNS.fetch_add(1, Ordering::Relaxed)));
        let hrtimer = pin!(HrTimer::new([0u64; 8], |_| _ = RUNS.fetch_add(1, Ordering::Relaxed)));
        timer.as_ref().start_pinned(Duration::from_millis(20));
        hrtimer.as_ref().start_pinned(Duration::from_millis(20));
    }
    time::udelay(60_000);
    check_eq!(RUNS.load(Ordering::Relaxed), 0);
}

case!(a_period_does_not_drift);
fn a_period_does_not_drift() {
    const PERIOD: Duration = Duration::from_millis(1);
    static BEATS: HrTimer<AtomicU64> = HrTimer::new(AtomicU64::new(0), |timer| {
        let passed = timer.forward(PERIOD);
        timer.data().fetch_add(passed, Ordering::Relaxed);
    });
    let first = time::ktime_get() + Duration::from_millis(200);
    Pin::static_ref(&BEATS).start_at(first);
    check!(wait_until(10, || BEATS.data().load(Ordering::Relaxed) >= 100));
    BEATS.cancel_sync();
    let beats = BEATS.data().load(Ordering::Relaxed);
    // The first deadline was rounded up to a tick of the counter; the others lie whole periods after it.
    let last = BEATS.expires() - first;
    check!(last >= PERIOD * beats as u32 && last < PERIOD * beats as u32 + Duration::from_nanos(100));
    check!(time::ktime_get() + PERIOD >= BEATS.expires());
}

case!(a_timer_moves_to_the_core_that_arms_it);
fn a_timer_moves_to_the_core_that_arms_it() {
    static RAN_ON: AtomicU32 = AtomicU32::new(99);
    static MOVED: Timer<()> = Timer::new((), |_| RAN_ON.store(cpu::id() as u32, Ordering::Relaxed));
    check!(ipi::call_on(1, || _ = MOVED.start(Duration::from_secs(100))).is_ok());
    check!(ipi::call_on(3, || check!(MOVED.start(Duration::from_millis(5)))).is_ok());
    check!(wait_until(5, || RAN_ON.load(Ordering::Relaxed) != 99));
    check_eq!(RAN_ON.load(Ordering::Relaxed), 3);
}

case!(what_is_due_already_fires_soon_and_one_armed_for_the_past_in_its_function_does_not_hold_the_core);
fn what_is_due_already_fires_soon_and_one_armed_for_the_past_in_its_function_does_not_hold_the_core() {
    static PAST: Timer<AtomicU32> = Timer::new(AtomicU32::new(0), |timer| {
        if timer.data().fetch_add(1, Ordering::Relaxed) < 3 {
            timer.start_at(0);
        }
    });
    static NOW: HrTimer<AtomicU32> = HrTimer::new(AtomicU32::new(0), |timer| _ = timer.data().fetch_add(1, Ordering::Relaxed));
    Pin::static_ref(&PAST).start_at(0);
    Pin::static_ref(&NOW).start_at(Ktime::from_ns(0));
    check!(wait_until(5, || NOW.data().load(Ordering::Relaxed) == 1));
    check!(wait_until(5, || PAST.data().load(Ordering::Relaxed) == 4));
}

case!(an_idle_core_takes_no_tick_and_a_busy_one_does);
fn an_idle_core_takes_no_tick_and_a_busy_one_does() {
    // A timer of an earlier case may still wake it once.
    time::udelay(50_000);
    let before: [u64; 4] = core::array::from_fn(time::ticks_of);
    time::udelay(200_000);
    for (cpu, before) in before.iter().enumerate().skip(1) {
        check!(time::ticks_of(cpu) <= before + 2);
    }
    static BEFORE: AtomicU64 = AtomicU64::new(0);
    BEFORE.store(time::ticks_of(2), Ordering::Relaxed);
    let five_ticks_later = || time::ticks_of(2) >= BEFORE.load(Ordering::Relaxed) + 5;
    // Busy until it has ticked, however little of its host's time it gets.
    let busy = || {
        let deadline = time::uptime() + Duration::from_secs(10);
        while time::ticks_of(2) < BEFORE.load(Ordering::Relaxed) + 5 && time::uptime() < deadline {
            core::hint::spin_loop();
        }
    };
    check!(init::call_in_idle_thread(2, busy));
    check!(wait_until(10, five_ticks_later));
}

case!(a_timer_wakes_an_idle_core_in_time);
fn a_timer_wakes_an_idle_core_in_time() {
    static FIRED_AT: AtomicU64 = AtomicU64::new(0);
    static ALARM: Timer<()> = Timer::new((), |_| FIRED_AT.store(time::ktime_get().as_ns(), Ordering::Relaxed));
    let start = time::ktime_get();
    check!(ipi::call_on(3, || _ = ALARM.start(Duration::from_millis(100))).is_ok());
    check!(wait_until(10, || FIRED_AT.load(Ordering::Relaxed) != 0));
    check!(Ktime::from_ns(FIRED_AT.load(Ordering::Relaxed)) - start >= Duration::from_millis(100));
}

case!(armed_timers_are_listed_with_their_functions);
fn armed_timers_are_listed_with_their_functions() {
    fn in_an_hour(_: Pin<&HrTimer<u8>>) {}
    fn in_two_hours(_: Pin<&Timer<u8>>) {}
    static PRECISE: HrTimer<u8> = HrTimer::new(0, in_an_hour);
    static COARSE: Timer<u8> = Timer::new(0, in_two_hours);
    let nr_of = |functions: [usize; 2]| {
        let lists = cpu::online().flat_map(|cpu| [hrtimer::list(cpu), timer::list(cpu)]);
        lists.map(|list| list.shown().iter().filter(|pending| functions.contains(&pending.function)).count()).sum::<usize>()
    };
    let functions = [in_an_hour as fn(Pin<&HrTimer<u8>>) as usize, in_two_hours as fn(Pin<&Timer<u8>>) as usize];
    check_eq!(nr_of(functions), 0);
    PRECISE.start(Duration::from_secs(3600));
    COARSE.start(Duration::from_secs(7200));
    check_eq!(nr_of(functions), 2);
    check!(PRECISE.cancel_sync() && COARSE.cancel_sync());
    check_eq!(nr_of(functions), 0);
}

case!(a_timer_that_waits_for_itself_is_reported, alone: "expect Kernel panic .*a timer's function, or what interrupted it, waits for its own end\nexit 101");
fn a_timer_that_waits_for_itself_is_reported() {
    static SUICIDE: Timer<()> = Timer::new((), |timer| _ = timer.cancel_sync());
    SUICIDE.start(Duration::ZERO);
    time::mdelay(1000);
}

case!(sleeps_are_never_early);
fn sleeps_are_never_early() {
    for millis in [0, 1, 10, 25] {
        let start = time::ktime_get();
        sched::msleep(millis);
        check!(time::ktime_get() - start >= Duration::from_millis(millis));
    }
    for micros in [1, 100, 2500] {
        let start = time::ktime_get();
        sched::usleep_range(micros, micros * 2);
        check!(time::ktime_get() - start >= Duration::from_micros(micros));
    }
}
