//! vmalloc: the shapes of Linux's `test_vmalloc`, areas and pages all given back after each, and what guards them.
//!
//! | there | here |
//! |---|---|
//! | `fix_size_alloc_test` | `vmalloc_fixed_size` |
//! | `full_fit_alloc_test` | `vmalloc_full_fit` |
//! | `long_busy_list_alloc_test` | `vmalloc_long_busy_list` |
//! | `random_size_alloc_test` | `vmalloc_random_sizes_on_four_cores` |
//! | `fix_align_alloc_test` | `vmalloc_fixed_alignment` |
//! | `random_size_align_alloc_test` | `vmalloc_random_sizes_and_alignments` |
//! | `align_shift_alloc_test`, which must fail | `vmalloc_each_alignment_until_it_fails` |
//! | `pcpu_alloc_test` | none: per-core data is static here |
//! | `kvfree_rcu_1_arg_vmalloc_test` | `vfree_after_a_grace_period` |
//! | `kvfree_rcu_2_arg_vmalloc_test` | `pages_freed_by_a_callback` |
//! | `vm_map_ram_test` | `vmap_of_random_sizes` |
#![no_std]
#![no_main]

use core::ptr;
use tetra::arch::counter;
use tetra::arch::mmu::{self, Attributes};
use tetra::cpu;
use tetra::mm::addr::{Order, PAGE_SIZE};
use tetra::mm::gfp::GfpFlags;
use tetra::mm::vm_area::AreaKind;
use tetra::mm::{AllocError, Pages, RcuBox, page, vmalloc};
use tetra::sched;
use tetra::sync::rcu::{Rcu, kfree_rcu, rcu_barrier, rcu_read_lock, synchronize_rcu};
use tetra_tests::memory::{balanced, on_all_cores, random, read, write};
use tetra_tests::{case, check, check_eq, suite};

suite!();

const QUIET: GfpFlags = GfpFlags::NOWARN;

fn attributes(address: *mut u8) -> Option<Attributes> {
    mmu::translate(address as usize).map(|(_, attributes)| attributes)
}

/// vmallocs `nr_pages`, fills them, and gives them back.
fn vmalloc_round(nr_pages: usize) -> bool {
    let Ok(area) = vmalloc::vmalloc(nr_pages * PAGE_SIZE, GfpFlags::KERNEL | QUIET) else { return false };
    for at in 0..nr_pages {
        write(area.wrapping_byte_add(at * PAGE_SIZE), at as u64);
    }
    check!((0..nr_pages).all(|at| read(area.wrapping_byte_add(at * PAGE_SIZE)) == at as u64));
    check_eq!(attributes(area.wrapping_byte_add(nr_pages * PAGE_SIZE)), None);
    // SAFETY: allocated above.
    unsafe { vmalloc::vfree(area) };
    check_eq!(attributes(area), None);
    true
}

case!(vmalloc_fixed_size);
fn vmalloc_fixed_size() {
    balanced(|| (0..200).for_each(|_| check!(vmalloc_round(10))));
}

case!(vmalloc_full_fit);
fn vmalloc_full_fit() {
    balanced(|| {
        let mut areas = [ptr::null_mut(); 256];
        for area in &mut areas {
            *area = vmalloc::vmalloc(PAGE_SIZE, GfpFlags::KERNEL).expect("there is memory");
        }
        // Every second goes; what is freed serves what comes.
        for area in areas.iter_mut().step_by(2) {
            // SAFETY: allocated above, freed once.
            unsafe { vmalloc::vfree(core::mem::replace(area, ptr::null_mut())) };
        }
        (0..200).for_each(|_| check!(vmalloc_round(1)));
        // SAFETY: what is left of the above; NULL is fine.
        areas.into_iter().for_each(|area| unsafe { vmalloc::vfree(area) });
    });
}

case!(vmalloc_random_sizes_on_four_cores);
fn vmalloc_random_sizes_on_four_cores() {
    fn work() {
        let mut seed = 77 + cpu::id() as u64;
        let end = counter::now() + 5 * counter::frequency_hz();
        for _ in 0..200 {
            if counter::now() < end {
                check!(vmalloc_round(1 + random(&mut seed) % 60));
            }
        }
    }
    balanced(|| on_all_cores(work));
}

case!(vmalloc_long_busy_list);
fn vmalloc_long_busy_list() {
    const AREAS: usize = 3000;
    balanced(|| {
        let mut chain = ptr::null_mut();
        for _ in 0..AREAS {
            let area = vmalloc::vmalloc(PAGE_SIZE, GfpFlags::KERNEL).expect("there is memory");
            write(area, chain as u64);
            chain = area;
        }
        (0..100).for_each(|_| check!(vmalloc_round(100)));
        while !chain.is_null() {
            let next = read(chain) as usize as *mut u8;
            // SAFETY: allocated above, freed once.
            unsafe { vmalloc::vfree(chain) };
            chain = next;
        }
    });
}

case!(vmalloc_too_large_fails_and_leaves_nothing);
fn vmalloc_too_large_fails_and_leaves_nothing() {
    balanced(|| {
        for size in [0, usize::MAX, 1 << 40, page::all().len() * PAGE_SIZE] {
            check_eq!(vmalloc::vmalloc(size, GfpFlags::NOWAIT | QUIET), Err(AllocError));
        }
        vmalloc::FAIL_VMALLOC.set("nth=1").expect("is understood");
        check_eq!(vmalloc::vmalloc(PAGE_SIZE, GfpFlags::KERNEL), Err(AllocError));
    });
}

