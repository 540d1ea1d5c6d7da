//! Configuration and state of single lines.
//!
//! One bit, byte or pair of bits a line, in arrays of registers. The methods are the distributor's register set, line by line; each checks that
//! the line exists, and what can silently fail (a line of the secure side ignores writes) is read back.
//!
//! Source: ARM IHI 0048B §4.3.5 to §4.3.13.

use core::fmt;

use tock_registers::interfaces::{Readable, Writeable};

use super::{CpuMask, Gicv2, IntId};
use crate::arch::barrier;
use crate::util::errno::Errno;

/// What makes a line pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The line being high.
    Level,
    /// The line going high.
    Edge,
}

/// Why a line could not be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GicError {
    /// The controller has fewer lines.
    NoSuchLine,
    /// An SGI's trigger, or a banked line's target, is fixed.
    Fixed,
    /// No core would receive it.
    NoTarget,
    /// The register did not take the value: the line is in a group, or of a kind, that non-secure software cannot change.
    Ignored,
}

impl From<GicError> for Errno {
    fn from(error: GicError) -> Errno {
        match error {
            GicError::NoSuchLine => Errno::ENXIO,
            GicError::Fixed | GicError::NoTarget => Errno::EINVAL,
            GicError::Ignored => Errno::EPERM,
        }
    }
}

impl fmt::Display for GicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GicError::NoSuchLine => "no such interrupt line",
            GicError::Fixed => "this line's setting is fixed",
            GicError::NoTarget => "no target core",
            GicError::Ignored => "the controller ignored the write",
        })
    }
}

