//! Pages and zones on four cores: nothing is lost or given twice, each zone runs dry cleanly, each detector speaks.
//!
//! Each case gives back all it took and checks that the zones have as many free pages as before. Content is checked by canaries: a word at each end
//! of a block that only its holder knows.
#![no_std]
#![no_main]

use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use tetra::arch::layout::DEVICE_BASE;
use tetra::arch::mmu::{self, Attributes};
use tetra::arch::{self, counter};
use tetra::cpu::{self, IrqGuard};
use tetra::irq::{Tasklet, ipi};
use tetra::mm::addr::{Order, PAGE_SIZE, Pfn, PhysAddr};
use tetra::mm::dma::{Coherent, Direction, DmaError, DmaMask, Streaming};
use tetra::mm::gfp::GfpFlags;
use tetra::mm::kvmalloc::{kvcalloc, kvfree, kvmalloc};
use tetra::mm::page::{self, PageKind};
use tetra::mm::page_alloc::{self, slow};
use tetra::mm::page_owner;
use tetra::mm::shrinker::Shrinker;
use tetra::mm::vmalloc::{self, IoremapError};
use tetra::mm::zone::ZoneType;
use tetra::mm::{AllocError, Pages};
use tetra::sched;
use tetra_tests::memory::{Chain, balanced, exhaust, free_pages, on_all_cores, random, read, write};
use tetra_tests::{case, check, check_eq, eventually, suite};

suite!();

const QUIET: GfpFlags = GfpFlags::NOWARN;

/// The last word of a block.
fn end_of(block: &Pages) -> *mut u8 {
    block.as_ptr().wrapping_byte_add(block.order().size_bytes() - 8)
}

case!(four_cores_share_no_page);
fn four_cores_share_no_page() {
    const OPERATIONS: usize = 250_000;
    const SLOTS: usize = 64;
    static DONE: AtomicU64 = AtomicU64::new(0);
    fn work() {
        let mut seed = 0x9e37_79b9_7f4a_7c15 ^ ((cpu::id() as u64 + 1) << 32);
        let mut held: [Option<(Pages, u64)>; SLOTS] = [const { None }; SLOTS];
        let end = counter::now() + 12 * counter::frequency_hz();
        let mut done = 0;
        while done < OPERATIONS && counter::now() < end {
            let slot = &mut held[random(&mut seed) % SLOTS];
            match slot.take() {
                Some((block, canary)) => {
                    check_eq!(read(block.as_ptr()), canary);
                    check_eq!(read(end_of(&block)), !canary);
                }
                None => {
                    let order = (random(&mut seed) as u32 | 1 << 10).trailing_zeros() as usize;
                    let gfp = [GfpFlags::KERNEL, GfpFlags::ATOMIC, GfpFlags::DMA, GfpFlags::DMA32][random(&mut seed) % 4];
                    if let Ok(block) = Pages::new(gfp | QUIET, Order::new(order).expect("at most 10")) {
                        let canary = seed;
                        write(block.as_ptr(), canary);
                        write(end_of(&block), !canary);
                        *slot = Some((block, canary));
                    }
                }
            }
            done += 1;
        }
        DONE.fetch_add(done as u64, Relaxed);
    }
    DONE.store(0, Relaxed);
    balanced(|| on_all_cores(work));
    // A million on an idle host; a busy one gets less done in the time.
    check!(DONE.load(Relaxed) >= 1000);
}

case!(zeroed_pages_are_zero);
fn zeroed_pages_are_zero() {
    for order in [0, 3, 5] {
        let order = Order::new(order).expect("at most 10");
        let dirty = Pages::new(GfpFlags::KERNEL, order).expect("there is memory");
        for at in (0..order.size_bytes()).step_by(8) {
            write(dirty.as_ptr().wrapping_byte_add(at), u64::MAX);
        }
        drop(dirty);
        let clean = Pages::new(GfpFlags::KERNEL | GfpFlags::ZERO, order).expect("there is memory");
        check!((0..order.size_bytes()).step_by(8).all(|at| read(clean.as_ptr().wrapping_byte_add(at)) == 0));
    }
}

