//! Memory that is contiguous in virtual addresses only, and other mappings in the vmalloc region: `vmalloc`, `vmap`, `ioremap`.
//!
//! `vmalloc` takes blocks as large as it can get and maps them page by page, side by side, with an unmapped guard page behind. `vfree` clears the
//! entries and gives the pages back, but leaves the TLBs alone: the addresses are not used again before one flush for many areas
//! ([`purge`]), so the costly broadcast is shared. Until then a stale pointer may still reach the page through a TLB; that is a use after free,
//! here as with any allocator. Mappings with other attributes than RAM's (devices, DMA) are flushed at once, as two cores must not see one address
//! with two memory types (Arm ARM B2.8).
//!
//! # Locks
//! `AREAS` (threads only), then nothing; the table lock and the zones' are taken without it.
//!
//! Neighbours: `vm_area` (whose addresses), `kernel_map` (tables), `page_alloc`. A block's head is of kind `Vmalloc`, its `owner` word the next block.

use super::AllocError;
use super::addr::{Order, PAGE_SHIFT, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use super::free_link::OFFSET_BITS;
use super::gfp::GfpFlags;
use super::kernel_map;
use super::page::{self, NIL, PageDesc, PageKind};
use super::page_alloc;
use super::vm_area::{self, Area, AreaKind, Areas, Request, User};
use crate::arch::layout::{LINEAR_BASE, LINK_BASE, LOAD_ADDRESS, VMALLOC_BASE, VMALLOC_SIZE};
use crate::arch::mmu::{self, Attributes, MapError};
use crate::cpu;
use crate::debug::backtrace;
use crate::debug::fault_attr::FaultAttr;
use crate::sync::SpinLock;
use crate::upcalls;
use core::panic::Location;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

/// Lazy pages that bring about a flush: 32 MiB.
const LAZY_MAX: usize = 8192;

/// Which vmallocs are made to fail.
pub static FAIL_VMALLOC: FaultAttr = FaultAttr::new();

static AREAS: SpinLock<Areas> = SpinLock::new(Areas::new());
static UNITS: AtomicPtr<PageDesc> = AtomicPtr::new(core::ptr::dangling_mut());
static NR_UNITS: AtomicUsize = AtomicUsize::new(0);

/// Why a range was not mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoremapError {
    /// No addresses or no tables are left.
    NoMemory,
    /// The range holds RAM, of the kernel's image or of the linear map: it would be mapped with two memory types.
    IsRam,
    /// The range is empty, wraps, or ends beyond the physical addresses there are.
    InvalidRange,
}

impl From<IoremapError> for crate::util::errno::Errno {
    fn from(error: IoremapError) -> Self {
        match error {
            IoremapError::NoMemory => Self::ENOMEM,
            IoremapError::IsRam => Self::EBUSY,
            IoremapError::InvalidRange => Self::EINVAL,
        }
    }
}

/// An area as `for_each_area` shows it.
#[derive(Clone, Copy, Debug)]
pub struct AreaView {
    /// First byte.
    pub start: usize,
    /// Mapped bytes, the guard page not counted.
    pub len: usize,
    /// What it is.
    pub kind: AreaKind,
    /// The thread that asked for it, by number; 0: boot.
    pub pid: u32,
    /// Where it was asked for.
    pub place: &'static Location<'static>,
}

/// How much of the region is used, in pages.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// All.
    pub total: usize,
    /// In areas, lazy ones included.
    pub used: usize,
}

fn units() -> &'static [PageDesc] {
    // SAFETY: `install` was given an array of this length that lives for ever; its fields are atomics.
    unsafe { core::slice::from_raw_parts(UNITS.load(Relaxed), NR_UNITS.load(Relaxed)) }
}

/// Makes `array` the descriptors of the region's units.
///
/// # Safety
/// Once, at boot, on one core. `array` points to `len` zeroed descriptors that live for ever and are nobody else's.
pub unsafe fn install(array: *mut PageDesc, len: usize) {
    NR_UNITS.store(len, Relaxed);
    UNITS.store(array, Relaxed);
    AREAS.lock().add_units(units());
}

