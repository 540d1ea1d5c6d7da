//! The barriers as fences of the host's memory model: `core`'s, and loom's under `cfg(loom)`.
//!
//! Fences know only release, acquire and sequentially consistent: `smp_wmb` is a release fence and so orders loads as well, which DMB ISHST
//! does not. That gap is why what loom accepts is checked again as machine code by `make verify`.

#[cfg(not(loom))]
use core::sync::atomic::{Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{Ordering, fence};

/// Defines functions that are one fence each.
macro_rules! fences {
    ($($(#[$doc:meta])* $name:ident = $ordering:ident;)+) => {
        $(
            $(#[$doc])*
            pub fn $name() {
                fence(Ordering::$ordering);
            }
        )+
    };
}

fences! {
    /// Stands for DSB SY.
    mb = SeqCst;
    /// Stands for DSB LD.
    rmb = Acquire;
    /// Stands for DSB ST.
    wmb = Release;
    /// Stands for DMB ISH.
    smp_mb = SeqCst;
    /// Stands for DMB ISHLD.
    smp_rmb = Acquire;
    /// Stands for DMB ISHST.
    smp_wmb = Release;
    /// Stands for DMB OSH.
    dma_mb = SeqCst;
    /// Stands for DMB OSHLD.
    dma_rmb = Acquire;
    /// Stands for DMB OSHST.
    dma_wmb = Release;
    /// Stands for DSB SY.
    dsb_sy = SeqCst;
    /// Stands for DSB ISH.
    dsb_ish = SeqCst;
    /// Stands for DSB ISHST.
    dsb_ishst = Release;
}

/// Stands for ISB: a PC has nothing of the kind that a program needs.
pub fn isb() {}

/// Keeps the compiler from moving memory accesses across.
pub fn compiler() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}
