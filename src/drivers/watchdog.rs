//! The power manager's watchdog: reboot, power off, and a timer that reboots a kernel that hangs.
//!
//! The only way to reset a BCM2711 from the Arm side is to let its watchdog run out. The timer has 20 bits and ticks 65536 times a
//! second, so it spans 16 s at most. What the firmware does after the reset is told by a partition number in scattered bits of `RSTS`:
//! 63, all six bits, means "halt": the board stays off until its power is cycled or GLOBAL_EN is pulled. That is the nearest to a power off
//! that a Pi 4 has.
//!
//! Every write carries a password in the upper byte and is ignored without it.
//!
//! On QEMU the reset happens in the moment the reset control is written, whatever the timer says: [`Watchdog::reboot`] and
//! [`Watchdog::power_off`] work (the latter ends QEMU), while [`Watchdog::arm`] would reboot at once, so the caller does not arm there.
//!
//! Source: not in the BCM2711 datasheet; register names and fields as Broadcom published them for the BCM2835 and its boot ROM's partition
//! convention as in the Raspberry Pi documentation ("Boot flow", partition 63); device tree node `brcm,bcm2711-pm`.

use core::fmt;

use tock_registers::fields::FieldValue;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::ReadWrite;
use tock_registers::{register_bitfields, register_structs};

use super::mmio::Mmio;
use crate::arch::barrier;
use crate::util::errno::Errno;

register_bitfields! { u32,
    /// Reset control.
    PM_RSTC [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5a ],
        /// What the watchdog does when it runs out.
        WRCFG OFFSET(4) NUMBITS(2) [ Nothing = 0, FullReset = 2 ]
    ],
    /// Reset status; bits 0, 2, 4, 6, 8, 10 hold the partition to boot from.
    PM_RSTS [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5a ],
        /// Everything but the password.
        STATUS OFFSET(0) NUMBITS(24) []
    ],
    /// The watchdog timer.
    PM_WDOG [
        PASSWORD OFFSET(24) NUMBITS(8) [ Write = 0x5a ],
        /// Time left, in 65536ths of a second.
        TIME OFFSET(0) NUMBITS(20) []
    ]
}

register_structs! {
    Registers {
        (0x00 => _reserved0),
        (0x1c => rstc: ReadWrite<u32, PM_RSTC::Register>),
        (0x20 => rsts: ReadWrite<u32, PM_RSTS::Register>),
        (0x24 => wdog: ReadWrite<u32, PM_WDOG::Register>),
        (0x28 => @END),
    }
}

/// Ticks of the watchdog in a second.
const TICKS_PER_SEC: u64 = 65536;
/// Ticks until a reset that is wanted now: some 150 us, time for the write to settle.
const SOON_TICKS: u32 = 10;
/// The bits of `RSTS` that hold the partition number.
const PARTITION_BITS: u32 = 0x555;
/// The partition number that the firmware takes for "stay off".
const PARTITION_HALT: u8 = 63;

/// A time that the watchdog can keep.
///
/// # Invariants
/// 1 to [`Timeout::MAX_MS`] milliseconds, so its ticks are from 1 to 0xfffff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(u32);

/// The watchdog cannot keep so short or so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutOutOfRange {
    /// What was asked for.
    pub asked_ms: u32,
}

impl From<TimeoutOutOfRange> for Errno {
    fn from(_: TimeoutOutOfRange) -> Errno {
        Errno::ERANGE
    }
}

impl fmt::Display for TimeoutOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a watchdog timeout of {} ms is not within 1 to {} ms", self.asked_ms, Timeout::MAX_MS)
    }
}

impl Timeout {
    /// The longest time: 0xfffff ticks.
    pub const MAX_MS: u32 = 15_999;

    /// A timeout of `ms` milliseconds.
    ///
    /// # Errors
    /// [`TimeoutOutOfRange`] for 0 and above [`Timeout::MAX_MS`].
    pub const fn from_ms(ms: u32) -> Result<Timeout, TimeoutOutOfRange> {
        if ms == 0 || ms > Self::MAX_MS {
            return Err(TimeoutOutOfRange { asked_ms: ms });
        }
        Ok(Timeout(ms))
    }

    const fn ticks(self) -> u32 {
        (self.0 as u64 * TICKS_PER_SEC).div_ceil(1000) as u32
    }
}

/// The watchdog.
///
/// Its methods take `&mut self`: arming is two writes that belong together.
pub struct Watchdog {
    registers: Mmio<Registers>,
    armed: Option<Timeout>,
}

