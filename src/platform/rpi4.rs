//! The Raspberry Pi 4's map: devices, interrupts, and who can reach which memory.
//!
//! Constants and not values from the device tree, because the console must speak before anything has been parsed, and because the
//! kernel is built for this one chip. The tree is checked against them instead (`memory_map` reports where it differs).
//!
//! Addresses are physical ones of *low-peripheral mode*, the firmware's default for 64-bit kernels. The datasheet writes the bus addresses of
//! the VideoCore's view: 0x7e000000 there is 0xfe000000 here.
//!
//! Sources: "BCM2711 ARM Peripherals" (2022-01-18) §1.2 (address map), chapter 6 (interrupts, GIC-400); the public device
//! tree of the board for the rest.

use crate::drivers::gicv2::IntId;
use crate::mm::addr::PhysAddr;
use crate::mm::phys_range::PhysRange;

/// A device's block of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Device {
    /// The name that the datasheet gives it.
    pub name: &'static str,
    /// Physical address of the first register.
    pub base: u64,
    /// Bytes of registers.
    pub size: u64,
}

impl Device {
    const fn new(name: &'static str, base: u64, size: u64) -> Self {
        assert!(base >= PERIPHERALS.start().value() && base + size <= PERIPHERALS.end().value());
        Self { name, base, size }
    }

    /// Physical address of the first register.
    #[must_use]
    pub const fn phys(&self) -> PhysAddr {
        PhysAddr::new(self.base)
    }
}

