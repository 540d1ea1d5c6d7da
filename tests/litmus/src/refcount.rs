//! The reference count: what a holder did comes before the free by the last.

use tetra::sync::atomic::AtomicI32;
use tetra::sync::refcount::RefCount;

/// Uses the object, gives its reference back, and reuses the memory if it was the last: 1 says so, 2 that the other's use was not yet seen.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn use_and_put(mine: &AtomicI32, other: &AtomicI32, users: &RefCount) -> u64 {
    mine.set(1);
    if !users.dec_and_test() {
        return 0;
    }
    if other.read() == 1 { 1 } else { 2 }
}
