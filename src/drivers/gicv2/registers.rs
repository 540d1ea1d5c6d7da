//! Register layout of the GIC-400, as seen by non-secure software.
//!
//! Offsets and bits: ARM IHI 0048B, tables 4-1 (distributor) and 4-2 (CPU interface), each field by its own section; GIC-400 specifics:
//! ARM DDI 0471B. Registers with one byte per interrupt (`IPRIORITYR`, `ITARGETSR`) are declared as bytes: byte access is allowed
//! (§4.1.4) and makes a change to one line independent of its neighbours.

use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

/// Lines that the register file has room for.
pub const MAX_LINES: usize = 1024;

register_bitfields! { u32,
    /// Distributor control, §4.3.1.
    pub GICD_CTLR [
        /// Forwards interrupts: of group 1 in the non-secure view (EnableGrp1), of group 0 on a GIC without security extension, where
        /// every interrupt starts in group 0. Either way it is the bit for the interrupts this software owns.
        ENABLE OFFSET(0) NUMBITS(1) []
    ],
    /// What this GIC has, §4.3.2.
    pub GICD_TYPER [
        /// Interrupt lines in units of 32, less one.
        IT_LINES_NUMBER OFFSET(0) NUMBITS(5) [],
        /// CPU interfaces, less one.
        CPU_NUMBER OFFSET(5) NUMBITS(3) [],
        /// Whether there is a secure and a non-secure view.
        SECURITY_EXTN OFFSET(10) NUMBITS(1) []
    ],
    /// Software generated interrupts, §4.3.15. NSATT (bit 15) is left 0: it matters to secure writes only.
    pub GICD_SGIR [
        /// Which SGI.
        SGIINTID OFFSET(0) NUMBITS(4) [],
        /// Interfaces addressed by the filter `List`.
        CPU_TARGET_LIST OFFSET(16) NUMBITS(8) [],
        /// Who receives it.
        TARGET_LIST_FILTER OFFSET(24) NUMBITS(2) [
            List = 0,
            AllOthers = 1,
            Requester = 2
        ]
    ],
    /// CPU interface control, §4.4.1. EOImodeNS (bit 9) stays 0: EOIR drops the priority and ends the interrupt in one write.
    pub GICC_CTLR [
        /// Signals interrupts to the core; which group, as in `GICD_CTLR`.
        ENABLE OFFSET(0) NUMBITS(1) []
    ],
    /// Priority mask, §4.4.2: only a priority value *below* it is signalled.
    pub GICC_PMR [
        /// The mask.
        PRIORITY OFFSET(0) NUMBITS(8) []
    ]
}

register_structs! {
    /// The distributor. One for all cores, but for the words of interrupts 0-31, which each core sees its own copy of.
    pub Distributor {
        (0x000 => pub ctlr: ReadWrite<u32, GICD_CTLR::Register>),
        (0x004 => pub typer: ReadOnly<u32, GICD_TYPER::Register>),
        (0x008 => pub iidr: ReadOnly<u32>),
        (0x00c => _reserved0),
        /// Group, §4.3.4; reads as zero and ignores writes in the non-secure view.
        (0x080 => pub igroupr: [ReadWrite<u32>; 32]),
        /// Write one to enable, §4.3.5.
        (0x100 => pub isenabler: [ReadWrite<u32>; 32]),
        /// Write one to disable, §4.3.6.
        (0x180 => pub icenabler: [ReadWrite<u32>; 32]),
        /// Write one to make pending, §4.3.7.
        (0x200 => pub ispendr: [ReadWrite<u32>; 32]),
        /// Write one to make not pending, §4.3.8.
        (0x280 => pub icpendr: [ReadWrite<u32>; 32]),
        /// Active state, §4.3.9.
        (0x300 => pub isactiver: [ReadWrite<u32>; 32]),
        /// Write one to make not active, §4.3.10.
        (0x380 => pub icactiver: [ReadWrite<u32>; 32]),
        /// Priority, a byte each, §4.3.11; lower is more urgent.
        (0x400 => pub ipriorityr: [ReadWrite<u8>; MAX_LINES]),
        /// Target interfaces, a byte each, §4.3.12; 0-31 read as the reading core's own interface.
        (0x800 => pub itargetsr: [ReadWrite<u8>; MAX_LINES]),
        /// Two bits each, the upper one set for edge triggered, §4.3.13.
        (0xc00 => pub icfgr: [ReadWrite<u32>; 64]),
        (0xd00 => _reserved1),
        (0xf00 => pub sgir: WriteOnly<u32, GICD_SGIR::Register>),
        (0xf04 => _reserved2),
        /// Write one to take back a pending SGI, a byte each with a bit per sender, §4.3.16.
        (0xf10 => pub cpendsgir: [ReadWrite<u8>; 16]),
        (0xf20 => _reserved3),
        (0x1000 => @END),
    }
}

register_structs! {
    /// The CPU interface: the same address on each core, the reading core's own registers.
    pub CpuInterface {
        (0x000 => pub ctlr: ReadWrite<u32, GICC_CTLR::Register>),
        (0x004 => pub pmr: ReadWrite<u32, GICC_PMR::Register>),
        /// Binary point, §4.4.3.
        (0x008 => pub bpr: ReadWrite<u32>),
        /// Acknowledge, §4.4.4. Reading it changes the state of the interrupt.
        (0x00c => pub iar: ReadOnly<u32>),
        /// End of interrupt, §4.4.5.
        (0x010 => pub eoir: WriteOnly<u32>),
        /// Priority of the interrupt being handled, §4.4.6; 0xff when none is.
        (0x014 => pub rpr: ReadOnly<u32>),
        /// The interrupt that an acknowledge would return, §4.4.7, without acknowledging it.
        (0x018 => pub hppir: ReadOnly<u32>),
        (0x01c => _reserved0),
        /// Identification, §4.4.14.
        (0x0fc => pub iidr: ReadOnly<u32>),
        (0x100 => @END),
    }
}
