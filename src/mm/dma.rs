//! Memory that a device reads or writes: coherent buffers, and streaming use of ordinary memory.
//!
//! No device of the BCM2711 snoops the cores' caches. So either the memory is mapped `NonCacheable` ([`Coherent`]: for descriptors and rings that both
//! sides change all the time), or its lines are cleaned and invalidated around each transfer ([`Streaming`]: for data that changes hands as a whole).
//!
//! What may lie in a coherent buffer is plain data, by the trait [`DmaData`]: a lock or any atomic would be exclusives on `NonCacheable` memory, which
//! the A72 does not promise to serve (Arm ARM B2.12.1). It does not compile:
//! ```compile_fail,E0277
//! use tetra::mm::dma::Coherent;
//! fn wrong(buffer: Coherent<tetra::sync::SpinLock<u32>>) {}
//! ```
//! Addresses here are physical; a driver of an engine that wants bus addresses (the mailbox, the old DMA engines: physical | 0xc0000000) adds
//! its offset.
//!
//! The linear map keeps its cacheable view of a coherent buffer. Nobody uses it while the buffer lives, and its lines were cleaned and
//! invalidated before, so no dirty line can overwrite what the device stored (Arm ARM B2.8, mismatched attributes).

use super::AllocError;
use super::addr::{Order, PAGE_SHIFT, PhysAddr, VirtAddr};
use super::gfp::GfpFlags;
use super::page::{self, PageKind};
use super::pages::Pages;
use super::vmalloc;
use crate::arch::{barrier, cache};
use core::marker::PhantomData;

/// Plain data: any bytes are a value, no padding, no pointers, no atomics.
///
/// # Safety
/// The type is `Copy` in spirit: each bit pattern is valid, and it is never used with exclusives.
pub unsafe trait DmaData: Copy + 'static {}

macro_rules! dma_data {
    ($($int:ty),*) => {$(
        // SAFETY: integers have neither padding nor invalid values.
        unsafe impl DmaData for $int {}
    )*};
}
dma_data!(u8, u16, u32, u64, i8, i16, i32, i64);

// SAFETY: an array of plain data is plain data.
unsafe impl<T: DmaData, const N: usize> DmaData for [T; N] {}

/// Who writes the memory during a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The kernel wrote, the device reads.
    ToDevice,
    /// The device writes, the kernel reads afterwards.
    FromDevice,
    /// Both.
    Bidirectional,
}

/// Why a buffer cannot be given to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DmaError {
    /// No memory within the device's reach.
    NoMemory,
    /// The buffer lies beyond the device's reach.
    OutOfReach,
    /// The buffer is not in the linear map: on a stack of vmalloc, in the image.
    NotLinear,
    /// The device would write into a cache line that holds other data as well: the line's write-back could destroy what it wrote.
    SharesCacheLine,
}

impl From<DmaError> for crate::util::errno::Errno {
    fn from(error: DmaError) -> Self {
        match error {
            DmaError::NoMemory => Self::ENOMEM,
            DmaError::OutOfReach => Self::EIO,
            DmaError::NotLinear | DmaError::SharesCacheLine => Self::EINVAL,
        }
    }
}

impl From<AllocError> for DmaError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

/// How far a device reaches: the highest address it can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DmaMask(u64);

impl DmaMask {
    /// The mailbox and the old DMA engines: 1 GiB.
    pub const BITS_30: Self = Self((1 << 30) - 1);
    /// Most other devices: 4 GiB.
    pub const BITS_32: Self = Self((1 << 32) - 1);
    /// Everything.
    pub const ALL: Self = Self(u64::MAX);

    /// The zone whose memory the device reaches whole.
    #[must_use]
    pub const fn gfp(self) -> GfpFlags {
        match self.0 {
            0..=0xffff_fffe => GfpFlags::DMA,
            0xffff_ffff..=0x1_ffff_fffe => GfpFlags::DMA32,
            _ => GfpFlags::empty(),
        }
    }

    /// Whether `len` bytes from `start` are within reach.
    #[must_use]
    pub fn reaches(self, start: PhysAddr, len: usize) -> bool {
        start.checked_add((len as u64).saturating_sub(1)).is_some_and(|last| last.value() <= self.0)
    }
}

/// Memory that kernel and device see alike, without cache maintenance. Zeroed; freed when dropped.
///
/// # Invariants
/// `virt` is a NonCacheable mapping of `pages`, of `len` elements, and the only one in use.
#[derive(Debug)]
pub struct Coherent<T: DmaData> {
    pages: Pages,
    virt: *mut T,
    len: usize,
    _data: PhantomData<T>,
}

// SAFETY: the mapping is the value's own and reachable from every core; the data is plain.
unsafe impl<T: DmaData> Send for Coherent<T> {}

