//! Slab caches, `kmalloc` and what stands on them: each mistake with the exact number of reports, four cores freeing each other's objects, memory
//! that is exhausted, and allocation sites that fail one after the other.
#![no_std]
#![no_main]

extern crate alloc;

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use tetra::arch;
use tetra::irq::ipi;
use tetra::mm::addr::Order;
use tetra::mm::failslab::FAILSLAB;
use tetra::mm::kmalloc::{kcalloc, kfree, kmalloc, kmemdup, krealloc, ksize, kzalloc, set_failslab};
use tetra::mm::kmem_cache::{self, CacheOptions};
use tetra::mm::page_alloc;
use tetra::mm::slab_layout::{CreateError, SlabFlags};
use tetra::mm::{AllocError, GfpFlags, KArc, KBox, KVec, KmemCache};
use tetra_tests::memory::on_all_cores;
use tetra_tests::objects::{cache, free, reports_of, write};
use tetra_tests::{case, check, check_eq, suite};

suite!();

const GFP: GfpFlags = GfpFlags::KERNEL;

case!(right_redzone_is_seen_at_the_free);
fn right_redzone_is_seen_at_the_free() {
    let cache = cache("TestSlub_RZ", 30, SlabFlags::RED_ZONE | SlabFlags::STORE_USER);
    let reports = reports_of(|| {
        let object = cache.alloc(GFP).unwrap();
        write(object, 30, 0x12);
        free(object);
    });
    check_eq!((reports, cache.nr_errors()), (1, 1));
    check!(cache.destroy().is_ok());
}

case!(left_redzone_is_seen_at_the_free);
fn left_redzone_is_seen_at_the_free() {
    let cache = cache("TestSlub_RZ_left", 64, SlabFlags::RED_ZONE);
    let reports = reports_of(|| {
        let object = cache.alloc(GFP).unwrap();
        write(object, -1, 0x12);
        free(object);
    });
    check_eq!(reports, 1);
    check!(cache.destroy().is_ok());
}

case!(kmalloc_within_its_class_is_right);
fn kmalloc_within_its_class_is_right() {
    let reports = reports_of(|| {
        let object = kmalloc(18, GFP).unwrap();
        (0..ksize(object) as isize).for_each(|at| write(object, at, 0xab));
        free(object);
    });
    check_eq!(reports, 0);
}

case!(use_after_free_is_seen_by_poison);
fn use_after_free_is_seen_by_poison() {
    for offset in [0, 20, 63] {
        let cache = cache("TestSlub_poison", 64, SlabFlags::POISON | SlabFlags::STORE_USER);
        let object = cache.alloc(GFP).unwrap();
        free(object);
        write(object, offset, 0x12);
        let reports = reports_of(|| {
            let next = cache.alloc(GFP).unwrap();
            check!(next != object);
            free(next);
        });
        check_eq!(reports, 1);
        // The damaged object stays out of use, so it counts as leaked.
        check_eq!(reports_of(|| check!(cache.destroy().is_err())), 1);
    }
}

case!(a_write_after_free_breaks_the_link_in_every_build);
fn a_write_after_free_breaks_the_link_in_every_build() {
    let cache = cache("TestSlub_next_ptr", 64, SlabFlags::empty());
    for byte in 0..8 {
        let object = cache.alloc(GFP).unwrap();
        let _irqs_off = tetra::cpu::IrqGuard::new();
        free(object);
        // SAFETY: the first word of an object that is free: wrong, on purpose.
        let word = unsafe { object.as_ptr().wrapping_add(byte).read_volatile() };
        write(object, byte as isize, word ^ 0x5a);
        let reports = reports_of(|| {
            let next = cache.alloc(GfpFlags::ATOMIC).unwrap();
            check!(next != object);
            free(next);
        });
        check_eq!(reports, 1);
    }
    check_eq!(cache.nr_errors(), 8);
    check!(cache.destroy().is_err());
}

