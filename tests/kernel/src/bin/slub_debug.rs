//! What `slub_debug=` finds, and what `init_on_alloc=` and `init_on_free=` leave: the shapes of Linux's `slub_kunit`, with exact counts of reports.
//!
//! | there | here |
//! |---|---|
//! | `test_clobber_zone` | `clobber_zone` |
//! | `test_next_pointer` | `slabs/a_write_after_free_breaks_the_link_in_every_build` |
//! | `test_first_word`, `test_clobber_50th_byte` | `first_word_and_50th_byte_after_free` |
//! | `test_clobber_redzone_free` | `clobber_redzone_free` |
//! | `test_kmalloc_redzone_access` | `kmalloc_redzone_access` |
//! | `test_kfree_rcu`, `test_kfree_rcu_wq_destroy` | `kfree_rcu_and_destroy`, `kfree_rcu_and_destroy_in_a_worker` |
//! | `test_leak_destroy` | `slabs/a_leak_is_seen_at_destroy` |
//! | `test_krealloc_redzone_zeroing` | `krealloc_redzone_zeroing` |
#![no_std]
#![no_main]

use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use tetra::irq::ipi;
use tetra::mm::GfpFlags;
use tetra::mm::kmalloc::{kfree, kmalloc, krealloc, ksize, set_init_mode};
use tetra::mm::kmem_cache;
use tetra::mm::slab_layout::SlabFlags;
use tetra::sched::workqueue::Work;
use tetra::sync::rcu::{RcuHead, call_rcu, rcu_read_lock};
use tetra_tests::objects::{cache, free, read, reports_of, write};
use tetra_tests::{case, check, check_eq, suite};

suite!();

const GFP: GfpFlags = GfpFlags::KERNEL;

case!(clobber_zone);
fn clobber_zone() {
    let cache = cache("TestSlub_RZ_alloc", 64, SlabFlags::RED_ZONE);
    let object = cache.alloc(GFP).unwrap();
    write(object, 64, 0x12);
    // Once by the look, and mended: neither the second look nor the free says it again.
    check_eq!(reports_of(|| check_eq!(cache.validate(), 1)), 1);
    check_eq!(reports_of(|| check_eq!(cache.validate(), 0)), 0);
    check_eq!(reports_of(|| free(object)), 0);
    check!(cache.destroy().is_ok());
}

case!(first_word_and_50th_byte_after_free);
fn first_word_and_50th_byte_after_free() {
    for offset in [0, 50] {
        let cache = cache("TestSlub_1th_word_free", 64, SlabFlags::POISON);
        let object = cache.alloc(GFP).unwrap();
        free(object);
        write(object, offset, 0x78);
        check_eq!(reports_of(|| check_eq!(cache.validate(), 1)), 1);
        check_eq!(reports_of(|| check_eq!(cache.validate(), 0)), 0);
        // Mended, so it can be had again.
        check_eq!(reports_of(|| free(cache.alloc(GFP).unwrap())), 0);
        check!(cache.destroy().is_ok());
    }
}

case!(clobber_redzone_free);
fn clobber_redzone_free() {
    let cache = cache("TestSlub_RZ_free", 64, SlabFlags::RED_ZONE);
    let object = cache.alloc(GFP).unwrap();
    free(object);
    write(object, 64, 0xab);
    check_eq!(reports_of(|| check_eq!(cache.validate(), 1)), 1);
    check_eq!(reports_of(|| check_eq!(cache.validate(), 0)), 0);
    write(object, -1, 0xab);
    // Without a look it is found by who would be given the object.
    check_eq!(reports_of(|| free(cache.alloc(GFP).unwrap())), 1);
    check_eq!(reports_of(|| check_eq!(cache.validate(), 0)), 0);
    // It stays out of use, so it counts as leaked.
    check_eq!(reports_of(|| check!(cache.destroy().is_err())), 1);
}

case!(kmalloc_redzone_access, alone: "append slub_debug=ZU,kmalloc-32\nexpect BUG: slab kmalloc-32: Right Redzone overwritten at object 0x[0-9a-f]+ \\+18: 0xab instead of 0xcc\nexpect ok 1\nexit 0");
fn kmalloc_redzone_access() {
    let object = kmalloc(18, GFP).unwrap();
    check_eq!(ksize(object), 18);
    check_eq!(reports_of(|| (0..18).for_each(|at| write(object, at, 0xab))), 0);
    check_eq!(reports_of(|| free(object)), 0);
    // Two bytes beyond what was asked for, and well within the class.
    let object = kmalloc(18, GFP).unwrap();
    (18..20).for_each(|at| write(object, at, 0xab));
    check_eq!(reports_of(|| kmem_cache::validate_all(|_, _| ())), 1);
    (18..20).for_each(|at| write(object, at, 0xab));
    check_eq!(reports_of(|| free(object)), 1);
    let whole = kmalloc(32, GFP).unwrap();
    check_eq!(ksize(whole), 32);
    check_eq!(reports_of(|| free(whole)), 0);
}

