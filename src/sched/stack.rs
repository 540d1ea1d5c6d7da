//! Threads' stacks: 16 KiB each, with an unmapped half below, and how much of one was used.
//!
//! Slot `i` of the region at `STACKS_BASE` belongs to the block `i` of the table of threads. The stack is its upper half, so bit 14 of a good stack pointer
//! is set and a frame that crossed the lower end clears it (vectors.S tests that). A stack is mapped when its block is first used and stays so: the
//! lowest free block is taken first, so there are as many as threads lived at once.
//!
//! Physical pages come from one range that boot reserves. In builds with `debug` each new thread's stack is filled with a pattern, and [`used`] tells how
//! deep it was ever written; without, the fill would be half the cost of making a thread.

use super::thread_table::MAX_THREADS;
use super::thread_table::ThreadId;
use crate::arch::layout::{STACK_SHIFT, STACK_SIZE, STACK_SLOT, STACKS_BASE};
use crate::arch::mmu::Attributes;
use crate::mm::kernel_map;
use crate::mm::phys_range::PhysRange;
use crate::util::errno::Errno;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Once;

/// Bytes to reserve so that each thread can have a stack.
pub const POOL_BYTES: usize = MAX_THREADS * STACK_SIZE;
/// What lies where nobody has written yet: no address, no small number.
const PATTERN: u64 = 0x57ac_6e9d_57ac_6e9d;

static POOL: Once<PhysRange> = Once::new();
static IS_MAPPED: [AtomicBool; MAX_THREADS] = [const { AtomicBool::new(false) }; MAX_THREADS];

/// No memory for a stack, or for the table that maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoStack;

impl From<NoStack> for Errno {
    fn from(_: NoStack) -> Self {
        Errno::ENOMEM
    }
}

/// Gives the memory that stacks are made of. Once, at boot.
///
/// # Safety
/// `range` is RAM that nobody else uses, aligned to a page.
pub unsafe fn set_pool(range: PhysRange) {
    POOL.call_once(|| range);
}

/// The top of the stack of block `id`: one past its last byte.
pub fn top(id: ThreadId) -> usize {
    STACKS_BASE + (usize::from(id) + 1) * STACK_SLOT
}

fn bottom(id: ThreadId) -> usize {
    top(id) - STACK_SIZE
}

/// Makes the stack of block `id` ready for a new thread. Context: thread, the block's only owner.
pub(super) fn prepare(id: ThreadId) -> Result<(), NoStack> {
    let is_mapped = &IS_MAPPED[usize::from(id)];
    if !is_mapped.load(Ordering::Relaxed) {
        let phys = page_of(id).ok_or(NoStack)?;
        // SAFETY: the block's addresses and its part of the pool, both of which its owner alone uses.
        kernel_map::with_mapper(|mapper| unsafe { mapper.map(bottom(id), phys, STACK_SIZE, Attributes::Data) }).map_err(|_| NoStack)?;
        is_mapped.store(true, Ordering::Relaxed);
    }
    if cfg!(feature = "debug") {
        words(id).for_each(|word| {
            // SAFETY: mapped, and the block's owner is the only one that knows of the stack.
            unsafe { word.write(PATTERN) }
        });
    }
    Ok(())
}

/// The physical memory of stack `id`.
fn page_of(id: ThreadId) -> Option<u64> {
    let pool = POOL.get()?;
    let offset = (u64::from(id)) << STACK_SHIFT;
    (offset + STACK_SIZE as u64 <= pool.size()).then(|| pool.start().value() + offset)
}

fn words(id: ThreadId) -> impl Iterator<Item = *mut u64> {
    (bottom(id)..top(id)).step_by(size_of::<u64>()).map(|address| address as *mut u64)
}

/// Bytes of the stack of block `id` that were ever in use: the high-water mark. `None` in builds without `debug`, and for idle threads, whose stacks
/// are not made here.
///
/// Context: any. The thread may run meanwhile.
pub fn used(id: ThreadId) -> Option<usize> {
    let is_mapped = IS_MAPPED.get(usize::from(id))?.load(Ordering::Relaxed);
    if !cfg!(feature = "debug") || !is_mapped {
        return None;
    }
    let untouched = words(id)
        .take_while(|word| {
            // SAFETY: a stack stays mapped for ever. Volatile: the thread may be running.
            unsafe { word.read_volatile() == PATTERN }
        })
        .count();
    Some(STACK_SIZE - untouched * size_of::<u64>())
}