impl<T: DmaData> Coherent<T> {
    /// Allocates `len` elements within the device's reach.
    ///
    /// Context: thread; may sleep as `gfp` says.
    ///
    /// # Errors
    /// `NoMemory`, also for sizes beyond the largest block.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, dma::{Coherent, DmaMask}};
    /// let mut ring = Coherent::<u32>::new(64, DmaMask::BITS_30, GfpFlags::KERNEL)?;
    /// ring.write(0, 7);
    /// assert_eq!(ring.read(0), 7); // and the device finds it at `ring.phys()`
    /// # Ok::<(), tetra::mm::dma::DmaError>(())
    /// ```
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn new(len: usize, mask: DmaMask, gfp: GfpFlags) -> Result<Self, DmaError> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(DmaError::NoMemory)?;
        let order = Order::for_bytes(bytes).ok_or(DmaError::NoMemory)?;
        let pages = Pages::new(gfp | mask.gfp() | GfpFlags::ZERO, order)?;
        if !mask.reaches(pages.pfn().phys(), order.size_bytes()) {
            return Err(DmaError::OutOfReach);
        }
        // The zeros reach memory, and no line of the cacheable view stays behind to cover what the device writes.
        cache::clean_invalidate_to_poc(pages.as_ptr().addr(), order.size_bytes());
        // SAFETY: allocated above, clean, and used through the mapping alone as long as the value lives.
        let virt = unsafe { vmalloc::map_for_dma(pages.pfn(), order.size_bytes() >> PAGE_SHIFT) }?.cast();
        mark(&pages, PageKind::Dma);
        // INVARIANT: mapped just now, and the linear view is used by nobody.
        Ok(Self { pages, virt, len, _data: PhantomData })
    }

    /// Where the device finds it.
    #[must_use]
    pub fn phys(&self) -> PhysAddr {
        self.pages.pfn().phys()
    }

    /// The memory, for volatile access.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut T {
        self.virt
    }

    /// Reads element `at`. A device may change it at any time; order it against other accesses with `dma_rmb`.
    ///
    /// # Panics
    /// If there is no such element.
    #[must_use]
    pub fn read(&self, at: usize) -> T {
        assert!(at < self.len, "element {at} of {}", self.len);
        let element = self.virt.wrapping_add(at);
        // SAFETY: within the mapping, by the invariant; any bits are a `T`.
        unsafe { element.read_volatile() }
    }

    /// Writes element `at`. Order it against what starts the device with `dma_wmb`, which `writel` contains.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn write(&mut self, at: usize, value: T) {
        assert!(at < self.len, "element {at} of {}", self.len);
        let element = self.virt.wrapping_add(at);
        // SAFETY: as in `read`; `&mut self` makes this the kernel's only access.
        unsafe { element.write_volatile(value) };
    }
}

impl<T: DmaData> Drop for Coherent<T> {
    /// Context: thread, irqs on: the mapping goes, on every core.
    fn drop(&mut self) {
        // Stores to the buffer are complete before the page is anybody else's.
        barrier::dsb_sy();
        vmalloc::unmap_for_dma(self.virt.cast());
        mark(&self.pages, PageKind::Allocated);
    }
}

/// Says in the descriptor what the block is used for.
fn mark(pages: &Pages, kind: PageKind) {
    if let Some(head) = page::desc(pages.pfn()) {
        head.set_kind(kind);
    }
}

/// Ordinary memory that a device uses for the time of a transfer; the kernel has it back when this is dropped.
#[derive(Debug)]
pub struct Streaming<'a> {
    start: usize,
    len: usize,
    phys: PhysAddr,
    direction: Direction,
    _buffer: PhantomData<&'a mut [u8]>,
}

impl<'a> Streaming<'a> {
    /// Hands `buffer` to the device: what the kernel wrote is in memory, and no line covers what the device will write.
    ///
    /// Context: any.
    ///
    /// # Errors
    /// `OutOfReach`, `NotLinear`; `SharesCacheLine` if the device writes and the buffer does not begin and end with a cache line.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::mm::{GfpFlags, dma::{Direction, DmaMask, Streaming}, page_alloc};
    /// let page = page_alloc::get_zeroed_page(GfpFlags::DMA)?;
    /// // SAFETY: a page of ours.
    /// let buffer = unsafe { core::slice::from_raw_parts_mut(page, 4096) };
    /// let transfer = Streaming::map(buffer, DmaMask::BITS_30, Direction::ToDevice)?;
    /// let where_the_device_reads = transfer.phys();
    /// drop(transfer); // the kernel's again
    /// # Ok::<(), tetra::mm::dma::DmaError>(())
    /// ```
    pub fn map(buffer: &'a mut [u8], mask: DmaMask, direction: Direction) -> Result<Self, DmaError> {
        let (start, len) = (buffer.as_mut_ptr().expose_provenance(), buffer.len());
        let phys = VirtAddr::new(start).linear_to_phys().ok_or(DmaError::NotLinear)?;
        if !mask.reaches(phys, len) {
            return Err(DmaError::OutOfReach);
        }
        let shares_a_line = (start | len) & (cache::line_size() - 1) != 0;
        if direction != Direction::ToDevice && shares_a_line {
            return Err(DmaError::SharesCacheLine);
        }
        match direction {
            Direction::ToDevice => cache::clean_to_poc(start, len),
            // Cleaned too: a dirty line that was written back later would overwrite what the device stored.
            Direction::FromDevice | Direction::Bidirectional => cache::clean_invalidate_to_poc(start, len),
        }
        Ok(Self { start, len, phys, direction, _buffer: PhantomData })
    }

    /// Where the device finds it.
    #[must_use]
    pub const fn phys(&self) -> PhysAddr {
        self.phys
    }
}

impl Drop for Streaming<'_> {
    /// The device is done: lines that were fetched by speculation meanwhile are dropped, so the kernel reads what the device wrote.
    ///
    /// Context: any.
    fn drop(&mut self) {
        if self.direction != Direction::ToDevice {
            // SAFETY: `map` borrowed the buffer for as long as this lives, cleaned it, and nobody has written to it since.
            unsafe { cache::invalidate_to_poc(self.start, self.len) };
        }
    }
}
