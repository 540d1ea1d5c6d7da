//! Functions whose machine code `make verify` checks: each is what one thread of a litmus test does, in terms of the public API.
//!
//! Every function is exported by name and not inlined, takes the addresses of the test's locations, and returns what it saw in one `u64`.
//! The tests that put them together, and what must never be seen, are in the `.litmus` files beside this package; `tools/src/verify/` says
//! how.

#![no_std]

// What files of the kernel that are compiled here once more call `crate::`: a machine of two cores.
mod arch {
    pub(crate) const NR_CPUS: usize = 2;
}
use tetra::sync;

pub mod atomics;
pub mod barriers;
pub mod bits;
pub mod hand_over;
pub mod locks;
pub mod log;
pub mod rcu;
pub mod refcount;
pub mod sleeping;