impl Watchdog {
    /// Takes the watchdog.
    ///
    /// # Safety
    /// `base` is the virtual address of a BCM2711's power manager, mapped as device memory for ever, and no one else uses its reset
    /// registers, except to reboot by [`Watchdog::reboot`] of a value made in a panic.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Watchdog {
        // SAFETY: the caller's promise.
        Watchdog { registers: unsafe { Mmio::new(base) }, armed: None }
    }

    /// Reboots unless [`Watchdog::ping`] or [`Watchdog::disarm`] comes within `timeout`. On QEMU: reboots at once.
    ///
    /// Context: any.
    pub fn arm(&mut self, timeout: Timeout) {
        self.armed = Some(timeout);
        self.start(timeout.ticks());
    }

    /// Gives an armed watchdog its whole time again. Returns whether it was armed.
    ///
    /// Context: any; made for a timer's hardirq.
    pub fn ping(&mut self) -> bool {
        let Some(timeout) = self.armed else { return false };
        self.start(timeout.ticks());
        true
    }

    /// Keeps the watchdog from rebooting, also one that firmware or an earlier kernel armed.
    ///
    /// Context: any.
    pub fn disarm(&mut self) {
        self.armed = None;
        self.write_action(PM_RSTC::WRCFG::Nothing);
    }

    /// What is left of the time, in milliseconds; `None` if the watchdog is not armed.
    ///
    /// Context: any.
    #[must_use]
    pub fn time_left_ms(&self) -> Option<u32> {
        let is_armed = self.registers.rstc.read(PM_RSTC::WRCFG) != 0;
        is_armed.then(|| (u64::from(self.registers.wdog.read(PM_WDOG::TIME)) * 1000 / TICKS_PER_SEC) as u32)
    }

    /// The reset status as the firmware left it.
    ///
    /// Context: any.
    #[must_use]
    pub fn reset_status(&self) -> u32 {
        self.registers.rsts.read(PM_RSTS::STATUS)
    }

    /// Boots the board anew.
    ///
    /// Returns, as the reset takes a moment: the caller waits (WFI, irqs masked).
    ///
    /// Context: any; in a panic with a value made for it, as no lock is needed.
    pub fn reboot(&mut self) {
        self.write_partition(0);
        self.start(SOON_TICKS);
    }

    /// Resets the board and tells the firmware to stay halted. On QEMU: ends it.
    ///
    /// Returns, as the reset takes a moment: the caller waits (WFI, irqs masked).
    ///
    /// Context: any.
    pub fn power_off(&mut self) {
        self.write_partition(PARTITION_HALT);
        self.start(SOON_TICKS);
    }

    fn start(&mut self, ticks: u32) {
        self.registers.wdog.write(PM_WDOG::PASSWORD::Write + PM_WDOG::TIME.val(ticks));
        self.write_action(PM_RSTC::WRCFG::FullReset);
        // Whoever waits for the reset must not wait on a write that sits in a buffer.
        barrier::dsb_sy();
    }

    /// Changes what happens when the time is up, and keeps the other bits: `modify` would write back the password as read, 0.
    fn write_action(&mut self, action: FieldValue<u32, PM_RSTC::Register>) {
        let mut new = self.registers.rstc.extract();
        new.modify(PM_RSTC::PASSWORD::Write + action);
        self.registers.rstc.set(new.get());
    }

    fn write_partition(&mut self, partition: u8) {
        let status = self.reset_status() & !PARTITION_BITS | spread_partition(partition);
        self.registers.rsts.write(PM_RSTS::PASSWORD::Write + PM_RSTS::STATUS.val(status));
    }
}

/// Spreads the six bits of a partition number over bits 0, 2, 4, 6, 8 and 10.
const fn spread_partition(partition: u8) -> u32 {
    let mut bits = 0;
    let mut n = 0;
    while n < 6 {
        bits |= (partition as u32 >> n & 1) << (2 * n);
        n += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::fake::FakeRegisters;

    fn fake() -> (FakeRegisters, Watchdog) {
        let block = FakeRegisters::new(0x1000);
        block.write(0x1c, 0x102);
        // SAFETY: leaked memory of the right size, aligned to a page.
        (block, unsafe { Watchdog::new(block.base()) })
    }

    #[test]
    fn timeouts_have_limits() {
        for ms in [0, Timeout::MAX_MS + 1, u32::MAX] {
            assert_eq!(Timeout::from_ms(ms), Err(TimeoutOutOfRange { asked_ms: ms }));
        }
        assert_eq!(Timeout::from_ms(1).map(Timeout::ticks), Ok(66));
        assert_eq!(Timeout::from_ms(1000).map(Timeout::ticks), Ok(65536));
        assert!(Timeout::from_ms(Timeout::MAX_MS).is_ok_and(|timeout| timeout.ticks() <= 0xf_ffff));
    }

    #[test]
    fn arm_ping_disarm() {
        let (block, mut watchdog) = fake();
        assert!(!watchdog.ping());
        watchdog.arm(Timeout::from_ms(2000).unwrap());
        assert_eq!((block.read(0x24), block.read(0x1c)), (0x5a02_0000, 0x5a00_0122));
        block.write(0x24, 65536);
        assert_eq!(watchdog.time_left_ms(), Some(1000));
        assert!(watchdog.ping());
        assert_eq!(block.read(0x24), 0x5a02_0000);
        watchdog.disarm();
        assert_eq!((block.read(0x1c), watchdog.time_left_ms()), (0x5a00_0102, None));
        assert!(!watchdog.ping());
    }

    #[test]
    fn reboot_and_power_off_differ_by_the_partition() {
        let (block, mut watchdog) = fake();
        block.write(0x20, 0x1555);
        watchdog.reboot();
        assert_eq!((block.read(0x20), block.read(0x24)), (0x5a00_1000, 0x5a00_000a));
        watchdog.power_off();
        assert_eq!((block.read(0x20), block.read(0x1c)), (0x5a00_1555, 0x5a00_0122));
    }

    #[test]
    fn partition_bits() {
        assert_eq!([0, 1, 2, 63].map(spread_partition), [0, 1, 4, PARTITION_BITS]);
    }
}