/// Runs each kind of request until it fails, one after the other so that the later ones meet what the earlier ones left.
fn run_dry() {
    for zone in [GfpFlags::empty(), GfpFlags::DMA32, GfpFlags::DMA] {
        // Large blocks first: single pages alone take long.
        let large = exhaust(GfpFlags::NOWAIT | zone, Order::MAX);
        let kinds = [GfpFlags::NOWAIT, GfpFlags::ATOMIC].map(|kind| exhaust(kind | zone, Order::ZERO));
        check!(kinds[1].length > 0);
        check_eq!(page_alloc::alloc_page(GfpFlags::ATOMIC | zone | QUIET), Err(AllocError));
        large.free();
        kinds.into_iter().for_each(Chain::free);
    }
}

case!(each_zone_runs_dry_in_a_thread);
fn each_zone_runs_dry_in_a_thread() {
    balanced(run_dry);
    balanced(|| {
        let large = exhaust(GfpFlags::KERNEL, Order::MAX);
        let ordinary = exhaust(GfpFlags::NOWAIT, Order::ZERO);
        for gfp in [GfpFlags::KERNEL, GfpFlags::NOIO, GfpFlags::NOFS, GfpFlags::USER, GfpFlags::KERNEL | GfpFlags::NORETRY] {
            check_eq!(page_alloc::alloc_page(gfp | QUIET), Err(AllocError));
        }
        // What must not fail takes from the last reserve.
        let last = page_alloc::alloc_page(GfpFlags::KERNEL | GfpFlags::NOFAIL).expect("NOFAIL");
        // SAFETY: allocated above.
        unsafe { page_alloc::free_pages(last, Order::ZERO) };
        large.free();
        ordinary.free();
    });
}

case!(each_zone_runs_dry_in_a_hardirq);
fn each_zone_runs_dry_in_a_hardirq() {
    balanced(|| ipi::interrupt_self(run_dry));
}

case!(each_zone_runs_dry_in_a_softirq);
fn each_zone_runs_dry_in_a_softirq() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    static DRY: Tasklet<()> = Tasklet::new((), |_| {
        check!(cpu::in_softirq() && !cpu::in_hardirq());
        run_dry();
        RAN.fetch_add(1, Relaxed);
    });
    RAN.store(0, Relaxed);
    balanced(|| {
        check!(DRY.schedule());
        check!(eventually(|| RAN.load(Relaxed) == 1));
        DRY.kill();
    });
}

case!(page_owners_are_noted, alone: "append page_owner=on\nexpect ok 1 page_owners_are_noted\nexit 0");
fn page_owners_are_noted() {
    check!(page_owner::is_on());
    let find = |pfn: Pfn| page_owner::all_held().find(|held| held.pfn == pfn);
    let block = Pages::new(GfpFlags::KERNEL, Order::new(2).expect("at most 10")).expect("there is memory");
    let line = line!() - 1;
    let held = find(block.pfn());
    check_eq!(held.map(|held| (held.order, held.pid, held.place.line())), Some((2, sched::current().pid(), line)));
    check_eq!(held.map(|held| held.place.file()), Some(file!()));
    let pfn = block.pfn();
    drop(block);
    check!(find(pfn).is_none());
    // The fast path stays closed, or the next owner would not be noted.
    slow::set_failures("nth=1").expect("is understood");
    check!(page_alloc::alloc_page(GfpFlags::KERNEL | QUIET).is_err());
    let (first, second) = [(), ()].map(|()| Pages::new(GfpFlags::KERNEL, Order::ZERO).expect("there is memory")).into();
    check!(find(first.pfn()).is_some() && find(second.pfn()).is_some());
}

case!(ordinary_requests_leave_dma_to_those_who_need_it);
fn ordinary_requests_leave_dma_to_those_who_need_it() {
    balanced(|| {
        let large = exhaust(GfpFlags::NOWAIT, Order::MAX);
        let small = exhaust(GfpFlags::NOWAIT, Order::ZERO);
        let dma = page_alloc::alloc_page(GfpFlags::NOWAIT | GfpFlags::DMA | QUIET);
        check!(dma.is_ok_and(|pfn| pfn.phys() < PhysAddr::new(1 << 30)));
        if let Ok(pfn) = dma {
            // SAFETY: allocated above.
            unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
        }
        large.free();
        small.free();
    });
}

static CACHED: AtomicUsize = AtomicUsize::new(0);
static HOARD: Shrinker = Shrinker::new("hoard", GfpFlags::IO, || usize::from(CACHED.load(Relaxed) != 0), give_up_hoard);

