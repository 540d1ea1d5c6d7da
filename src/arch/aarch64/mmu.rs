//! Translation tables: their format, a mapper for boot time, and translation of one address.
//!
//! start.S has mapped the image page by page with its final permissions; here the linear map and the device window are added, and single pages
//! are protected or taken away. Invalid entries become valid and permissions change in place, which needs no break-before-make; changing a
//! valid entry's size or output address would (Arm ARM D8.16.1), so it is refused.
//!
//! Three levels of 512 entries: level 1 maps 1 GiB an entry, level 2 2 MiB, level 3 4 KiB. Source: Arm ARM D8.3.

use super::{barrier, layout};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a page, and of a table.
pub const PAGE_SIZE: usize = 4096;
const BLOCK_SIZE: usize = 2 << 20;
const ENTRIES: usize = 512;

const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// AttrIndx: which memory type of MAIR_EL1.
const TYPE_INDEX: u64 = 7 << 2;

/// What a mapping permits. Nothing is ever writable and executable; device memory is never executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// Cached, executable, read-only: the kernel's text.
    Text,
    /// Cached, read-only.
    ReadOnly,
    /// Cached, writable.
    Data,
    /// Normal memory without caches: shared with devices that do not snoop. No lock may lie in it.
    NonCacheable,
    /// Device-nGnRE: registers.
    Device,
}

impl Attributes {
    fn bits(self) -> u64 {
        const COMMON: u64 = VALID | ACCESSED | INNER_SHAREABLE | UXN;
        const INDEX: fn(u64) -> u64 = |index| index << 2;
        match self {
            Self::Text => COMMON | INDEX(0) | READ_ONLY,
            Self::ReadOnly => COMMON | INDEX(0) | READ_ONLY | PXN,
            Self::Data => COMMON | INDEX(0) | PXN,
            Self::NonCacheable => COMMON | INDEX(2) | PXN,
            Self::Device => COMMON | INDEX(1) | PXN,
        }
    }

    fn from_bits(entry: u64) -> Self {
        match ((entry >> 2) & 7, entry & READ_ONLY != 0, entry & PXN != 0) {
            (1 | 3, _, _) => Self::Device,
            (2, _, _) => Self::NonCacheable,
            (_, true, false) => Self::Text,
            (_, true, true) => Self::ReadOnly,
            (_, false, _) => Self::Data,
        }
    }
}

/// Why a range was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// A table was needed and there was no page for it.
    OutOfTables,
    /// An address or the length is not a multiple of the page size.
    Unaligned,
    /// Something is mapped there already.
    Occupied(usize),
    /// Nothing is mapped there by a page of its own.
    NotAPage(usize),
    /// The page there has another memory type, which must not change in place.
    OtherType(usize),
    /// The range wraps, or ends beyond the physical addresses that TCR_EL1.IPS permits.
    OutOfRange,
}

/// A table: entries that the walker reads while we write them, so each is written whole.
#[repr(C, align(4096))]
pub struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// A table that maps nothing.
    #[expect(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; ENTRIES])
    }
}

/// The tables in use, and how the pages of further ones are reached and found.
pub struct Mapper<'a> {
    root: &'static Table,
    /// Gives a zeroed page for a table.
    new_table: &'a mut dyn FnMut() -> Option<&'static Table>,
    to_virtual: fn(u64) -> usize,
}

impl<'a> Mapper<'a> {
    /// The live tables of TTBR1. Tables that lie in the image or directly behind it are reached through the image's mapping, all others through
    /// the linear map.
    ///
    /// # Safety
    /// One mapper at a time, and `new_table` gives pages that nothing else uses, below `kernel_end` or in the linear map.
    pub unsafe fn live(new_table: &'a mut dyn FnMut() -> Option<&'static Table>) -> Self {
        // SAFETY: TTBR1_EL1 holds the table that start.S built and nobody frees.
        let root = unsafe { &*(table_address(ttbr1() & ADDRESS) as *const Table) };
        Self { root, new_table, to_virtual: table_address }
    }