case!(a_word_cleared_after_free_is_no_link);
fn a_word_cleared_after_free_is_no_link() {
    let cache = cache("TestSlub_zero", 64, SlabFlags::empty());
    let irqs_off = tetra::cpu::IrqGuard::new();
    let object = cache.alloc(GfpFlags::ATOMIC).unwrap();
    free(object);
    (0..8).for_each(|byte| write(object, byte, 0));
    let reports = reports_of(|| {
        let next = cache.alloc(GfpFlags::ATOMIC).unwrap();
        check!(next != object);
        free(next);
    });
    check_eq!(reports, 1);
    drop(irqs_off);
    check!(cache.destroy().is_err());
}

case!(poison_is_what_an_object_reads_as);
fn poison_is_what_an_object_reads_as() {
    let cache = cache("TestSlub_read", 32, SlabFlags::POISON);
    let object = cache.alloc(GFP).unwrap();
    // SAFETY: our object, filled by the cache.
    let fresh = unsafe { object.as_ptr().read_volatile() };
    check_eq!(fresh, 0x5a);
    free(object);
    // SAFETY: free, but still memory of the slab: wrong, on purpose.
    let freed = unsafe { object.as_ptr().read_volatile() };
    check_eq!(freed, 0x6b);
    check!(cache.destroy().is_ok());
}

case!(double_free_is_seen);
fn double_free_is_seen() {
    let checked = cache("TestSlub_double", 64, SlabFlags::CONSISTENCY_CHECKS);
    let reports = reports_of(|| {
        let (first, second) = (checked.alloc(GFP).unwrap(), checked.alloc(GFP).unwrap());
        free(first);
        free(second);
        free(first);
    });
    check_eq!(reports, 1);
    check!(checked.destroy().is_ok());
    // In every build: at once if nothing was freed between.
    let plain = cache("plain", 64, SlabFlags::empty());
    let reports = reports_of(|| {
        let _irqs_off = tetra::cpu::IrqGuard::new();
        let object = plain.alloc(GfpFlags::ATOMIC).unwrap();
        free(object);
        free(object);
    });
    check_eq!(reports, 1);
    check!(plain.destroy().is_ok());
}

case!(a_hidden_double_free_is_seen_when_the_list_goes_back);
fn a_hidden_double_free_is_seen_when_the_list_goes_back() {
    let cache = cache("TestSlub_hidden", 64, SlabFlags::empty());
    let objects = [(); 3].map(|()| cache.alloc(GFP).unwrap());
    let reports = reports_of(|| {
        cache.drain();
        free(objects[0]);
        cache.drain();
        free(objects[0]);
        cache.drain();
    });
    check_eq!(reports, 1);
    free(objects[1]);
    free(objects[2]);
    check!(cache.destroy().is_ok());
}

case!(a_circle_in_a_list_is_cut);
fn a_circle_in_a_list_is_cut() {
    let cache = cache("TestSlub_circle", 64, SlabFlags::empty());
    let reports = reports_of(|| {
        let irqs_off = tetra::cpu::IrqGuard::new();
        let (first, second) = (cache.alloc(GfpFlags::ATOMIC).unwrap(), cache.alloc(GfpFlags::ATOMIC).unwrap());
        free(first);
        free(second);
        free(first);
        drop(irqs_off);
        // Would not end, if the list were followed as long as it goes on.
        kmem_cache::drain_all();
    });
    check_eq!(reports, 1);
    let object = cache.alloc(GFP).unwrap();
    free(object);
    // What was behind the object in the list is lost.
    check!(cache.destroy().is_err());
}

case!(an_address_between_words_is_refused_at_once);
fn an_address_between_words_is_refused_at_once() {
    let cache = cache("TestSlub_odd", 64, SlabFlags::empty());
    let object = cache.alloc(GFP).unwrap();
    // SAFETY: none: it is refused.
    check_eq!(reports_of(|| unsafe { kfree(object.as_ptr().wrapping_add(4)) }), 1);
    free(object);
    check!(cache.destroy().is_ok());
}

case!(a_destroyed_cache_leaves_no_slab);
fn a_destroyed_cache_leaves_no_slab() {
    let free_pages = || {
        page_alloc::drain_all();
        page_alloc::zones().iter().map(|zone| zone.nr_free()).sum::<usize>()
    };
    let before = free_pages();
    for _ in 0..20 {
        let cache = cache("short-lived", 2000, SlabFlags::empty());
        let objects = [(); 8].map(|()| cache.alloc(GFP).unwrap());
        objects.into_iter().for_each(free);
        check!(cache.destroy().is_ok());
    }
    check!(free_pages() + 4 >= before);
}