fn give_up_hoard(_: usize) -> usize {
    let pfn = CACHED.swap(0, Relaxed);
    if pfn == 0 {
        return 0;
    }
    // SAFETY: the case below left the block here for whoever takes the word.
    unsafe { page_alloc::free_pages(Pfn::new(pfn), Order::MAX) };
    Order::MAX.nr_pages()
}

case!(shrinkers_give_back_as_the_flags_permit);
fn shrinkers_give_back_as_the_flags_permit() {
    balanced(|| {
        CACHED.store(page_alloc::alloc_pages(GfpFlags::KERNEL, Order::MAX).expect("there is memory").value(), Relaxed);
        HOARD.register().expect("there is room");
        let large = exhaust(GfpFlags::NOWAIT, Order::MAX);
        let small = exhaust(GfpFlags::NOWAIT, Order::ZERO);
        check_eq!(page_alloc::alloc_page(GfpFlags::NOIO | QUIET), Err(AllocError));
        check!(CACHED.load(Relaxed) != 0);
        let served = page_alloc::alloc_page(GfpFlags::NOFS | QUIET);
        check!(served.is_ok() && CACHED.load(Relaxed) == 0);
        check_eq!(HOARD.nr_freed(), Order::MAX.nr_pages() as u64);
        if let Ok(pfn) = served {
            // SAFETY: allocated above.
            unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
        }
        HOARD.unregister();
        large.free();
        small.free();
    });
}

case!(exact_allocations_give_the_rest_back);
fn exact_allocations_give_the_rest_back() {
    balanced(|| {
        let before = free_pages();
        let pages = page_alloc::alloc_pages_exact(GfpFlags::KERNEL, 5 * PAGE_SIZE - 1).expect("there is memory");
        check_eq!(before - free_pages(), 5);
        // SAFETY: allocated above, with this size.
        unsafe { page_alloc::free_pages_exact(pages, 5 * PAGE_SIZE - 1) };
    });
}

case!(chosen_requests_fail);
fn chosen_requests_fail() {
    slow::set_failures("nth=2").expect("is understood");
    let results: [bool; 3] = core::array::from_fn(|_| Pages::new(GfpFlags::KERNEL | QUIET, Order::ZERO).is_ok());
    slow::set_failures("off").expect("is understood");
    check_eq!(results, [true, false, true]);
}

case!(a_failure_prints_one_block, alone: "expect page allocation failure \\(injected\\): order 3, RECLAIM \\| IO \\| FS, in thread\nexpect DMA: free \\d+, min \\d+ low \\d+ high\nexpect a_failure_prints_one_block");
fn a_failure_prints_one_block() {
    slow::set_failures("nth=1").expect("is understood");
    check!(Pages::new(GfpFlags::KERNEL, Order::new(3).expect("at most 10")).is_err());
}

case!(a_double_free_is_reported, alone: "expect BUG: free_pages: double free of page\nexpect a_double_free_is_reported");
fn a_double_free_is_reported() {
    let (pfn, order) = Pages::new(GfpFlags::KERNEL, Order::ZERO).expect("there is memory").into_raw();
    // SAFETY: the first is right, the second must be refused.
    unsafe { page_alloc::free_pages(pfn, order) };
    // SAFETY: none: that is what is tested.
    unsafe { page_alloc::free_pages(pfn, order) };
    core::hint::black_box(());
}

case!(a_wrong_order_is_reported, alone: "expect BUG: free_pages: page \\S+ was allocated with order 2, not 0");
fn a_wrong_order_is_reported() {
    let (pfn, _) = Pages::new(GfpFlags::KERNEL, Order::new(2).expect("at most 10")).expect("there is memory").into_raw();
    // SAFETY: none: that is what is tested.
    unsafe { page_alloc::free_pages(pfn, Order::ZERO) };
    core::hint::black_box(());
}

case!(wild_frees_are_reported, alone: "expect BUG: free_pages: page \\S+ is no RAM\nexpect BUG: free_pages: page \\S+ is in use as Reserved\nexpect BUG: free_pages: page \\S+ is inside a block\nexpect BUG: vfree: no vmalloc area begins");
fn wild_frees_are_reported() {
    let block = Pages::new(GfpFlags::KERNEL, Order::new(4).expect("at most 10")).expect("there is memory");
    for pfn in [1 << 30, 0x100, block.pfn().value() + 3] {
        // SAFETY: none: that is what is tested.
        unsafe { page_alloc::free_pages(Pfn::new(pfn), Order::ZERO) };
    }
    // SAFETY: none: as above.
    unsafe { vmalloc::vfree(block.as_ptr()) };
}

