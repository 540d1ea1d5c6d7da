//! The mailbox to the VideoCore's firmware, property channel: asks what only the firmware knows.
//!
//! A message is a buffer in memory that both sides use in turn; the mailbox register carries its bus address. The VideoCore is not coherent
//! with the cores' caches, so the buffer is cleaned *and* dropped from the cache before the call (a dirty line written back later
//! would cover the answer) and dropped again before the answer is read (a line may have been fetched speculatively meanwhile). The
//! buffer fills whole cache lines, so neither touches a neighbour. The VideoCore reaches the first GiB only, at physical | 0xC0000000,
//! the alias that bypasses its own L2 cache.
//!
//! | state | buffer belongs to | leaves it by |
//! |---|---|---|
//! | idle | the kernel | a call |
//! | asked | the firmware | the answer; a timeout |
//! | overdue | the firmware, who may still write | its late answer, awaited by the next call |
//!
//! # Memory ordering
//! `clean_invalidate_to_poc` ends in `DSB SY`: the request is in memory before the register write that offers it. A `DSB SY` after the
//! register read that returned it keeps the invalidation, and so the reads of the answer, behind it.
//!
//! Source: Raspberry Pi firmware wiki, "Accessing mailboxes", "Mailboxes" (registers), "Mailbox property interface"; BCM2711 ARM Peripherals
//! §1.2 (addresses); device tree `dma-ranges` of /soc.

mod property;
mod tags;
mod throttled;

use core::cell::UnsafeCell;

use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

use super::mmio::Mmio;
use crate::arch::{self, barrier, cache, counter};

pub use property::MailboxError;
pub use tags::{Clock, MemoryRange, PowerDevice};
pub use throttled::Throttled;

register_bitfields! { u32,
    /// Status of either mailbox.
    STATUS [
        /// No room to write.
        FULL OFFSET(31) NUMBITS(1) [],
        /// Nothing to read.
        EMPTY OFFSET(30) NUMBITS(1) []
    ],
    /// A word in a mailbox.
    MESSAGE [
        CHANNEL OFFSET(0) NUMBITS(4) [ Property = 8 ],
        /// Upper 28 bits of the buffer's bus address.
        ADDRESS OFFSET(4) NUMBITS(28) []
    ]
}

register_structs! {
    /// Mailbox 0, which the cores read, and mailbox 1, which they write.
    Registers {
        (0x00 => read: ReadOnly<u32, MESSAGE::Register>),
        (0x04 => _reserved0),
        (0x18 => read_status: ReadOnly<u32, STATUS::Register>),
        (0x1c => _reserved1),
        (0x20 => write: WriteOnly<u32, MESSAGE::Register>),
        (0x24 => _reserved2),
        (0x38 => write_status: ReadOnly<u32, STATUS::Register>),
        (0x3c => @END),
    }
}

/// Words of the buffer: room for a command line of 2 KiB.
const BUFFER_WORDS: usize = 544;
/// Where the VideoCore sees physical address 0, uncached (`dma-ranges` of /soc).
const BUS_ALIAS: u32 = 0xc000_0000;
/// End of what the VideoCore can reach.
const BUS_LIMIT: u64 = 0x4000_0000;
/// How long the firmware may take. Most answers come within a millisecond; those that touch the voltage regulator take some ten.
const TIMEOUT_MS: u64 = 500;

/// Memory for messages: whole cache lines, aligned to one (64 bytes on the A72; the interface asks for 16).
#[repr(C, align(64))]
pub struct PropertyBuffer {
    words: UnsafeCell<[u32; BUFFER_WORDS]>,
}

const _: () = assert!(size_of::<PropertyBuffer>().is_multiple_of(64), "a neighbour would share the last cache line");

// SAFETY: the words are reached only through the `Mailbox` that was given the buffer, by `&mut self`; see `Mailbox::new`.
unsafe impl Sync for PropertyBuffer {}

impl PropertyBuffer {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> PropertyBuffer {
        PropertyBuffer { words: UnsafeCell::new([0; BUFFER_WORDS]) }
    }
}

impl Default for PropertyBuffer {
    fn default() -> Self {
        PropertyBuffer::new()
    }
}

