//! What the memory does: free pages, blocks, zones, areas, and the kernel's own map; alloc and free to play with.

use crate::arch::mmu::{self, Attributes};
use crate::arch::{NR_CPUS, layout};
use crate::init::memory::MEMBLOCK;
use crate::mm::addr::Order;
use crate::mm::gfp::GfpFlags;
use crate::mm::page::{self, PageKind};
use crate::mm::page_alloc::{self, slow};
use crate::mm::zone::{Mark, Zone};
use crate::mm::{KVec, Pages, page_owner, shrinker, vmalloc};
use crate::proc::{self, ViewError};
use crate::sched::thread;
use crate::shell::{self, CommandError, Context};
use crate::sync::SpinLock;
use crate::util::errno::Errno;
use arrayvec::ArrayVec;
use core::fmt::{self, Write};
use core::panic::Location;

proc::view! { name: "meminfo", path: "/proc/meminfo", help: "how much memory is free, and what the rest is used for", show: meminfo }
proc::view! { name: "buddyinfo", path: "/proc/buddyinfo", help: "free blocks of each order, zone by zone", show: buddyinfo }
proc::view! { name: "zoneinfo", path: "/proc/zoneinfo", help: "zones: watermarks, protection, lists of each core", show: zoneinfo }
proc::view! { name: "vmallocinfo", path: "/proc/vmallocinfo", help: "vmalloc areas: address, size, who asked for it, pages, what", show: vmallocinfo }
proc::view! { name: "vmmap", path: "/sys/kernel/debug/kernel_page_tables", help: "the kernel's map: addresses, size, permissions", show: vmmap }
proc::view! { name: "shrinkers", path: "/sys/kernel/debug/shrinker", help: "who gives memory back when it is short", show: shrinkers }
proc::view! {
    name: "page_owner",
    path: "/sys/kernel/debug/page_owner",
    help: "who holds pages, place by place, the largest first; boot with page_owner=on",
    show: page_owners,
}
proc::view! {
    name: "fail_page_alloc",
    path: "/sys/kernel/debug/fail_page_alloc",
    help: "which requests for pages fail: write probability= interval= times= space= nth= caller=, or off",
    show: |out| Ok(writeln!(out, "{}", slow::FAIL_PAGE_ALLOC)?),
    write: slow::set_failures
}
proc::view! {
    name: "fail_vmalloc",
    path: "/sys/kernel/debug/fail_vmalloc",
    help: "which vmallocs fail: write as for fail_page_alloc",
    show: |out| Ok(writeln!(out, "{}", vmalloc::FAIL_VMALLOC)?),
    write: |text| vmalloc::FAIL_VMALLOC.set(text)
}

shell::command! {
    name: "pages",
    usage: "pages alloc ORDER [dma|dma32] | pages free",
    help: "takes a block of 2^ORDER pages and keeps it, or gives back all that were taken: watch buddyinfo",
    run: pages,
}

/// Blocks that `pages alloc` keeps.
static KEPT: SpinLock<ArrayVec<Pages, 64>> = SpinLock::new(ArrayVec::new_const());

fn pages(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    match args {
        ["free"] => {
            let kept = core::mem::take(&mut *KEPT.lock());
            writeln!(ctx.out, "{} blocks given back", kept.len())?;
            Ok(())
        }
        ["alloc", order, zone @ ..] => {
            let gfp = match zone {
                [] => GfpFlags::KERNEL,
                ["dma"] => GfpFlags::KERNEL | GfpFlags::DMA,
                ["dma32"] => GfpFlags::KERNEL | GfpFlags::DMA32,
                _ => return Err(CommandError::Usage),
            };
            let order = order.parse().ok().and_then(Order::new).ok_or(CommandError::Usage)?;
            let Ok(block) = Pages::new(gfp, order) else { return Err(ctx.fail(format_args!("no block of order {}", order.value()))) };
            let pfn = block.pfn();
            if KEPT.lock().try_push(block).is_err() {
                return Err(ctx.fail(format_args!("64 blocks are kept already: `pages free` first")));
            }
            writeln!(ctx.out, "page {pfn}, {} KiB", order.size_bytes() >> 10)?;
            Ok(())
        }
        _ => Err(CommandError::Usage),
    }
}

/// The zones that have memory.
fn populated() -> impl Iterator<Item = &'static Zone> {
    page_alloc::zones().iter().filter(|zone| zone.managed() > 0)
}

