//! What a core is to the kernel: its number, its area of per-CPU data, the thread it runs, and how deep that thread is in which context.
//!
//! Layer: above `arch`, below everything else. No lock and no log line here; misuse is reported through `upcalls`.

pub mod bottom_half;
pub mod context;
pub mod irq_guard;
pub mod latency;
pub mod local;
pub mod percpu;
pub mod preempt;
pub mod task;

pub use bottom_half::{BottomHalfGuard, local_bh_disable, local_bh_enable};
pub use context::{in_hardirq, in_interrupt, in_irq, in_softirq, in_task, is_atomic, preempt_count};
pub use irq_guard::{IrqGuard, IrqsOff};
pub use local::CoreLocal;
pub use percpu::PerCpu;
pub use preempt::PreemptGuard;
pub use task::{Task, current};

pub use crate::arch::{NR_CPUS, cpu_id as id};

use core::sync::atomic::{AtomicU32, Ordering};

static ONLINE: AtomicU32 = AtomicU32::new(0);

/// Bit map of the cores that run the kernel.
///
/// Context: any. A core that is in the map stays in it until a panic stops it.
pub fn online_mask() -> u32 {
    // Acquire: what a core set up before it went online is visible to who finds it here; pairs with `set_online`.
    ONLINE.load(Ordering::Acquire)
}

/// True if core `cpu` runs the kernel.
pub fn is_online(cpu: usize) -> bool {
    cpu < NR_CPUS && online_mask() & (1 << cpu) != 0
}

/// Number of cores that run the kernel.
pub fn nr_online() -> usize {
    online_mask().count_ones() as usize
}

/// The cores that run the kernel, in ascending order.
pub fn online() -> impl Iterator<Item = usize> {
    let mask = online_mask();
    (0..NR_CPUS).filter(move |cpu| mask & (1 << cpu) != 0)
}

/// Puts this core in the map. Once for each core, when it can take interrupts.
pub fn set_online() {
    ONLINE.fetch_or(1 << id(), Ordering::Release);
}
