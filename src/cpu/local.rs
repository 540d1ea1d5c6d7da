//! The fixed head of each core's per-CPU area: the few words that the hottest paths reach at a constant offset.

use super::percpu::PerCpu;
use core::cell::UnsafeCell;
use core::panic::Location;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

/// First object of the per-CPU area, at offset 0. Everything else is declared with `per_cpu!` where it is used.
///
/// Each word says who may write it. Words that other cores read are atomics; all accesses from the core itself are relaxed loads and stores,
/// which is sound because it is the only writer.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CoreLocal {
    /// Entries into irq-off sections that found interrupts masked already. Written by this core with irqs masked.
    pub irq_extra: AtomicU32,
    /// What others want of this core although it may have irqs off: bits of `attention`. Set by others, cleared by this core.
    pub attention: AtomicU32,
    /// Interrupts taken. Written by this core in hardirq.
    pub nr_irqs: AtomicU64,
    /// Softirqs that were raised on this core and not served: a bit each. Written by this core with irqs masked.
    pub softirq_pending: AtomicU32,
    /// mm::kmem_cache: this core's lists of free objects, at an offset that one load reaches. Touched by this core with irqs masked.
    pub slabs: OwnWords<SLAB_WORDS>,
    /// Where this core last masked irqs by a guard; builds with `debug` alone write it. Written by this core with irqs masked.
    pub irqs_masked_at: AtomicUsize,
    /// Where the section began that took this core's count of preemption and bottom halves from 0; builds with `debug` alone write it. Written by this
    /// core in the section.
    pub section_began_at: AtomicPtr<Location<'static>>,
}

/// Words for the slab allocator: key, page descriptors and the lists' end, and two words for each cache and for none.
pub const SLAB_WORDS: usize = 7 + 2 * (1 + NR_SLAB_CACHES);
/// Caches that there can be at a time.
pub const NR_SLAB_CACHES: usize = 128;

/// Words of a higher layer in a core's area, which that core alone touches. This layer gives no more than their address.
#[derive(Debug)]
#[repr(transparent)]
pub struct OwnWords<const N: usize>(UnsafeCell<[usize; N]>);

// SAFETY: sharing gives others a raw pointer and nothing else; who follows it owes the reason why that is no race.
unsafe impl<const N: usize> Sync for OwnWords<N> {}

impl<const N: usize> OwnWords<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// Where the words are. Context: any.
    #[inline(always)]
    pub const fn as_ptr(&self) -> *mut [usize; N] {
        self.0.get()
    }
}

/// Requests in `CoreLocal::attention`.
pub mod attention {
    /// Stop for good: another core panics.
    pub const STOP: u32 = 1 << 0;
    /// Record registers and a backtrace, then go on.
    pub const BACKTRACE: u32 = 1 << 1;
}

impl CoreLocal {
    const fn new() -> Self {
        Self {
            irq_extra: AtomicU32::new(0),
            attention: AtomicU32::new(0),
            nr_irqs: AtomicU64::new(0),
            softirq_pending: AtomicU32::new(0),
            slabs: OwnWords::new(),
            irqs_masked_at: AtomicUsize::new(0),
            section_began_at: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

#[cfg(target_os = "none")]
#[unsafe(link_section = ".percpu.head")]
#[used]
static HEAD: CoreLocal = CoreLocal::new();

#[cfg(not(target_os = "none"))]
static HEAD: [CoreLocal; super::NR_CPUS] = [const { CoreLocal::new() }; super::NR_CPUS];

/// The head of the area of the core that runs this.
///
/// Context: any; meaningful only while the caller cannot migrate (irqs or preemption off, or in a handler).
#[cfg(target_os = "none")]
#[inline(always)]
pub fn local() -> &'static CoreLocal {
    // SAFETY: TPIDR_EL1 is set before the first Rust instruction to this core's area, whose first object is a `CoreLocal` (linker script:
    // `.percpu.head`), copied from the template and never moved. It is `Sync`, so sharing is sound from any core.
    unsafe { &*(crate::arch::core_area() as *const CoreLocal) }
}

/// The head of the area of core `cpu`.
///
/// # Panics
/// If there is no such core.
#[cfg(target_os = "none")]
pub fn local_of(cpu: usize) -> &'static CoreLocal {
    // SAFETY: as in `local`; `core_area_of` checks the number.
    unsafe { &*(crate::arch::core_area_of(cpu) as *const CoreLocal) }
}

/// The head of the area of the core that runs this: on the host each thread is a core of its own, whatever number it goes by.
#[cfg(not(target_os = "none"))]
pub fn local() -> &'static CoreLocal {
    std::thread_local! {
        static OWN: &'static CoreLocal = std::boxed::Box::leak(std::boxed::Box::new(CoreLocal::new()));
    }
    OWN.with(|own| *own)
}

/// The head of the area of core `cpu`.
#[cfg(not(target_os = "none"))]
pub fn local_of(cpu: usize) -> &'static CoreLocal {
    &HEAD[cpu]
}

const _: () = assert!(size_of::<CoreLocal>() <= 2176 && size_of::<PerCpu<u8>>() > 0);