    /// Maps `len` bytes from `virt` to `phys`, with 2 MiB blocks wherever both are aligned.
    ///
    /// # Errors
    /// `MapError`; what was mapped before the error stays mapped.
    ///
    /// # Safety
    /// The addresses are the caller's, and what lies at `phys` may be reached there: no second memory type, no writable view of what others hold
    /// to be constant.
    pub unsafe fn map(&mut self, virt: usize, phys: u64, len: usize, attributes: Attributes) -> Result<(), MapError> {
        check_range(virt, phys, len)?;

        let mut done = 0;
        while done < len {
            let (at, target) = (virt + done, phys + done as u64);
            let block = (at | target as usize) & (BLOCK_SIZE - 1) == 0 && len - done >= BLOCK_SIZE;
            let level = if block { 2 } else { 3 };
            let entry = self.entry(at, level)?;
            if entry.load(Ordering::Relaxed) & VALID != 0 {
                return Err(MapError::Occupied(at));
            }
            let kind = if block { 0 } else { TABLE_OR_PAGE };
            entry.store(target | attributes.bits() | kind, Ordering::Relaxed);
            done += if block { BLOCK_SIZE } else { PAGE_SIZE };
        }

        // The walker must see the entries before anyone uses the addresses, and this core must not have begun to (Arm ARM D8.16.2).
        barrier::dsb_ishst();
        barrier::isb();
        Ok(())
    }

    /// Maps `len` bytes from `virt` to `phys` by pages alone: for a region whose parts come and go, where a block would stand in the way of the
    /// table that a smaller neighbour needs.
    ///
    /// # Errors
    /// `MapError`; what was mapped before the error stays mapped.
    ///
    /// # Safety
    /// As [`Mapper::map`].
    pub unsafe fn map_pages(&mut self, virt: usize, phys: u64, len: usize, attributes: Attributes) -> Result<(), MapError> {
        check_range(virt, phys, len)?;
        let bits = attributes.bits() | TABLE_OR_PAGE;
        let mut done = 0;
        while done < len {
            let table = self.table(virt + done, 3)?;
            for entry in &table.0[index(virt + done, 3)..] {
                if done == len {
                    break;
                }
                if entry.load(Ordering::Relaxed) & VALID != 0 {
                    return Err(MapError::Occupied(virt + done));
                }
                entry.store((phys + done as u64) | bits, Ordering::Relaxed);
                done += PAGE_SIZE;
            }
        }
        // As in `map`.
        barrier::dsb_ishst();
        barrier::isb();
        Ok(())
    }

    /// Takes the pages of a range away where there are any, and leaves the TLBs alone: an old translation may be used until [`flush_all`], so the
    /// addresses must not be mapped again before.
    ///
    /// # Safety
    /// Nobody uses the addresses any more.
    pub unsafe fn clear_pages(&mut self, virt: usize, len: usize) {
        let mut done = 0;
        while done < len {
            let at = virt + done;
            let table = walk(self.root, at, self.to_virtual).filter(|leaf| leaf.level == 3).map(|leaf| leaf.table);
            let rest = ENTRIES - index(at, 3);
            if let Some(table) = table {
                table.0[index(at, 3)..].iter().take((len - done) / PAGE_SIZE).for_each(|entry| entry.store(0, Ordering::Relaxed));
                done += rest * PAGE_SIZE;
            } else {
                done += PAGE_SIZE;
            }
        }
        // Whoever flushes, on whatever core, flushes after these stores are complete.
        barrier::dsb_ishst();
    }

    /// Changes what the pages of a range permit. Only permissions may differ, not the memory type.
    ///
    /// # Errors
    /// `NotAPage` where no page of its own is mapped, `OtherType`, `OutOfRange`; nothing has changed.
    ///
    /// # Safety
    /// Nobody relies on what the pages no longer permit, and what they now permit breaks nobody's promise.
    pub unsafe fn protect(&mut self, virt: usize, len: usize, attributes: Attributes) -> Result<(), MapError> {
        for at in pages_of(virt, len)? {
            // A change of the memory type would need break-before-make (Arm ARM D8.16.1).
            if (self.page_entry(at)?.load(Ordering::Relaxed) ^ attributes.bits()) & TYPE_INDEX != 0 {
                return Err(MapError::OtherType(at));
            }
        }
        self.each_page(virt, len, |entry| (entry & ADDRESS) | attributes.bits() | TABLE_OR_PAGE)
    }

    /// Takes pages away; the next access faults, on every core.
    ///
    /// # Errors
    /// `NotAPage` where no page of its own is mapped, `OutOfRange`; nothing has changed.
    ///
    /// # Safety
    /// Nobody uses the addresses any more.
    pub unsafe fn unmap(&mut self, virt: usize, len: usize) -> Result<(), MapError> {
        self.each_page(virt, len, |_| 0)
    }

