//! One run: eight threads at one primitive, paused together now and then, until the time is over and each had its turn.
//!
//! Time alone would be no measure: four emulated cores share what the host has, and a fair lock whose next in line is not running crawls.

use super::hand_over::take_from;
use super::random::Random;
use super::room::Room;
use super::subject::{Kind, Subject};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use core::time::Duration;
use tetra::irq::{Tasklet, ipi};
use tetra::sched::kthread;
use tetra::{arch, sched, time};

/// Threads: for what has readers, half of them read.
const THREADS: usize = 8;
/// All work so long, then all pause.
const STUTTER_MS: u64 = 60;
/// ... for so long.
const PAUSE_MS: u64 = 5;
/// How much longer than it was meant a run may take until each thread had its turn, or a twin is caught.
const EXTENSION: Duration = Duration::from_secs(15);
/// Gifts that may wait for a taker: more, and takers would never sleep.
const BACKLOG: u64 = 4;
/// One round in so many is a handler's, too.
const IRQ_EVERY: u64 = 16;

static ROOM: Room = Room::new();
static ROUNDS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static IS_OVER: AtomicBool = AtomicBool::new(false);
static IS_PAUSED: AtomicBool = AtomicBool::new(false);
static IN_IRQ: AtomicU64 = AtomicU64::new(0);
static IN_BH: AtomicU64 = AtomicU64::new(0);
/// What was given, or is about to be, and nobody has gone for yet.
static TO_TAKE: AtomicU64 = AtomicU64::new(0);
/// Givers that may still give.
static NR_GIVERS: AtomicU64 = AtomicU64::new(0);
/// What is tortured, for the tasklets.
static SUBJECT: AtomicPtr<Subject> = AtomicPtr::new(core::ptr::null_mut());

static BOTTOM_HALVES: [Tasklet<()>; 4] = [const { Tasklet::new((), |_| in_bottom_half()) }; 4];

/// How long a run is.
pub enum Until {
    /// So many milliseconds, and longer if a thread had no turn yet.
    AllHadTheirTurn { ms: u64 },
    /// Until something was wrong: for twins.
    AnErrorIsSeen,
}

impl Until {
    fn ms(&self) -> u64 {
        match *self {
            Self::AllHadTheirTurn { ms } => ms,
            Self::AnErrorIsSeen => 0,
        }
    }

    fn is_reached(&self) -> bool {
        match self {
            Self::AllHadTheirTurn { .. } => rounds().all(|rounds| rounds > 0),
            Self::AnErrorIsSeen => ROOM.has_errors(),
        }
    }
}

/// What a run showed.
#[derive(Debug)]
pub struct Outcome {
    pub writes: u64,
    pub reads: u64,
    pub in_irq: u64,
    pub in_bh: u64,
    pub errors: u64,
    /// Rounds of the thread that did the fewest.
    pub least: u64,
    /// Rounds of the thread that did the most.
    pub most: u64,
}

/// Tortures `subject`.
pub fn run(subject: &'static Subject, seed: u64, until: Until) -> Outcome {
    prepare(subject);
    let threads: [_; THREADS] =
        core::array::from_fn(|number| kthread::run("torture", move || work(subject, number, seed)).expect("eight threads can be had"));
    pause_now_and_then(&until);
    IS_OVER.store(true, Ordering::Release);
    for thread in threads {
        if thread.join().is_err() {
            ROOM.note_error();
        }
    }
    // A tasklet may still be about to run.
    BOTTOM_HALVES.iter().for_each(|tasklet| {
        tasklet.kill();
    });

    let sum = |of_readers: bool| (0..THREADS).filter(|number| is_reader(subject, *number) == of_readers).map(rounds_of).sum();
    Outcome {
        writes: sum(false),
        reads: sum(true),
        in_irq: IN_IRQ.load(Ordering::Relaxed),
        in_bh: IN_BH.load(Ordering::Relaxed),
        errors: ROOM.errors(),
        least: rounds().min().unwrap_or(0),
        most: rounds().max().unwrap_or(0),
    }
}