/// A range whose bounds are known to be in order.
const fn range(start: u64, end: u64) -> PhysRange {
    assert!(start < end);
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

/// The 64 MiB below 4 GiB that show devices in place of RAM.
pub const PERIPHERALS: PhysRange = range(0xfc00_0000, 0x1_0000_0000);

/// Cores, their mailboxes and local timer ("ARM_LOCAL"; bus address 0x4000_0000).
pub const ARM_LOCAL: Device = Device::new("ARM_LOCAL", 0xff80_0000, 0x1000);
/// GIC-400 distributor.
pub const GICD: Device = Device::new("GICD", 0xff84_1000, 0x1000);
/// GIC-400 CPU interface; GICC_DIR lies in its second page.
pub const GICC: Device = Device::new("GICC", 0xff84_2000, 0x2000);
/// System timer: 1 MHz, runs on through everything.
pub const SYSTEM_TIMER: Device = Device::new("system timer", 0xfe00_3000, 0x1000);
/// Mailbox to the firmware.
pub const MAILBOX: Device = Device::new("mailbox", 0xfe00_b880, 0x40);
/// Power management: watchdog, reset, reset status.
pub const PM: Device = Device::new("PM", 0xfe10_0000, 0x114);
/// GPIO pins.
pub const GPIO: Device = Device::new("GPIO", 0xfe20_0000, 0xf4);
/// UART0, the PL011 that is the console.
pub const UART0: Device = Device::new("PL011", 0xfe20_1000, 0x200);
/// Auxiliary block with the mini UART, which is not used here: its clock follows the VideoCore's.
pub const AUX: Device = Device::new("AUX", 0xfe21_5000, 0x100);
/// The SD card's controller.
pub const EMMC2: Device = Device::new("EMMC2", 0xfe34_0000, 0x100);

/// Every device above, for maps and messages.
pub const DEVICES: [Device; 10] = [ARM_LOCAL, GICD, GICC, SYSTEM_TIMER, MAILBOX, PM, GPIO, UART0, AUX, EMMC2];

/// Interrupts of the VideoCore's peripherals start at this SPI.
const VIDEOCORE_SPI: u16 = 64;

/// Hypervisor physical timer of each core.
pub const INTID_HYP_TIMER: IntId = IntId::ppi(10);
/// Virtual timer of each core.
pub const INTID_VIRTUAL_TIMER: IntId = IntId::ppi(11);
/// Secure physical timer of each core.
pub const INTID_SECURE_TIMER: IntId = IntId::ppi(13);
/// Non-secure physical timer of each core.
pub const INTID_PHYSICAL_TIMER: IntId = IntId::ppi(14);
/// Mailbox: the firmware has answered.
pub const INTID_MAILBOX: IntId = IntId::spi(33);
/// System timer, compare registers 1 and 3 (0 and 2 are the firmware's).
pub const INTID_SYSTEM_TIMER: [IntId; 2] = [IntId::spi(VIDEOCORE_SPI + 1), IntId::spi(VIDEOCORE_SPI + 3)];
/// Auxiliary block: mini UART, SPI1, SPI2.
pub const INTID_AUX: IntId = IntId::spi(VIDEOCORE_SPI + 29);
/// GPIO banks 0 to 2, then any bank.
pub const INTID_GPIO: [IntId; 4] =
    [IntId::spi(VIDEOCORE_SPI + 49), IntId::spi(VIDEOCORE_SPI + 50), IntId::spi(VIDEOCORE_SPI + 51), IntId::spi(VIDEOCORE_SPI + 52)];
/// UART0. The line is shared by all PL011s of the chip.
pub const INTID_UART0: IntId = IntId::spi(VIDEOCORE_SPI + 57);

/// Performance monitor of core `cpu`.
///
/// # Panics
/// If there is no such core.
#[must_use]
pub const fn intid_pmu(cpu: u16) -> IntId {
    assert!(cpu < 4, "the BCM2711 has four cores");
    IntId::spi(16 + cpu)
}

/// Physical page 0: armstub and the spin table lie in it for as long as the kernel runs.
pub const FIRMWARE_PAGE: PhysRange = range(0, 0x1000);
/// Where the spin table keeps the release address of each core, if the device tree does not say. Core 0's is never used.
pub const SPIN_TABLE: [u64; 4] = [0xd8, 0xe0, 0xe8, 0xf0];

/// What the VideoCore takes of the first GiB with the firmware's default `gpu_mem=76`, if nobody says.
pub const DEFAULT_VIDEOCORE: PhysRange = range(0x3b40_0000, 0x4000_0000);
/// End of the memory that the old DMA engines, the mailbox and the VideoCore reach.
pub const DMA_LIMIT: PhysAddr = PhysAddr::new(1 << 30);
/// End of the memory that devices with 32-bit addresses reach.
pub const DMA32_LIMIT: PhysAddr = PhysAddr::new(1 << 32);
/// What a bus address of the old DMA engines and the mailbox adds to a physical one: the uncached alias of the first GiB.
pub const BUS_ALIAS: u64 = 0xc000_0000;

/// RAM of a board with `total` bytes: all of it but what the peripherals hide, VideoCore's share included. The second range is empty below 8 GiB.
///
/// On the 8 GiB model RAM goes on at 4 GiB; the 64 MiB behind the peripherals cannot be reached.
#[must_use]
pub const fn ram(total: u64) -> [PhysRange; 2] {
    let split = if total < PERIPHERALS.start().value() { total } else { PERIPHERALS.start().value() };
    let (high, end) = (PERIPHERALS.end(), PhysAddr::new(total));
    [PhysRange::new(PhysAddr::new(0), PhysAddr::new(split)), PhysRange::new(high, end)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intids_are_the_ones_in_the_public_tables() {
        assert_eq!(INTID_PHYSICAL_TIMER.number(), 30);
        assert_eq!(INTID_VIRTUAL_TIMER.number(), 27);
        assert_eq!(INTID_UART0.number(), 153);
        assert_eq!(INTID_AUX.number(), 125);
        assert_eq!(INTID_MAILBOX.number(), 65);
        assert_eq!(INTID_GPIO.map(|line| line.number()), [145, 146, 147, 148]);
        assert_eq!(intid_pmu(3).number(), 51);
    }

    #[test]
    fn ram_of_each_model() {
        const GIB: u64 = 1 << 30;
        assert_eq!(ram(GIB)[0].size(), GIB);
        assert_eq!(ram(2 * GIB).map(PhysRange::size), [2 * GIB, 0]);
        assert_eq!(ram(4 * GIB).map(PhysRange::size), [0xfc00_0000, 0]);
        assert_eq!(ram(8 * GIB).map(PhysRange::size), [0xfc00_0000, 4 * GIB]);
    }

    #[test]
    fn devices_do_not_overlap() {
        for (i, a) in DEVICES.iter().enumerate() {
            let a_range = PhysRange::from_size(a.base, a.size).unwrap();
            for b in &DEVICES[i + 1..] {
                assert!(!a_range.overlaps(PhysRange::from_size(b.base, b.size).unwrap()), "{} and {}", a.name, b.name);
            }
        }
    }
}
