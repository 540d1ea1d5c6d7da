//! A request that may sleep, where nobody may: the report, for all allocators.
//!
//! Two places matter: where the request was made, and where the section began in which it was. The second is known where held locks are noted (features
//! `lockdep`, `lock_stat`) and of RCU sections; for one that was begun by hand there is the count. Said here once and not at each allocator, so that all
//! say the same.
//!
//! Neighbours: `page_alloc` and `kmem_cache` look, in builds with `debug`; `sched::preempt` says it of other sleeps.

use super::gfp::GfpFlags;
use crate::arch;
use crate::cpu;
use crate::sync::rcu;
use crate::upcalls;
use core::panic::Location;

/// Reports a request with `gfp` at `place`. False during boot, when irqs are off and nothing can sleep yet: then nothing is said.
///
/// Context: any.
#[cold]
#[inline(never)]
pub(super) fn report(gfp: GfpFlags, place: &'static Location<'static>) -> bool {
    if cpu::online_mask() == 0 {
        return false;
    }
    let (count, masked) = (cpu::preempt_count(), if arch::irq::is_masked() { ", irqs off" } else { "" });
    upcalls::bug_report(
        format_args!(
            "a request for memory that may sleep ({gfp:?}) in atomic context: count {count:#x}{masked}; ask with ATOMIC or NOWAIT"
        ),
        place,
    );
    #[cfg(any(feature = "lockdep", feature = "lock_stat"))]
    for lock in upcalls::held_locks().into_iter().flat_map(|held| held.iter()).filter(|lock| !lock.is_sleeping) {
        crate::pr_err!("BUG: atomic since a spinning lock was taken at {}", lock.at);
    }
    if let Some(section) = rcu::rcu_read_lock_place() {
        crate::pr_err!("BUG: atomic since rcu_read_lock() was called at {}", section);
    }
    true
}