/// Pages of blocks of this kind, counted one by one: for views only.
fn nr_pages_of(kind: PageKind) -> usize {
    page::all().iter().map(page::PageDesc::state).filter(|state| state.kind() == kind).map(|state| 1 << state.order()).sum()
}

/// Rows of Linux's that stand for what is not here: pages of files, of programs, of swap.
const ABSENT: [&str; 20] = [
    "Buffers:",
    "Cached:",
    "SwapCached:",
    "Active:",
    "Inactive:",
    "Active(anon):",
    "Inactive(anon):",
    "Active(file):",
    "Inactive(file):",
    "Unevictable:",
    "Mlocked:",
    "SwapTotal:",
    "SwapFree:",
    "Dirty:",
    "Writeback:",
    "AnonPages:",
    "Mapped:",
    "Shmem:",
    "KReclaimable:",
    "SReclaimable:",
];

fn meminfo(out: &mut dyn Write) -> Result<(), ViewError> {
    let mut row = |name: &str, pages: usize| writeln!(out, "{name:<16}{:>8} kB", pages * 4);
    let all = MEMBLOCK.lock().memory_bytes() as usize >> 12;
    let managed: usize = populated().map(Zone::managed).sum();
    let listed: usize = populated().map(|zone| page_alloc::nr_listed(zone.kind)).sum();
    let free: usize = populated().map(Zone::nr_free).sum();
    let kept: usize = populated().map(|zone| zone.limits().floor(zone.kind, Mark::Low)).sum();
    let slab = nr_pages_of(PageKind::Slab);
    row("MemTotal:", managed)?;
    row("MemFree:", free + listed)?;
    row("MemAvailable:", (free + listed).saturating_sub(kept))?;
    ABSENT.iter().try_for_each(|name| row(name, 0))?;
    row("Slab:", slab)?;
    row("SUnreclaim:", slab)?;
    row("KernelStack:", thread::nr_threads() * (layout::STACK_SIZE >> 12))?;
    row("PageTables:", nr_pages_of(PageKind::Table))?;
    ["SecPageTables:", "NFS_Unstable:", "Bounce:", "WritebackTmp:"].iter().try_for_each(|name| row(name, 0))?;
    row("CommitLimit:", managed)?;
    row("Committed_AS:", 0)?;
    row("VmallocTotal:", vmalloc::usage().total)?;
    row("VmallocUsed:", nr_pages_of(PageKind::Vmalloc))?;
    row("VmallocChunk:", 0)?;
    row("Percpu:", (layout::CORE_BLOCK_SIZE * NR_CPUS) >> 12)?;
    // What Linux has no rows for.
    row("PerCpuLists:", listed)?;
    row("LargeKmalloc:", nr_pages_of(PageKind::LargeKmalloc))?;
    row("Dma:", nr_pages_of(PageKind::Dma))?;
    row("Reserved:", all - managed)?;
    Ok(())
}

