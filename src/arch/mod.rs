//! What the rest of the kernel may ask of a processor: the facade over `aarch64` and `host`.
//!
//! All assembly and every `cfg(target_arch)` live below this directory. `host` gives the same names over `std`, so that pure and generic code
//! runs on a PC under `cargo test`, loom and proptest. A name that is used outside must be re-exported here, and so must exist in both.

#[cfg(target_os = "none")]
mod aarch64;
#[cfg(target_os = "none")]
pub use aarch64::{
    barrier, boot, bug, cache, core_area, core_area_of, count, counter, cpu_id, current, exception, fault_with_frame_pointer, force_frame,
    gate, halt, irq, layout, mmio, mmu, mpidr, observe, observe_branch, observe_u32, page, percpu_near, percpu_offset, pmu, position,
    probe, relax, return_to_el0, semihosting, set_current, sev, spin, stack_pointer, switch, sysreg, unaligned, undefined_instruction, wfe,
    wfi,
};

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
pub use host::{
    barrier, cache, count, counter, cpu_id, current, gate, irq, layout, mmio, page, relax, set_cpu, set_current, sev, spin, unaligned, wfe,
    wfi,
};

pub mod atomic;

/// Cores of the BCM2711, and so the length of every per-core array.
pub const NR_CPUS: usize = 4;
