//! The zones of the four sizes of Pi 4, and what each request leaves in them.

use super::*;
use std::prelude::v1::*;

const GIB: usize = 1 << (30 - PAGE_SHIFT);
const VIDEOCORE_START: usize = 0x3b40_0000 >> PAGE_SHIFT;
const DEVICES_START: usize = 0xfc00_0000 >> PAGE_SHIFT;

/// RAM of a Pi 4 with `gib` GiB, as ranges of pages.
fn ram(gib: usize) -> Vec<(usize, usize)> {
    let mut ranges = vec![(0, VIDEOCORE_START)];
    if gib > 1 {
        ranges.push((GIB, (gib * GIB).min(DEVICES_START)));
    }
    if gib > 4 {
        ranges.push((4 * GIB, gib * GIB));
    }
    ranges
}

fn managed(gib: usize, borders: Borders) -> [usize; NR_ZONES] {
    ZoneType::ALL.map(|zone| {
        let (start, end) = borders.span(zone);
        ram(gib).iter().map(|&(from, to)| to.min(end).saturating_sub(from.max(start))).sum()
    })
}

#[test]
fn each_model_has_the_zones_it_should() {
    let is_present = |gib| managed(gib, Borders::BCM2711).map(|pages| pages > 0);
    assert_eq!(is_present(1), [true, false, false]);
    assert_eq!(is_present(2), [true, true, false]);
    assert_eq!(is_present(4), [true, true, false]);
    assert_eq!(is_present(8), [true, true, true]);
    for gib in [1, 2, 4, 8] {
        let all: usize = ram(gib).iter().map(|(from, to)| to - from).sum();
        assert_eq!(managed(gib, Borders::BCM2711).iter().sum::<usize>(), all);
    }
}

#[test]
fn moved_borders_show_all_zones_in_2_gib() {
    let borders = Borders::new(256 << 20, 1 << 30).unwrap();
    assert!(managed(2, borders).iter().all(|pages| *pages > 0));
}

#[test]
fn a_border_is_never_moved_upwards_or_into_a_block() {
    assert_eq!(Borders::new(1 << 30, 4 << 30), Some(Borders::BCM2711));
    assert_eq!(Borders::new((1 << 30) + (4 << 20), 4 << 30), None);
    assert_eq!(Borders::new(1 << 30, 5 << 30), None);
    assert_eq!(Borders::new(512 << 20, 256 << 20), None);
    assert_eq!(Borders::new((256 << 20) + 4096, 1 << 30), None);
}

#[test]
fn marks_ascend_and_leave_most_memory_usable() {
    for gib in [1, 2, 4, 8] {
        let managed = managed(gib, Borders::BCM2711);
        for (zone, limits) in Limits::of(managed).iter().enumerate() {
            let class = ZoneType::ALL[zone];
            let marks = [Mark::None, Mark::Half, Mark::Min, Mark::Low, Mark::High].map(|mark| limits.floor(class, mark));
            assert!(marks.is_sorted(), "{gib} GiB: {marks:?}");
            assert!(marks[4] <= managed[zone] / 50, "{gib} GiB: {class:?} keeps {marks:?} of {}", managed[zone]);
            assert_eq!(limits.min > 0, managed[zone] > 0);
        }
    }
}

#[test]
fn who_has_a_choice_leaves_low_memory_to_those_who_have_none() {
    let limits = Limits::of(managed(8, Borders::BCM2711));
    let dma = &limits[ZoneType::Dma as usize];
    let floor = |class| dma.floor(class, Mark::Min);
    assert!(floor(ZoneType::Dma) < floor(ZoneType::Dma32) && floor(ZoneType::Dma32) < floor(ZoneType::Normal));
    // 8 GiB: 7 GiB above DMA, one page in 256 of it.
    assert_eq!(dma.protection[ZoneType::Normal as usize], (managed(8, Borders::BCM2711)[1] + managed(8, Borders::BCM2711)[2]) / 256);
    // 1 GiB: nobody has a choice, so nothing is kept.
    assert_eq!(Limits::of(managed(1, Borders::BCM2711))[0].protection, [0; NR_ZONES]);
}

#[test]
fn the_reserve_follows_the_square_root_of_memory() {
    let min_of = |gib| Limits::of(managed(gib, Borders::BCM2711)).iter().map(|limits| limits.min).sum::<usize>();
    assert!((700..1100).contains(&min_of(1)), "{}", min_of(1));
    assert!(min_of(8) > 2 * min_of(1) && min_of(8) < 4 * min_of(1));
    assert_eq!(Limits::of([0; NR_ZONES]), [Limits::default(); NR_ZONES]);
    assert!(Limits::of([64, 0, 0])[0].min <= 8, "a tiny machine keeps no more than an eighth");
}

#[test]
fn bits_choose_the_highest_zone() {
    assert_eq!(ZoneType::highest_of(GfpFlags::KERNEL), ZoneType::Normal);
    assert_eq!(ZoneType::highest_of(GfpFlags::ATOMIC | GfpFlags::DMA32), ZoneType::Dma32);
    assert_eq!(ZoneType::highest_of(GfpFlags::DMA), ZoneType::Dma);
    assert_eq!(ZoneType::highest_of(GfpFlags::DMA | GfpFlags::DMA32), ZoneType::Dma);
}
