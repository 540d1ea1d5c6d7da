//! `lab kmalloc-vmalloc`: one piece of RAM, or pages from anywhere in one piece of addresses.

use super::Place;
use super::notebook::{Hex, Notebook};
use super::team;
use crate::arch::mmu;
use crate::mm::AllocError;
use crate::mm::GfpFlags;
use crate::mm::addr::Order;
use crate::mm::kmalloc::{kfree, kmalloc, ksize};
use crate::mm::page_alloc::{free_pages_at, get_free_pages};
use crate::mm::vmalloc::{vfree, vmalloc};
use crate::proc::ViewError;
use crate::shell;
use crate::util::errno::Errno;

shell::lab! {
    name: "kmalloc-vmalloc",
    place: Place::course(2, 1, 0),
    title: "kmalloc, __get_free_pages, vmalloc: what lies where",
    needs: 1,
    idea: "\
kmalloc gives physically contiguous memory: a device can use it, one entry of
the linear map's large blocks covers it. vmalloc gives contiguous *addresses*
over pages from anywhere: it needs page tables, a TLB entry for each 4 KiB,
and works when memory is in pieces. __get_free_pages gives 2^order pages.

The course draws the border at 128 KiB. Here kmalloc goes up to 4 MiB (order
10); above 8 KiB it takes whole pages. What decides is whether the memory
must be one piece.",
    next: "lab slab-reuse, lab dma-zone; docs/memory.md; `vmallocinfo`",
    run: run,
}

const PAGE: usize = 4096;
const LARGE: usize = 1024 * 1024;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.part("kmalloc(1024, GFP_KERNEL)")?;
    let (object, time) = team::timed(|| kmalloc(1024, GfpFlags::KERNEL));
    let object = object.map_err(Errno::from)?;
    book.value("address", Hex(object.addr().get() as u64))?;
    book.value("physical", Hex(phys(object.addr().get())))?;
    book.value("usable bytes (ksize)", ksize(object))?;
    book.value("ns", time.as_nanos())?;
    // SAFETY: allocated above, given to nobody.
    unsafe { kfree(object.as_ptr()) };

    book.part("__get_free_pages(GFP_KERNEL, 2)")?;
    let order = Order::for_bytes(4 * PAGE).ok_or(Errno::EINVAL)?;
    let pages = get_free_pages(GfpFlags::KERNEL, order).map_err(Errno::from)?;
    book.value("physical", Hex(phys(pages.addr())))?;
    book.claim(
        "16 KiB, aligned to 16 KiB, one piece",
        phys(pages.addr()).is_multiple_of(4 * PAGE as u64) && pieces(pages.addr(), 4 * PAGE) == 1,
    )?;
    // SAFETY: allocated above with this order, given to nobody.
    unsafe { free_pages_at(pages, order) };

    book.part("1 MiB by kmalloc")?;
    let (object, time) = team::timed(|| kmalloc(LARGE, GfpFlags::KERNEL));
    let object = object.map_err(Errno::from)?;
    book.value("physical pieces", pieces(object.addr().get(), LARGE))?;
    book.value("ns", time.as_nanos())?;
    book.claim("one piece", pieces(object.addr().get(), LARGE) == 1)?;
    // SAFETY: allocated above, given to nobody.
    unsafe { kfree(object.as_ptr()) };

    book.part("1 MiB by vmalloc")?;
    let (area, time) = team::timed(|| vmalloc(LARGE, GfpFlags::KERNEL));
    let area = area.map_err(Errno::from)?;
    book.value("address", Hex(area.addr() as u64))?;
    book.value("physical pieces", pieces(area.addr(), LARGE))?;
    book.value("ns", time.as_nanos())?;
    let is_mapped = (0..LARGE).step_by(PAGE).all(|offset| mmu::translate(area.addr() + offset).is_some());
    let has_guard = mmu::translate(area.addr() + LARGE).is_none();
    // SAFETY: allocated above, given to nobody.
    unsafe { vfree(area) };
    book.claim("every page is mapped, the one behind is not (guard page)", is_mapped && has_guard)?;

    book.wrong("kmalloc(8 MiB): no block is so large")?;
    let refused = kmalloc(8 * LARGE, GfpFlags::KERNEL | GfpFlags::NOWARN);
    book.claim("refused with ENOMEM; vmalloc of 8 MiB works", refused == Err(AllocError) && vmalloc_works(8 * LARGE))?;
    Ok(())
}

fn vmalloc_works(size: usize) -> bool {
    vmalloc(size, GfpFlags::KERNEL).is_ok_and(|area| {
        // SAFETY: allocated just now, given to nobody.
        unsafe { vfree(area) };
        true
    })
}

fn phys(virt: usize) -> u64 {
    mmu::translate(virt).map_or(0, |(phys, _)| phys)
}

/// Pieces of physical memory that `size` bytes at `virt` lie in.
fn pieces(virt: usize, size: usize) -> usize {
    let breaks = (PAGE..size).step_by(PAGE).filter(|offset| phys(virt + offset) != phys(virt + offset - PAGE) + PAGE as u64);
    1 + breaks.count()
}
