//! From the firmware's facts to a linear map of RAM, and the last permissions of the image.

use super::{firmware, params};
use crate::arch::boot::BootInfo;
use crate::arch::mmu::{Attributes, MapError};
use crate::arch::{self, layout};
use crate::mm::addr::{LINEAR_BASE, PAGE_SIZE, PhysAddr};
use crate::mm::memblock::{Memblock, RegionFlags};
use crate::mm::page_alloc;
use crate::mm::phys_range::PhysRange;
use crate::mm::zone::{Borders, ZoneType};
use crate::mm::{heap, kernel_map, kmalloc, kmem_cache};
use crate::platform::memory_map::{self, MapReport, MemorySources};
use crate::platform::rpi4;
use crate::sched::stack;
use crate::sync::SpinLock;
use spin::Once;

/// The map of physical memory. Lock order: outermost of mm; boot and the shell's views only.
pub static MEMBLOCK: SpinLock<Memblock> = SpinLock::new(Memblock::new());
static REPORT: Once<MapReport> = Once::new();

/// How the map was found. Context: any, after `build_map`.
pub fn report() -> Option<&'static MapReport> {
    REPORT.get()
}

/// Physical memory that holds the image, its symbol table and its first page tables.
pub fn kernel_range(info: &BootInfo) -> PhysRange {
    PhysRange::new(PhysAddr::new(layout::LOAD_ADDRESS as u64), PhysAddr::new(info.kernel_end))
}

/// Builds the map from device tree, board revision and mailbox; `limit` is `mem=`.
///
/// Not inlined, like every step of boot with large values on its stack: together in one frame they are more than a stack is long.
#[inline(never)]
pub fn build_map(info: &BootInfo, limit: Option<u64>) {
    let mailbox = firmware::mailbox();
    let tree = firmware::device_tree();
    let sources = MemorySources {
        device_tree: tree.is_present().then_some(tree),
        board: mailbox.board.or(tree.board_revision),
        arm: mailbox.arm_memory,
        videocore: mailbox.videocore_memory,
        kernel: kernel_range(info),
        device_tree_blob: firmware::device_tree_blob(),
        limit,
    };
    let mut map = MEMBLOCK.lock();
    let report = memory_map::build(&sources, &mut map);
    for note in report.notes() {
        if note.is_harmless() {
            pr_info!("memory: {}", note);
        } else {
            pr_warn!("memory: {}", note);
        }
    }
    pr_info!("memory: {} MiB, {} MiB free, from {}", map.memory_bytes() >> 20, map.free_bytes() >> 20, report.source);
    REPORT.call_once(|| report);
}

/// Maps all RAM in the linear map, but page 0, where a stray physical address would most likely point, and the image, which has a mapping of its
/// own: a writable alias of its text would undo W^X.
#[inline(never)]
pub fn map_linear(info: &BootInfo) {
    let holes = [rpi4::FIRMWARE_PAGE, kernel_range(info).pages_around()];
    let map = MEMBLOCK.lock();
    for region in map.memory().iter().filter(|region| !region.flags.contains(RegionFlags::NOMAP)) {
        let mut start = region.range.start();
        for hole in holes {
            let hole = hole.intersect(region.range);
            if !hole.is_empty() {
                map_piece(PhysRange::new(start, hole.start()));
                start = hole.end();
            }
        }
        map_piece(PhysRange::new(start, region.range.end()));
    }
}

fn map_piece(range: PhysRange) {
    let range = range.pages_inside();
    if range.is_empty() {
        return;
    }
    let (phys, len) = (range.start().value(), range.size() as usize);
    // SAFETY: the linear map's own addresses; the image, which others hold to be constant, is left out.
    let result = kernel_map::with_mapper(|mapper| unsafe { mapper.map(LINEAR_BASE + phys as usize, phys, len, Attributes::Data) });
    if let Err(error) = result {
        pr_err!("memory: {:?} is not in the linear map: {:?}", range, error);
    }
}

/// Reserves what threads' stacks are made of. Context: boot, after `map_linear`.
pub fn reserve_stacks() {
    match MEMBLOCK.lock().alloc(stack::POOL_BYTES as u64, PAGE_SIZE as u64, "threads' stacks") {
        // SAFETY: reserved just now, and told to nobody else.
        Ok(range) => unsafe { stack::set_pool(range) },
        Err(error) => panic!("{} KiB for threads' stacks: {error:?}", stack::POOL_BYTES >> 10),
    }
}

/// Takes the guard pages away and makes the symbol table read-only: from here on W^X holds everywhere and an overflow faults.
///
/// # Errors
/// `MapError` if the image is not mapped by pages, which start.S does.
#[inline(never)]
pub fn protect_image(info: &BootInfo) -> Result<(), MapError> {
    kernel_map::with_mapper(|mapper| {
        for guard in (0..arch::NR_CPUS).flat_map(layout::guard_pages) {
            // SAFETY: guard pages lie between the stacks and hold nothing.
            unsafe { mapper.unmap(guard, layout::GUARD_SIZE)? };
        }
        let table_len = info.symtab_len.next_multiple_of(PAGE_SIZE);
        // SAFETY: nobody writes to the symbol table.
        unsafe { mapper.protect(layout::image_end(), table_len, Attributes::ReadOnly) }
    })
}

/// Hands all free memory to the page allocator; the map is a record from here on. `borders` is `zones=`.
///
/// Context: boot, core 0, the linear map stands.
pub fn start_page_allocator(borders: Option<Borders>) {
    // SAFETY: once, at boot; what the map calls free nobody uses, and `map_linear` has mapped it.
    let result = unsafe { page_alloc::boot::init(&mut MEMBLOCK.lock(), borders.unwrap_or(Borders::BCM2711), params::keeps_page_owners()) };
    if result.is_err() {
        pr_crit!("memory: no room for the page descriptors: there are no pages to allocate");
        return;
    }
    kernel_map::use_page_allocator();
    for zone in page_alloc::zones() {
        if zone.managed() > 0 || zone.kind == ZoneType::Normal {
            pr_info!("memory: zone {}: {} MiB managed, min {} pages", zone.kind.name(), zone.managed() >> 8, zone.limits().min);
        }
    }
}

/// Makes the caches of `kmalloc`, which serves `alloc` from here on.
///
/// Context: boot, core 0, the page allocator stands.
pub fn start_kmalloc() {
    if let Some(argument) = params::slub_debug()
        && let Err(unknown) = kmem_cache::set_boot_debug(argument)
    {
        pr_warn!("slub_debug={}: {} is none of F, Z, P, U; ignored", argument, unknown.0);
    }
    // Before the caches are made: each core's lists begin with the room that this leaves them.
    let (on_alloc, on_free) = params::slab_zeroing();
    kmalloc::set_init_mode(on_alloc, on_free);
    // The best that there is before a source of randomness: when boot came here differs from boot to boot on a board.
    kmalloc::init(arch::counter::now() ^ arch::mpidr().rotate_left(32));
    heap::hand_over();
    if let Err(error) = kmem_cache::SLABS.register() {
        pr_err!("memory: free slabs cannot be reclaimed: {:?}", error);
    }
}