    /// The entry of the page at `virt`.
    fn page_entry(&self, virt: usize) -> Result<&'static AtomicU64, MapError> {
        walk(self.root, virt, self.to_virtual).filter(|leaf| leaf.level == 3).map(|leaf| leaf.entry).ok_or(MapError::NotAPage(virt))
    }

    /// Changes the entry of each page, or none: a return between the first change and the flush would leave stale translations.
    fn each_page(&mut self, virt: usize, len: usize, change: impl Fn(u64) -> u64) -> Result<(), MapError> {
        for at in pages_of(virt, len)? {
            self.page_entry(at)?;
        }
        for at in pages_of(virt, len)? {
            let entry = self.page_entry(at)?;
            entry.store(change(entry.load(Ordering::Relaxed)), Ordering::Relaxed);
        }

        barrier::dsb_ishst();
        pages_of(virt, len)?.for_each(flush_page);
        barrier::dsb_ish();
        barrier::isb();
        Ok(())
    }

    /// The entry for `virt` at `level` (2 or 3), with the tables above it made where they are missing.
    fn entry(&mut self, virt: usize, level: usize) -> Result<&'static AtomicU64, MapError> {
        Ok(&self.table(virt, level)?.0[index(virt, level)])
    }

    /// The table for `virt` at `level`, likewise.
    fn table(&mut self, virt: usize, level: usize) -> Result<&'static Table, MapError> {
        let mut table = self.root;
        for above in 1..level {
            let entry = &table.0[index(virt, above)];
            let mut value = entry.load(Ordering::Relaxed);
            if value & VALID == 0 {
                let page = (self.new_table)().ok_or(MapError::OutOfTables)?;
                value = physical_of(page) | TABLE_OR_PAGE | VALID;
                // Release: the page's zeros before the entry that lets the walker find them (DSB ISHST in `map` for the walker itself).
                entry.store(value, Ordering::Release);
            } else if value & TABLE_OR_PAGE == 0 {
                return Err(MapError::Occupied(virt));
            }
            // SAFETY: a valid entry above the last level names a table, which lives for ever.
            table = unsafe { &*((self.to_virtual)(value & ADDRESS) as *const Table) };
        }
        Ok(table)
    }
}

/// Physical addresses have this many bits: what TCR_EL1.IPS says (start.S).
pub const PHYS_BITS: u32 = 36;

const fn check_range(virt: usize, phys: u64, len: usize) -> Result<(), MapError> {
    if (virt | phys as usize | len) & (PAGE_SIZE - 1) != 0 {
        return Err(MapError::Unaligned);
    }
    let Some(end) = phys.checked_add(len as u64) else { return Err(MapError::OutOfRange) };
    if end > 1 << PHYS_BITS || virt.checked_add(len).is_none() { Err(MapError::OutOfRange) } else { Ok(()) }
}

fn pages_of(virt: usize, len: usize) -> Result<impl Iterator<Item = usize>, MapError> {
    let end = virt.checked_add(len).ok_or(MapError::OutOfRange)?;
    Ok((virt..end).step_by(PAGE_SIZE))
}

struct Leaf {
    table: &'static Table,
    entry: &'static AtomicU64,
    level: usize,
}

/// The valid entry that maps `virt`, if any.
fn walk(root: &'static Table, virt: usize, to_virtual: fn(u64) -> usize) -> Option<Leaf> {
    let mut table = root;
    for level in 1..=3 {
        let entry = &table.0[index(virt, level)];
        let value = entry.load(Ordering::Relaxed);
        if value & VALID == 0 {
            return None;
        }
        if level == 3 || value & TABLE_OR_PAGE == 0 {
            return Some(Leaf { table, entry, level });
        }
        // SAFETY: a valid entry above the last level that is no block names a table, which lives for ever.
        table = unsafe { &*(to_virtual(value & ADDRESS) as *const Table) };
    }
    None
}

fn index(virt: usize, level: usize) -> usize {
    (virt >> (12 + 9 * (3 - level))) & (ENTRIES - 1)
}

/// Where a table with this physical address can be read and written.
fn table_address(phys: u64) -> usize {
    reached_at(phys, kernel_end())
}

/// Through which mapping a physical page is reached. Compared as physical addresses: the image's offset added to an address from 2 GiB on wraps.
const fn reached_at(phys: u64, kernel_end: u64) -> usize {
    let is_in_image = phys >= layout::LOAD_ADDRESS as u64 && phys < kernel_end;
    phys as usize + if is_in_image { layout::IMAGE_OFFSET } else { layout::LINEAR_BASE }
}

