//! `failslab`: which allocations of slab caches and of `kmalloc` are made to fail.
//!
//! Apart from its users, so that `kmalloc` on a PC, over `std`, fails by the same rules. Arming it takes the room from all cores' lists, so that each
//! request comes to the slow path, which asks here; the fast path does not. When the last failure is done each list opens again by itself.
//!
//! Neighbours: `debug::fault_attr` is the rule, `kmem_cache` and `kmalloc` ask.

use super::gfp::GfpFlags;
use crate::debug::fault_attr::FaultAttr;

/// The rule.
pub static FAILSLAB: FaultAttr = FaultAttr::new();

/// Whether a request for `size` bytes is to fail. One that must not fail does not.
///
/// Context: any.
#[inline]
pub(super) fn should_fail(size: usize, gfp: GfpFlags) -> bool {
    FAILSLAB.is_armed() && !gfp.contains(GfpFlags::NOFAIL) && FAILSLAB.should_fail(size as u64, callers)
}

/// Return addresses of the caller.
#[cfg(target_os = "none")]
fn callers() -> impl Iterator<Item = usize> {
    use crate::debug::backtrace;
    backtrace::Frames::from(backtrace::here()).map(|frame| frame.address)
}

#[cfg(not(target_os = "none"))]
fn callers() -> impl Iterator<Item = usize> {
    core::iter::empty()
}
