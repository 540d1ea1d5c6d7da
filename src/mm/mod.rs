//! Memory management.
//!
//! From the bottom: [`addr`] and [`phys_range`] are the types that all others speak, [`memblock`] is the map that the kernel boots with;
//! `kernel_map` changes the live translation tables.

pub mod addr;
#[cfg(target_os = "none")]
pub mod kernel_map;
pub mod memblock;
pub mod phys_range;
