//! The critical section that `embedded-alloc` asks its user for: irqs off, by the kernel's own count.
//!
//! The benchmarks run on one core, so no lock is needed around it.

use critical_section::RawRestoreState;
use tetra::cpu::irq_guard;

struct IrqsOff;

critical_section::set_impl!(IrqsOff);

// SAFETY: with irqs off nothing else runs on this core, and no other core uses these heaps.
unsafe impl critical_section::Impl for IrqsOff {
    unsafe fn acquire() -> RawRestoreState {
        irq_guard::enter();
    }

    unsafe fn release(_state: RawRestoreState) {
        irq_guard::leave();
    }
}
