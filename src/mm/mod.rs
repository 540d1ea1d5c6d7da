//! Memory management.
//!
//! From the bottom: [`addr`] and [`phys_range`] are the types that all others speak, [`memblock`] is the map that the kernel boots with.

pub mod addr;
pub mod memblock;
pub mod phys_range;