/// Units of the region on a machine with `ram` bytes.
#[must_use]
pub const fn nr_units(ram: usize) -> usize {
    vm_area::nr_units(ram, VMALLOC_SIZE)
}

/// How much of the region is in use. Context: thread.
pub fn usage() -> Usage {
    let total = (NR_UNITS.load(Relaxed) * vm_area::UNIT_SIZE) >> PAGE_SHIFT;
    Usage { total, used: total - AREAS.lock().nr_free_pages() }
}

/// Whether an address lies in the vmalloc region. Context: any.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, vmalloc};
/// let local = 0;
/// assert!(!vmalloc::is_vmalloc_addr(&raw const local));
/// ```
#[must_use]
pub fn is_vmalloc_addr<T: ?Sized>(pointer: *const T) -> bool {
    VirtAddr::from_ptr(pointer).value().wrapping_sub(VMALLOC_BASE) < VMALLOC_SIZE
}

/// Allocates `size` bytes, rounded up to pages, contiguous in virtual addresses only.
///
/// Context: thread; may sleep as `gfp` says.
///
/// # Errors
/// `AllocError` for a size of zero or beyond memory, and if pages, tables or addresses are exhausted; nothing is left behind.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, vmalloc};
/// let table = vmalloc::vmalloc(1 << 20, GfpFlags::KERNEL)?;
/// assert!(vmalloc::is_vmalloc_addr(table));
/// // SAFETY: allocated above, and used by nobody.
/// unsafe { vmalloc::vfree(table) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn vmalloc(size: usize, gfp: GfpFlags) -> Result<*mut u8, AllocError> {
    vmalloc_align(size, PAGE_SIZE, gfp)
}

/// As [`vmalloc`], and the first byte is aligned to `align`, a power of two: Linux's `__vmalloc_node` with its `align`. A page at least.
///
/// # Errors
/// As `vmalloc`, and for an alignment that is no power of two or beyond the region.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, vmalloc};
/// let stack = vmalloc::vmalloc_align(16 << 10, 32 << 10, GfpFlags::KERNEL)?;
/// assert!(stack.addr().is_multiple_of(32 << 10));
/// # // SAFETY: allocated above, and used by nobody.
/// # unsafe { vmalloc::vfree(stack) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn vmalloc_align(size: usize, align: usize, gfp: GfpFlags) -> Result<*mut u8, AllocError> {
    let nr_pages = size.checked_add(PAGE_SIZE - 1).ok_or(AllocError)? >> PAGE_SHIFT;
    let is_injected = !gfp.contains(GfpFlags::NOFAIL)
        && FAIL_VMALLOC.is_armed()
        && FAIL_VMALLOC.should_fail(nr_pages as u64, || backtrace::Frames::from(backtrace::here()).map(|frame| frame.address));
    if is_injected || nr_pages > page::all().len() {
        return Err(AllocError);
    }
    let request = Request { nr_pages, align, kind: AreaKind::Vmalloc, user: user_at(Location::caller()) };
    let mut area = reserve(&request).ok_or(AllocError)?;
    match take_blocks(nr_pages, gfp) {
        Ok(first) => AREAS.lock().set_first(units(), &mut area, first),
        Err(error) => {
            retire(&area);
            return Err(error);
        }
    }
    if map_blocks(&area).is_err() {
        release(&area);
        return Err(AllocError);
    }
    Ok(address(&area))
}

/// As [`vmalloc`], and the memory reads as zeros.
///
/// # Errors
/// As `vmalloc`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, vmalloc};
/// let table = vmalloc::vzalloc(1 << 20, GfpFlags::KERNEL)?;
/// // SAFETY: 1 MiB of ours.
/// assert_eq!(unsafe { table.add(12345).read() }, 0);
/// # // SAFETY: allocated above, and used by nobody.
/// # unsafe { vmalloc::vfree(table) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn vzalloc(size: usize, gfp: GfpFlags) -> Result<*mut u8, AllocError> {
    vmalloc(size, gfp | GfpFlags::ZERO)
}