case!(a_zombie_gives_its_place_back_when_its_last_object_came);
fn a_zombie_gives_its_place_back_when_its_last_object_came() {
    let nr_of = |wanted: &str| {
        let mut nr = 0;
        kmem_cache::for_each(|name, _| nr += usize::from(name == wanted));
        nr
    };
    let cache = cache("TestSlub_zombie", 64, SlabFlags::empty());
    let kept = cache.alloc(GFP).unwrap();
    check_eq!(reports_of(|| check!(cache.destroy().is_err())), 1);
    check_eq!(nr_of("TestSlub_zombie"), 1);
    check_eq!(reports_of(|| free(kept)), 0);
    // Whoever makes a cache looks for such places first.
    check!(kmem_cache::create(&CacheOptions::new("next", 64)).unwrap().destroy().is_ok());
    check_eq!(nr_of("TestSlub_zombie"), 0);
}

case!(free_slabs_serve_a_request_for_pages);
fn free_slabs_serve_a_request_for_pages() {
    let cache = cache("hoard", 4096, SlabFlags::empty());
    let objects = [(); 16].map(|()| cache.alloc(GFP).unwrap());
    objects.into_iter().for_each(free);
    cache.drain();
    check!(cache.usage().nr_slabs > 0);
    // All pages that a request may have that cannot wait, each with the address of the one before.
    let mut chain: *mut u8 = null_mut();
    let mut take = |gfp: GfpFlags| match page_alloc::get_free_pages(gfp | GfpFlags::NOWARN, Order::ZERO) {
        Ok(page) => {
            // SAFETY: ours, and aligned.
            unsafe { page.cast::<*mut u8>().write(chain) };
            chain = page;
            true
        }
        Err(_) => false,
    };
    while take(GfpFlags::NOWAIT) {}
    let before = kmem_cache::SLABS.nr_freed();
    let has_come = take(GFP);
    check!(has_come && kmem_cache::SLABS.nr_freed() > before);
    while !chain.is_null() {
        let page = chain;
        // SAFETY: written by `take`.
        chain = unsafe { page.cast::<*mut u8>().read() };
        // SAFETY: allocated by `take`, and not used any more.
        unsafe { page_alloc::free_pages_at(page, Order::ZERO) };
    }
    check!(cache.destroy().is_ok());
}

case!(wild_pointers_are_refused);
fn wild_pointers_are_refused() {
    static NO_OBJECT: AtomicUsize = AtomicUsize::new(0);
    let on_stack = 0_u64;
    let page = tetra::mm::Pages::new(GFP, tetra::mm::addr::Order::ZERO).expect("a page");
    let wild = [&raw const NO_OBJECT as *mut u8, &raw const on_stack as *mut u8, page.as_ptr(), 0x1000 as *mut u8, usize::MAX as *mut u8];
    for pointer in wild {
        // SAFETY: none: it is refused.
        check_eq!(reports_of(|| unsafe { kfree(pointer) }), 1);
    }
    // SAFETY: NULL is allowed.
    check_eq!(reports_of(|| unsafe { kfree(null_mut()) }), 0);
}

case!(invalid_free_inside_an_object_is_seen);
fn invalid_free_inside_an_object_is_seen() {
    let cache = cache("TestSlub_inside", 64, SlabFlags::CONSISTENCY_CHECKS);
    let object = cache.alloc(GFP).unwrap();
    // SAFETY: none: it is refused.
    check_eq!(reports_of(|| unsafe { kfree(object.as_ptr().wrapping_add(8)) }), 1);
    free(object);
    check!(cache.destroy().is_ok());
}

case!(the_wrong_cache_is_seen);
fn the_wrong_cache_is_seen() {
    let (a, b) = (cache("cache_a", 64, SlabFlags::empty()), cache("cache_b", 64, SlabFlags::empty()));
    let object = a.alloc(GFP).unwrap();
    // SAFETY: none: it is refused.
    check_eq!(reports_of(|| unsafe { b.free(object) }), 1);
    // SAFETY: ours.
    check_eq!(reports_of(|| unsafe { a.free(object) }), 0);
    check!(a.destroy().is_ok() && b.destroy().is_ok());
}