case!(a_sleeping_request_in_atomic_context_is_reported, alone: "expect BUG: a request for memory that may sleep \\(GfpFlags\\(.*in atomic context: count 0x0, irqs off\nexpect at tests/kernel/src/bin/pages.rs");
fn a_sleeping_request_in_atomic_context_is_reported() {
    let _irqs_off = IrqGuard::new();
    check!(page_alloc::alloc_page(GfpFlags::KERNEL).is_ok());
}

fn attributes(address: *mut u8) -> Option<Attributes> {
    mmu::translate(address as usize).map(|(_, attributes)| attributes)
}

case!(kvmalloc_is_in_one_piece_only_if_that_is_easy);
fn kvmalloc_is_in_one_piece_only_if_that_is_easy() {
    const SIZE: usize = 10 * PAGE_SIZE + 1;

    /// Whether what is got so is in pieces; it is filled, looked at, and given back.
    fn is_in_pieces(size: usize, gfp: GfpFlags) -> Result<bool, AllocError> {
        let memory = kvmalloc(size, gfp)?.as_ptr();
        // SAFETY: as many bytes, just allocated, and given back below. With `ZERO` they are initialised.
        let is_zero = !gfp.contains(GfpFlags::ZERO) || unsafe { core::slice::from_raw_parts(memory, size) }.iter().all(|byte| *byte == 0);
        // SAFETY: as many bytes, just allocated.
        unsafe { memory.write_bytes(0xa5, size) };
        // SAFETY: allocated above, freed once.
        unsafe { kvfree(memory) };
        check!(is_zero);
        Ok(vmalloc::is_vmalloc_addr(memory))
    }
    check_eq!(is_in_pieces(100, GfpFlags::KERNEL), Ok(false));
    balanced(|| {
        check_eq!(is_in_pieces(SIZE, GfpFlags::KERNEL), Ok(false));
        let without_large_blocks = |size, gfp| {
            slow::set_failures("nth=1").expect("is understood");
            let got = is_in_pieces(size, gfp);
            slow::set_failures("off").expect("is understood");
            got
        };
        check_eq!(without_large_blocks(SIZE, GfpFlags::KERNEL), Ok(true));
        check_eq!(without_large_blocks(SIZE, GfpFlags::KERNEL | GfpFlags::ZERO), Ok(true));
        // Who cannot sleep, or needs one piece, gets none.
        check_eq!(without_large_blocks(SIZE, GfpFlags::NOWAIT | QUIET), Err(AllocError));
        check_eq!(without_large_blocks(SIZE, GfpFlags::KERNEL | GfpFlags::DMA | QUIET), Err(AllocError));
        check_eq!(kvcalloc(usize::MAX / 2, 3, GfpFlags::KERNEL), Err(AllocError));
        // SAFETY: NULL is allowed.
        unsafe { kvfree(ptr::null_mut()) };
    });
}

case!(vmap_shows_the_pages_of_its_caller);
fn vmap_shows_the_pages_of_its_caller() {
    balanced(|| {
        let pages: [Pages; 3] = core::array::from_fn(|_| Pages::new(GfpFlags::KERNEL, Order::ZERO).expect("there is memory"));
        let area = vmalloc::vmap(&pages.each_ref().map(Pages::pfn), Attributes::Data).expect("there is room");
        for (at, page) in pages.iter().enumerate() {
            write(area.wrapping_byte_add(at * PAGE_SIZE), 0x100 + at as u64);
            check_eq!(read(page.as_ptr()), 0x100 + at as u64);
        }
        for unfit in [Attributes::Text, Attributes::Device, Attributes::NonCacheable] {
            check_eq!(vmalloc::vmap(&[pages[0].pfn()], unfit), Err(AllocError));
        }
        // The kernel's first page, one of the peripherals', one that there is not, and a page that is free.
        let free = page::all().iter().position(|page| page.kind() == PageKind::Free).expect("some memory is free");
        for foreign in [0x80, 0xfe201, 1 << 30, free] {
            check_eq!(vmalloc::vmap(&[Pfn::new(foreign)], Attributes::Data), Err(AllocError));
        }
        // SAFETY: mapped above.
        unsafe { vmalloc::vunmap(area) };
        check_eq!(attributes(area), None);
    });
}

