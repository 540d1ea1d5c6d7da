//! Memory management.
//!
//! From the bottom: [`addr`] and [`phys_range`] are the types that all others speak, [`memblock`] is the map that the kernel boots with. On
//! them stands the page allocator: [`page`] describes each page of RAM, [`buddy`] keeps the free blocks of a [`zone`], [`page_alloc`] is
//! what the rest of the kernel calls, with [`gfp`] flags. `kernel_map` changes the live translation tables, `vmalloc` maps areas through it,
//! `dma` shares memory with devices.

use crate::util::errno::Errno;

pub mod addr;
pub mod buddy;
#[cfg(target_os = "none")]
pub mod dma;
pub mod gfp;
#[cfg(target_os = "none")]
pub mod kernel_map;
pub mod memblock;
pub mod page;
pub mod page_alloc;
pub mod pages;
pub mod phys_range;
pub mod shrinker;
pub mod vm_area;
#[cfg(target_os = "none")]
pub mod vmalloc;
pub mod zone;

pub use pages::Pages;

/// Memory is exhausted, or the request asks for what can never be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocError;

impl From<AllocError> for Errno {
    fn from(_: AllocError) -> Errno {
        Errno::ENOMEM
    }
}