/// Gives back what `vmalloc` gave. NULL is fine. An address at which no such area begins is reported, and nothing is freed.
///
/// Context: thread.
///
/// # Safety
/// Nobody uses the memory from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{GfpFlags, vmalloc};
/// let table = vmalloc::vmalloc(1 << 20, GfpFlags::KERNEL)?;
/// // SAFETY: allocated by the line above, and used by nobody.
/// unsafe { vmalloc::vfree(table) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn vfree(pointer: *mut u8) {
    if pointer.is_null() {
        return;
    }
    match find(pointer, AreaKind::Vmalloc) {
        Some(area) => release(&area),
        None => upcalls::bug_report(
            format_args!("vfree: no vmalloc area begins at {pointer:p}: freed twice, or never allocated"),
            Location::caller(),
        ),
    }
}

/// Maps the caller's pages side by side. They stay the caller's.
///
/// Context: thread.
///
/// # Errors
/// `AllocError` for no pages at all, if tables or addresses are exhausted, for a page that is not allocated RAM, and for all attributes but `Data` and
/// `ReadOnly`: the linear map shows the pages cached and writable, so they must not be executable or of another memory type here. Devices'
/// registers have `ioremap`, buffers that devices share `dma`.
///
/// # Examples
/// ```no_run
/// use tetra::arch::mmu::Attributes;
/// use tetra::mm::{GfpFlags, Pages, addr::Order, vmalloc};
/// let (one, other) = (Pages::new(GfpFlags::KERNEL, Order::ZERO)?, Pages::new(GfpFlags::KERNEL, Order::ZERO)?);
/// let side_by_side = vmalloc::vmap(&[one.pfn(), other.pfn()], Attributes::Data)?;
/// // SAFETY: mapped by the line above, and used by nobody.
/// unsafe { vmalloc::vunmap(side_by_side) };
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[track_caller]
pub fn vmap(pages: &[Pfn], attributes: Attributes) -> Result<*mut u8, AllocError> {
    let is_fit = matches!(attributes, Attributes::Data | Attributes::ReadOnly);
    if !is_fit || !pages.iter().copied().all(is_allocated) {
        return Err(AllocError);
    }
    // SAFETY: allocated RAM, cached here as in the linear map.
    unsafe { map_each(pages.len(), AreaKind::Vmap, attributes, pages.iter().map(|pfn| (pfn.phys().value(), PAGE_SIZE))) }
}

/// Whether somebody holds a page as ordinary memory: as the head of a block, or in one.
fn is_allocated(pfn: Pfn) -> bool {
    for order in 0..=Order::MAX.value() {
        let head = Pfn::new(pfn.value() >> order << order);
        let Some(state) = page::desc(head).map(PageDesc::state) else { return false };
        if state.kind() != PageKind::Tail {
            let is_memory = matches!(state.kind(), PageKind::Allocated | PageKind::LargeKmalloc | PageKind::Vmalloc | PageKind::Slab);
            return is_memory && state.order() >= order;
        }
    }
    false
}

/// Undoes [`vmap`]. Context: thread.
///
/// # Safety
/// Nobody uses the mapping from here on.
///
/// # Examples
/// ```no_run
/// use tetra::arch::mmu::Attributes;
/// use tetra::mm::{GfpFlags, Pages, addr::Order, vmalloc};
/// let page = Pages::new(GfpFlags::KERNEL, Order::ZERO)?;
/// let mapping = vmalloc::vmap(&[page.pfn()], Attributes::ReadOnly)?;
/// // SAFETY: mapped by the line above, and used by nobody.
/// unsafe { vmalloc::vunmap(mapping) }; // the page is ours still
/// # Ok::<(), tetra::mm::AllocError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn vunmap(pointer: *mut u8) {
    unmap_now(pointer, AreaKind::Vmap, Location::caller());
}

