//! Values that are read while they are replaced: a reader finds one whole, and not freed.

use super::subject::Subject;
use core::sync::atomic::{AtomicU64, Ordering};
use tetra::arch;
use tetra::mm::{GfpFlags, KArc, RcuBox};
use tetra::sync::rcu::{Rcu, rcu_read_lock};
use tetra::sync::{SeqLatch, SeqLock, SpinLock};

/// How often a reader looks at a value before it lets it go.
const LOOKS: u32 = 20;
/// A writer in so many waits for the grace period, the others leave it to a callback.
const WAITS_EVERY: u64 = 64;

/// Two numbers that are equal as long as the value lives.
pub struct Twins([AtomicU64; 2]);

impl Twins {
    /// A living value.
    pub const fn new(value: u64) -> Self {
        Self([AtomicU64::new(value), AtomicU64::new(value)])
    }

    /// Makes it what a freed one is.
    pub fn poison(&self) {
        self.0[0].store(!self.0[1].load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// It is alive, and stays so while it is looked at.
    pub fn is_alive(&self) -> bool {
        (0..LOOKS).all(|_| {
            arch::relax();
            self.0[0].load(Ordering::Relaxed) == self.0[1].load(Ordering::Relaxed)
        })
    }
}

impl Drop for Twins {
    fn drop(&mut self) {
        self.poison();
    }
}

static SEQ: SeqLock<[u64; 2]> = SeqLock::new([0; 2]);
static LATCH: SeqLatch<[u64; 2]> = SeqLatch::new([0; 2]);
static RCU: Rcu<Twins> = Rcu::empty();
static COUNTED: SpinLock<Option<KArc<Twins>>> = SpinLock::new(None);

/// All that is shared so.
pub static ALL: &[Subject] = &[
    Subject::value("seqlock", |value| SEQ.write().set([value; 2]), || is_equal(SEQ.read())),
    Subject::value("seqlatch", |value| LATCH.write([value; 2]), || is_equal(LATCH.read())),
    Subject::value("rcu", replace_rcu, || {
        let section = rcu_read_lock();
        RCU.read(&section).is_none_or(Twins::is_alive)
    }),
    Subject::value("refcount", replace_counted, || {
        let mine = COUNTED.lock().clone();
        mine.is_none_or(|twins| twins.is_alive())
    }),
];

fn is_equal([first, second]: [u64; 2]) -> bool {
    first == second
}

fn replace_rcu(value: u64) {
    let new = RcuBox::new(Twins::new(value), GfpFlags::KERNEL).expect("room for a small object");
    let Some(old) = RCU.replace(new) else { return };
    if value.is_multiple_of(WAITS_EVERY) {
        drop(old.synchronize());
    }
}

/// The last who has it frees it, which may be a reader.
fn replace_counted(value: u64) {
    let new = KArc::new(Twins::new(value), GfpFlags::KERNEL).expect("room for a small object");
    let old = COUNTED.lock().replace(new);
    drop(old);
}
