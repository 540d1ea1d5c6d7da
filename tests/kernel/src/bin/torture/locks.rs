//! The locks: whoever is inside is alone, or among readers.

use super::subject::Subject;
use core::pin::pin;
use tetra::arch;
use tetra::cpu::PreemptGuard;
use tetra::sync::atomic::AtomicU64;
use tetra::sync::bitops::BitOps;
use tetra::sync::bkl::{lock_kernel, unlock_kernel};
use tetra::sync::{
    BhSpinLock, IrqSpinLock, McsNode, McsSpinLock, Mutex, RwLock, RwSemaphore, RwSemaphoreWriteGuard, Semaphore, SpinLock, TasSpinLock,
};

static TICKET: SpinLock<()> = SpinLock::new(());
static TAS: TasSpinLock<()> = TasSpinLock::new(());
static MCS: McsSpinLock<()> = McsSpinLock::new(());
static IRQ: IrqSpinLock<()> = IrqSpinLock::new(());
static BH: BhSpinLock<()> = BhSpinLock::new(());
static BIT: AtomicU64 = AtomicU64::new(0);
static WORD: AtomicU64 = AtomicU64::new(0);
static RW: RwLock<()> = RwLock::new(());
static MUTEX: Mutex<()> = Mutex::new(());
static BINARY: Semaphore = Semaphore::new(1);
static RWSEM: RwSemaphore<()> = RwSemaphore::new(());

/// All locks.
pub static ALL: &[Subject] = &[
    Subject::lock("spinlock", |inside| {
        let _held = TICKET.lock();
        inside();
    }),
    Subject::lock("spinlock_tas", |inside| {
        let _held = TAS.lock();
        inside();
    }),
    Subject::lock("spinlock_mcs", |inside| {
        let node = pin!(McsNode::new());
        let _held = MCS.lock_with(node);
        inside();
    }),
    Subject::lock("spinlock_irq", |inside| {
        let _held = IRQ.lock();
        inside();
    })
    .with_irqs()
    .with_bh(),
    Subject::lock("spinlock_bh", |inside| {
        let _held = BH.lock();
        inside();
    })
    .with_bh(),
    Subject::lock("bit_lock", |inside| {
        let _pinned = PreemptGuard::new();
        while BIT.test_and_set_bit_lock(7) {
            arch::relax();
        }
        inside();
        BIT.clear_bit_unlock(7);
    }),
    Subject::lock("cmpxchg", |inside| {
        let _pinned = PreemptGuard::new();
        while WORD.cmpxchg(0, 1).is_err() {
            arch::relax();
        }
        inside();
        WORD.xchg(0);
    }),
    Subject::shared_lock(
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
    Subject::lock("mutex", |inside| {
        let _held = MUTEX.lock();
        inside();
    })
    .sleeping(),
    // A holder that sleeps loses it, so nobody sleeps inside.
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
    Subject::shared_lock(
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
];
