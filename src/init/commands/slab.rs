//! `slabinfo`, `failslab`, and `alloc` and `free` to play with.

use crate::mm::failslab::FAILSLAB;
use crate::mm::kmem_cache::{self, Usage};
use crate::mm::{GfpFlags, KVec, kmalloc};
use crate::proc::{self, ViewError};
use crate::shell::{self, CommandError, Context};
use crate::sync::SpinLock;
use crate::util::errno::Errno;
use core::fmt::Write;
use core::ptr;

proc::view! {
    name: "slabinfo",
    path: "/proc/slabinfo",
    help: "slab caches: objects, sizes, slabs; the largest first",
    show: slabinfo,
}

proc::view! {
    name: "slab_validate",
    path: "/sys/kernel/slab/validate",
    help: "looks at every object of the caches that slub_debug checks",
    show: validate,
}

proc::view! {
    name: "failslab",
    path: "/sys/kernel/debug/failslab",
    help: "which slab allocations fail: write as for fail_page_alloc",
    show: show_failslab,
    write: kmalloc::set_failslab,
}

shell::command! {
    name: "alloc",
    usage: "alloc [SIZE [atomic|dma|zero]]",
    help: "allocates with kmalloc and keeps it for `free`; lists what is kept",
    run: alloc,
}

shell::command! {
    name: "free",
    usage: "free ADDRESS|all",
    help: "frees what `alloc` allocated",
    run: free,
}

/// What `alloc` allocated: address and size asked for.
static KEPT: SpinLock<KVec<(usize, usize)>> = SpinLock::new(KVec::new());

fn slabinfo(out: &mut dyn Write) -> Result<(), ViewError> {
    kmem_cache::drain_all();
    let mut caches = KVec::new();
    let mut has_room = true;
    kmem_cache::for_each(|name, usage| has_room &= caches.push((name, usage), GfpFlags::KERNEL).is_ok());
    if !has_room {
        return Err(ViewError::Errno(Errno::ENOMEM));
    }
    caches.sort_unstable_by_key(|(_, usage): &(&str, Usage)| usize::MAX - usage.nr_slabs * usage.pages_per_slab);
    writeln!(out, "slabinfo - version: 2.1")?;
    write!(out, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>")?;
    writeln!(out, " : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>")?;
    for (name, usage) in &caches {
        let Usage { active_objects, nr_objects, stride, objects_per_slab, pages_per_slab, active_slabs, nr_slabs } = *usage;
        write!(out, "{name:<17} {active_objects:6} {nr_objects:6} {stride:6} {objects_per_slab:4} {pages_per_slab:4}")?;
        writeln!(out, " : tunables {:4} {:4} {:4} : slabdata {active_slabs:6} {nr_slabs:6} {:6}", 0, 0, 0, 0)?;
    }
    Ok(())
}

fn validate(out: &mut dyn Write) -> Result<(), ViewError> {
    let (mut result, mut nr_checked) = (Ok(()), 0);
    kmem_cache::validate_all(|name, nr_damaged| {
        nr_checked += 1;
        if result.is_ok() {
            result = writeln!(out, "{name:<17} {nr_damaged} damaged");
        }
    });
    result?;
    if nr_checked == 0 {
        writeln!(out, "no cache is checked: boot with slub_debug=ZP")?;
    }
    Ok(())
}

fn show_failslab(out: &mut dyn Write) -> Result<(), ViewError> {
    Ok(writeln!(out, "{FAILSLAB}")?)
}

fn alloc(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let (size, gfp) = match *args {
        [] => return list(ctx),
        [size] => (size, GfpFlags::KERNEL),
        [size, "atomic"] => (size, GfpFlags::ATOMIC),
        [size, "dma"] => (size, GfpFlags::KERNEL | GfpFlags::DMA),
        [size, "zero"] => (size, GfpFlags::KERNEL | GfpFlags::ZERO),
        _ => return Err(CommandError::Usage),
    };
    let size = shell::number(size)?;
    let Ok(object) = kmalloc::kmalloc(size, gfp) else {
        return Err(ctx.fail(format_args!("{size} bytes: {:#}", Errno::ENOMEM)));
    };
    let address = object.as_ptr() as usize;
    if KEPT.lock().push((address, size), GfpFlags::ATOMIC).is_err() {
        // SAFETY: allocated just now, and given to nobody.
        unsafe { kmalloc::kfree(object.as_ptr()) };
        return Err(ctx.fail(format_args!("no room to remember it: {:#}", Errno::ENOMEM)));
    }
    writeln!(ctx.out, "{address:#x}  {} bytes usable", kmalloc::ksize(object))?;
    Ok(())
}

fn list(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    let mut at = 0;
    // Copied out one by one: no output under the lock.
    while let Some((address, size)) = next_kept(at) {
        writeln!(ctx.out, "{address:#x}  {size} bytes")?;
        at += 1;
    }
    Ok(())
}

fn next_kept(at: usize) -> Option<(usize, usize)> {
    KEPT.lock().get(at).copied()
}

fn free(ctx: &mut Context<'_>, args: &[&str]) -> Result<(), CommandError> {
    let wanted = match *args {
        ["all"] => None,
        [address] => Some(shell::number(address)?),
        _ => return Err(CommandError::Usage),
    };
    let mut nr_freed = 0;
    while let Some(address) = take_kept(wanted) {
        // SAFETY: `alloc` allocated it, and it has just been taken off the list that alone knew it.
        unsafe { kmalloc::kfree(ptr::with_exposed_provenance_mut(address)) };
        nr_freed += 1;
    }
    match wanted {
        Some(address) if nr_freed == 0 => Err(ctx.fail(format_args!("{address:#x} was not allocated by `alloc`, or is freed already"))),
        _ => Ok(writeln!(ctx.out, "{nr_freed} freed")?),
    }
}

/// Takes the allocation at `wanted`, or the last one, off the list.
fn take_kept(wanted: Option<usize>) -> Option<usize> {
    let mut kept = KEPT.lock();
    if let Some(address) = wanted {
        let (at, last) = (kept.iter().position(|(kept, _)| *kept == address)?, kept.len() - 1);
        kept.swap(at, last);
    }
    kept.pop().map(|(address, _)| address)
}
