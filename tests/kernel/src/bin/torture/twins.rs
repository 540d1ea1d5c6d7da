//! Broken twins of the primitives, each with a mistake of logic that torture must catch.
//!
//! A missing barrier would be of no use here: QEMU on a PC does not show it. Those are `make verify`'s and loom's.

use super::hand_over::take_from;
use super::random::Random;
use super::shared::Twins;
use super::subject::Subject;
use core::mem;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use tetra::mm::{GfpFlags, RcuBox};
use tetra::sched::yield_now;
use tetra::sync::rcu::{Rcu, rcu_read_lock};
use tetra::sync::{Completion, Mutex, RwLock, SpinLock, WaitQueue};

/// As long as a lost wake-up may take to be called one.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);

static SPIN: SpinLock<()> = SpinLock::new(());
static RW: RwLock<()> = RwLock::new(());
static MUTEX: Mutex<()> = Mutex::new(());
static EVENTS: Completion = Completion::new();
static GIVEN: AtomicU64 = AtomicU64::new(0);
static STOCK: AtomicU64 = AtomicU64::new(0);
static CAME: WaitQueue = WaitQueue::new();
static PAIR: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static RCU: Rcu<Twins> = Rcu::empty();
static BLOCK: AtomicU64 = AtomicU64::new(0);

/// All twins, each named by what it does wrong.
pub static ALL: &[Subject] = &[
    Subject::lock("unlocks early", |inside| {
        drop(SPIN.lock());
        inside();
    }),
    Subject::lock("goes in though somebody is inside", |inside| {
        let _held = MUTEX.try_lock();
        inside();
    }),
    Subject::shared_lock(
        "lets readers in beside a writer",
        |inside| {
            let _held = RW.write();
            inside();
        },
        |inside| inside(),
    ),
    Subject::hand_over("loses one event in eight", give_most, || EVENTS.wait_timeout(SHORT_PATIENCE).is_ok()),
    Subject::hand_over("wakes nobody", give_in_silence, take_at_first_look),
    Subject::value("shows a value half written", set_by_halves, || PAIR[0].load(Ordering::Relaxed) == PAIR[1].load(Ordering::Relaxed)),
    Subject::value("frees without a grace period", replace_at_once, || {
        let section = rcu_read_lock();
        RCU.read(&section).is_none_or(Twins::is_alive)
    }),
    Subject::memory("gives one block to all", share_a_block),
];

fn give_most() {
    if !GIVEN.fetch_add(1, Ordering::Relaxed).is_multiple_of(8) {
        EVENTS.complete();
    }
}

fn give_in_silence() {
    STOCK.fetch_add(1, Ordering::Relaxed);
}

/// What the sleeper of a queue that wakes nobody sees: its first look, and the timeout.
fn take_at_first_look() -> bool {
    let mut has_looked = false;
    CAME.wait_event_timeout(SHORT_PATIENCE, || !mem::replace(&mut has_looked, true) && take_from(&STOCK)).is_ok()
}

fn set_by_halves(value: u64) {
    PAIR[0].store(value, Ordering::Relaxed);
    yield_now();
    PAIR[1].store(value, Ordering::Relaxed);
}

/// Only what shows is done too early; the memory itself stays until the readers are done.
fn replace_at_once(value: u64) {
    let new = RcuBox::new(Twins::new(value), GfpFlags::KERNEL).expect("room for a small object");
    if let Some(old) = RCU.replace(new) {
        old.poison();
    }
}

fn share_a_block(random: &mut Random) -> bool {
    let mark = random.next();
    BLOCK.store(mark, Ordering::Relaxed);
    yield_now();
    BLOCK.load(Ordering::Relaxed) == mark
}
