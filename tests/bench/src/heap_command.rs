//! `bench-heaps`: the traces, and cost against the number of live objects, for every heap; in the form of the kernel's `bench`.

use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use buddy_system_allocator::Heap as Buddy;
use embedded_alloc::{LlffHeap, TlsfHeap};
use linked_list_allocator::Heap as LinkedList;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use tetra::bench::Meter;
use tetra::mm::addr::PAGE_SIZE;
use tetra::mm::gfp::GfpFlags;
use tetra::mm::zone::ZoneType;
use tetra::mm::{kmem_cache, page_alloc, shrinker};
use tetra::shell::{self, CommandError, Context};

use crate::arena;
use crate::heaps::{Contender, Kmalloc, Locked};
use crate::traces::{Random, SLOTS_MAX, Slot, TRACES, Trace, play};

/// Numbers of live objects.
const LIVE: [usize; 6] = [10, 100, 1000, 10_000, 100_000, 1_000_000];
/// Pairs of calls that are timed with so many alive.
const PAIRS: u64 = 200;
/// A heap whose pair costs more is not asked with more objects: its cost grows with their number, and making the holes would take minutes.
const TOO_MUCH: u64 = 5000;
/// One object in so many is freed before, so that there are holes.
const HOLES: usize = 8;
const OBJECT_BYTES: usize = 64;
/// What the smallest memory for a trace is found to.
const PEAK_STEP: usize = 4096;
const PEAK_MAX: usize = 64 << 20;

shell::command! {
    name: "bench-heaps",
    usage: "bench-heaps",
    help: "each heap under three seeded traces, and with 10 to 1000000 objects alive",
    details: "trace.X: instructions a call; trace.X_peak_bytes: the least memory in which the trace runs, in bytes, for the kernel's own what it took of the page allocator; live.N: a free and an allocation, N objects alive.",
    run: |ctx, args| {
        if !args.is_empty() {
            return Err(CommandError::Usage);
        }
        let Some(meter) = Meter::start() else { return Err(ctx.fail(format_args!("this core has no performance monitor"))) };
        compare::<Kmalloc>(ctx, &meter)?;
        compare::<LlffHeap>(ctx, &meter)?;
        compare::<TlsfHeap>(ctx, &meter)?;
        compare::<Locked<LinkedList>>(ctx, &meter)?;
        compare::<Locked<Buddy<32>>>(ctx, &meter)?;
        compare::<Locked<Talc<Manual, DefaultBinning>>>(ctx, &meter)
    },
}

fn compare<H: Contender>(ctx: &mut Context<'_>, meter: &Meter) -> Result<(), CommandError> {
    for trace in &TRACES {
        trace_row::<H>(ctx.out, meter, trace)?;
    }
    for live in LIVE {
        if live_row::<H>(ctx.out, meter, live)? > TOO_MUCH {
            break;
        }
    }
    Ok(())
}

/// Where heaps and slots lie: some are too large for a stack.
struct Room<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: the shell runs one command at a time, and commands here do not nest.
unsafe impl<T> Sync for Room<T> {}

static SLOTS: Room<[Slot; SLOTS_MAX]> = Room(UnsafeCell::new(MaybeUninit::uninit()));

/// A heap begun anew in `size` bytes of the arena's scratch, its own state at the front.
fn fresh<H: Contender>(size: usize) -> &'static H {
    let (bottom, _) = arena::scratch();
    let heap = bottom.cast::<H>();
    let used = size_of::<H>().next_multiple_of(PEAK_STEP);
    // SAFETY: the scratch is mapped, aligned to a page and larger than any heap's state; what was there is done with.
    unsafe { heap.write(H::EMPTY) };
    // SAFETY: written above, and nobody writes it but through its own methods until the scratch is used anew.
    let heap = unsafe { &*heap };
    // SAFETY: the scratch has room for it behind the state.
    let memory = unsafe { bottom.add(used) };
    // SAFETY: nothing else uses the scratch meanwhile; this heap is new.
    unsafe { heap.start(memory, size) };
    heap
}

