//! One run: eight threads at one primitive, paused together now and then, until the time is over.

use super::random::Random;
use super::room::Room;
use super::subjects::{Kind, Subject};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use core::time::Duration;
use tetra::irq::{Tasklet, ipi};
use tetra::sched::kthread;
use tetra::{arch, sched, time};

/// Threads: for what has readers, half of them read.
const THREADS: u64 = 8;
/// All work so long, then all pause.
const STUTTER_MS: u64 = 60;
/// ... for so long.
const PAUSE_MS: u64 = 5;
/// Things handed over in a run of a second.
const GIFTS_PER_SECOND: u64 = 1000;
/// One round in so many is a handler's, too.
const IRQ_EVERY: u64 = 16;

static ROOM: Room = Room::new();
static IS_OVER: AtomicBool = AtomicBool::new(false);
static IS_PAUSED: AtomicBool = AtomicBool::new(false);
static IN_IRQ: AtomicU64 = AtomicU64::new(0);
static IN_BH: AtomicU64 = AtomicU64::new(0);
/// Things that takers may still take.
static TO_TAKE: AtomicU64 = AtomicU64::new(0);
/// Things that givers may still give.
static TO_GIVE: AtomicU64 = AtomicU64::new(0);
/// What is tortured, for the tasklets.
static SUBJECT: AtomicPtr<Subject> = AtomicPtr::new(core::ptr::null_mut());

static BOTTOM_HALVES: [Tasklet<()>; 4] = [const { Tasklet::new((), |_| in_bottom_half()) }; 4];

/// What a run showed.
#[derive(Debug)]
pub struct Outcome {
    pub writes: u64,
    pub reads: u64,
    pub in_irq: u64,
    pub in_bh: u64,
    pub errors: u64,
    /// Rounds of the thread that did the fewest, and the most, of its kind.
    pub least: u64,
    pub most: u64,
}

/// Tortures `subject` for `ms` milliseconds.
pub fn run(subject: &'static Subject, seed: u64, ms: u64) -> Outcome {
    ROOM.reset();
    [&IN_IRQ, &IN_BH].map(|count| count.store(0, Ordering::Relaxed));
    [&TO_GIVE, &TO_TAKE].map(|count| count.store(ms * GIFTS_PER_SECOND / 1000, Ordering::Relaxed));
    SUBJECT.store(core::ptr::from_ref(subject).cast_mut(), Ordering::Release);
    IS_OVER.store(false, Ordering::Release);

    let threads: [_; THREADS as usize] = core::array::from_fn(|number| {
        let stream = number as u64;
        kthread::run("torture", move || work(subject, stream, seed)).expect("eight threads can be had")
    });
    pause_now_and_then(ms);
    IS_OVER.store(true, Ordering::Release);
    let rounds = threads.map(|thread| thread.join().unwrap_or(0));
    // A tasklet may still be about to run.
    BOTTOM_HALVES.iter().for_each(|tasklet| {
        tasklet.kill();
    });

    let is_writer = |number: usize| subject.has_no_readers() || number % 2 == 0;
    let sum = |writers: bool| (0..rounds.len()).filter(|number| is_writer(*number) == writers).map(|number| rounds[number]).sum();
    let of_writers = || (0..rounds.len()).filter(|number| is_writer(*number)).map(|number| rounds[number]);
    Outcome {
        writes: sum(true),
        reads: sum(false),
        in_irq: IN_IRQ.load(Ordering::Relaxed),
        in_bh: IN_BH.load(Ordering::Relaxed),
        errors: ROOM.errors(),
        least: of_writers().min().unwrap_or(0),
        most: of_writers().max().unwrap_or(0),
    }
}

/// Lets all pause together, so that they come back together.
fn pause_now_and_then(ms: u64) {
    let end = time::uptime() + Duration::from_millis(ms);
    while time::uptime() < end {
        sched::msleep(STUTTER_MS);
        IS_PAUSED.store(true, Ordering::Relaxed);
        sched::msleep(PAUSE_MS);
        IS_PAUSED.store(false, Ordering::Relaxed);
    }
}

/// What each thread does; gives its rounds.
fn work(subject: &'static Subject, stream: u64, seed: u64) -> u64 {
    let mut random = Random::new(seed, stream);
    let mut rounds = 0;
    let is_reader = stream % 2 == 1;
    // What hands over goes on until all that was given is taken.
    let is_counted = matches!(subject.kind, Kind::HandOver { .. });
    while is_counted || !IS_OVER.load(Ordering::Acquire) {
        if IS_PAUSED.load(Ordering::Relaxed) {
            sched::msleep(1);
            continue;
        }
        if !one_round(subject, is_reader, &mut random) {
            break;
        }
        rounds += 1;
        if random.one_in(8) {
            sched::yield_now();
        }
        if subject.in_irq && random.one_in(IRQ_EVERY) {
            ipi::interrupt_self(|| in_handler(subject, &IN_IRQ));
        }
        if subject.in_bh && random.one_in(IRQ_EVERY) {
            BOTTOM_HALVES[stream as usize % BOTTOM_HALVES.len()].schedule();
        }
    }
    rounds
}

/// One round of one thread; false if there is no more to do.
fn one_round(subject: &Subject, is_reader: bool, random: &mut Random) -> bool {
    let length = Hold::random(random, subject.may_sleep);
    match &subject.kind {
        Kind::Lock { read: Some(read), .. } if is_reader => read(&|| ROOM.read(|| length.spend())),
        Kind::Lock { write, .. } => write(&|| ROOM.write(|| length.spend())),
        Kind::Pair { get, .. } if is_reader => note(get()),
        Kind::Pair { set, .. } => set(random.below(u64::MAX)),
        Kind::Memory(churn) => note(churn(random)),
        Kind::HandOver { take, .. } if is_reader => {
            if !takes_one(&TO_TAKE) {
                return false;
            }
            note(take());
        }
        Kind::HandOver { give, .. } => {
            if !takes_one(&TO_GIVE) {
                return false;
            }
            length.spend();
            give();
        }
    }
    true
}

fn takes_one(count: &AtomicU64) -> bool {
    super::subjects::take_from(count)
}

fn note(is_right: bool) {
    if !is_right {
        ROOM.note_error();
    }
}

/// A handler's or bottom half's round.
fn in_handler(subject: &Subject, count: &AtomicU64) {
    if let Kind::Lock { write, .. } = &subject.kind {
        write(&|| ROOM.write(|| ()));
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn in_bottom_half() {
    // SAFETY: null, or what `run` stored: a static.
    if let Some(subject) = unsafe { SUBJECT.load(Ordering::Acquire).as_ref() } {
        in_handler(subject, &IN_BH);
    }
}

/// How long somebody stays inside.
enum Hold {
    Rounds(u64),
    Micros(u64),
    Sleep,
}

impl Hold {
    /// Mostly short; now and then long, or asleep where that is allowed.
    fn random(random: &mut Random, may_sleep: bool) -> Self {
        match random.below(128) {
            0 if may_sleep => Self::Sleep,
            0 | 1 => Self::Micros(20 + random.below(80)),
            _ => Self::Rounds(random.below(16)),
        }
    }

    fn spend(&self) {
        match *self {
            Self::Rounds(rounds) => (0..rounds).for_each(|_| arch::relax()),
            Self::Micros(us) => time::udelay(us),
            Self::Sleep => sched::msleep(1),
        }
    }
}