/// Maps a device's registers, Device-nGnRE. The pointer has the offset in the page that `phys` has.
///
/// Context: thread.
///
/// # Errors
/// `IoremapError`.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{addr::PhysAddr, vmalloc};
/// use tetra::sync::mmio;
/// let uart = vmalloc::ioremap(PhysAddr::new(0xfe20_1000), 0x1000)?;
/// // SAFETY: the flag register of a PL011; reading it changes nothing.
/// let flags = unsafe { mmio::readl(uart.add(0x18).cast()) };
/// // SAFETY: mapped above, and not used any more.
/// unsafe { vmalloc::iounmap(uart) };
/// # Ok::<(), vmalloc::IoremapError>(())
/// ```
#[track_caller]
pub fn ioremap(phys: PhysAddr, len: usize) -> Result<*mut u8, IoremapError> {
    let start = phys.align_down(PAGE_SIZE as u64);
    let end = phys.checked_add(len as u64).and_then(|end| end.align_up(PAGE_SIZE as u64)).ok_or(IoremapError::InvalidRange)?;
    if len == 0 || end.value() > 1 << mmu::PHYS_BITS {
        return Err(IoremapError::InvalidRange);
    }
    let is_ram = |pfn: usize| page::desc(Pfn::new(pfn)).is_some_and(|page| page.kind() != PageKind::Reserved);
    if is_mapped_as_ram(start.value(), end.value()) || (start.pfn().value()..end.pfn().value()).any(is_ram) {
        return Err(IoremapError::IsRam);
    }
    let bytes = (end - start) as usize;
    // SAFETY: no mapping shows the range as memory, so that of devices is the only type.
    let base = unsafe { map_each(bytes >> PAGE_SHIFT, AreaKind::Ioremap, Attributes::Device, core::iter::once((start.value(), bytes))) };
    base.map(|base| base.wrapping_byte_add(phys.page_offset())).map_err(|_| IoremapError::NoMemory)
}

/// Whether the image or the linear map shows any of the range, which is of whole pages: reserved RAM too.
fn is_mapped_as_ram(start: u64, end: u64) -> bool {
    if start < mmu::kernel_end() && end > LOAD_ADDRESS as u64 {
        return true;
    }
    let (mut at, end) = (start as usize, (end as usize).min(1 << OFFSET_BITS));
    while at < end {
        let (size, attributes) = mmu::look_up(LINEAR_BASE + at);
        if attributes.is_some() {
            return true;
        }
        at = (at & !(size - 1)) + size;
    }
    false
}

/// Undoes [`ioremap`]. Context: thread.
///
/// # Safety
/// Nobody uses the mapping from here on.
///
/// # Examples
/// ```no_run
/// use tetra::mm::{addr::PhysAddr, vmalloc};
/// let uart = vmalloc::ioremap(PhysAddr::new(0xfe20_1000), 0x1000)?;
/// // SAFETY: mapped by the line above, and used by nobody.
/// unsafe { vmalloc::iounmap(uart) };
/// # Ok::<(), vmalloc::IoremapError>(())
/// ```
#[cfg_attr(feature = "debug", track_caller)]
pub unsafe fn iounmap(pointer: *mut u8) {
    let page = pointer.wrapping_byte_sub(pointer.addr() & (PAGE_SIZE - 1));
    unmap_now(page, AreaKind::Ioremap, Location::caller());
}

/// Maps pages for a device. For `dma`.
///
/// # Safety
/// The caller holds the pages, uses them through this mapping alone, and no cache has lines of them.
#[track_caller]
pub(super) unsafe fn map_for_dma(pfn: Pfn, nr_pages: usize) -> Result<*mut u8, AllocError> {
    let pieces = core::iter::once((pfn.phys().value(), nr_pages << PAGE_SHIFT));
    // SAFETY: by the contract of this function.
    unsafe { map_each(nr_pages, AreaKind::Dma, Attributes::NonCacheable, pieces) }
}

