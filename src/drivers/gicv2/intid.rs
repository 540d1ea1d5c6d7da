//! Interrupt numbers of a GICv2, and the acknowledge value that carries one.
//!
//! Two types, because mixing them up is the classic GICv2 bug: the value read from `GICC_IAR` names the sending core of an SGI besides
//! the interrupt, and exactly that value must go back to `GICC_EOIR`, while dispatching needs the bare number.
//! Source: ARM IHI 0048B §2.2 (INTIDs), §3.2.5 (special numbers), §4.4.4 (IAR), §4.4.5 (EOIR).

use core::fmt;

/// An interrupt number: 0-15 SGI, 16-31 PPI (both banked per core), 32-1019 SPI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntId(u16);

impl IntId {
    /// One more than the highest number an interrupt can have; 1020-1023 are answers, not interrupts.
    pub const LIMIT: u16 = 1020;

    /// The interrupt `number`, if it is below [`IntId::LIMIT`].
    #[must_use]
    pub const fn new(number: u16) -> Option<IntId> {
        if number < Self::LIMIT { Some(IntId(number)) } else { None }
    }

    /// The private peripheral interrupt that a device tree calls `<1 number>`.
    ///
    /// # Panics
    /// `number` is above 15; in a constant that is a compile error.
    #[must_use]
    pub const fn ppi(number: u16) -> IntId {
        assert!(number < 16, "a core has 16 private interrupts");
        IntId(16 + number)
    }

    /// The shared peripheral interrupt that a device tree calls `<0 number>`.
    ///
    /// # Panics
    /// `number` is above 987; in a constant that is a compile error.
    #[must_use]
    pub const fn spi(number: u16) -> IntId {
        assert!(number < Self::LIMIT - 32, "a GICv2 has 988 shared interrupts");
        IntId(32 + number)
    }

    /// The bare number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The number as an index into a table of lines.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether it is software generated (0-15).
    #[must_use]
    pub const fn is_sgi(self) -> bool {
        self.0 < 16
    }

    /// Whether each core has its own copy of this line and of its registers (0-31).
    #[must_use]
    pub const fn is_banked(self) -> bool {
        self.0 < 32
    }
}

impl fmt::Debug for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..16 => write!(f, "SGI{}", self.0),
            16..32 => write!(f, "PPI{}", self.0 - 16),
            _ => write!(f, "SPI{}", self.0 - 32),
        }
    }
}

/// A number of a software generated interrupt, 0-15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SgiId(u8);

impl SgiId {
    /// SGI `number`.
    ///
    /// # Panics
    /// `number` is above 15; in a constant that is a compile error.
    #[must_use]
    pub const fn new(number: u8) -> SgiId {
        assert!(number < 16, "SGIs are numbered 0 to 15");
        SgiId(number)
    }

    /// The interrupt that the receiver sees.
    #[must_use]
    pub const fn intid(self) -> IntId {
        IntId(self.0 as u16)
    }
}

/// A set of CPU interfaces, bit n for interface n. On the BCM2711 interface n belongs to core n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuMask(u8);

impl CpuMask {
    /// The set with these bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> CpuMask {
        CpuMask(bits)
    }

    /// The set of one core.
    ///
    /// # Panics
    /// `cpu` is above 7: a GICv2 has eight interfaces at most.
    #[must_use]
    pub const fn one(cpu: usize) -> CpuMask {
        assert!(cpu < 8, "a GICv2 serves eight cores at most");
        CpuMask(1 << cpu)
    }

    /// The set of the first `nr_cpus` cores.
    #[must_use]
    pub const fn first(nr_cpus: usize) -> CpuMask {
        if nr_cpus >= 8 { CpuMask(u8::MAX) } else { CpuMask((1 << nr_cpus) - 1) }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// What `GICC_IAR` returned: the token that ends the interrupt.
///
/// Not `Clone`: an interrupt is ended once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an acknowledged interrupt stays active, and blocks its line, until it is ended"]
pub struct RawIar(u32);

impl RawIar {
    /// Bits of the INTID.
    const INTID: u32 = 0x3ff;
    /// Lowest bit of the sending core's number.
    const CPU_SHIFT: u32 = 10;

    /// The value that the register gave, when it had to travel as a number.
    pub const fn from_raw(value: u32) -> RawIar {
        RawIar(value)
    }

    /// The register's value, source core included.
    #[must_use]
    pub const fn raw(&self) -> u32 {
        self.0
    }

    /// The core that sent an SGI; 0 for other interrupts.
    #[must_use]
    pub const fn source_cpu(&self) -> usize {
        ((self.0 >> Self::CPU_SHIFT) & 7) as usize
    }

    /// The interrupt to dispatch, or why there is none.
    ///
    /// # Errors
    /// [`Spurious`] for 1020-1023: nothing was acknowledged, and nothing must be ended.
    pub const fn intid(&self) -> Result<IntId, Spurious> {
        match (self.0 & Self::INTID) as u16 {
            1022 => Err(Spurious::OtherGroup),
            1023 => Err(Spurious::NonePending),
            1020 | 1021 => Err(Spurious::Reserved),
            number => Ok(IntId(number)),
        }
    }
}

/// Why an acknowledge brought no interrupt (IHI 0048B §3.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spurious {
    /// 1023: what was pending has gone, another core took it, or its priority is masked.
    NonePending,
    /// 1022: a group 1 interrupt is pending, but this read may only take group 0.
    OtherGroup,
    /// 1020 or 1021, which a GIC never returns.
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_limits_and_names() {
        assert_eq!(IntId::new(1019).map(IntId::index), Some(1019));
        assert_eq!(IntId::new(1020), None);
        assert_eq!(IntId::ppi(14).number(), 30);
        assert_eq!(IntId::spi(121).number(), 153);
        assert_eq!(format!("{} {} {}", IntId(3), IntId::ppi(11), IntId::spi(121)), "SGI3 PPI11 SPI121");
        assert!(IntId(15).is_sgi() && IntId(31).is_banked() && !IntId(32).is_banked());
    }

    #[test]
    fn acknowledge_value_keeps_its_source() {
        let iar = RawIar::from_raw(2 << 10 | 5);
        assert_eq!((iar.intid(), iar.source_cpu(), iar.raw()), (Ok(IntId(5)), 2, 0x805));
    }

    #[test]
    fn special_numbers_are_no_interrupts() {
        let answers = [1020, 1021, 1022, 1023].map(|n| RawIar::from_raw(n).intid());
        use Spurious::*;
        assert_eq!(answers, [Err(Reserved), Err(Reserved), Err(OtherGroup), Err(NonePending)]);
        assert!(RawIar::from_raw(1019).intid().is_ok());
    }
}
