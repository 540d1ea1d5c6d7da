//! What ESR_EL1 says, in words. Pure, and tested on the host.
//!
//! Source: Arm ARM DDI 0487, D24.2.36.

use core::fmt;

/// An exception syndrome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syndrome(pub u64);

/// The exception classes that this kernel tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Undefined instruction, or nothing better known.
    Unknown,
    /// FP or SIMD, which the kernel is built without.
    FpAccess,
    /// PSTATE.IL was set.
    IllegalState,
    /// SVC, HVC or SMC.
    Call,
    /// A trapped MSR, MRS or system instruction.
    SystemRegister,
    /// Instruction fetch failed.
    InstructionAbort,
    /// The PC was not a multiple of 4.
    PcAlignment,
    /// A load or store failed.
    DataAbort,
    /// The SP was not a multiple of 16.
    SpAlignment,
    /// Asynchronous abort.
    SError,
    /// Hardware breakpoint, watchpoint or single step.
    Debug,
    /// BRK, with its immediate.
    Brk(u16),
    /// Anything else.
    Other(u8),
}

/// Why a translation or an access failed: the fault status code of an abort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultStatus {
    /// The address has too many bits for the tables.
    AddressSize,
    /// Nothing is mapped there. Level of the table that said so.
    Translation(u8),
    /// The access flag was clear.
    AccessFlag,
    /// Mapped, but not for this kind of access.
    Permission,
    /// The bus answered with an error.
    External,
    /// The bus answered with an error to a table walk.
    ExternalOnWalk,
    /// The address is not aligned as the access needs.
    Alignment,
    /// Two TLB entries for one address: break-before-make was not kept.
    TlbConflict,
    /// Exclusive access to memory that does not support it: MMU or caches off, or not Normal write-back memory.
    UnsupportedExclusive,
    /// Anything else.
    Other(u8),
}

impl Syndrome {
    /// Exception class.
    pub fn class(self) -> Class {
        match self.0 >> 26 & 0x3f {
            0x00 => Class::Unknown,
            0x07 => Class::FpAccess,
            0x0e => Class::IllegalState,
            0x15..=0x17 => Class::Call,
            0x18 => Class::SystemRegister,
            0x20 | 0x21 => Class::InstructionAbort,
            0x22 => Class::PcAlignment,
            0x24 | 0x25 => Class::DataAbort,
            0x26 => Class::SpAlignment,
            0x2f => Class::SError,
            0x30..=0x35 => Class::Debug,
            0x3c => Class::Brk(self.0 as u16),
            other => Class::Other(other as u8),
        }
    }

    /// For an abort: why.
    pub fn fault_status(self) -> FaultStatus {
        let code = (self.0 & 0x3f) as u8;
        match code {
            0x00..=0x03 => FaultStatus::AddressSize,
            0x04..=0x07 => FaultStatus::Translation(code & 3),
            0x08..=0x0b => FaultStatus::AccessFlag,
            0x0c..=0x0f => FaultStatus::Permission,
            0x10 => FaultStatus::External,
            0x14..=0x17 => FaultStatus::ExternalOnWalk,
            0x21 => FaultStatus::Alignment,
            0x30 => FaultStatus::TlbConflict,
            0x35 => FaultStatus::UnsupportedExclusive,
            other => FaultStatus::Other(other),
        }
    }

    /// A data abort by a store (or by cache maintenance, which counts as one).
    pub fn is_write(self) -> bool {
        self.0 & (1 << 6) != 0
    }

    /// FAR holds the address.
    pub fn has_address(self) -> bool {
        let far_not_valid = self.0 & (1 << 10) != 0;
        match self.class() {
            Class::DataAbort | Class::InstructionAbort => !far_not_valid,
            Class::PcAlignment => true,
            _ => false,
        }
    }
}

impl fmt::Display for Syndrome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class() {
            Class::Unknown => f.write_str("undefined instruction"),
            Class::FpAccess => f.write_str("FP or SIMD instruction, which this kernel is built without"),
            Class::IllegalState => f.write_str("illegal execution state: a corrupted SPSR was returned to"),
            Class::Call => f.write_str("SVC, HVC or SMC: there is nothing to call"),
            Class::SystemRegister => f.write_str("trapped access to a system register"),
            Class::InstructionAbort => write!(f, "instruction fetch failed: {}", self.fault_status()),
            Class::PcAlignment => f.write_str("jump to an address that is no multiple of 4"),
            Class::DataAbort => {
                let access = if self.is_write() { "write" } else { "read" };
                write!(f, "{access} failed: {}", self.fault_status())
            }
            Class::SpAlignment => f.write_str("stack pointer is no multiple of 16"),
            Class::SError => f.write_str("SError: an earlier access failed on the bus"),
            Class::Debug => f.write_str("hardware breakpoint, watchpoint or step without a debugger"),
            Class::Brk(immediate) => write!(f, "BRK {immediate:#x}"),
            Class::Other(class) => write!(f, "exception class {class:#x}"),
        }
    }
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressSize => f.write_str("address too large for the tables"),
            Self::Translation(level) => write!(f, "nothing mapped (level {level})"),
            Self::AccessFlag => f.write_str("access flag clear"),
            Self::Permission => f.write_str("no permission"),
            Self::External => f.write_str("bus error (no device answers there)"),
            Self::ExternalOnWalk => f.write_str("bus error on a table walk"),
            Self::Alignment => f.write_str("address not aligned for this access"),
            Self::TlbConflict => f.write_str("TLB conflict (a live mapping was changed without break-before-make)"),
            Self::UnsupportedExclusive => f.write_str("exclusive access to memory that is not cached"),
            Self::Other(code) => write!(f, "fault status {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As QEMU and the Arm ARM have them: class, status, write.
    #[test]
    fn syndromes_seen_on_the_target_read_right() {
        let cases = [
            (0x9600_0004u64, "read failed: nothing mapped (level 0)", true),
            (0x9600_0045, "write failed: nothing mapped (level 1)", true),
            (0x9600_004f, "write failed: no permission", true),
            (0x9600_0010, "read failed: bus error (no device answers there)", true),
            (0x9600_0410, "read failed: bus error (no device answers there)", false),
            (0x9600_0021, "read failed: address not aligned for this access", true),
            (0x8600_0006, "instruction fetch failed: nothing mapped (level 2)", true),
            (0x8a00_0000, "jump to an address that is no multiple of 4", true),
            (0xf200_0001, "BRK 0x1", false),
            (0x0200_0000, "undefined instruction", false),
            (0x1fe0_0000, "FP or SIMD instruction, which this kernel is built without", false),
        ];
        for (esr, text, has_address) in cases {
            assert_eq!(Syndrome(esr).to_string(), text, "{esr:#x}");
            assert_eq!(Syndrome(esr).has_address(), has_address, "{esr:#x}");
        }
    }
}
