//! The primitives, each as the few calls that torture needs.

use super::random::Random;
use core::mem::MaybeUninit;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use tetra::mm::addr::Order;
use tetra::mm::{GfpFlags, KVec, Pages, vmalloc};
use tetra::sync::bkl::{lock_kernel, unlock_kernel};
use tetra::sync::{
    BhSpinLock, Completion, IrqSpinLock, McsNode, McsSpinLock, Mutex, RwLock, RwSemaphore, RwSemaphoreWriteGuard, Semaphore, SeqLatch,
    SeqLock, SpinLock, TasSpinLock, WaitQueue,
};

/// Calls what is inside.
pub type Inside<'a> = &'a dyn Fn();

/// How long a taker waits for what was given before that counts as lost.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What is tortured.
pub enum Kind {
    /// Admits one writer, or readers.
    Lock { write: fn(Inside<'_>), read: Option<fn(Inside<'_>)> },
    /// Hands over what is given; `take` is false if nothing came in time.
    HandOver { give: fn(), take: fn() -> bool },
    /// Gives out pairs that are equal; `get` is false if they are not.
    Pair { set: fn(u64), get: fn() -> bool },
    /// Gives out memory; false if it was not the taker's alone.
    Memory(fn(&mut Random) -> bool),
}

/// One primitive.
pub struct Subject {
    pub name: &'static str,
    pub kind: Kind,
    /// Whoever is inside may sleep there.
    pub may_sleep: bool,
    /// Hardirqs use it, too.
    pub in_irq: bool,
    /// Tasklets use it, too.
    pub in_bh: bool,
}

impl Subject {
    const fn lock(name: &'static str, write: fn(Inside<'_>)) -> Self {
        Self { name, kind: Kind::Lock { write, read: None }, may_sleep: false, in_irq: false, in_bh: false }
    }

    const fn shared(name: &'static str, write: fn(Inside<'_>), read: fn(Inside<'_>)) -> Self {
        Self { kind: Kind::Lock { write, read: Some(read) }, ..Self::lock(name, write) }
    }

    const fn pair(name: &'static str, set: fn(u64), get: fn() -> bool) -> Self {
        Self { name, kind: Kind::Pair { set, get }, may_sleep: false, in_irq: false, in_bh: false }
    }

    const fn memory(name: &'static str, churn: fn(&mut Random) -> bool) -> Self {
        Self { name, kind: Kind::Memory(churn), may_sleep: false, in_irq: false, in_bh: false }
    }

    /// What hands over, for the twins as well.
    pub const fn hand_over(name: &'static str, give: fn(), take: fn() -> bool) -> Self {
        Self { name, kind: Kind::HandOver { give, take }, may_sleep: false, in_irq: false, in_bh: false }
    }

    /// A lock for twins.
    pub const fn twin(name: &'static str, write: fn(Inside<'_>), read: Option<fn(Inside<'_>)>) -> Self {
        Self { kind: Kind::Lock { write, read }, ..Self::lock(name, write) }
    }

    const fn sleeping(self) -> Self {
        Self { may_sleep: true, ..self }
    }

    const fn with_irqs(self) -> Self {
        Self { in_irq: true, ..self }
    }

    const fn with_bh(self) -> Self {
        Self { in_bh: true, ..self }
    }

    /// Nobody only reads it.
    pub fn has_no_readers(&self) -> bool {
        matches!(self.kind, Kind::Lock { read: None, .. } | Kind::Memory(_))
    }
}

static TICKET: SpinLock<()> = SpinLock::new(());
static TAS: TasSpinLock<()> = TasSpinLock::new(());
static MCS: McsSpinLock<()> = McsSpinLock::new(());
static IRQ: IrqSpinLock<()> = IrqSpinLock::new(());
static BH: BhSpinLock<()> = BhSpinLock::new(());
static RW: RwLock<()> = RwLock::new(());
static SEQ: SeqLock<[u64; 2]> = SeqLock::new([0; 2]);
static LATCH: SeqLatch<[u64; 2]> = SeqLatch::new([0; 2]);
static MUTEX: Mutex<()> = Mutex::new(());
static BINARY: Semaphore = Semaphore::new(1);
static RWSEM: RwSemaphore<()> = RwSemaphore::new(());
static EVENTS: Completion = Completion::new();
static PLACES: Semaphore = Semaphore::new(0);
static STOCK: AtomicU64 = AtomicU64::new(0);
static CAME: WaitQueue = WaitQueue::new();

