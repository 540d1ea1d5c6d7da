//! Pages for translation tables before there is a page allocator: a fixed pool in bss.

use crate::arch::mmu::{Mapper, Table};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Device window, temporary window, linear map of 8 GiB (8 of level 2, 4 of level 3 around the kernel), and spares for odd borders.
const NR_TABLES: usize = 32;

static POOL: [Table; NR_TABLES] = [const { Table::new() }; NR_TABLES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Calls `f` with a mapper of the live tables.
///
/// Context: boot, core 0, before the others run.
pub fn with_mapper<R>(f: impl FnOnce(&mut Mapper<'_>) -> R) -> R {
    let mut take = || POOL.get(TAKEN.fetch_add(1, Ordering::Relaxed));
    // SAFETY: only core 0 runs, so this is the only mapper; each page of the pool is given once and lies in the image.
    let mut mapper = unsafe { Mapper::live(&mut take) };
    f(&mut mapper)
}

/// Tables taken, and how many there are.
pub fn usage() -> (usize, usize) {
    (TAKEN.load(Ordering::Relaxed).min(NR_TABLES), NR_TABLES)
}
