//! The barrier instructions, one function each.
//!
//! DMB orders memory accesses among each other; DSB also holds back every later instruction until the accesses are complete; ISB makes the
//! core fetch anew, so that what follows sees changed system registers and translations. The option names who must agree (ISH: the four
//! cores; OSH: also bus masters that snoop; SY: everybody) and what is ordered (LD: loads with all that follows; ST: stores with stores).
//!
//! Every function is a compiler barrier too: the assembly may touch any memory, as far as the compiler knows.
//!
//! Neighbours: `sync/barrier.rs` says which to use when. Sources: ARM DDI 0487, B2.3 "Memory barriers", C6.2 for DMB, DSB, ISB.

use core::arch::asm;

/// Defines functions that are one instruction each.
macro_rules! barriers {
    ($($(#[$doc:meta])* $name:ident = $instruction:literal;)+) => {
        $(
            $(#[$doc])*
            ///
            /// Context: any.
            #[inline(always)]
            pub fn $name() {
                // SAFETY: A barrier only orders accesses; it reads and writes nothing itself.
                unsafe { asm!($instruction, options(nostack, preserves_flags)) }
            }
        )+
    };
}

barriers! {
    /// Completes every access before anything after it (DSB SY).
    mb = "dsb sy";
    /// Completes every load before anything after it (DSB LD).
    rmb = "dsb ld";
    /// Completes every store before anything after it (DSB ST).
    wmb = "dsb st";
    /// Orders all accesses before against all after, among the cores (DMB ISH).
    smp_mb = "dmb ish";
    /// Orders loads before against loads and stores after, among the cores (DMB ISHLD).
    smp_rmb = "dmb ishld";
    /// Orders stores before against stores after, among the cores (DMB ISHST).
    smp_wmb = "dmb ishst";
    /// Orders all accesses, devices that share memory included (DMB OSH).
    dma_mb = "dmb osh";
    /// Orders loads, devices that share memory included (DMB OSHLD).
    dma_rmb = "dmb oshld";
    /// Orders stores, devices that share memory included (DMB OSHST).
    dma_wmb = "dmb oshst";
    /// Completes every access, cache and TLB maintenance in the whole system (DSB SY).
    dsb_sy = "dsb sy";
    /// Completes every access, cache and TLB maintenance among the cores (DSB ISH).
    dsb_ish = "dsb ish";
    /// Completes every store among the cores: before a TLBI that must see a new table entry (DSB ISHST).
    dsb_ishst = "dsb ishst";
    /// Fetches what follows anew: after a change of system registers, translations or code (ISB).
    isb = "isb";
    /// Keeps the compiler from moving memory accesses across; no instruction.
    compiler = "";
}