case!(krealloc_redzone_zeroing, alone: "append slub_debug=ZU,kmalloc-64,kmalloc-128\nexpect ok 1\nexit 0");
fn krealloc_redzone_zeroing() {
    const RED: u8 = 0xcc;
    let zeroed = GFP | GfpFlags::ZERO;
    let reports = reports_of(|| {
        let object = kmalloc(48, GFP).unwrap();
        (0..48).for_each(|at| write(object, at, 0xff));
        // Shorter, in place: what is given up is guarded.
        // SAFETY: ours; only the result is used.
        let shorter = unsafe { krealloc(object, 40, zeroed) }.unwrap();
        check!(shorter == object && ksize(shorter) == 40);
        check!((40..64).all(|at| read(shorter, at) == RED));
        // Longer, in the same class.
        // SAFETY: as above.
        let longer = unsafe { krealloc(shorter, 56, zeroed) }.unwrap();
        check!((0..40).all(|at| read(longer, at) == 0xff) && (40..56).all(|at| read(longer, at) == 0));
        check!((56..64).all(|at| read(longer, at) == RED));
        kmem_cache::validate_all(|_, nr_damaged| check_eq!(nr_damaged, 0));
        // Longer, in the next class.
        (0..56).for_each(|at| write(longer, at, 0xff));
        // SAFETY: as above.
        let longest = unsafe { krealloc(longer, 112, zeroed) }.unwrap();
        check!((0..56).all(|at| read(longest, at as usize) == 0xff) && (56..112).all(|at| read(longest, at) == 0));
        free(longest);
    });
    check_eq!(reports, 0);
}

/// An object that is freed after a grace period.
#[repr(C)]
struct Deferred {
    _value: u64,
    head: RcuHead,
}

/// Frees the `Deferred` around `head`.
///
/// # Safety
/// There is one, from `kmem_cache`, and nobody uses it.
unsafe fn free_deferred(head: NonNull<RcuHead>) {
    let object = head.as_ptr().cast::<u8>().wrapping_sub(offset_of!(Deferred, head));
    // SAFETY: by the contract.
    unsafe { kfree(object) };
}

/// Makes a cache, has an object of it freed after a grace period, and destroys the cache while a reader is there.
fn free_later_and_destroy() {
    let cache = cache("TestSlub_kfree_rcu", size_of::<Deferred>(), SlabFlags::STORE_USER);
    let reports = reports_of(|| {
        let section = rcu_read_lock();
        for _ in 0..8 {
            let object = cache.alloc(GfpFlags::ATOMIC).unwrap().cast::<Deferred>();
            // SAFETY: ours, with room and alignment for it.
            unsafe { object.write(Deferred { _value: 7, head: RcuHead::new() }) };
            let head = object.as_ptr().wrapping_byte_add(offset_of!(Deferred, head)).cast::<RcuHead>();
            let head = NonNull::new(head).expect("part of an object");
            // SAFETY: the object is given up here, and `free_deferred` takes it.
            unsafe { call_rcu(head, free_deferred) };
        }
        drop(section);
        check!(cache.destroy().is_ok());
    });
    check_eq!(reports, 0);
}

case!(kfree_rcu_and_destroy);
fn kfree_rcu_and_destroy() {
    free_later_and_destroy();
}

case!(kfree_rcu_and_destroy_in_a_worker);
fn kfree_rcu_and_destroy_in_a_worker() {
    static RAN: AtomicU32 = AtomicU32::new(0);
    static WORK: Work<()> = Work::new((), |_| {
        free_later_and_destroy();
        RAN.fetch_add(1, Ordering::Relaxed);
    });
    check!(WORK.schedule());
    WORK.flush();
    check_eq!(RAN.load(Ordering::Relaxed), 1);
}

/// Allocates, fills and frees objects; whether the next ones read as zeros when they are given out, and what was freed when it was freed.
fn zeros(size: usize) -> (bool, bool) {
    let dirty: [NonNull<u8>; 8] = [(); 8].map(|()| kmalloc(size, GFP).unwrap());
    let all_zero = |objects: &[NonNull<u8>]| objects.iter().all(|object| (0..size).all(|at| read(*object, at) == 0));
    dirty.iter().for_each(|object| (0..size).for_each(|at| write(*object, at as isize, 0xee)));
    dirty.into_iter().for_each(free);
    let after_free = all_zero(&dirty);
    let fresh: [NonNull<u8>; 8] = [(); 8].map(|()| kmalloc(size, GFP).unwrap());
    let after_alloc = all_zero(&fresh);
    fresh.into_iter().for_each(free);
    (after_free, after_alloc)
}

case!(zeroing_can_be_switched);
fn zeroing_can_be_switched() {
    for size in [24, 192, 4096] {
        for (on_alloc, on_free) in [(true, false), (false, true), (true, true)] {
            set_init_mode(on_alloc, on_free);
            let (after_free, after_alloc) = zeros(size);
            check!(after_free || !on_free);
            check!(after_alloc);
        }
        set_init_mode(false, false);
        check_eq!(zeros(size), (false, false));
    }
}

case!(init_on_alloc_zeroes, alone: "append init_on_alloc=1\nexpect ok 1\nexit 0");
fn init_on_alloc_zeroes() {
    for size in [24, 192, 4096, 20_000] {
        check!(zeros(size).1);
    }
}

case!(init_on_free_zeroes, alone: "append init_on_free=1\nexpect ok 1\nexit 0");
fn init_on_free_zeroes() {
    for size in [24, 192, 4096] {
        check_eq!(zeros(size), (true, true));
    }
    // From a handler as well.
    ipi::interrupt_self(|| {
        let object = kmalloc(64, GfpFlags::ATOMIC).unwrap();
        write(object, 0, 0xee);
        free(object);
        check_eq!(read(object, 0), 0);
    });
}