/// Undoes `map_for_dma`.
pub(super) fn unmap_for_dma(pointer: *mut u8) {
    unmap_now(pointer, AreaKind::Dma, Location::caller());
}

/// Flushes the TLBs of all cores and makes the addresses of all lazy areas free.
///
/// Context: thread.
pub fn purge() {
    let mut areas = AREAS.lock();
    mmu::flush_all();
    areas.purge(units());
}

/// Calls `each` with the areas by ascending address, without a lock: it may miss what changes meanwhile. Context: thread.
pub fn for_each_area(mut each: impl FnMut(AreaView)) {
    let mut at = 0;
    while let Some(area) = { AREAS.lock().next(units(), at) } {
        each(view(&area));
        at = area.offset + 1;
    }
}

/// Calls `each` with the areas of own pages that thread `pid` asked for. Nothing is said while another core makes or ends an area: a report must not wait.
///
/// Context: any but inside these functions.
pub fn for_each_area_of(pid: u32, mut each: impl FnMut(AreaView)) {
    let Some(areas) = AREAS.try_lock() else { return };
    let all = core::iter::successors(areas.next(units(), 0), |area| areas.next(units(), area.offset + 1));
    all.filter(|area| area.user.pid == pid && area.kind == AreaKind::Vmalloc).for_each(|area| each(view(&area)));
}

fn view(area: &Area) -> AreaView {
    AreaView {
        start: VMALLOC_BASE + area.offset,
        len: area.nr_pages << PAGE_SHIFT,
        kind: area.kind,
        pid: area.user.pid,
        place: place_of(area.user),
    }
}

fn address(area: &Area) -> *mut u8 {
    VirtAddr::new(VMALLOC_BASE + area.offset).as_ptr()
}

/// The running thread and `place`, in the words that an area has room for: places lie in the image, so their offset there is enough.
fn user_at(place: &'static Location<'static>) -> User {
    let pid = cpu::task::try_current().map_or(0, |task| task.pid());
    let address = (&raw const *place).expose_provenance();
    User { pid, place: (address - LINK_BASE) as u32 }
}

/// The place in `user`.
fn place_of(user: User) -> &'static Location<'static> {
    let place = core::ptr::with_exposed_provenance::<Location<'static>>(LINK_BASE + user.place as usize);
    // SAFETY: every area's user is made by `user_at`, of a reference to a place in the image, which stays.
    unsafe { &*place }
}

fn reserve(request: &Request) -> Option<Area> {
    let found = AREAS.lock().alloc(units(), request);
    found.or_else(|| {
        purge();
        AREAS.lock().alloc(units(), request)
    })
}

fn find(pointer: *mut u8, kind: AreaKind) -> Option<Area> {
    let offset = VirtAddr::from_ptr(pointer).value().checked_sub(VMALLOC_BASE)?;
    AREAS.lock().find(units(), offset).filter(|area| area.kind == kind)
}

/// Takes blocks for `nr_pages` off the page allocator, as large as they come: the first of the chain.
#[cfg_attr(feature = "debug", track_caller)]
fn take_blocks(nr_pages: usize, gfp: GfpFlags) -> Result<u32, AllocError> {
    let (mut first, mut left, mut largest) = (NIL, nr_pages, Order::MAX.value());
    while left > 0 {
        let order = Order::new(largest.min(left.ilog2() as usize)).expect("the largest is an order");
        // Large blocks are welcome, not needed: no reclaim and no report for them.
        let flags = if order == Order::ZERO { gfp } else { (gfp - GfpFlags::NOFAIL - GfpFlags::RECLAIM) | GfpFlags::NOWARN };
        match page_alloc::alloc_pages(flags, order) {
            Ok(pfn) => {
                let head = page::desc(pfn).expect("an allocated page has a descriptor");
                head.set_kind(PageKind::Vmalloc);
                head.owner.store(u64::from(first), Relaxed);
                first = pfn.value() as u32;
                left -= order.nr_pages();
            }
            Err(_) if order > Order::ZERO => largest = order.value() - 1,
            Err(error) => {
                free_blocks(first);
                return Err(error);
            }
        }
    }
    Ok(first)
}

