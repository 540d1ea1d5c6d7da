//! The heaps that are compared, behind one trait: the peers as their users would set them up.
//!
//! Those that come without a lock stand behind `spin::Mutex`, as in the `LockedHeap` that their own crates offer; `embedded-alloc` masks irqs instead.

use buddy_system_allocator::Heap as Buddy;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use embedded_alloc::{LlffHeap, TlsfHeap};
use linked_list_allocator::Heap as LinkedList;
use spin::Mutex;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;
use tetra::mm::gfp::GfpFlags;
use tetra::mm::kmalloc::{kfree, kmalloc};
use tetra::mm::size_class::size_for_align;

/// A heap that can be begun anew in a piece of memory.
pub trait Contender: GlobalAlloc + Sync + Sized + 'static {
    /// Name in the table.
    const NAME: &'static str;
    /// A heap without memory.
    const EMPTY: Self;
    /// It takes its memory elsewhere, and all of it: how little would do is not found by giving it less.
    const HAS_OWN_MEMORY: bool = false;

    /// Gives the heap its memory.
    ///
    /// # Safety
    /// The range is mapped and nothing else uses it as long as the heap is used. Once for each heap.
    unsafe fn start(&self, bottom: *mut u8, size: usize);
}

impl Contender for LlffHeap {
    const NAME: &'static str = "embedded-alloc LLFF";
    const EMPTY: Self = LlffHeap::empty();

    unsafe fn start(&self, bottom: *mut u8, size: usize) {
        // SAFETY: by the contract of `start`.
        unsafe { self.init(bottom as usize, size) };
    }
}

impl Contender for TlsfHeap {
    const NAME: &'static str = "embedded-alloc TLSF";
    const EMPTY: Self = TlsfHeap::empty();

    unsafe fn start(&self, bottom: *mut u8, size: usize) {
        // SAFETY: by the contract of `start`.
        unsafe { self.init(bottom as usize, size) };
    }
}

/// The kernel's own `kmalloc`: its memory is the machine's, whatever it is given.
pub struct Kmalloc;

// SAFETY: `kmalloc` gives memory of the size and alignment that `size_for_align` asks for, to one caller at a time, and keeps it until it is freed.
unsafe impl GlobalAlloc for Kmalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        kmalloc(size_for_align(layout.size(), layout.align()), GfpFlags::KERNEL).map_or(null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, _layout: Layout) {
        // SAFETY: by the contract of `dealloc`.
        unsafe { kfree(object) };
    }
}

impl Contender for Kmalloc {
    const NAME: &'static str = "tetra kmalloc";
    const EMPTY: Self = Kmalloc;
    const HAS_OWN_MEMORY: bool = true;

    unsafe fn start(&self, _bottom: *mut u8, _size: usize) {}
}

/// A heap behind a lock.
pub struct Locked<H>(Mutex<H>);

// SAFETY: the lock lets one core at the heap; the heap owns the memory that its pointers lead to.
unsafe impl<H> Sync for Locked<H> {}

/// What each of the heaps without a lock offers, under one name.
pub trait Plain {
    /// As [`GlobalAlloc::alloc`].
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// As [`GlobalAlloc::dealloc`].
    ///
    /// # Safety
    /// `object` came from `take` with the same layout, and is given once.
    unsafe fn give(&mut self, object: NonNull<u8>, layout: Layout);
}

// SAFETY: both calls go to the heap's own, whose contract is that of `GlobalAlloc`.
unsafe impl<H: Plain> GlobalAlloc for Locked<H> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().take(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        if let Some(object) = NonNull::new(object) {
            // SAFETY: by the contract of `dealloc`.
            unsafe { self.0.lock().give(object, layout) };
        }
    }
}

impl Plain for LinkedList {
    #[inline]
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocate_first_fit(layout).ok()
    }

    #[inline]
    unsafe fn give(&mut self, object: NonNull<u8>, layout: Layout) {
        // SAFETY: by the contract of `give`.
        unsafe { self.deallocate(object, layout) };
    }
}

impl Contender for Locked<LinkedList> {
    const NAME: &'static str = "linked_list_allocator";
    const EMPTY: Self = Locked(Mutex::new(LinkedList::empty()));

    unsafe fn start(&self, bottom: *mut u8, size: usize) {
        // SAFETY: by the contract of `start`.
        unsafe { self.0.lock().init(bottom, size) };
    }
}

impl Plain for Buddy<32> {
    #[inline]
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.alloc(layout).ok()
    }

    #[inline]
    unsafe fn give(&mut self, object: NonNull<u8>, layout: Layout) {
        // SAFETY: by the contract of `give`.
        unsafe { self.dealloc(object, layout) };
    }
}

impl Contender for Locked<Buddy<32>> {
    const NAME: &'static str = "buddy_system_allocator";
    const EMPTY: Self = Locked(Mutex::new(Buddy::empty()));

    unsafe fn start(&self, bottom: *mut u8, size: usize) {
        // SAFETY: by the contract of `start`.
        unsafe { self.0.lock().init(bottom as usize, size) };
    }
}

impl Plain for Talc<Manual, DefaultBinning> {
    #[inline]
    fn take(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no layout here has size 0.
        unsafe { self.allocate(layout) }
    }

    #[inline]
    unsafe fn give(&mut self, object: NonNull<u8>, layout: Layout) {
        // SAFETY: by the contract of `give`.
        unsafe { self.deallocate(object.as_ptr(), layout) };
    }
}

impl Contender for Locked<Talc<Manual, DefaultBinning>> {
    const NAME: &'static str = "talc";
    const EMPTY: Self = Locked(Mutex::new(Talc::new(Manual)));

    unsafe fn start(&self, bottom: *mut u8, size: usize) {
        // SAFETY: by the contract of `start`. A range too small for a heap is none, and each allocation will fail.
        let _ = unsafe { self.0.lock().claim(bottom, size) };
    }
}