case!(ioremap_maps_devices_and_refuses_ram);
fn ioremap_maps_devices_and_refuses_ram() {
    balanced(|| {
        let flags = vmalloc::ioremap(PhysAddr::new(0xfe20_1018), 4).expect("there is room");
        check_eq!(attributes(flags), Some(Attributes::Device));
        // SAFETY: the PL011's flag register can be read without effect.
        let here = unsafe { arch::probe::read_u32(flags as usize) };
        // SAFETY: as above.
        let there = unsafe { arch::probe::read_u32(DEVICE_BASE + 0x0220_1018) };
        check!(here.is_some() && there.is_some());
        // SAFETY: mapped above.
        unsafe { vmalloc::iounmap(flags) };
        check_eq!(vmalloc::ioremap(PhysAddr::new(0x200_0000), 4096), Err(IoremapError::IsRam));
        // The image, and what lies at the end of addresses.
        check_eq!(vmalloc::ioremap(PhysAddr::new(0x8_0000), 4096), Err(IoremapError::IsRam));
        let reserved = page::all().iter().enumerate().skip(0x1000);
        let in_use = |number: usize| mmu::look_up(tetra::mm::addr::LINEAR_BASE + number * PAGE_SIZE).1.is_some();
        let mut reserved = reserved.filter(|(number, page)| page.kind() == PageKind::Reserved && in_use(*number));
        let (number, _) = reserved.next().expect("the array of descriptors is reserved and mapped");
        check_eq!(vmalloc::ioremap(Pfn::new(number).phys(), 4096), Err(IoremapError::IsRam));
        check_eq!(vmalloc::ioremap(PhysAddr::new((1 << 36) - 4096), 8192), Err(IoremapError::InvalidRange));
        check_eq!(vmalloc::ioremap(PhysAddr::new(0xfe20_1000), 0), Err(IoremapError::InvalidRange));
    });
}

case!(dma_buffers_are_within_reach_and_uncached);
fn dma_buffers_are_within_reach_and_uncached() {
    balanced(|| {
        let mut ring = Coherent::<u32>::new(100, DmaMask::BITS_30, GfpFlags::KERNEL).expect("there is memory");
        check_eq!(attributes(ring.as_ptr().cast()), Some(Attributes::NonCacheable));
        check!(ring.phys() < PhysAddr::new(1 << 30) && ring.read(99) == 0);
        ring.write(7, 0x1234_5678);
        check_eq!(ring.read(7), 0x1234_5678);
    });
    let block = Pages::new(GfpFlags::KERNEL | GfpFlags::ZERO | GfpFlags::DMA, Order::ZERO).expect("there is memory");
    // SAFETY: the block is this function's, zeroed, and a page long.
    let bytes = unsafe { core::slice::from_raw_parts_mut(block.as_ptr(), PAGE_SIZE) };
    check!(Streaming::map(&mut bytes[..64], DmaMask::BITS_30, Direction::FromDevice).is_ok());
    check_eq!(Streaming::map(&mut bytes[..60], DmaMask::BITS_30, Direction::FromDevice).err(), Some(DmaError::SharesCacheLine));
    check!(Streaming::map(&mut bytes[1..60], DmaMask::BITS_30, Direction::ToDevice).is_ok());
    let mut on_stack = [0u8; 64];
    check_eq!(Streaming::map(&mut on_stack, DmaMask::BITS_30, Direction::ToDevice).err(), Some(DmaError::NotLinear));
}

case!(moved_borders_show_three_zones, alone: "append zones=256M,1G\nexpect ok 1 moved");
fn moved_borders_show_three_zones() {
    check!(page_alloc::zones().iter().all(|zone| zone.managed() > 0));
    for (gfp, end) in [(GfpFlags::DMA, 256 << 20), (GfpFlags::DMA32, 1 << 30)] {
        let block = Pages::new(GfpFlags::KERNEL | gfp, Order::ZERO).expect("there is memory");
        check!(block.pfn().phys() < PhysAddr::new(end));
    }
    let block = Pages::new(GfpFlags::KERNEL, Order::ZERO).expect("there is memory");
    check_eq!(page::desc(block.pfn()).map(|page| page.state().zone()), Some(ZoneType::Normal as u8));
    drop(block);
    each_zone_runs_dry_in_a_thread();
    ordinary_requests_leave_dma_to_those_who_need_it();
}
