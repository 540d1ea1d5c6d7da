//! `lab dma-zone`: memory that a device can reach, and memory that it can share.

use super::Place;
use super::notebook::{Hex, Notebook};
use crate::mm::addr::Order;
use crate::mm::dma::{Coherent, Direction, DmaError, DmaMask, Streaming};
use crate::mm::page_alloc;
use crate::mm::{GfpFlags, KBox, Pages};
use crate::proc::ViewError;
use crate::shell;
use crate::util::errno::Errno;
use core::fmt::Write;

shell::lab! {
    name: "dma-zone",
    place: Place::course(2, 2, 2),
    title: "GFP_DMA: which memory a device can have",
    needs: 1,
    idea: "\
The Pi's mailbox and its old DMA engines see 30 address bits: 1 GiB. Others
see 4 GiB. So RAM is in zones, and GFP_DMA, GFP_DMA32 choose how far up to
look. A buffer must be in reach, in the linear map (a stack is not), and its
cache lines must hold nothing else if the device writes: the line's write-back
could destroy what the device has just stored.",
    next: "docs/memory.md (DMA); `zoneinfo`; src/mm/dma.rs, src/mm/zone.rs",
    run: run,
}

const GIB: u64 = 1 << 30;

fn run(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.part("the zones")?;
    for zone in page_alloc::zones().iter().filter(|zone| zone.managed() > 0) {
        writeln!(book, "  {:8}{:>8} pages{:>9} free", zone.kind.name(), zone.managed(), zone.nr_free())?;
    }

    book.right("a page for each reach")?;
    let mut highest = 0;
    for (name, gfp, limit) in [
        ("GFP_DMA", GfpFlags::KERNEL | GfpFlags::DMA, GIB),
        ("GFP_DMA32", GfpFlags::KERNEL | GfpFlags::DMA32, 4 * GIB),
        ("GFP_KERNEL", GfpFlags::KERNEL, u64::MAX),
    ] {
        let page = Pages::new(gfp, Order::ZERO).map_err(Errno::from)?;
        let at = page.pfn().phys().value();
        book.value(name, Hex(at))?;
        book.claim("within reach", at < limit)?;
        highest = highest.max(at);
    }

    out_of_reach(book)?;
    wrong_buffers(book)?;

    book.right("dma_alloc_coherent: in reach, uncached, a line for itself")?;
    let mut shared = Coherent::<u32>::new(16, DmaMask::BITS_30, GfpFlags::KERNEL).map_err(Errno::from)?;
    shared.write(3, 0x1234);
    book.value("device's address", Hex(shared.phys().value()))?;
    Ok(book.claim("below 1 GiB, and reads back", shared.phys().value() < GIB && shared.read(3) == 0x1234)?)
}

/// A device of 30 bits and a page beyond them, if the machine has one.
fn out_of_reach(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("a page from anywhere for a device of 30 bits")?;
    let mut page = Pages::new(GfpFlags::KERNEL | GfpFlags::ZERO, Order::ZERO).map_err(Errno::from)?;
    let at = page.pfn().phys().value();
    let len = Order::ZERO.size_bytes();
    // SAFETY: the page is ours for as long as `page` lives, and zeroed.
    let bytes = unsafe { core::slice::from_raw_parts_mut(page.bytes_mut().as_mut_ptr().cast::<u8>(), len) };
    let result = Streaming::map(bytes, DmaMask::BITS_30, Direction::ToDevice).map(|_| ());
    book.value("page at", Hex(at))?;
    if at < GIB {
        book.claim("this one happens to be in reach: luck, not a promise", result == Ok(()))?;
    } else {
        book.claim("refused: OutOfReach", result == Err(DmaError::OutOfReach))?;
    }
    Ok(())
}

fn wrong_buffers(book: &mut Notebook<'_>) -> Result<(), ViewError> {
    book.wrong("a buffer on the stack; 32 bytes that share a cache line")?;
    let mut on_the_stack = [0_u8; 64];
    let stack = Streaming::map(&mut on_the_stack, DmaMask::ALL, Direction::ToDevice).map(|_| ());
    book.claim("on the stack: refused, NotLinear", stack == Err(DmaError::NotLinear))?;
    let mut small = KBox::new([0_u8; 32], GfpFlags::KERNEL | GfpFlags::DMA).map_err(Errno::from)?;
    let read_into = Streaming::map(&mut small[..], DmaMask::BITS_30, Direction::FromDevice).map(|_| ());
    let write_from = Streaming::map(&mut small[..], DmaMask::BITS_30, Direction::ToDevice).map(|_| ());
    book.claim("the device writes 32 bytes: refused, SharesCacheLine", read_into == Err(DmaError::SharesCacheLine))?;
    Ok(book.claim("the device only reads them: fine", write_from == Ok(()))?)
}
