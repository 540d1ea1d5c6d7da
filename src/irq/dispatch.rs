//! From the vector to the handler.
//!
//! vectors.S has counted a hardirq and masked irqs; here the controller says what fired. SGIs are the calls between cores; everything else has a
//! slot in `lines`. A line that nobody handles is masked at once, so that it cannot storm, and reported once.

use super::{ipi, lines};
use crate::arch::exception::ExceptionFrame;
use crate::cpu::{self, latency};
use crate::debug::tracepoint::{self, Event};
use crate::upcalls;
use core::sync::atomic::{AtomicU64, Ordering};

const INTID_MASK: u32 = 0x3ff;
const FIRST_SPURIOUS: u32 = 1020;
const NR_SGIS: u32 = 16;

static SPURIOUS: AtomicU64 = AtomicU64::new(0);

/// Acknowledgements that found nothing pending.
pub fn nr_spurious() -> u64 {
    SPURIOUS.load(Ordering::Relaxed)
}

/// Upcall of arch: an interrupt was taken. Context: hardirq, irqs masked.
#[unsafe(no_mangle)]
fn tetra_handle_irq(frame: &mut ExceptionFrame) {
    latency::irqs_went_off();
    let raw = upcalls::irqchip_acknowledge();
    let intid = raw & INTID_MASK;
    if intid >= FIRST_SPURIOUS {
        SPURIOUS.fetch_add(1, Ordering::Relaxed);
        return latency::irqs_go_on();
    }

    let taken = &cpu::local::local().nr_irqs;
    taken.store(taken.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    tracepoint::hit(Event::IrqHandlerEntry, u64::from(intid), 0);
    let handled = lines::run(intid as usize) || (intid < NR_SGIS && ipi::handle(intid as u8, frame));
    tracepoint::hit(Event::IrqHandlerExit, u64::from(intid), u64::from(handled));
    upcalls::irqchip_end(raw);
    if !handled {
        unhandled(intid as u16);
    }
    latency::irqs_go_on();
}

#[cold]
fn unhandled(line: u16) {
    upcalls::irqchip_set_enabled(line, false);
    crate::pr_warn!("irq: INTID {} fired on cpu{} but has no handler: masked. Request it before its device is enabled.", line, cpu::id());
}
