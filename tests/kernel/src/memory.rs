//! What the suites of memory share: all pages accounted for, all cores at once, words behind raw addresses, numbers at random.

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use tetra::arch;
use tetra::mm::addr::Order;
use tetra::mm::gfp::GfpFlags;
use tetra::mm::page::{self, PageKind};
use tetra::mm::page_alloc;

const CORES: usize = 4;

/// Free pages of all zones, with no page on a core's list.
pub fn free_pages() -> usize {
    page_alloc::drain_all();
    page_alloc::zones().iter().map(|zone| zone.nr_free()).sum()
}

/// Runs `body` and checks that all pages came back.
pub fn balanced(body: impl FnOnce()) {
    // Table pages are kept for ever: those that the first use makes do not count.
    let before = free_pages() + nr_tables();
    body();
    crate::check_eq!(free_pages() + nr_tables(), before);
}

/// Pages of translation tables.
fn nr_tables() -> usize {
    page::all().iter().filter(|page| page.kind() == PageKind::Table).count()
}

/// The next number of a generator that needs no state but a seed (Marsaglia, "Xorshift RNGs", 2003).
pub fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

/// Runs `work` in a thread of each core at once and waits for all.
pub fn on_all_cores(work: fn()) {
    static WORK: AtomicUsize = AtomicUsize::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    fn run() {
        // SAFETY: `on_all_cores` stored a `fn()` before it called anybody.
        let work: fn() = unsafe { core::mem::transmute(WORK.load(Relaxed)) };
        work();
        DONE.fetch_add(1, core::sync::atomic::Ordering::Release);
    }
    WORK.store(work as usize, Relaxed);
    DONE.store(0, Relaxed);
    for cpu in 1..CORES {
        while !tetra::init::call_in_idle_thread(cpu, run) {
            arch::relax();
        }
    }
    run();
    while DONE.load(core::sync::atomic::Ordering::Acquire) != CORES as u32 {
        arch::relax();
    }
}

/// Writes a word. Context: the caller owns it.
pub fn write(at: *mut u8, value: u64) {
    // SAFETY: all callers own the word.
    unsafe { at.cast::<u64>().write_volatile(value) };
}

/// Reads a word. Context: the caller owns it.
pub fn read(at: *mut u8) -> u64 {
    // SAFETY: all callers own the word.
    unsafe { at.cast::<u64>().read_volatile() }
}

/// Blocks of one order, chained through their first words.
#[must_use = "the blocks are lost; give them back with `free`"]
pub struct Chain {
    first: *mut u8,
    order: Order,
    /// How many there are.
    pub length: usize,
}

/// Takes blocks until none is given.
pub fn exhaust(gfp: GfpFlags, order: Order) -> Chain {
    let mut chain = Chain { first: ptr::null_mut(), order, length: 0 };
    while let Ok(block) = page_alloc::get_free_pages(gfp | GfpFlags::NOWARN, order) {
        write(block, chain.first as u64);
        (chain.first, chain.length) = (block, chain.length + 1);
    }
    chain
}

impl Chain {
    /// Gives them back.
    pub fn free(mut self) {
        while !self.first.is_null() {
            let next = read(self.first) as usize as *mut u8;
            // SAFETY: a block of `exhaust`, which made the chain; each is in it once.
            unsafe { page_alloc::free_pages_at(self.first, self.order) };
            self.first = next;
        }
    }
}
