//! Memory management.
//!
//! From the bottom: [`addr`] and [`phys_range`] are the types that all others speak, [`memblock`] is the map that the kernel boots with. On
//! them stands the page allocator: [`page`] describes each page of RAM, [`buddy`] keeps the free blocks of a [`zone`], [`page_alloc`] is
//! what the rest of the kernel calls, with [`gfp`] flags. `kernel_map` changes the live translation tables, `vmalloc` maps areas through it (`kvmalloc` tries for one piece first),
//! `dma` shares memory with devices.
//!
//! On pages stand objects: [`slab`], [`slab_layout`] and [`free_link`] are the pure parts of `kmem_cache`, [`kmalloc`] is a set of such caches by
//! [`size_class`]; [`kbox`], [`kvec`], [`karc`] and [`rcu_box`] own what it gives, and `heap` serves `alloc`.

use crate::util::errno::Errno;

pub mod addr;
mod atomic_request;
pub mod buddy;
#[cfg(target_os = "none")]
pub mod dma;
pub mod failslab;
pub mod free_link;
pub mod gfp;
#[cfg(target_os = "none")]
pub mod heap;
pub mod karc;
pub mod kbox;
#[cfg(target_os = "none")]
pub mod kernel_map;
#[cfg(target_os = "none")]
pub mod kmalloc;
#[cfg(not(target_os = "none"))]
#[path = "kmalloc_host.rs"]
pub mod kmalloc;
#[cfg(target_os = "none")]
pub mod kmem_cache;
pub mod kvec;
#[cfg(target_os = "none")]
pub mod kvmalloc;
pub mod memblock;
pub mod page;
pub mod page_alloc;
pub mod page_owner;
pub mod pages;
pub mod phys_range;
pub mod rcu_box;
pub mod shrinker;
pub mod size_class;
pub mod slab;
pub mod slab_layout;
pub mod slub_debug;
pub mod vm_area;
#[cfg(target_os = "none")]
pub mod vmalloc;
pub mod zone;

#[cfg(target_os = "none")]
pub use kmem_cache::KmemCache;
pub use pages::Pages;

pub use gfp::GfpFlags;
pub use karc::KArc;
pub use kbox::KBox;
pub use kvec::KVec;
pub use rcu_box::RcuBox;

/// Memory is exhausted, or the request asks for what can never be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllocError;

impl From<AllocError> for Errno {
    fn from(_: AllocError) -> Errno {
        Errno::ENOMEM
    }
}