// Below the image, in it, behind it, and where boards of 4 and 8 GiB have their memory.
const _: () = {
    const END: u64 = 0x30_0000;
    assert!(reached_at(0x1000, END) == layout::LINEAR_BASE + 0x1000);
    assert!(reached_at(END - 0x1000, END) == layout::IMAGE_OFFSET + END as usize - 0x1000);
    assert!(reached_at(END, END) == layout::LINEAR_BASE + END as usize);
    assert!(reached_at(0x8000_0000, END) == layout::LINEAR_BASE + 0x8000_0000);
    assert!(reached_at(0x1_ffff_f000, END) == layout::LINEAR_BASE + 0x1_ffff_f000);
};

fn physical_of(table: &'static Table) -> u64 {
    let virt = &raw const *table as usize;
    (if virt >= layout::LINK_BASE { virt - layout::IMAGE_OFFSET } else { virt - layout::LINEAR_BASE }) as u64
}

/// Physical end of what start.S mapped: image, symbol table, first tables. 0: not told yet.
static KERNEL_END: AtomicU64 = AtomicU64::new(0);

/// Tells where the memory of image, symbol table and first tables ends, physically. Once, before the first use of this module.
pub(crate) fn set_kernel_end(phys: u64) {
    KERNEL_END.store(phys, Ordering::Relaxed);
}

/// Where the memory of image, symbol table and first tables ends, physically. Context: any.
pub fn kernel_end() -> u64 {
    KERNEL_END.load(Ordering::Relaxed)
}

fn ttbr1() -> u64 {
    let ttbr: u64;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, ttbr1_el1", out(reg) ttbr, options(nomem, nostack, preserves_flags)) };
    ttbr
}

fn flush_page(virt: usize) {
    let operand = (virt >> 12) & ((1 << 44) - 1);
    // SAFETY: dropping a translation costs time only. All ASIDs, inner shareable: every core (Arm ARM C5.5.75).
    unsafe { asm!("tlbi vaae1is, {}", in(reg) operand, options(nostack, preserves_flags)) };
}

/// Drops every translation of the kernel, on every core: one broadcast, however many entries were cleared before.
///
/// DSB ISHST: the cleared entries are seen by all walkers. DSB ISH: all cores are done. ISB: this one fetches anew (Arm ARM D8.16.2).
///
/// Context: any.
pub fn flush_all() {
    barrier::dsb_ishst();
    // SAFETY: dropping translations costs time only.
    unsafe { asm!("tlbi vmalle1is", options(nostack, preserves_flags)) };
    barrier::dsb_ish();
    barrier::isb();
}

/// What is mapped at `virt`, and how many bytes its entry, or the missing one, stands for: to walk over large ranges.
///
/// Context: any.
pub fn look_up(virt: usize) -> (usize, Option<Attributes>) {
    // SAFETY: as in `translate`.
    let mut table = unsafe { &*(table_address(ttbr1() & ADDRESS) as *const Table) };
    for level in 1..=3 {
        let size = 1 << (12 + 9 * (3 - level));
        let value = table.0[index(virt, level)].load(Ordering::Relaxed);
        if value & VALID == 0 {
            return (size, None);
        }
        if level == 3 || value & TABLE_OR_PAGE == 0 {
            return (size, Some(Attributes::from_bits(value)));
        }
        // SAFETY: as in `walk`.
        table = unsafe { &*(table_address(value & ADDRESS) as *const Table) };
    }
    unreachable!("level 3 has returned")
}

/// What lies at a virtual address, read from the tables.
///
/// Context: any, a fault included. Tables are never freed, so a walk cannot meet a stale one.
pub fn translate(virt: usize) -> Option<(u64, Attributes)> {
    if virt < layout::LINEAR_BASE || KERNEL_END.load(Ordering::Relaxed) == 0 {
        return None;
    }
    // SAFETY: TTBR1_EL1 holds the table that start.S built and nobody frees.
    let root = unsafe { &*(table_address(ttbr1() & ADDRESS) as *const Table) };
    let leaf = walk(root, virt, table_address)?;
    let value = leaf.entry.load(Ordering::Relaxed);
    let offset_mask = (1u64 << (12 + 9 * (3 - leaf.level))) - 1;
    Some(((value & ADDRESS & !offset_mask) | (virt as u64 & offset_mask), Attributes::from_bits(value)))
}