impl Gicv2 {
    /// Lets `line` interrupt.
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`]; [`GicError::Ignored`] if the line belongs to the secure side.
    ///
    /// Context: any; a banked line is enabled on the calling core only.
    pub fn enable(&self, line: IntId) -> Result<(), GicError> {
        let (word, bit) = self.locate(line)?;
        self.distributor.isenabler[word].set(bit);
        if self.distributor.isenabler[word].get() & bit == 0 { Err(GicError::Ignored) } else { Ok(()) }
    }

    /// Keeps `line` from interrupting. An interrupt already on its way to a core may still arrive there once.
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`]; [`GicError::Ignored`] if the line cannot be disabled (SGIs on some GICs).
    ///
    /// Context: any; a banked line is disabled on the calling core only.
    pub fn disable(&self, line: IntId) -> Result<(), GicError> {
        let (word, bit) = self.locate(line)?;
        self.distributor.icenabler[word].set(bit);
        if self.distributor.icenabler[word].get() & bit == 0 { Ok(()) } else { Err(GicError::Ignored) }
    }

    /// Whether `line` is enabled (on this core, if banked).
    ///
    /// Context: any.
    #[must_use]
    pub fn is_enabled(&self, line: IntId) -> bool {
        self.locate(line).is_ok_and(|(word, bit)| self.distributor.isenabler[word].get() & bit != 0)
    }

    /// Whether `line` is pending.
    ///
    /// Context: any.
    #[must_use]
    pub fn is_pending(&self, line: IntId) -> bool {
        self.locate(line).is_ok_and(|(word, bit)| self.distributor.ispendr[word].get() & bit != 0)
    }

    /// Whether a core has acknowledged `line` and not ended it.
    ///
    /// Context: any.
    #[must_use]
    pub fn is_active(&self, line: IntId) -> bool {
        self.locate(line).is_ok_and(|(word, bit)| self.distributor.isactiver[word].get() & bit != 0)
    }

    /// Makes a PPI or SPI pending as if its device had raised it.
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`]; [`GicError::Fixed`] for an SGI, which is sent by [`Gicv2::send_sgi`].
    ///
    /// Context: any.
    pub fn set_pending(&self, line: IntId) -> Result<(), GicError> {
        let (word, bit) = self.locate_device_line(line)?;
        // What the handler shall find: as before an SGI, see the head of `gicv2`.
        barrier::dsb_ishst();
        self.distributor.ispendr[word].set(bit);
        Ok(())
    }

    /// Takes back a pending edge. A level-triggered line whose device still asserts it stays pending.
    ///
    /// # Errors
    /// As [`Gicv2::set_pending`].
    ///
    /// Context: any.
    pub fn clear_pending(&self, line: IntId) -> Result<(), GicError> {
        let (word, bit) = self.locate_device_line(line)?;
        self.distributor.icpendr[word].set(bit);
        Ok(())
    }

    /// Sets the priority of `line`; lower is more urgent. The GIC-400 keeps the upper 4 bits for non-secure software.
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`].
    ///
    /// Context: any; a banked line's on the calling core only.
    pub fn set_priority(&self, line: IntId, priority: u8) -> Result<(), GicError> {
        self.locate(line)?;
        self.distributor.ipriorityr[line.index()].set(priority);
        Ok(())
    }

    /// The priority of `line` as the controller keeps it; 255 for a line it does not have.
    ///
    /// Context: any.
    #[must_use]
    pub fn priority(&self, line: IntId) -> u8 {
        self.locate(line).map_or(u8::MAX, |_| self.distributor.ipriorityr[line.index()].get())
    }

    /// Chooses the cores that a shared line may interrupt; one of them takes each occurrence.
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`]; [`GicError::Fixed`] for a banked line; [`GicError::NoTarget`] if the set holds no core that exists;
    /// [`GicError::Ignored`] if the line belongs to the secure side.
    ///
    /// Context: any.
    pub fn set_targets(&self, line: IntId, targets: CpuMask) -> Result<(), GicError> {
        self.locate(line)?;
        if line.is_banked() {
            return Err(GicError::Fixed);
        }
        let existing = targets.bits() & CpuMask::first(self.nr_interfaces()).bits();
        if existing == 0 {
            return Err(GicError::NoTarget);
        }
        let register = &self.distributor.itargetsr[line.index()];
        register.set(existing);
        if register.get() == 0 { Err(GicError::Ignored) } else { Ok(()) }
    }

    /// The cores that `line` may interrupt.
    ///
    /// Context: any.
    #[must_use]
    pub fn targets(&self, line: IntId) -> CpuMask {
        CpuMask::from_bits(self.locate(line).map_or(0, |_| self.distributor.itargetsr[line.index()].get()))
    }

    /// Chooses what makes `line` pending. The line should be disabled: a change on a live line is unpredictable (§4.3.13).
    ///
    /// # Errors
    /// [`GicError::NoSuchLine`]; [`GicError::Fixed`] for an SGI; [`GicError::Ignored`] where the trigger is wired, as the PPIs of a
    /// GIC-400 are.
    ///
    /// Context: any. Locks: `config`, irqs masked for a few instructions.
    pub fn set_trigger(&self, line: IntId, trigger: Trigger) -> Result<(), GicError> {
        self.locate_device_line(line)?;
        let register = &self.distributor.icfgr[line.index() / 16];
        let edge = 2 << (line.index() % 16 * 2);

        let _config = self.config.lock();
        let old = register.get();
        let new = match trigger {
            Trigger::Level => old & !edge,
            Trigger::Edge => old | edge,
        };
        register.set(new);
        if register.get() & edge == new & edge { Ok(()) } else { Err(GicError::Ignored) }
    }

    /// What makes `line` pending. SGIs are edges.
    ///
    /// Context: any.
    #[must_use]
    pub fn trigger(&self, line: IntId) -> Trigger {
        let edge = 2 << (line.index() % 16 * 2);
        let is_edge = line.is_sgi() || self.locate(line).is_ok_and(|_| self.distributor.icfgr[line.index() / 16].get() & edge != 0);
        if is_edge { Trigger::Edge } else { Trigger::Level }
    }

    /// Word and bit of `line` in the registers with one bit a line.
    fn locate(&self, line: IntId) -> Result<(usize, u32), GicError> {
        if line.index() < self.nr_lines() { Ok((line.index() / 32, 1 << (line.index() % 32))) } else { Err(GicError::NoSuchLine) }
    }

    fn locate_device_line(&self, line: IntId) -> Result<(usize, u32), GicError> {
        if line.is_sgi() { Err(GicError::Fixed) } else { self.locate(line) }
    }
}
