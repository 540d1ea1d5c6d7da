//! `bench-locks`: locks against cores: how often they are taken in all, and how evenly.
//!
//! Each core takes the lock, adds one, lets go and works a little, until the emulator's clock has come to the end. In lockstep that clock counts
//! the instructions of all cores, which take turns: the figures compare algorithms, they are no times of a board, where a line that moves between cores is
//! what costs.

use core::hint::black_box;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use spin::mutex::{SpinMutex, TicketMutex};
use tetra::arch::{self, NR_CPUS, counter};
use tetra::cpu;
use tetra::init::call_in_idle_thread;
use tetra::shell::{self, CommandError, Context};
use tetra::sync::{McsNode, McsSpinLock, SpinLock, TasSpinLock};

/// How long a lock is fought for.
const MILLISECONDS: u64 = 20;
/// Rounds of work outside of the lock.
const WORK: u32 = 20;

/// A lock and what its name is.
struct Contest {
    name: &'static str,
    take: fn(),
}

macro_rules! contests {
    ($($name:literal: $lock:ty, |$of:ident| $guard:expr;)+) => {
        const CONTESTS: &[Contest] = &[$(Contest {
            name: $name,
            take: || {
                static LOCK: $lock = <$lock>::new(0);
                let $of = &LOCK;
                *$guard += 1;
            },
        }),+];
    };
}

contests! {
    "ticket": SpinLock<u64>, |lock| lock.lock();
    "TAS": TasSpinLock<u64>, |lock| lock.lock();
    "MCS": McsSpinLock<u64>, |lock| lock.lock_with(core::pin::pin!(McsNode::new()));
    "spin::TicketMutex": TicketMutex<u64>, |lock| lock.lock();
    "spin::Mutex": SpinMutex<u64>, |lock| lock.lock();
}

shell::command! {
    name: "bench-locks",
    usage: "bench-locks",
    help: "locks under one to four cores: acquisitions a millisecond, and fairness in percent",
    run: |ctx, args| {
        if !args.is_empty() {
            return Err(CommandError::Usage);
        }
        (1..=cpu::nr_online()).try_for_each(|cores| CONTESTS.iter().try_for_each(|contest| show(ctx, contest, cores)))
    },
}

fn show(ctx: &mut Context<'_>, contest: &'static Contest, cores: usize) -> Result<(), CommandError> {
    let counts = fight(contest, cores);
    let (least, most) = (counts[..cores].iter().min(), counts[..cores].iter().max());
    let fairness = least.zip(most).map_or(0, |(least, most)| least * 100 / most.max(&1));
    let per_ms = counts.iter().sum::<u64>() / MILLISECONDS;
    writeln!(ctx.out, "contend.{cores}_per_ms {:>28} {per_ms:12} {:12}", contest.name, 0)?;
    writeln!(ctx.out, "contend.{cores}_fairness {:>28} {fairness:12} {:12}", contest.name, 0)?;
    Ok(())
}

static CONTEST: AtomicUsize = AtomicUsize::new(0);
static CORES: AtomicU32 = AtomicU32::new(0);
static READY: AtomicU32 = AtomicU32::new(0);
static DONE: AtomicU32 = AtomicU32::new(0);
static COUNTS: [AtomicU64; NR_CPUS] = [const { AtomicU64::new(0) }; NR_CPUS];

/// Lets cores 0 to `cores - 1` fight; gives how often each had the lock.
fn fight(contest: &'static Contest, cores: usize) -> [u64; NR_CPUS] {
    let number = CONTESTS.iter().position(|other| other.name == contest.name).unwrap_or(0);
    CONTEST.store(number, Ordering::Relaxed);
    CORES.store(cores as u32, Ordering::Relaxed);
    READY.store(0, Ordering::Relaxed);
    DONE.store(0, Ordering::Relaxed);
    COUNTS.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    for cpu in 1..cores {
        // Its acquire pairs with the release in here: the core sees what is stored above.
        while !call_in_idle_thread(cpu, take_part) {
            arch::relax();
        }
    }
    take_part();
    // Acquire: the counts, stored before; pairs with the release in `take_part`.
    while DONE.load(Ordering::Acquire) != cores as u32 {
        arch::relax();
    }
    core::array::from_fn(|cpu| COUNTS[cpu].load(Ordering::Relaxed))
}

/// One core's part.
fn take_part() {
    let take = CONTESTS[CONTEST.load(Ordering::Relaxed)].take;
    READY.fetch_add(1, Ordering::Relaxed);
    while READY.load(Ordering::Relaxed) != CORES.load(Ordering::Relaxed) {
        arch::relax();
    }
    let end = counter::now() + MILLISECONDS * counter::frequency_hz() / 1000;
    let mut count = 0;
    while counter::now() < end {
        take();
        count += 1;
        (0..WORK).for_each(|round| {
            black_box(round);
        });
    }
    COUNTS[cpu::id()].store(count, Ordering::Relaxed);
    DONE.fetch_add(1, Ordering::Release);
}