/// The blocks of a chain: frame number and order.
fn blocks(first: u32) -> impl Iterator<Item = (Pfn, &'static PageDesc)> {
    let mut at = first;
    core::iter::from_fn(move || {
        let pfn = Pfn::new(at as usize);
        let head = page::desc(pfn)?;
        at = head.owner.load(Relaxed) as u32;
        Some((pfn, head))
    })
}

fn free_blocks(first: u32) {
    for (pfn, head) in blocks(first) {
        let order = Order::new(head.state().order()).expect("the allocator wrote it");
        head.set_kind(PageKind::Allocated);
        // SAFETY: the block was the area's, whose entries are gone, and the chain names it once.
        unsafe { page_alloc::free_pages(pfn, order) };
    }
}

fn map_blocks(area: &Area) -> Result<(), MapError> {
    let mut virt = VMALLOC_BASE + area.offset;
    for (pfn, head) in blocks(area.first) {
        let len = PAGE_SIZE << head.state().order();
        let phys = pfn.phys().value();
        // SAFETY: the area's addresses and its block, cached as in the linear map.
        kernel_map::with_mapper(|mapper| unsafe { mapper.map_pages(virt, phys, len, Attributes::Data) })?;
        virt += len;
    }
    Ok(())
}

/// Reserves an area and maps the pieces, physical address and bytes, side by side.
///
/// # Safety
/// The pieces may be reached with these attributes: nobody else has a mapping of another memory type in use, or writes what others hold to be constant.
#[track_caller]
unsafe fn map_each(
    nr_pages: usize,
    kind: AreaKind,
    attributes: Attributes,
    pieces: impl Iterator<Item = (u64, usize)>,
) -> Result<*mut u8, AllocError> {
    let request = Request { nr_pages, align: PAGE_SIZE, kind, user: user_at(Location::caller()) };
    let area = reserve(&request).ok_or(AllocError)?;
    let mut virt = VMALLOC_BASE + area.offset;
    for (phys, len) in pieces {
        // SAFETY: the area's addresses; the pieces by the contract of this function.
        if kernel_map::with_mapper(|mapper| unsafe { mapper.map_pages(virt, phys, len, attributes) }).is_err() {
            clear(&area);
            if attributes != Attributes::Data {
                // Two cores must not see one address with two memory types, not even by speculation.
                mmu::flush_all();
            }
            retire(&area);
            return Err(AllocError);
        }
        virt += len;
    }
    Ok(address(&area))
}

fn clear(area: &Area) {
    let (start, len) = (VMALLOC_BASE + area.offset, area.nr_pages << PAGE_SHIFT);
    // SAFETY: the area is given up by its holder, or was never given out.
    kernel_map::with_mapper(|mapper| unsafe { mapper.clear_pages(start, len) });
}

/// Ends a vmalloc area: entries, pages, addresses.
fn release(area: &Area) {
    clear(area);
    free_blocks(area.first);
    retire(area);
}

fn retire(area: &Area) {
    let lazy = AREAS.lock().retire(units(), area);
    if lazy > LAZY_MAX {
        purge();
    }
}

fn unmap_now(pointer: *mut u8, kind: AreaKind, place: &'static Location<'static>) {
    let Some(area) = find(pointer, kind) else {
        return upcalls::bug_report(format_args!("{}: no such area begins at {pointer:p}; nothing was unmapped", kind.name()), place);
    };
    clear(&area);
    mmu::flush_all();
    retire(&area);
}
