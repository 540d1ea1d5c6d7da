//! The interrupt controller: GIC-400, a GICv2.
//!
//! A distributor, shared by all cores, holds the state of every line; each core has an interface of its own at one common address.
//! Tetra runs in the non-secure state, where the firmware's stub has put every interrupt into group 1: the group registers read as
//! zero, priorities are the lower half of the range shifted up, and the enable bits are those of group 1. QEMU's `raspi4b` has no
//! security extension and leaves everything in group 0; the same bits serve there. FIQs are not used: non-secure software cannot
//! have them on the hardware.
//!
//! | line state | set by | leaves it by |
//! |---|---|---|
//! | inactive | reset, EOI | the device, an SGI, [`Gicv2::set_pending`] |
//! | pending | device or SGI | [`Gicv2::acknowledge`] on one core |
//! | active | acknowledge | [`Gicv2::end`] with the very value that acknowledge gave |
//! | active and pending | another edge or a level still high | end, which leaves it pending |
//!
//! # Memory ordering
//! What a core wrote before [`Gicv2::send_sgi`] is visible to the receiver in its handler: a `DSB ISHST` completes the stores before
//! the write to `GICD_SGIR` is issued (ARM DDI 0487, barrier litmus tests, "Using a mailbox to send an interrupt": a DMB would not
//! do, as the interrupt is no memory access of the receiver). [`Gicv2::acknowledge`] has the other half: a `DMB ISHLD` after the read of
//! `GICC_IAR`, without which a handler that loops over acknowledges could have read its data before the second SGI was sent.
//!
//! Source: ARM IHI 0048B (architecture), ARM DDI 0471B (GIC-400). Neighbours: `irq` dispatches what this acknowledges.

mod intid;
mod lines;
mod registers;

use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};

use crate::arch::barrier;
use crate::sync::IrqSpinLock;

use super::mmio::Mmio;
use registers::{CpuInterface, Distributor, GICC_CTLR, GICC_PMR, GICD_CTLR, GICD_SGIR, GICD_TYPER};

pub use intid::{CpuMask, IntId, RawIar, SgiId, Spurious};
pub use lines::{GicError, Trigger};

/// The priority that every line starts with: the middle of the non-secure range, so that a line can be put above or below it.
pub const DEFAULT_PRIORITY: u8 = 0x80;

/// Who receives a software generated interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SgiTarget {
    /// The cores of a set.
    Mask(CpuMask),
    /// All but the sender.
    AllOthers,
    /// The sender.
    Myself,
}

/// What the audit looks at, taken on one core. See [`super::audit::gic_group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupSnapshot {
    /// The controller has a secure and a non-secure view.
    pub has_security_extension: bool,
    /// `GICD_IGROUPR0` of this core: zero in the non-secure view.
    pub group0_word: u32,
    /// The priority byte of an SGI after [`DEFAULT_PRIORITY`] was written: zero if the line belongs to the secure side.
    pub sgi_priority: u8,
    /// The priority mask of this core: zero means that nothing is ever signalled.
    pub priority_mask: u8,
}

/// The interrupt controller.
///
/// All methods may be called on any core at any time; those that touch banked lines (0-31) and the CPU interface act on the calling core.
pub struct Gicv2 {
    distributor: Mmio<Distributor>,
    interface: Mmio<CpuInterface>,
    /// Serialises the read-modify-write of `GICD_ICFGR`, the only registers shared by several lines that have no set and clear pair.
    /// Taken in thread context and at boot; innermost, nothing is called under it.
    config: IrqSpinLock<()>,
}

// SAFETY: the distributor's registers are write-one-to-set/clear, single bytes or, for ICFGR, guarded by `config`; those of the CPU
// interface are banked per core. Concurrent accesses therefore never lose an update.
unsafe impl Sync for Gicv2 {}

impl Gicv2 {
    /// Takes the controller.
    ///
    /// # Safety
    /// `gicd` and `gicc` are the virtual addresses of the distributor and the CPU interface, mapped as device memory for ever, and no
    /// one else drives them.
    pub const unsafe fn new(gicd: usize, gicc: usize) -> Gicv2 {
        // SAFETY: the caller's promise.
        let distributor = unsafe { Mmio::new(gicd) };
        // SAFETY: likewise.
        let interface = unsafe { Mmio::new(gicc) };
        Gicv2 { distributor, interface, config: IrqSpinLock::new(()) }
    }

    /// Puts every shared line into a known state (disabled, idle, level, default priority, core 0) and starts forwarding.
    ///
    /// A warm reboot or a debugger leaves lines enabled or active; nothing of that survives.
    ///
    /// Context: once, at boot, on core 0, irqs masked, before [`Gicv2::init_cpu`].
    pub fn init_distributor(&self) {
        let d = &*self.distributor;
        d.ctlr.set(0);
        for word in 1..self.nr_lines().div_ceil(32) {
            d.icenabler[word].set(u32::MAX);
            d.icpendr[word].set(u32::MAX);
            d.icactiver[word].set(u32::MAX);
        }
        for line in 32..self.nr_lines() {
            d.ipriorityr[line].set(DEFAULT_PRIORITY);
            d.itargetsr[line].set(CpuMask::one(0).bits());
        }
        for word in 2..self.nr_lines().div_ceil(16) {
            d.icfgr[word].set(0);
        }
        d.ctlr.write(GICD_CTLR::ENABLE::SET);
    }