/// vmallocs `nr_pages` at an alignment, writes to the ends, and gives them back; false if there were none.
fn aligned_round(nr_pages: usize, align: usize) -> bool {
    let Ok(area) = vmalloc::vmalloc_align(nr_pages * PAGE_SIZE, align, GfpFlags::KERNEL | QUIET) else { return false };
    check!(area.addr().is_multiple_of(align));
    let end = area.wrapping_byte_add(nr_pages * PAGE_SIZE - 8);
    write(area, 1);
    write(end, 2);
    check_eq!((read(area), read(end)), (if nr_pages * PAGE_SIZE == 8 { 2 } else { 1 }, 2));
    // SAFETY: allocated above.
    unsafe { vmalloc::vfree(area) };
    true
}

case!(vmalloc_fixed_alignment);
fn vmalloc_fixed_alignment() {
    balanced(|| (0..100).for_each(|_| check!(aligned_round(5, 32 * 1024))));
}

case!(vmalloc_random_sizes_and_alignments);
fn vmalloc_random_sizes_and_alignments() {
    let mut seed = 0x616c_6967_6e00_0001;
    balanced(|| {
        for _ in 0..100 {
            let shift = 12 + random(&mut seed) % 12;
            check!(aligned_round(1 + random(&mut seed) % 10, 1 << shift));
        }
    });
}

case!(vmalloc_each_alignment_until_it_fails);
fn vmalloc_each_alignment_until_it_fails() {
    let region = vmalloc::usage().total * PAGE_SIZE;
    balanced(|| {
        let results: [bool; 64] = core::array::from_fn(|shift| aligned_round(1, 1 << shift));
        // What is left of the region beside the areas of others has a free block of a quarter of it at least.
        let (easy, impossible) = (region.ilog2() as usize - 1, region.ilog2() as usize + 1);
        check!(results[..easy].iter().all(|is_served| *is_served));
        check_eq!(results[impossible..].iter().filter(|is_served| **is_served).count(), 0);
        for align in [0, 3, PAGE_SIZE + 1] {
            check_eq!(vmalloc::vmalloc_align(PAGE_SIZE, align, GfpFlags::KERNEL | QUIET), Err(AllocError));
        }
    });
}

case!(vfree_after_a_grace_period);
fn vfree_after_a_grace_period() {
    balanced(|| {
        for round in 0..5 {
            let area = vmalloc::vmalloc(PAGE_SIZE, GfpFlags::KERNEL).expect("there is memory");
            write(area, round);
            synchronize_rcu();
            check_eq!(read(area), round);
            // SAFETY: allocated above; no reader has it.
            unsafe { vmalloc::vfree(area) };
        }
    });
}

case!(pages_freed_by_a_callback);
fn pages_freed_by_a_callback() {
    static LARGE: Rcu<[u64; 1024]> = Rcu::empty();
    balanced(|| {
        for round in 0..20 {
            let mut block = RcuBox::new([0; 1024], GfpFlags::KERNEL).expect("there is memory");
            block[1023] = round;
            LARGE.replace(block).into_iter().for_each(kfree_rcu);
            check_eq!(LARGE.read(&rcu_read_lock()).map(|block| block[1023]), Some(round));
        }
        LARGE.take().into_iter().for_each(kfree_rcu);
        rcu_barrier();
    });
}

case!(vmap_of_random_sizes);
fn vmap_of_random_sizes() {
    let mut seed = 0x766d_6170_0000_0001;
    balanced(|| {
        let pages: [Pages; 32] = core::array::from_fn(|_| Pages::new(GfpFlags::KERNEL, Order::ZERO).expect("there is memory"));
        let frames = pages.each_ref().map(Pages::pfn);
        for _ in 0..100 {
            let nr = 1 + random(&mut seed) % frames.len();
            let area = vmalloc::vmap(&frames[..nr], Attributes::Data).expect("there is room");
            write(area.wrapping_byte_add((nr - 1) * PAGE_SIZE), nr as u64);
            check_eq!(read(pages[nr - 1].as_ptr()), nr as u64);
            check_eq!(attributes(area.wrapping_byte_add(nr * PAGE_SIZE)), None);
            // SAFETY: mapped above.
            unsafe { vmalloc::vunmap(area) };
        }
    });
}

case!(an_area_knows_who_asked_for_it);
fn an_area_knows_who_asked_for_it() {
    let area = vmalloc::vmalloc(3 * PAGE_SIZE, GfpFlags::KERNEL).expect("there is memory");
    let line = line!() - 1;
    let mut nr_found = 0;
    vmalloc::for_each_area(|view| {
        if view.start == area.addr() {
            nr_found += 1;
            check_eq!((view.len, view.kind, view.pid), (3 * PAGE_SIZE, AreaKind::Vmalloc, sched::current().pid()));
            check_eq!((view.place.file(), view.place.line()), (file!(), line));
        }
    });
    check_eq!(nr_found, 1);
    // SAFETY: allocated above.
    unsafe { vmalloc::vfree(area) };
}

case!(a_vmalloc_overrun_meets_the_guard_page, alone: "expect write failed\nexpect a_vmalloc_overrun_meets_the_guard_page\nexit nonzero");
fn a_vmalloc_overrun_meets_the_guard_page() {
    let area = vmalloc::vmalloc(PAGE_SIZE, GfpFlags::KERNEL).expect("there is memory");
    write(area.wrapping_byte_add(PAGE_SIZE), 1);
    core::hint::black_box(());
}
