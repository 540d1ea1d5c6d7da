//! The kernel's own translation tables: one lock around all changes, and where pages for new tables come from.
//!
//! A fixed pool in bss serves boot, before there is a page allocator; [`set_table_source`] names who serves after it. Tables are never freed: a
//! walk (`mmu::translate`, in a fault as well) needs no lock, and a region that is mapped once is mapped again.
//!
//! Neighbours: `arch::mmu` knows the format; `vmalloc`, stacks and device windows decide what lies where.

use crate::arch::mmu::{Mapper, Table};
use crate::sync::SpinLock;

/// Device window, temporary window, linear map of 8 GiB (8 of level 2, 4 of level 3 around the kernel), 18 for threads' stacks, and spares for odd borders.
const NR_POOL_TABLES: usize = 50;

static POOL: [Table; NR_POOL_TABLES] = [const { Table::new() }; NR_POOL_TABLES];

/// Gives a zeroed page that is reached through the image's mapping or the linear map, or `None` if memory is exhausted.
pub type TableSource = fn() -> Option<&'static Table>;

struct Tables {
    /// Tables of the pool that are in use.
    taken: usize,
    source: Option<TableSource>,
}

/// Held while the live tables change. Takes nothing but what `TableSource` takes.
static TABLES: SpinLock<Tables> = SpinLock::new(Tables { taken: 0, source: None });

/// Calls `f` with a mapper of the live tables.
///
/// Context: any but a hardirq; irqs are off while `f` runs. May be called by one core at a time: others wait.
pub fn with_mapper<R>(f: impl FnOnce(&mut Mapper<'_>) -> R) -> R {
    let mut tables = TABLES.lock_irqsave();
    let mut take = || match POOL.get(tables.taken) {
        Some(table) => {
            tables.taken += 1;
            Some(table)
        }
        None => tables.source.and_then(|source| source()),
    };
    // SAFETY: the lock makes this the only mapper; each page of the pool is given once and lies in the image, and a source gives fresh pages.
    let mut mapper = unsafe { Mapper::live(&mut take) };
    f(&mut mapper)
}

/// Names who gives pages for tables when the pool is used up. Once, when the page allocator stands.
///
/// # Safety
/// The source gives each page once, zeroed, below `kernel_end` or in the linear map, and nothing else uses it.
pub unsafe fn set_table_source(source: TableSource) {
    TABLES.lock_irqsave().source = Some(source);
}

/// Tables of the pool that are in use, and how many there are.
pub fn usage() -> (usize, usize) {
    (TABLES.lock_irqsave().taken, NR_POOL_TABLES)
}