/// The bus address of a buffer.
///
/// # Errors
/// [`MailboxError::BadBuffer`] if it is not aligned to 16 bytes or not within the first GiB.
fn bus_address(physical: u64, size_bytes: u64) -> Result<u32, MailboxError> {
    let is_reachable = physical.checked_add(size_bytes).is_some_and(|end| end <= BUS_LIMIT);
    if is_reachable && physical.is_multiple_of(16) { Ok(physical as u32 | BUS_ALIAS) } else { Err(MailboxError::BadBuffer) }
}

/// The property channel.
///
/// Its methods take `&mut self`: there is one buffer, and one question at a time.
pub struct Mailbox {
    registers: Mmio<Registers>,
    buffer: &'static PropertyBuffer,
    /// What the mailbox carries for this buffer: bus address and channel.
    message: u32,
    /// A call timed out, and the firmware still owns the buffer.
    is_overdue: bool,
}

impl Mailbox {
    /// Takes the mailbox, with `buffer`, whose physical address is `buffer_physical`.
    ///
    /// # Errors
    /// [`MailboxError::BadBuffer`] if the VideoCore cannot reach the buffer.
    ///
    /// # Safety
    /// `base` is the virtual address of the mailbox registers, mapped as device memory for ever, and no one else drives them. `buffer` is
    /// given to no other mailbox, is mapped cacheable, and `buffer_physical` is its physical address: the firmware writes there.
    pub unsafe fn new(base: usize, buffer: &'static PropertyBuffer, buffer_physical: u64) -> Result<Mailbox, MailboxError> {
        let bus = bus_address(buffer_physical, size_of::<PropertyBuffer>() as u64)?;
        // SAFETY: the caller's promise.
        let registers = unsafe { Mmio::new(base) };
        Ok(Mailbox { registers, buffer, message: bus | MESSAGE::CHANNEL::Property.value, is_overdue: false })
    }

    /// Asks for `tag` with `request`, and returns the first `N` words of the value.
    ///
    /// # Errors
    /// See [`MailboxError`].
    ///
    /// Context: any; spins for the answer, half a second at most. Not for a hardirq.
    fn call<const N: usize>(&mut self, tag: u32, request: &[u32]) -> Result<[u32; N], MailboxError> {
        self.exchange(tag, request, N * 4)?;
        property::decode_words(self.words(), tag)
    }

    /// As [`Mailbox::call`] for a value of `bytes` bytes that do not fill the last of `N` words.
    fn call_padded<const N: usize>(&mut self, tag: u32, bytes: usize) -> Result<[u32; N], MailboxError> {
        self.exchange(tag, &[], bytes)?;
        let (value, length) = property::decode(self.words(), tag)?;
        let value = value.first_chunk::<N>().copied();
        value.filter(|_| length == bytes).ok_or(MailboxError::BadResponse)
    }

    /// As [`Mailbox::call`] for a text, which is copied to `text`; returns its length.
    fn call_text(&mut self, tag: u32, text: &mut [u8]) -> Result<usize, MailboxError> {
        const MAX_TEXT_BYTES: usize = 2048;
        self.exchange(tag, &[], MAX_TEXT_BYTES)?;
        property::decode_text(self.words(), tag, text)
    }

    /// Sends a request and waits until the buffer holds the firmware's answer to it.
    fn exchange(&mut self, tag: u32, request: &[u32], answer_bytes: usize) -> Result<(), MailboxError> {
        let deadline = Deadline::start();
        self.settle(&deadline)?;
        property::encode(self.words_mut(), tag, request, answer_bytes)?;
        let (address, size) = (self.buffer.words.get().expose_provenance(), size_of::<PropertyBuffer>());
        cache::clean_invalidate_to_poc(address, size);

        deadline.wait_until(|| !self.registers.write_status.is_set(STATUS::FULL))?;
        self.registers.write.set(self.message);
        self.is_overdue = true;
        self.await_answer(&deadline)?;
        // SAFETY: the buffer is ours, was cleaned above, and only the firmware has written to it since.
        unsafe { cache::invalidate_to_poc(address, size) };
        Ok(())
    }

