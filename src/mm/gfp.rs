//! `GfpFlags`: from where a request for memory may be served, and what may be done to serve it.
//!
//! The names and their parts are Linux's (`__GFP_RECLAIM` is [`GfpFlags::RECLAIM`]). Use the combinations; the parts are there to be asked for:
//!
//! | combination | may sleep | may reclaim | may use the reserve | for |
//! |---|---|---|---|---|
//! | `KERNEL` | yes | all shrinkers | no | the kernel's own data, in a thread |
//! | `USER` | yes | all shrinkers | no | as `KERNEL`; there are no users and no cpusets here, so HARDWALL changes nothing |
//! | `NOFS` | yes | those that need no FS | no | code that holds what a shrinker's FS part would wait for |
//! | `NOIO` | yes | those that need neither | no | code that serves I/O itself |
//! | `NOWAIT` | no | none | no | atomic context, where failing is fine |
//! | `ATOMIC` | no | none | half of it | handlers |
//!
//! `DMA` and `DMA32` name the highest zone; without them it is NORMAL. A request falls back to lower zones, never to higher ones.

bitflags::bitflags! {
    /// How a request for memory may be served.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct GfpFlags: u32 {
        /// Only memory below 1 GiB: what the old DMA engines and the mailbox reach.
        const DMA = 1 << 0;
        /// Only memory below 4 GiB.
        const DMA32 = 1 << 1;
        /// The caller may sleep, so shrinkers may be asked to give memory back.
        const RECLAIM = 1 << 2;
        /// Shrinkers may start I/O.
        const IO = 1 << 3;
        /// Shrinkers may call into file systems, or whatever declares FS in its place.
        const FS = 1 << 4;
        /// Linux: only the memory that the caller's cpuset owns. There are no cpusets here: accepted, and no effect.
        const HARDWALL = 1 << 5;
        /// May go below the low watermark: half of the reserve is for such requests.
        const HIGH = 1 << 6;
        /// The memory reads as zeros.
        const ZERO = 1 << 7;
        /// No report if the request fails.
        const NOWARN = 1 << 8;
        /// One round of reclaim, then fail.
        const NORETRY = 1 << 9;
        /// Does not fail: waits until there is memory. Only with RECLAIM; for what cannot be undone any more.
        const NOFAIL = 1 << 10;

        /// The kernel's own data, in a thread that may sleep.
        const KERNEL = Self::RECLAIM.bits() | Self::IO.bits() | Self::FS.bits();
        /// Data of a user of the kernel.
        const USER = Self::KERNEL.bits() | Self::HARDWALL.bits();
        /// Atomic context, urgent: may use part of the reserve.
        const ATOMIC = Self::HIGH.bits();
        /// Atomic context, and failing is fine.
        const NOWAIT = 0;
        /// May sleep, but no I/O may come of it.
        const NOIO = Self::RECLAIM.bits();
        /// May sleep and do I/O, but no FS work may come of it.
        const NOFS = Self::RECLAIM.bits() | Self::IO.bits();
    }
}

/// The two bits that choose a zone.
pub const ZONE_MASK: u32 = GfpFlags::DMA.bits() | GfpFlags::DMA32.bits();

impl GfpFlags {
    /// Whether a request with these flags may sleep.
    #[must_use]
    #[inline(always)]
    pub const fn may_sleep(self) -> bool {
        self.contains(Self::RECLAIM)
    }
}