fn trace_row<H: Contender>(out: &mut dyn Write, meter: &Meter, trace: &Trace) -> fmt::Result {
    // SAFETY: one command at a time; slots are plain values, and `play` writes each before it looks at it.
    let slots = unsafe { &mut *SLOTS.0.get().cast::<[Slot; SLOTS_MAX]>() };
    slots.fill(Slot::EMPTY);
    let heap = fresh::<H>(PEAK_MAX);
    let mut calls = None;
    let reading = meter.time(|| calls = play(trace, heap, slots, || ()));
    if let (Some(calls), Some(instructions)) = (calls, reading.instructions) {
        writeln!(out, "trace.{:28} {:>28} {:12} {:12}", trace.name, H::NAME, instructions / calls, reading.cycles / calls)?;
    }
    let peak = if H::HAS_OWN_MEMORY { pages_taken(trace, heap, slots) } else { least_memory::<H>(trace, slots) };
    writeln!(out, "trace.{}_peak_bytes {:>28} {peak:12} {:12}", trace.name, H::NAME, 0)
}

/// The least memory in which the trace runs, by halving.
fn least_memory<H: Contender>(trace: &Trace, slots: &mut [Slot; SLOTS_MAX]) -> usize {
    let (mut too_small, mut enough) = (0, PEAK_MAX / PEAK_STEP);
    while enough - too_small > 1 {
        let middle = (too_small + enough) / 2;
        match play(trace, fresh::<H>(middle * PEAK_STEP), slots, || ()) {
            Some(_) => enough = middle,
            None => too_small = middle,
        }
    }
    enough * PEAK_STEP
}

/// The most memory that the trace takes from the page allocator. What the first run has left is given back before.
fn pages_taken<H: Contender>(trace: &Trace, heap: &H, slots: &mut [Slot; SLOTS_MAX]) -> usize {
    slots.iter_mut().for_each(|slot| slot.clear(heap));
    kmem_cache::drain_all();
    shrinker::shrink(GfpFlags::KERNEL, usize::MAX);
    let before = free_pages();
    let mut least = before;
    play(trace, heap, slots, || least = least.min(free_pages()));
    slots.iter_mut().for_each(|slot| slot.clear(heap));
    (before - least) * PAGE_SIZE
}

fn free_pages() -> usize {
    ZoneType::ALL.into_iter().map(|zone| page_alloc::zones()[zone as usize].nr_free() + page_alloc::nr_listed(zone)).sum()
}

/// Shows a row; gives the cycles of a pair, which on the emulator are instructions.
fn live_row<H: Contender>(out: &mut dyn Write, meter: &Meter, live: usize) -> Result<u64, fmt::Error> {
    let (_, size) = arena::scratch();
    // The slots lie behind the heap's memory, in the scratch as well.
    let slots_bytes = (live * size_of::<Slot>()).next_multiple_of(PEAK_STEP);
    let heap_bytes = (live * OBJECT_BYTES * 4 + (1 << 20)).next_power_of_two().min(size / 2 + size / 4);
    let heap = fresh::<H>(heap_bytes);
    // SAFETY: the last bytes of the scratch, which the heap was not given: it has at most three quarters and a state of some pages.
    let slots = unsafe { arena::scratch().0.add(size - slots_bytes) }.cast::<Slot>();
    // SAFETY: `slots_bytes` at the end of the scratch, mapped, aligned to a page; a slot that was not written yet may hold anything.
    let slots = unsafe { core::slice::from_raw_parts_mut(slots.cast::<MaybeUninit<Slot>>(), live) };
    for slot in slots.iter_mut() {
        slot.write(Slot::EMPTY);
    }
    // SAFETY: each was written above.
    let slots = unsafe { slots.assume_init_mut() };

    if !slots.iter_mut().all(|slot| slot.fill(heap, OBJECT_BYTES)) {
        writeln!(out, "live.{live} {:>28} has no room", H::NAME)?;
        return Ok(u64::MAX);
    }
    // From the last to the first: heaps that sort their holes by address are quick at that.
    slots.iter_mut().rev().step_by(HOLES).for_each(|slot| slot.clear(heap));
    let mut random = Random::new();
    let reading = meter.time(|| {
        for _ in 0..PAIRS {
            let slot = &mut slots[random.below(live)];
            slot.clear(heap);
            slot.fill(heap, OBJECT_BYTES);
        }
    });
    if H::HAS_OWN_MEMORY {
        // What it has is not the scratch's, and is wanted back.
        slots.iter_mut().for_each(|slot| slot.clear(heap));
    }
    let cycles = reading.cycles / PAIRS;
    match reading.instructions {
        Some(instructions) => writeln!(out, "live.{live:<29} {:>28} {:12} {cycles:12}", H::NAME, instructions / PAIRS)?,
        None => writeln!(out, "live.{live:<29} {:>28} {:>12} {cycles:12}", H::NAME, "-")?,
    }
    Ok(cycles)
}