/// Takes one from the stock if there is one.
pub fn take_from(stock: &AtomicU64) -> bool {
    stock.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// All primitives.
pub static ALL: &[Subject] = &[
    Subject::lock("spinlock", |inside| {
        let _held = TICKET.lock();
        inside();
    }),
    Subject::lock("tas", |inside| {
        let _held = TAS.lock();
        inside();
    }),
    Subject::lock("mcs", |inside| {
        let _held = MCS.lock_with(pin!(McsNode::new()));
        inside();
    }),
    Subject::lock("spinlock_irq", |inside| {
        let _held = IRQ.lock();
        inside();
    })
    .with_irqs(),
    Subject::lock("spinlock_bh", |inside| {
        let _held = BH.lock();
        inside();
    })
    .with_bh(),
    Subject::shared(
        "rwlock",
        |inside| {
            let _held = RW.write();
            inside();
        },
        |inside| {
            let _held = RW.read();
            inside();
        },
    ),
    Subject::pair("seqlock", |value| SEQ.write().set([value; 2]), || equal(SEQ.read())),
    Subject::pair("seqlatch", |value| LATCH.write([value; 2]), || equal(LATCH.read())),
    Subject::lock("mutex", |inside| {
        let _held = MUTEX.lock();
        inside();
    })
    .sleeping(),
    Subject::lock("big_kernel_lock", |inside| {
        lock_kernel();
        inside();
        unlock_kernel();
    }),
    Subject::lock("semaphore", |inside| {
        BINARY.down();
        inside();
        BINARY.up();
    })
    .sleeping(),
    Subject::shared(
        "rwsem",
        |inside| {
            let held = RWSEM.write();
            inside();
            drop(RwSemaphoreWriteGuard::downgrade(held));
        },
        |inside| {
            let _held = RWSEM.read();
            inside();
        },
    )
    .sleeping(),
    Subject::hand_over("completion", || EVENTS.complete(), || EVENTS.wait_timeout(PATIENCE).is_ok()),
    Subject::hand_over("semaphore_up", || PLACES.up(), || PLACES.down_timeout(PATIENCE).is_ok()),
    Subject::hand_over(
        "wait_queue",
        || {
            STOCK.fetch_add(1, Ordering::Relaxed);
            CAME.wake_up();
        },
        || CAME.wait_event_timeout(PATIENCE, || take_from(&STOCK)).is_ok(),
    ),
    Subject::memory("kmalloc", churn_kmalloc),
    Subject::memory("pages", churn_pages),
    Subject::memory("vmalloc", churn_vmalloc),
];

fn equal([first, second]: [u64; 2]) -> bool {
    first == second
}

/// Fills memory with a number, and looks later whether it is still there.
fn is_mine(words: &mut [MaybeUninit<u64>], mark: u64) -> bool {
    words.iter_mut().for_each(|word| {
        word.write(mark);
    });
    tetra::sched::yield_now();
    // SAFETY: all were written above.
    words.iter().all(|word| unsafe { word.assume_init_read() } == mark)
}

fn churn_kmalloc(random: &mut Random) -> bool {
    let (len, mark) = (1 + random.below(300) as usize, random.below(u64::MAX));
    let Ok(mut words) = KVec::with_capacity(len, GfpFlags::KERNEL) else { return false };
    let is_full = (0..len).all(|_| words.push(mark, GfpFlags::KERNEL).is_ok());
    tetra::sched::yield_now();
    is_full && words.iter().all(|word| *word == mark)
}

fn churn_pages(random: &mut Random) -> bool {
    let (order, mark) = (random.below(3) as usize, random.below(u64::MAX));
    let Some(order) = Order::new(order) else { return false };
    let Ok(mut pages) = Pages::new(GfpFlags::KERNEL, order) else { return false };
    let bytes = pages.bytes_mut();
    // SAFETY: the block's bytes, which may be uninitialized; pages are aligned to words.
    let (_, words, _) = unsafe { bytes.align_to_mut::<MaybeUninit<u64>>() };
    is_mine(words, mark)
}

fn churn_vmalloc(random: &mut Random) -> bool {
    let (len, mark) = (512 * (1 + random.below(4) as usize), random.below(u64::MAX));
    let Ok(area) = vmalloc::vmalloc(8 * len, GfpFlags::KERNEL) else { return false };
    // SAFETY: an area of `len` words, nobody else's until it is freed; vmalloc's areas begin with a page.
    let is_mine = is_mine(unsafe { core::slice::from_raw_parts_mut(area.cast(), len) }, mark);
    // SAFETY: allocated above, and not used any more.
    unsafe { vmalloc::vfree(area) };
    is_mine
}