case!(a_leak_is_seen_at_destroy);
fn a_leak_is_seen_at_destroy() {
    let cache = cache("TestSlub_leak", 128, SlabFlags::STORE_USER);
    let (kept, given) = (cache.alloc(GFP).unwrap(), cache.alloc(GFP).unwrap());
    free(given);
    let reports = reports_of(|| check_eq!(cache.destroy().map_err(|error| error.nr_objects), Err(1)));
    check_eq!(reports, 1);
    write(kept, 0, 1);
    check_eq!(reports_of(|| free(kept)), 0);
}

#[inline(never)]
fn leaks_on_purpose() {
    let cache = cache("TestSlub_names", 64, SlabFlags::DEBUG_FLAGS);
    let object = core::hint::black_box(cache.alloc(GFP).unwrap());
    write(object, 64, 1);
    free(object);
    core::hint::black_box(());
}

case!(reports_name_the_functions, alone: "expect BUG: slab TestSlub_names: Right Redzone overwritten\nexpect leaks_on_purpose\nexpect slab: Allocated: cpu=0\nexpect leaks_on_purpose\nexpect Kernel panic.*the end\nexit 101");
fn reports_name_the_functions() {
    leaks_on_purpose();
    panic!("the end");
}

case!(a_sleeping_request_in_atomic_context_is_reported);
fn a_sleeping_request_in_atomic_context_is_reported() {
    let reports = reports_of(|| {
        let _irqs_off = tetra::cpu::IrqGuard::new();
        free(kmalloc(64, GFP).unwrap());
        free(kmalloc(64, GfpFlags::ATOMIC).unwrap());
    });
    check_eq!(reports, 1);
}

case!(an_object_is_constructed_once_and_keeps_its_state);
fn an_object_is_constructed_once_and_keeps_its_state() {
    static BUILT: AtomicU32 = AtomicU32::new(0);
    fn construct(object: *mut u8) {
        // SAFETY: the cache gives each object of a new slab.
        unsafe { object.write_bytes(0x77, 40) };
        BUILT.fetch_add(1, Ordering::Relaxed);
    }
    let options = CacheOptions { constructor: Some(construct), ..CacheOptions::new("constructed", 40) };
    let cache = kmem_cache::create(&options).unwrap();
    for _ in 0..10 {
        let object = cache.alloc(GFP).unwrap();
        // SAFETY: ours, constructed.
        check_eq!(unsafe { object.as_ptr().wrapping_add(39).read() }, 0x77);
        free(object);
    }
    check_eq!(BUILT.load(Ordering::Relaxed) as usize, cache.usage().nr_objects);
    check!(cache.destroy().is_ok());
}

case!(bad_caches_are_refused);
fn bad_caches_are_refused() {
    let error = |size, align| kmem_cache::create(&CacheOptions { align, ..CacheOptions::new("bad", size) }).err();
    check_eq!(error(0, 0), Some(CreateError::BadSize));
    check_eq!(error(8, 3), Some(CreateError::BadAlign));
    check_eq!(error(usize::MAX, 0), Some(CreateError::BadSize));
}

case!(a_panic_cache_panics, alone: "expect Kernel panic.*cannot create slab cache must\nexit 101");
fn a_panic_cache_panics() {
    cache("must", 0, SlabFlags::PANIC);
}

case!(sizes_alignment_and_content);
fn sizes_alignment_and_content() {
    for size in [0, 1, 8, 9, 64, 65, 96, 97, 192, 193, 256, 1000, 4096, 8192, 8193, 70_000] {
        let object = kzalloc(size, GFP).unwrap();
        check!(ksize(object) >= size);
        check!(!ksize(object).is_power_of_two() || (object.as_ptr() as usize).is_multiple_of(ksize(object).min(4096)));
        // SAFETY: ours, `size` bytes of zeros.
        check!(unsafe { core::slice::from_raw_parts(object.as_ptr(), size) }.iter().all(|byte| *byte == 0));
        write(object, size.saturating_sub(1) as isize, 0xff);
        free(object);
    }
    check_eq!(kcalloc(usize::MAX, 2, GFP), Err(AllocError));
    check_eq!(kmalloc(usize::MAX, GFP | GfpFlags::NOWARN), Err(AllocError));
    let copy = kmemdup(b"a copy", GFP).unwrap();
    // SAFETY: ours; only the result is used.
    let longer = unsafe { krealloc(copy, 3000, GFP) }.unwrap();
    // SAFETY: the content moved along.
    check_eq!(unsafe { core::slice::from_raw_parts(longer.as_ptr(), 6) }, b"a copy");
    free(longer);
    for zone in [GfpFlags::DMA, GfpFlags::DMA32, GfpFlags::DMA | GfpFlags::DMA32] {
        let low = kmalloc(100, GFP | zone).unwrap();
        check!((low.as_ptr() as usize) - arch::layout::LINEAR_BASE < 1 << 30);
        free(low);
    }
}