fn buddyinfo(out: &mut dyn Write) -> Result<(), ViewError> {
    for zone in populated() {
        write!(out, "Node 0, zone {:>8} ", zone.kind.name())?;
        for count in zone.block_counts() {
            write!(out, "{count:6} ")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn zoneinfo(out: &mut dyn Write) -> Result<(), ViewError> {
    for zone in populated() {
        let limits = zone.limits();
        writeln!(out, "Node 0, zone {:>8}", zone.kind.name())?;
        writeln!(out, "  pages free     {}", zone.nr_free())?;
        for (name, mark) in [("min", Mark::Min), ("low", Mark::Low), ("high", Mark::High)] {
            writeln!(out, "        {name:<8} {}", limits.floor(zone.kind, mark))?;
        }
        writeln!(out, "        managed  {}", zone.managed())?;
        write!(out, "        protection: (")?;
        for (index, pages) in limits.protection.iter().enumerate() {
            write!(out, "{}{pages}", if index == 0 { "" } else { ", " })?;
        }
        writeln!(out, ")\n  pagesets")?;
        for cpu in 0..NR_CPUS {
            let lists = page_alloc::list_lengths(cpu, zone.kind);
            let pages = |of: fn(&(u32, u32)) -> u32| lists.iter().enumerate().map(|(order, list)| of(list) << order).sum::<u32>();
            writeln!(
                out,
                "    cpu: {cpu}\n              count:    {}\n              high:     {}",
                pages(|list| list.0),
                pages(|list| list.1)
            )?;
            for (order, (count, high)) in lists.into_iter().enumerate() {
                writeln!(out, "              order {order}:  {count} blocks of {high}")?;
            }
        }
    }
    let (refills, reclaims, failures) = (slow::SLOW.sum(), slow::RECLAIMS.sum(), slow::FAILURES.sum());
    writeln!(out, "requests beyond the lists {refills}, that reclaimed {reclaims}, that failed {failures}")?;
    Ok(())
}

fn shrinkers(out: &mut dyn Write) -> Result<(), ViewError> {
    let mut all = ArrayVec::<&shrinker::Shrinker, { shrinker::MAX_SHRINKERS }>::new();
    shrinker::for_each(|shrinker| all.push(shrinker));
    for shrinker in all {
        writeln!(out, "{:<16} {:>8} pages given back", shrinker.name(), shrinker.nr_freed())?;
    }
    Ok(())
}

fn vmallocinfo(out: &mut dyn Write) -> Result<(), ViewError> {
    let mut result = Ok(());
    vmalloc::for_each_area(|area| {
        if result.is_ok() {
            let (end, pages) = (area.start + area.len, area.len >> 12);
            let (start, len, kind, place) = (area.start, area.len, area.kind.name(), area.place);
            let (file, line, pid) = (place.file(), place.line(), area.pid);
            result = writeln!(out, "{start:#018x}-{end:#018x} {len:>7} {file}:{line} pages={pages} {kind} pid={pid}");
        }
    });
    Ok(result?)
}

/// What was allocated at one place in the code.
struct Site {
    place: &'static Location<'static>,
    nr_blocks: usize,
    nr_pages: usize,
}

fn page_owners(out: &mut dyn Write) -> Result<(), ViewError> {
    if !page_owner::is_on() {
        return Ok(writeln!(out, "nobody notes it: boot with page_owner=on")?);
    }
    let mut sites = KVec::<Site>::new();
    for held in page_owner::all_held() {
        match sites.iter_mut().find(|site| core::ptr::eq(site.place, held.place)) {
            Some(site) => (site.nr_blocks, site.nr_pages) = (site.nr_blocks + 1, site.nr_pages + (1 << held.order)),
            None => sites
                .push(Site { place: held.place, nr_blocks: 1, nr_pages: 1 << held.order }, GfpFlags::KERNEL)
                .map_err(|_| ViewError::Errno(Errno::ENOMEM))?,
        }
    }
    sites.sort_unstable_by_key(|site: &Site| usize::MAX - site.nr_pages);
    writeln!(out, "  PAGES  BLOCKS WHERE")?;
    for Site { place, nr_blocks, nr_pages } in &sites {
        writeln!(out, "{nr_pages:7} {nr_blocks:7} {place}")?;
    }
    Ok(())
}

/// A stretch of one kind, as `vmmap` shows it.
struct Stretch {
    start: usize,
    attributes: Attributes,
}

fn vmmap(out: &mut dyn Write) -> Result<(), ViewError> {
    let regions = [
        ("linear map", layout::LINEAR_BASE, 8 << 30),
        ("vmalloc", layout::VMALLOC_BASE, layout::VMALLOC_SIZE),
        ("stacks", layout::STACKS_BASE, 32 << 20),
        ("devices", layout::DEVICE_BASE, layout::DEVICE_SIZE),
        ("kernel image", layout::LINK_BASE, 16 << 20),
    ];
    for (name, start, len) in regions {
        writeln!(out, "---[ {name} ]---")?;
        let mut open: Option<Stretch> = None;
        let mut at = start;
        while at < start + len {
            let (step, attributes) = mmu::look_up(at);
            if open.as_ref().is_some_and(|open| Some(open.attributes) != attributes) {
                write_stretch(out, open.take(), at)?;
            }
            if let (None, Some(attributes)) = (&open, attributes) {
                open = Some(Stretch { start: at, attributes });
            }
            at = (at & !(step - 1)).saturating_add(step);
        }
        write_stretch(out, open, start + len)?;
    }
    Ok(())
}

fn write_stretch(out: &mut dyn Write, stretch: Option<Stretch>, end: usize) -> fmt::Result {
    let Some(Stretch { start, attributes }) = stretch else { return Ok(()) };
    let what = match attributes {
        Attributes::Text => "r-x  normal",
        Attributes::ReadOnly => "r--  normal",
        Attributes::Data => "rw-  normal",
        Attributes::NonCacheable => "rw-  non-cacheable",
        Attributes::Device => "rw-  device",
    };
    writeln!(out, "{start:#018x}-{end:#018x} {:>9}K {what}", (end - start) >> 10)
}
