//! The generic timer: a compare register beside the counter, one a core.
//!
//! Each core has a physical and a virtual EL1 timer. Tetra uses the *virtual* one: it is the timer that works at every entry level. A
//! kernel that enters at EL1 cannot give itself the physical timer (`CNTHCTL_EL2.EL1PCEN` belongs to EL2, and an access traps), while the
//! virtual timer never traps at EL1. Entered at EL2 or EL3, boot sets `CNTVOFF_EL2` to 0 and opens the physical timer too, so both
//! count the same. The counter read must match: `CNTVCT_EL0` with [`VirtualTimer`].
//!
//! The comparison is with a 64-bit absolute value (`CVAL`), not with the 32-bit downcounter (`TVAL`), which wraps after 79 s at 54 MHz and
//! makes every deadline relative to when the write happened to execute.
//!
//! The interrupt is a level: it stays up while the counter is past the compare value. A handler sets the next deadline, or stops the
//! timer, before it ends the interrupt; the `ISB` in both makes that take effect first.
//!
//! Source: ARM DDI 0487 D11 (generic timer; registers in D17.11), ARM DDI 0471B (PPI numbers), BCM2711's device tree (`arm,armv8-timer`).
//! Neighbours: `time` keeps the clocks, converts, and decides on deadlines (`time::tick`).

use core::marker::PhantomData;

use tock_registers::LocalRegisterCopy;
use tock_registers::register_bitfields;

use super::gicv2::IntId;
use crate::arch::barrier;

register_bitfields! { u64,
    /// Control of either timer: CNTP_CTL_EL0 and CNTV_CTL_EL0 have one layout (ARM DDI 0487, D17.11).
    TIMER_CTL [
        /// The timer counts and may interrupt.
        ENABLE OFFSET(0) NUMBITS(1) [],
        /// Keeps it from interrupting.
        IMASK OFFSET(1) NUMBITS(1) [],
        /// The counter has reached the compare value.
        ISTATUS OFFSET(2) NUMBITS(1) []
    ]
}

/// The registers of one of a core's timers. Each access is to the calling core's own.
pub trait TimerRegisters {
    /// The interrupt it raises, the same number on every core.
    const INTID: IntId;
    /// Name in reports.
    const NAME: &'static str;

    /// Reads the control register.
    fn read_control() -> u64;
    /// Writes the control register.
    fn write_control(value: u64);
    /// Reads the compare value.
    fn read_compare() -> u64;
    /// Writes the compare value.
    fn write_compare(value: u64);
}

/// The timer of the calling core.
///
/// Holds no state: the registers are banked per core, and the value may be used on any of them. The methods act on the core they run on,
/// so a caller that could migrate must not be preemptible.
pub struct ArchTimer<R: TimerRegisters> {
    registers: PhantomData<fn() -> R>,
}

impl<R: TimerRegisters> Default for ArchTimer<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: TimerRegisters> ArchTimer<R> {
    /// The interrupt of this timer, to be enabled on each core.
    pub const INTID: IntId = R::INTID;

    /// A handle.
    ///
    /// Context: any.
    #[must_use]
    pub const fn new() -> Self {
        ArchTimer { registers: PhantomData }
    }

    /// Stops the timer and forgets its deadline, whatever state firmware or a previous kernel left.
    ///
    /// Context: boot, irqs masked, once on each core.
    pub fn init(&self) {
        R::write_control(0);
        R::write_compare(u64::MAX);
        barrier::isb();
    }

    /// Interrupts when the counter reaches `deadline`; at once if it already has.
    ///
    /// Context: any, not preemptible.
    #[inline]
    pub fn set_deadline(&self, deadline: u64) {
        R::write_compare(deadline);
        R::write_control(TIMER_CTL::ENABLE::SET.into());
        barrier::isb();
    }

    /// Takes the interrupt away; [`ArchTimer::set_deadline`] brings it back.
    ///
    /// Context: any, not preemptible.
    #[inline]
    pub fn stop(&self) {
        R::write_control(0);
        barrier::isb();
    }