case!(the_rust_face_owns_and_frees);
fn the_rust_face_owns_and_frees() {
    let mut vec = KVec::new();
    for number in 0..1000_u32 {
        vec.push(number, GFP).unwrap();
    }
    check_eq!(vec.iter().sum::<u32>(), 499_500);
    let shared = KArc::new(KBox::new(vec, GFP).unwrap(), GFP).unwrap();
    check_eq!(shared.clone().len(), 1000);
    let numbers = KmemCache::<[u64; 5]>::new("numbers", SlabFlags::HWCACHE_ALIGN).unwrap();
    let boxed = numbers.alloc([7; 5], GFP).unwrap();
    check!((&raw const *boxed as usize).is_multiple_of(64) && boxed[4] == 7);
    check_eq!(numbers.usage().active_slabs, 1);
    drop(boxed);
    check!(numbers.destroy().is_ok());
    let mut foreign = alloc::vec::Vec::new();
    check!(foreign.try_reserve(500).is_ok());
    foreign.resize(500, 3_u8);
    check!(foreign.try_reserve(50_000).is_ok() && foreign[499] == 3);
}

/// An object on its way to another core, with what must be in it.
static MAILBOXES: [AtomicPtr<u8>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];
static MIXED_DONE: AtomicUsize = AtomicUsize::new(0);

/// First and last byte of an object tell its class.
fn canary(size: usize) -> u8 {
    (size.trailing_zeros() as u8) << 4 | 5
}

fn exchange(seed: &mut u64) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    let size = 8_usize << (*seed >> 8 & 7);
    let object = kmalloc(size, GfpFlags::KERNEL | GfpFlags::NOWARN).map_or(null_mut(), NonNull::as_ptr);
    if let Some(object) = NonNull::new(object) {
        write(object, 1, canary(size));
        write(object, size as isize - 1, canary(size));
    }
    // The swap hands one over and takes another, whichever core's it was.
    let other = MAILBOXES[(*seed >> 32) as usize % MAILBOXES.len()].swap(object, Ordering::AcqRel);
    if let Some(other) = NonNull::new(other) {
        let size = ksize(other);
        // SAFETY: handed over to us by the swap.
        let byte = |at: usize| unsafe { other.as_ptr().wrapping_add(at).read() };
        let ends = (byte(1), byte(size - 1));
        check_eq!(ends, (canary(size), canary(size)));
        free(other);
    }
}

case!(four_cores_free_what_others_allocated);
fn four_cores_free_what_others_allocated() {
    MIXED_DONE.store(0, Ordering::Relaxed);
    let reports = reports_of(|| {
        on_all_cores(|| {
            let mut seed = 0x7465_7472_6121_0000 + tetra::cpu::id() as u64;
            for _ in 0..50_000 {
                exchange(&mut seed);
                MIXED_DONE.fetch_add(1, Ordering::Relaxed);
            }
        });
        for mailbox in &MAILBOXES {
            NonNull::new(mailbox.swap(null_mut(), Ordering::AcqRel)).into_iter().for_each(free);
        }
        kmem_cache::drain_all();
    });
    check_eq!((reports, MIXED_DONE.load(Ordering::Relaxed)), (0, 200_000));
}