    /// Puts the calling core's banked lines into a known state, with SGIs enabled and PPIs disabled, and lets interrupts through.
    ///
    /// Context: at boot, once on each core, irqs masked; on core 0 after [`Gicv2::init_distributor`].
    pub fn init_cpu(&self) {
        let d = &*self.distributor;
        let c = &*self.interface;
        c.ctlr.set(0);
        d.icenabler[0].set(PPI_BITS);
        d.icpendr[0].set(PPI_BITS);
        d.icactiver[0].set(u32::MAX);
        for line in 0..32 {
            d.ipriorityr[line].set(DEFAULT_PRIORITY);
        }
        for sgi in &d.cpendsgir {
            sgi.set(u8::MAX);
        }
        d.isenabler[0].set(SGI_BITS);

        // All priorities pass; no splitting into preemption levels, since handlers run with irqs masked (the GIC rounds 0 up to the
        // least binary point it has).
        c.pmr.write(GICC_PMR::PRIORITY.val(0xff));
        c.bpr.set(0);
        c.ctlr.write(GICC_CTLR::ENABLE::SET);
    }

    /// Number of interrupt lines, SGIs and PPIs included: at least 224 on the BCM2711, whose last device line is INTID 223.
    ///
    /// Context: any.
    #[must_use]
    pub fn nr_lines(&self) -> usize {
        let lines = 32 * (self.distributor.typer.read(GICD_TYPER::IT_LINES_NUMBER) as usize + 1);
        lines.min(IntId::LIMIT as usize)
    }

    /// Number of cores the controller serves.
    ///
    /// Context: any.
    #[must_use]
    pub fn nr_interfaces(&self) -> usize {
        self.distributor.typer.read(GICD_TYPER::CPU_NUMBER) as usize + 1
    }

    /// Implementer, revision and product of the distributor (`GICD_IIDR`, §4.3.3); the low 12 bits are 0x43b for one made by Arm.
    ///
    /// Context: any.
    #[must_use]
    pub fn identification(&self) -> u32 {
        self.distributor.iidr.get()
    }

    /// The interface number of the calling core, as a set: what a target register needs to reach it.
    ///
    /// Zero on a uniprocessor GIC. Context: any, not preemptible.
    #[must_use]
    pub fn own_interface(&self) -> CpuMask {
        CpuMask::from_bits(self.distributor.itargetsr[0].get())
    }

    /// Sends a software generated interrupt; an empty set sends nothing.
    ///
    /// All that this core wrote before is visible to the receiver in its handler (`DSB ISHST`, see the head of the file).
    ///
    /// Context: any.
    #[inline]
    pub fn send_sgi(&self, sgi: SgiId, target: SgiTarget) {
        let receivers = match target {
            SgiTarget::Mask(mask) => GICD_SGIR::TARGET_LIST_FILTER::List + GICD_SGIR::CPU_TARGET_LIST.val(u32::from(mask.bits())),
            SgiTarget::AllOthers => GICD_SGIR::TARGET_LIST_FILTER::AllOthers,
            SgiTarget::Myself => GICD_SGIR::TARGET_LIST_FILTER::Requester,
        };
        barrier::dsb_ishst();
        self.distributor.sgir.write(receivers + GICD_SGIR::SGIINTID.val(u32::from(sgi.intid().number())));
    }

    /// Takes the most urgent pending interrupt of this core; it is active until [`Gicv2::end`]. What an SGI's sender wrote before is visible.
    ///
    /// Context: hardirq entry, irqs masked.
    #[inline]
    pub fn acknowledge(&self) -> RawIar {
        let iar = RawIar::from_raw(self.interface.iar.get());
        barrier::smp_rmb();
        iar
    }

    /// Ends an acknowledged interrupt. The value goes back whole: for an SGI the source core is part of it (§4.4.5).
    ///
    /// A spurious value is dropped, as it ends nothing. For a shared line a barrier first completes what the handler told its device,
    /// or a level that is still on its way down would be taken again; SGIs and PPIs have no device behind the bus.
    ///
    /// Context: hardirq, on the core that acknowledged, in reverse order of the acknowledges.
    #[inline]
    pub fn end(&self, iar: RawIar) {
        let Ok(line) = iar.intid() else { return };
        if !line.is_banked() {
            barrier::dsb_sy();
        }
        self.interface.eoir.set(iar.raw());
    }

    /// The interrupt that [`Gicv2::acknowledge`] would return on this core, left pending.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn highest_pending(&self) -> Option<IntId> {
        RawIar::from_raw(self.interface.hppir.get()).intid().ok()
    }

    /// Priority of the interrupt that this core handles; `None` when it handles none (§4.4.6).
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn running_priority(&self) -> Option<u8> {
        // The idle value is 0xff, of which non-secure software may see only the implemented bits (0xf0 and up).
        Some(self.interface.rpr.get() as u8).filter(|&priority| priority < IDLE_PRIORITY)
    }

    /// What this core sees of groups and masks, for the audit.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn group_snapshot(&self) -> GroupSnapshot {
        GroupSnapshot {
            has_security_extension: self.distributor.typer.is_set(GICD_TYPER::SECURITY_EXTN),
            group0_word: self.distributor.igroupr[0].get(),
            sgi_priority: self.distributor.ipriorityr[0].get(),
            priority_mask: self.interface.pmr.read(GICC_PMR::PRIORITY) as u8,
        }
    }

    /// Stops interrupts on the calling core, for a reboot or for a core that goes offline.
    ///
    /// Context: any, irqs masked.
    pub fn stop_cpu(&self) {
        self.interface.ctlr.modify(GICC_CTLR::ENABLE::CLEAR);
        barrier::dsb_sy();
    }
}

/// The SGIs in word 0 of the registers with one bit a line.
const SGI_BITS: u32 = 0x0000_ffff;
/// The PPIs in that word.
const PPI_BITS: u32 = 0xffff_0000;
/// Running priorities from here up mean that none is running.
const IDLE_PRIORITY: u8 = 0xf0;

#[cfg(test)]
mod tests;