    /// Keeps the timer running, with [`ArchTimer::has_expired`] telling, but without an interrupt.
    ///
    /// Context: any, not preemptible.
    pub fn mask(&self) {
        R::write_control((TIMER_CTL::ENABLE::SET + TIMER_CTL::IMASK::SET).into());
        barrier::isb();
    }

    /// The compare value last set on this core.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        R::read_compare()
    }

    /// Whether the timer runs.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        control::<R>().is_set(TIMER_CTL::ENABLE)
    }

    /// Whether the timer runs and its deadline has passed.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        // ISTATUS is unknown while the timer is disabled.
        let control = control::<R>();
        control.is_set(TIMER_CTL::ENABLE) && control.is_set(TIMER_CTL::ISTATUS)
    }
}

fn control<R: TimerRegisters>() -> LocalRegisterCopy<u64, TIMER_CTL::Register> {
    LocalRegisterCopy::new(R::read_control())
}

/// The virtual timer, PPI 11: the one Tetra uses.
pub struct VirtualTimer;

/// The physical timer, PPI 14: for the audit, and for a second event source on a core that entered at EL2.
pub struct PhysicalTimer;

#[cfg(target_os = "none")]
mod hardware {
    use aarch64_cpu::registers::{CNTP_CTL_EL0, CNTP_CVAL_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0};
    use tock_registers::interfaces::{Readable, Writeable};

    use super::{IntId, PhysicalTimer, TimerRegisters, VirtualTimer};

    impl TimerRegisters for VirtualTimer {
        const INTID: IntId = IntId::ppi(11);
        const NAME: &'static str = "virtual timer";

        #[inline(always)]
        fn read_control() -> u64 {
            CNTV_CTL_EL0.get()
        }
        #[inline(always)]
        fn write_control(value: u64) {
            CNTV_CTL_EL0.set(value);
        }
        #[inline(always)]
        fn read_compare() -> u64 {
            CNTV_CVAL_EL0.get()
        }
        #[inline(always)]
        fn write_compare(value: u64) {
            CNTV_CVAL_EL0.set(value);
        }
    }

    impl TimerRegisters for PhysicalTimer {
        const INTID: IntId = IntId::ppi(14);
        const NAME: &'static str = "physical timer";

        #[inline(always)]
        fn read_control() -> u64 {
            CNTP_CTL_EL0.get()
        }
        #[inline(always)]
        fn write_control(value: u64) {
            CNTP_CTL_EL0.set(value);
        }
        #[inline(always)]
        fn read_compare() -> u64 {
            CNTP_CVAL_EL0.get()
        }
        #[inline(always)]
        fn write_compare(value: u64) {
            CNTP_CVAL_EL0.set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        static CONTROL: Cell<u64> = const { Cell::new(0b111) };
        static COMPARE: Cell<u64> = const { Cell::new(0) };
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// The registers as the architecture describes them.
    struct FakeTimer;

    impl TimerRegisters for FakeTimer {
        const INTID: IntId = IntId::ppi(11);
        const NAME: &'static str = "fake timer";

        fn read_control() -> u64 {
            CONTROL.get() & 0b11 | u64::from(NOW.get() >= COMPARE.get()) << 2
        }
        fn write_control(value: u64) {
            CONTROL.set(value);
        }
        fn read_compare() -> u64 {
            COMPARE.get()
        }
        fn write_compare(value: u64) {
            COMPARE.set(value);
        }
    }

    #[test]
    fn expires_only_while_it_runs() {
        let timer = ArchTimer::<FakeTimer>::new();
        timer.init();
        assert!(!timer.is_enabled() && !timer.has_expired());
        timer.set_deadline(100);
        assert_eq!((CONTROL.get(), timer.deadline(), timer.has_expired()), (1, 100, false));
        NOW.set(100);
        assert!(timer.has_expired());
        timer.mask();
        assert!(timer.has_expired() && timer.is_enabled());
        timer.stop();
        assert!(!timer.has_expired());
    }
}