    /// Waits for the answer to a call that timed out, and throws away what others left in the mailbox.
    fn settle(&mut self, deadline: &Deadline) -> Result<(), MailboxError> {
        if self.is_overdue {
            self.await_answer(deadline)?;
        }
        deadline.wait_until(|| self.receive().is_none())
    }

    fn await_answer(&mut self, deadline: &Deadline) -> Result<(), MailboxError> {
        deadline.wait_until(|| self.receive() == Some(self.message))?;
        barrier::dsb_sy();
        self.is_overdue = false;
        Ok(())
    }

    /// Takes a word out of the mailbox. One for another channel has no taker here and is dropped.
    fn receive(&self) -> Option<u32> {
        if self.registers.read_status.is_set(STATUS::EMPTY) { None } else { Some(self.registers.read.get()) }
    }

    fn words(&self) -> &[u32; BUFFER_WORDS] {
        // SAFETY: the buffer is this mailbox's alone, and `&self` excludes `words_mut`. The firmware writes only between the register
        // accesses of `exchange`, when no such reference is alive; after a timeout the buffer is not read until its late answer came.
        unsafe { &*self.buffer.words.get() }
    }

    fn words_mut(&mut self) -> &mut [u32; BUFFER_WORDS] {
        // SAFETY: as in `words`, and `&mut self` makes the reference the only one.
        unsafe { &mut *self.buffer.words.get() }
    }
}

/// A point in time by the counter, and a way to wait for something until then.
struct Deadline {
    start: u64,
    duration: u64,
}

impl Deadline {
    fn start() -> Deadline {
        Deadline { start: counter::now(), duration: counter::frequency_hz() * TIMEOUT_MS / 1000 }
    }

    /// Asks `condition` until it holds; once at least.
    fn wait_until(&self, mut condition: impl FnMut() -> bool) -> Result<(), MailboxError> {
        while !condition() {
            if counter::now().wrapping_sub(self.start) > self.duration {
                return Err(MailboxError::Timeout);
            }
            arch::relax();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::fake::FakeRegisters;

    const PHYSICAL: u64 = 0x10_0040;

    /// A mailbox whose read side always offers `read`, and a buffer nobody answers in.
    fn fake(read: u32, status: u32) -> (FakeRegisters, Mailbox) {
        let block = FakeRegisters::new(0x1000);
        block.write(0x00, read);
        block.write(0x18, status);
        let buffer = Box::leak(Box::new(PropertyBuffer::new()));
        // SAFETY: leaked memory for both; there is no firmware that would write.
        (block, unsafe { Mailbox::new(block.base(), buffer, PHYSICAL) }.unwrap())
    }

    #[test]
    fn only_reachable_buffers_have_a_bus_address() {
        assert_eq!(bus_address(0x10_0040, 2176), Ok(0xc010_0040));
        assert_eq!(bus_address(0x3fff_f780, 2176), Ok(0xffff_f780));
        for physical in [0x10_0048, 0x3fff_f790, 0x4000_0000, 0x1_0000_0000, u64::MAX - 15] {
            assert_eq!(bus_address(physical, 2176), Err(MailboxError::BadBuffer));
        }
    }

    #[test]
    fn silence_is_a_timeout_and_leaves_the_buffer_to_the_firmware() {
        let (block, mut mailbox) = fake(0, 1 << 30);
        assert_eq!(mailbox.board_revision(), Err(MailboxError::Timeout));
        assert_eq!(block.read(0x20), 0xc010_0048);
        block.write(0x20, 0);
        assert_eq!(mailbox.board_revision(), Err(MailboxError::Timeout));
        assert_eq!(block.read(0x20), 0, "no second request before the first is answered");
    }

    #[test]
    fn a_mailbox_that_stays_full_is_a_timeout() {
        let (block, mut mailbox) = fake(0, 1 << 30);
        block.write(0x38, 1 << 31);
        assert_eq!(mailbox.throttled(), Err(MailboxError::Timeout));
        assert_eq!((block.read(0x20), mailbox.is_overdue), (0, false));
    }

    #[test]
    fn a_mailbox_that_never_runs_empty_is_a_timeout() {
        let (_, mut mailbox) = fake(0x1234_5678, 0);
        assert_eq!(mailbox.throttled(), Err(MailboxError::Timeout));
    }
}
