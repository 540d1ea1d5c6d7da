//! The grace period under loom: a reader on core 1, and a writer on core 0 that frees what it has replaced when the grace period is over.
//!
//! The machine is the kernel's own; a reader is what the kernel's readers are, loads between two of its reports. Loom reports the free as a race if any
//! order lets it meet a read. Each order that `grace_period` argues for, (b) to (d), and the publication have a twin without it, which must fail.
//!
//! Loom knows no address dependencies: an acquire load stands for that of the reader here. The dependency itself is for herd7 (`make verify`).

use super::grace_period::{Begun, GracePeriods};
use crate::arch::NR_CPUS;
use crate::sync::atomic::AtomicU32;
use crate::sync::barrier::smp_mb;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const FRESH: u32 = 7;

/// Which part of the protocol is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    Whole,
    /// The new value is published by a plain store.
    PublishRelaxed,
    /// The reader reports while it has the value in hand.
    QuiescentInside,
    /// The core that wakes marks that by a plain store.
    WakeWithoutBarrier,
    /// The core that goes to sleep marks that by a plain store, and then a barrier.
    SleepWithoutRelease,
    /// The core that goes to sleep marks that by a release store, and no barrier before it looks.
    SleepWithoutBarrier,
    /// The writer does not wait.
    NoWait,
}

struct World {
    machine: GracePeriods,
    /// Which of the two values readers find.
    which: AtomicU32,
    values: [UnsafeCell<u32>; 2],
}

// SAFETY: loom reports every unordered access to the values.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

impl World {
    /// Core 0 reads; core 1 as told. Loom's cells are made here, before threads share them.
    fn new(core_1_is_awake: bool) -> Self {
        let world = Self { machine: GracePeriods::new(), which: AtomicU32::new(0), values: [UnsafeCell::new(FRESH), UnsafeCell::new(0)] };
        let machine = &world.machine;
        let _made = (machine.seq(), machine.waiting(), machine.begin(|| ()), world.which.read());
        (0..NR_CPUS).for_each(|cpu| _ = machine.cores[cpu].0.read());
        machine.watch(0);
        if core_1_is_awake {
            machine.watch(1);
        }
        world
    }

    /// A section of core 1.
    fn read(&self, twin: Twin) {
        let which = self.which.load_acquire();
        if twin == Twin::QuiescentInside {
            self.report(1);
        }
        // SAFETY: loom checks the access.
        let value = self.values[which as usize].with(|value| unsafe { *value });
        assert_eq!(value, FRESH, "a reader found a value that is not made yet, or freed");
    }

    /// Core `cpu` is quiescent; what `hooks` does then.
    fn report(&self, cpu: usize) {
        if self.machine.quiescent(cpu) {
            self.go_on();
        }
    }

    fn go_on(&self) {
        while self.machine.begin(|| ()) == Begun::IsOver {}
    }

    /// Replaces the value, waits, frees the old one.
    fn write(&self, twin: Twin) {
        // SAFETY: loom checks the access.
        self.values[1].with_mut(|value| unsafe { *value = FRESH });
        if twin == Twin::PublishRelaxed {
            self.which.set(1);
        } else {
            self.which.store_release(1);
        }
        let snapshot = self.machine.snapshot();
        if twin != Twin::NoWait {
            self.machine.need(snapshot);
            self.go_on();
            while !self.machine.is_done(snapshot) {
                self.report(0);
                thread::yield_now();
            }
        }
        // SAFETY: loom checks the access.
        self.values[0].with_mut(|value| unsafe { *value = 0 });
    }

    /// Core 1 goes to sleep for good, once nobody waits for it.
    fn sleep(&self, twin: Twin) {
        while !self.stop_watching(twin) {
            self.report(1);
        }
    }

    fn stop_watching(&self, twin: Twin) -> bool {
        let watch = &self.machine.cores[1].0;
        match twin {
            Twin::SleepWithoutRelease => {
                watch.set(watch.read() + 1);
                smp_mb();
            }
            Twin::SleepWithoutBarrier => watch.store_release(watch.read() + 1),
            _ => return self.machine.stop_watching(1),
        }
        let may_sleep = !self.machine.is_waiting_for(1);
        if !may_sleep {
            self.machine.watch(1);
        }
        may_sleep
    }

    fn wake(&self, twin: Twin) {
        if twin == Twin::WakeWithoutBarrier {
            let watch = &self.machine.cores[1].0;
            watch.set(watch.read() + 1);
        } else {
            self.machine.watch(1);
        }
    }
}

fn run(core_1_is_awake: bool, twin: Twin, core_1: fn(&World, Twin)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        let world = Arc::new(World::new(core_1_is_awake));
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || core_1(&world, twin))
        };
        world.write(twin);
        reader.join().expect("the reader does not panic");
    });
}

/// Reads, reports as ticks and switches do, reads again, and sleeps.
fn busy(world: &World, twin: Twin) {
    world.read(twin);
    world.report(1);
    world.read(twin);
    world.sleep(twin);
}

/// Was asleep; wakes, reads, sleeps.
fn woken(world: &World, twin: Twin) {
    world.wake(twin);
    world.read(twin);
    world.sleep(twin);
}

#[test]
fn nothing_is_freed_under_a_busy_core() {
    run(true, Twin::Whole, busy);
}

#[test]
fn nothing_is_freed_under_a_core_that_wakes() {
    run(false, Twin::Whole, woken);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_plain_store_does_not_publish() {
    run(true, Twin::PublishRelaxed, busy);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_report_inside_of_a_section_frees_too_early() {
    run(true, Twin::QuiescentInside, busy);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_core_that_wakes_without_a_barrier_reads_what_is_freed() {
    run(false, Twin::WakeWithoutBarrier, woken);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_core_that_sleeps_without_release_has_not_read_yet() {
    run(true, Twin::SleepWithoutRelease, |world, twin| {
        world.read(twin);
        world.sleep(twin);
    });
}

/// Core 1 goes to sleep while core 0 begins a grace period: if that waits for core 1, core 1 knows.
fn somebody_reports(twin: Twin) {
    loom::model(move || {
        let world = Arc::new(World::new(true));
        let sleeper = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.sleep(twin))
        };
        world.machine.need(world.machine.snapshot());
        world.go_on();
        sleeper.join().expect("the sleeper does not panic");
        let nobody_will = world.machine.waiting() & world.machine.asleep() & 1 << 1;
        assert!(nobody_will == 0, "a core sleeps that is waited for");
    });
}

#[test]
fn a_core_that_falls_asleep_is_not_waited_for() {
    somebody_reports(Twin::Whole);
}

#[test]
#[should_panic(expected = "a core sleeps that is waited for")]
fn a_core_that_falls_asleep_without_a_barrier_is_waited_for_without_end() {
    somebody_reports(Twin::SleepWithoutBarrier);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn who_does_not_wait_frees_too_early() {
    run(true, Twin::NoWait, busy);
}
