//! The devices of the BCM2711 that Tetra drives.
//!
//! Each driver is a struct over typed registers, made from a mapped base address by an `unsafe fn new`. A driver knows nothing of where
//! its device lies nor which line it interrupts on: that is the platform's knowledge, so the same code runs over a block of memory in a
//! host test. Methods take `&self` where the hardware itself allows several cores at a time (write-one-to-set registers, banked
//! registers); `&mut self` marks the rest, and whoever holds the driver puts it behind an irq-masked spinlock.
//!
//! | to find | look in |
//! |---|---|
//! | interrupt controller, SGIs, INTIDs | [`gicv2`] |
//! | serial console, baud rate, output in a panic | [`pl011`] |
//! | compare registers, drift-free ticks, ticks and nanoseconds | [`arch_timer`] |
//! | firmware: board, memory, clocks, temperature | [`mailbox`] |
//! | pins, pulls, edges | [`gpio`] |
//! | heartbeat and blink codes | [`act_led`] |
//! | reboot, power off, watchdog | [`watchdog`] |
//! | is all of it as it should be | [`audit`] |

pub mod act_led;
pub mod arch_timer;
pub mod audit;
pub mod gicv2;
pub mod gpio;
pub mod mailbox;
mod mmio;
pub mod pl011;
#[cfg(target_os = "none")]
pub mod serial;
pub mod watchdog;

/// Blocks of plain memory that stand in for registers in host tests.
#[cfg(test)]
mod fake {
    /// A leaked, zeroed and aligned block of `words` words; its address serves as a driver's base, `read`/`write` look behind its back.
    #[derive(Clone, Copy)]
    pub struct FakeRegisters {
        base: *mut u32,
        words: usize,
    }

    #[repr(C, align(4096))]
    #[derive(Clone, Copy)]
    struct Page([u32; 1024]);

    impl FakeRegisters {
        pub fn new(bytes: usize) -> Self {
            let pages = vec![Page([0; 1024]); bytes.div_ceil(4096)];
            let block: &'static mut [Page] = pages.leak();
            FakeRegisters { words: block.len() * 1024, base: block.as_mut_ptr().cast() }
        }

        pub fn base(self) -> usize {
            self.base.expose_provenance()
        }

        pub fn read(self, offset: usize) -> u32 {
            assert!(offset.is_multiple_of(4) && offset / 4 < self.words);
            // SAFETY: in bounds of the leaked block (asserted); a test uses its block from one thread.
            unsafe { self.base.wrapping_add(offset / 4).read_volatile() }
        }

        pub fn write(self, offset: usize, value: u32) {
            assert!(offset.is_multiple_of(4) && offset / 4 < self.words);
            // SAFETY: as in `read`.
            unsafe { self.base.wrapping_add(offset / 4).write_volatile(value) }
        }
    }
}