// With less memory, so that it does not take long.
case!(exhaustion_is_an_error_and_all_comes_back, alone: "append mem=256M\nexit 0");
fn exhaustion_is_an_error_and_all_comes_back() {
    #[repr(C)]
    struct Chunk {
        next: Option<NonNull<Chunk>>,
        _room: [u8; 8000],
    }
    let cache = cache("exhaustion", size_of::<Chunk>(), SlabFlags::empty());
    let fill = |gfp: GfpFlags| {
        let mut chain: Option<NonNull<Chunk>> = None;
        let mut nr = 0;
        while let Ok(object) = cache.alloc(gfp | GfpFlags::NOWARN) {
            let chunk = object.cast::<Chunk>();
            // SAFETY: ours, with room and alignment for the link.
            unsafe { chunk.cast::<Option<NonNull<Chunk>>>().write(chain) };
            chain = Some(chunk);
            nr += 1;
        }
        while let Some(chunk) = chain {
            // SAFETY: written above.
            chain = unsafe { chunk.cast::<Option<NonNull<Chunk>>>().read() };
            free(chunk.cast());
        }
        nr
    };
    let first = fill(GfpFlags::NOWAIT);
    cache.shrink();
    let second = fill(GfpFlags::NOWAIT);
    check!(first > 10_000);
    // All but what the page lists of other cores and emptied slabs hold for a moment.
    check!(second + 200 >= first);
    check!(cache.destroy().is_ok());
}

case!(a_hardirq_allocates_and_frees);
fn a_hardirq_allocates_and_frees() {
    static FAILED: AtomicU32 = AtomicU32::new(0);
    let reports = reports_of(|| {
        for _ in 0..100 {
            ipi::interrupt_self(|| {
                let objects = [64, 96, 4096, 20_000].map(|size| kmalloc(size, GfpFlags::ATOMIC));
                for object in objects {
                    object.map_or_else(|_| _ = FAILED.fetch_add(1, Ordering::Relaxed), free);
                }
            });
        }
    });
    check_eq!((reports, FAILED.load(Ordering::Relaxed)), (0, 0));
}

/// Several allocations, each of which may fail.
fn build() -> Result<usize, AllocError> {
    let cache = KmemCache::<u64>::new("sites", SlabFlags::empty()).map_err(|_| AllocError)?;
    let first = cache.alloc(1, GFP)?;
    let mut vec = KVec::with_capacity(3, GFP)?;
    vec.push(KArc::new(*first, GFP)?, GFP)?;
    let copy = KBox::new([2_u8; 300], GFP)?;
    let large = kmalloc(20_000, GFP)?;
    free(large);
    let mut foreign = alloc::vec::Vec::new();
    foreign.try_reserve(100).map_err(|_| AllocError)?;
    foreign.push(3_u8);
    Ok(vec.len() + copy.len() + foreign.len())
}

case!(each_allocation_site_fails_once_and_cleans_up);
fn each_allocation_site_fails_once_and_cleans_up() {
    let mut nth = 1;
    let reports = reports_of(|| {
        loop {
            let before = FAILSLAB.nr_failed();
            FAILSLAB.set_nth(nth);
            kmem_cache::reset_lists();
            let result = build();
            let failed = FAILSLAB.nr_failed() - before;
            check!(set_failslab("off").is_ok());
            // The global allocator has the boot heap to fall back on, so a failure need not reach its user.
            check!(result.is_ok() || failed == 1);
            if failed == 0 {
                check_eq!(result, Ok(302));
                break;
            }
            nth += 1;
        }
    });
    // Six sites, and the round in which nothing failed.
    check_eq!((reports, nth), (0, 7));
}

case!(a_request_that_must_not_fail_is_not_made_to);
fn a_request_that_must_not_fail_is_not_made_to() {
    check!(set_failslab("probability=100").is_ok());
    let [small, large] = [64, 20_000].map(|size| (kmalloc(size, GFP | GfpFlags::NOFAIL), kmalloc(size, GFP | GfpFlags::NOWARN)));
    check!(set_failslab("off").is_ok());
    check!(small.1.is_err() && large.1.is_err());
    [small.0, large.0].into_iter().for_each(|object| free(object.unwrap()));
}

case!(what_was_freed_last_is_given_first);
fn what_was_freed_last_is_given_first() {
    let _irqs_off = tetra::cpu::IrqGuard::new();
    let object = kmalloc(64, GfpFlags::ATOMIC).unwrap();
    free(object);
    let again = kmalloc(64, GfpFlags::ATOMIC).unwrap();
    check_eq!(again, object);
    free(again);
}
