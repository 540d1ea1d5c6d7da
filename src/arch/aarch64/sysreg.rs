//! Snapshot of the system registers that boot set, for the audit and for reports.

use aarch64_cpu::registers::{CNTFRQ_EL0, MAIR_EL1, MIDR_EL1, Readable, SCTLR_EL1, TCR_EL1, TTBR1_EL1};

/// What the audit compares with what boot wrote.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the architecture's")]
pub struct SystemRegisters {
    pub midr: u64,
    pub sctlr: u64,
    pub tcr: u64,
    pub mair: u64,
    pub ttbr1: u64,
    pub cntfrq: u64,
    pub current_el: u8,
}

/// Reads them on this core. Context: any.
pub fn snapshot() -> SystemRegisters {
    SystemRegisters {
        midr: MIDR_EL1.get(),
        sctlr: SCTLR_EL1.get(),
        tcr: TCR_EL1.get(),
        mair: MAIR_EL1.get(),
        ttbr1: TTBR1_EL1.get(),
        cntfrq: CNTFRQ_EL0.get(),
        current_el: aarch64_cpu::registers::CurrentEL.read(aarch64_cpu::registers::CurrentEL::EL) as u8,
    }
}
