//! Memory management.
//!
//! From the bottom: [`addr`] and [`phys_range`] are the types that all others speak, [`memblock`] is the map that the kernel boots with. On
//! them stands the page allocator: [`page`] describes each page of RAM, [`buddy`] keeps the free blocks of a [`zone`], [`page_alloc`] is
//! what the rest of the kernel calls, with [`gfp`] flags. `kernel_map` changes the live translation tables.

use crate::util::errno::Errno;

pub mod addr;
pub mod buddy;
pub mod gfp;
#[cfg(target_os = "none")]
pub mod kernel_map;
pub mod memblock;
pub mod page;
#[cfg(target_os = "none")]
pub mod page_alloc;
#[cfg(target_os = "none")]
pub mod pages;
pub mod phys_range;
pub mod zone;

#[cfg(target_os = "none")]
pub use pages::Pages;

/// Memory is exhausted, or the request asks for what can never be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocError;

impl From<AllocError> for Errno {
    fn from(_: AllocError) -> Errno {
        Errno::ENOMEM
    }
}
