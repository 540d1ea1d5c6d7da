//! How the page allocator gets its pages: descriptors first, then all that the boot map calls free.
//!
//! The descriptors lie at the top of RAM, away from the scarce low memory. Once the zones have their pages, `memblock` is a record of what was
//! reserved, for views; nothing is allocated from it any more.

use super::{ZONES, page_address, slow};
use crate::arch;
use crate::mm::AllocError;
use crate::mm::addr::PAGE_SIZE;
use crate::mm::memblock::Memblock;
use crate::mm::page::{self, PageDesc};
use crate::mm::page_owner;
use crate::mm::phys_range::PhysRange;
use crate::mm::zone::{Borders, Limits};

/// Takes over all free memory of the boot map. With `keeps_owners` there is room to note who allocates (`page_owner`).
///
/// Context: boot, core 0, before other cores run. Afterwards nothing may be allocated from `map`.
///
/// # Errors
/// `AllocError` if there is no room for the descriptors.
///
/// # Safety
/// Once. The free memory of `map` is nobody's, and all of it is in the linear map.
pub unsafe fn init(map: &mut Memblock, borders: Borders, keeps_owners: bool) -> Result<(), AllocError> {
    let nr_pages = map.end_of_memory().pfn().value();
    let array = reserve::<PageDesc>(map, nr_pages, "page descriptors")?;
    if keeps_owners {
        let records = reserve(map, nr_pages, "page owners")?;
        // SAFETY: zeroed and reserved, once, by this function's contract.
        unsafe { page_owner::install(records, nr_pages) };
    }
    #[cfg(target_os = "none")]
    {
        let nr_units = crate::mm::vmalloc::nr_units(map.memory_bytes() as usize);
        let units = reserve(map, nr_units, "vmalloc descriptors")?;
        // SAFETY: zeroed and reserved, once, by this function's contract.
        unsafe { crate::mm::vmalloc::install(units, nr_units) };
    }
    // SAFETY: as above.
    unsafe { page::install(array, nr_pages) };
    fill(map.free_ranges(), borders);
    Ok(())
}

/// Room for `len` zeroed `T`s at the top of RAM.
fn reserve<T>(map: &mut Memblock, len: usize, name: &'static str) -> Result<*mut T, AllocError> {
    let bytes = (len * size_of::<T>()).next_multiple_of(PAGE_SIZE);
    let range = map.alloc(bytes as u64, PAGE_SIZE as u64, name).map_err(|_| AllocError)?;
    let array = page_address(range.start().pfn());
    for at in (0..bytes).step_by(PAGE_SIZE) {
        // SAFETY: the range has just been reserved, is nobody's, and lies in the linear map.
        unsafe { arch::page::clear_page(array.wrapping_byte_add(at)) };
    }
    Ok(array.cast())
}

/// Gives the zones their pages and their limits.
pub(super) fn fill(ranges: impl Iterator<Item = PhysRange>, borders: Borders) {
    for range in ranges.map(PhysRange::pages_inside) {
        let (start, end) = (range.start().pfn().value(), range.end().pfn().value());
        for zone in &ZONES {
            let (from, to) = borders.span(zone.kind);
            let (from, to) = (from.max(start), to.min(end));
            if from < to {
                zone.add_range(page::all(), from, to);
            }
        }
    }
    let limits = Limits::of(core::array::from_fn(|zone| ZONES[zone].managed()));
    for (zone, limits) in ZONES.iter().zip(&limits) {
        zone.set_limits(limits);
    }
    slow::open();
}
