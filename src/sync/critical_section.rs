//! The `critical-section` crate's one lock, for crates from outside that ask for it: irqs off on this core, the others kept out, taken again by its
//! holder.
//!
//! Coarse by its nature: code of the kernel uses locks of its own.
//!
//! # Memory ordering
//! Acquire when `OWNER` is taken, release when it is given back.

use crate::cpu::{self, irq_guard};
use crate::upcalls;
use core::sync::atomic::{AtomicU32, Ordering};
use critical_section::{Impl, RawRestoreState, set_impl};

/// Number of the core that is in the section, plus one; 0: nobody.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// How often its owner has entered. Touched by the owner.
static DEPTH: AtomicU32 = AtomicU32::new(0);

struct Section;
set_impl!(Section);

// SAFETY: between `acquire` and `release` this core takes no interrupts and no other core gets past the exchange.
unsafe impl Impl for Section {
    unsafe fn acquire() -> RawRestoreState {
        irq_guard::enter();
        let own = cpu::id() as u32 + 1;
        if OWNER.load(Ordering::Relaxed) != own {
            while OWNER.compare_exchange_weak(0, own, Ordering::Acquire, Ordering::Relaxed).is_err() {
                upcalls::answer_attention();
                crate::arch::relax();
            }
        }
        DEPTH.store(DEPTH.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    unsafe fn release((): RawRestoreState) {
        let depth = DEPTH.load(Ordering::Relaxed) - 1;
        DEPTH.store(depth, Ordering::Relaxed);
        if depth == 0 {
            OWNER.store(0, Ordering::Release);
        }
        // SAFETY: undoes the `enter` of the matching `acquire`, as the crate's contract for `release` has it.
        unsafe { irq_guard::leave() };
    }
}