fn prepare(subject: &'static Subject) {
    ROOM.reset();
    ROUNDS.iter().chain([&IN_IRQ, &IN_BH, &TO_TAKE]).for_each(|count| count.store(0, Ordering::Relaxed));
    let nr_givers = (0..THREADS).filter(|number| !is_reader(subject, *number)).count();
    NR_GIVERS.store(nr_givers as u64, Ordering::Relaxed);
    // Release: the words above; pairs with the tasklet's acquire. Threads see all that was before they were made.
    SUBJECT.store(core::ptr::from_ref(subject).cast_mut(), Ordering::Release);
    IS_OVER.store(false, Ordering::Relaxed);
}

fn rounds_of(number: usize) -> u64 {
    ROUNDS[number].load(Ordering::Relaxed)
}

fn rounds() -> impl Iterator<Item = u64> {
    (0..THREADS).map(rounds_of)
}

fn is_reader(subject: &Subject, number: usize) -> bool {
    number % 2 == 1 && !subject.has_no_readers()
}

/// Lets all pause together, so that they come back together, until the run is over.
fn pause_now_and_then(until: &Until) {
    let end = time::uptime() + Duration::from_millis(until.ms());
    while time::uptime() < end || (time::uptime() < end + EXTENSION && !until.is_reached()) {
        sched::msleep(STUTTER_MS.min(until.ms().max(PAUSE_MS)));
        IS_PAUSED.store(true, Ordering::Relaxed);
        sched::msleep(PAUSE_MS);
        IS_PAUSED.store(false, Ordering::Relaxed);
    }
}

/// What each thread does.
fn work(subject: &'static Subject, number: usize, seed: u64) {
    let mut random = Random::new(seed, number as u64);
    let hands_over = matches!(subject.kind, Kind::HandOver { .. });
    let takes = hands_over && is_reader(subject, number);
    while !IS_OVER.load(Ordering::Relaxed) || takes {
        if IS_PAUSED.load(Ordering::Relaxed) {
            sched::msleep(1);
            continue;
        }
        if takes && !take_from(&TO_TAKE) {
            // What hands over goes on until all that was given is taken. Acquire: pairs with the last giver's release below.
            if NR_GIVERS.load(Ordering::Acquire) == 0 && TO_TAKE.load(Ordering::Relaxed) == 0 {
                break;
            }
            sched::yield_now();
            continue;
        }
        if hands_over && !takes && TO_TAKE.load(Ordering::Relaxed) >= BACKLOG {
            sched::yield_now();
            continue;
        }
        one_round(subject, is_reader(subject, number), &mut random);
        ROUNDS[number].fetch_add(1, Ordering::Relaxed);
        disturb(subject, number, &mut random);
    }
    if !is_reader(subject, number) {
        NR_GIVERS.fetch_sub(1, Ordering::Release);
    }
}

/// What happens between the rounds.
fn disturb(subject: &'static Subject, number: usize, random: &mut Random) {
    if random.one_in(8) {
        sched::yield_now();
    }
    if subject.in_irq && random.one_in(IRQ_EVERY) {
        ipi::interrupt_self(|| in_handler(subject, &IN_IRQ));
    }
    if subject.in_bh && random.one_in(IRQ_EVERY) {
        BOTTOM_HALVES[number % BOTTOM_HALVES.len()].schedule();
    }
}

/// One round of one thread.
fn one_round(subject: &Subject, is_reader: bool, random: &mut Random) {
    let length = Hold::random(random, subject.may_sleep);
    match &subject.kind {
        Kind::Lock { read: Some(read), .. } if is_reader => read(&|| ROOM.read(|| length.spend())),
        Kind::Lock { write, .. } => write(&|| ROOM.write(|| length.spend())),
        Kind::Value { get, .. } if is_reader => note(get()),
        Kind::Value { set, .. } => {
            length.spend();
            set(random.next());
        }
        Kind::Memory(churn) => note(churn(random)),
        Kind::HandOver { take, .. } if is_reader => note(take()),
        Kind::HandOver { give, .. } => {
            // Announced first, so that takers are there before it comes.
            TO_TAKE.fetch_add(1, Ordering::Relaxed);
            length.spend();
            give();
        }
    }
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
    // SAFETY: null, or what `prepare` stored: a static.
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
