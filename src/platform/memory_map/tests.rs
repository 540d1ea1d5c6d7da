//! The map of each model, from each source, with each disagreement.

use super::*;
use crate::mm::memblock::RegionFlags;
use crate::platform::device_tree::{self, trees};
use std::prelude::v1::*;
use std::vec;

type Map = Memblock<32, 64>;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start), PhysAddr::new(end))
}

/// What is the same on every machine: a kernel of 7 MiB at 0x80000, a tree behind it.
fn sources() -> MemorySources<'static> {
    MemorySources { kernel: range(0x8_0000, 0x78_0000), device_tree_blob: range(0x2eff_4700, 0x2eff_ff00), ..MemorySources::default() }
}

/// What the Pi's mailbox says with the default `gpu_mem`.
fn pi_mailbox(revision: u32) -> MemorySources<'static> {
    MemorySources {
        board: Some(BoardRevision::new(revision)),
        arm: Some(range(0, 0x3b40_0000)),
        videocore: Some(range(0x3b40_0000, 0x4000_0000)),
        ..sources()
    }
}

/// What QEMU's mailbox says.
fn qemu_mailbox() -> MemorySources<'static> {
    MemorySources { arm: Some(range(0, 0x3c00_0000)), videocore: Some(range(0x3c00_0000, 0x4000_0000)), ..pi_mailbox(0xb0_3115) }
}

fn built(sources: &MemorySources<'_>) -> (Map, MapReport) {
    let mut map = Map::new();
    let report = build(sources, &mut map);
    for name in ["page 0 (spin table)", "kernel", "VideoCore"] {
        assert!(map.reserved().iter().any(|region| region.name == name), "{name} is not reserved:\n{map}");
    }
    assert!(map.free_ranges().all(|free| !free.overlaps(sources.kernel) && !free.overlaps(rpi4::PERIPHERALS)));
    assert!(map.free_ranges().all(|free| free.start().value() >= 0x1000 && free.start().is_aligned(4096)));
    (map, report)
}

fn memory(map: &Map) -> Vec<PhysRange> {
    map.memory().iter().map(|region| region.range).collect()
}

fn lines(report: &MapReport) -> Vec<String> {
    report.notes().iter().map(|note| note.to_string()).collect()
}

/// The RAM of a model, as the ARM sees it with the default split.
fn expected(gib: u64) -> Vec<PhysRange> {
    let mut ranges = vec![range(0, 0x3b40_0000)];
    match gib {
        1 => {}
        2 => ranges.push(range(GIB, 2 * GIB)),
        4 => ranges.push(range(GIB, 0xfc00_0000)),
        _ => ranges.extend([range(GIB, 0xfc00_0000), range(4 * GIB, 8 * GIB)]),
    }
    ranges
}

const REVISIONS: [(u64, u32); 4] = [(1, 0xa0_3111), (2, 0xb0_3115), (4, 0xc0_3114), (8, 0xd0_3114)];

fn check_models(tree_of: fn(u64) -> Option<Vec<u8>>) {
    for (gib, revision) in REVISIONS {
        let Some(blob) = tree_of(gib) else { return };
        let facts = device_tree::parse(&blob);
        let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..pi_mailbox(revision) });
        assert_eq!((report.source, memory(&map)), (Source::DeviceTree, expected(gib)), "{gib} GiB");
        assert_eq!(lines(&report), [""; 0], "{gib} GiB");
        assert!(map.reserved().iter().any(|region| region.name == "device tree"));

        // The mailbox may be silent: the tree alone gives the same.
        let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..sources() });
        assert_eq!((lines(&report).len(), memory(&map)), (0, expected(gib)), "{gib} GiB, tree alone");
    }
}

fn strip_nomap(blob: Option<Vec<u8>>) -> Option<Vec<u8>> {
    // The model trees have a no-map page at the end of the first range, which would split it here; the test below looks at that.
    let mut blob = blob?;
    let name = b"no-map\0";
    let at = blob.windows(name.len()).position(|window| window == name)?;
    blob[at..at + 2].copy_from_slice(b"xx");
    Some(blob)
}

#[test]
fn models_from_our_trees() {
    check_models(|gib| strip_nomap(trees::model(gib)));
}

#[test]
fn models_from_a_real_tree() {
    check_models(|gib| trees::real_with_memory(trees::MODELS.iter().find(|model| model.0 == gib)?.1));
}

#[test]
fn without_a_tree_the_board_decides() {
    for (gib, revision) in REVISIONS {
        let (map, report) = built(&pi_mailbox(revision));
        assert_eq!((report.source, memory(&map)), (Source::Board, expected(gib)));
        assert_eq!(lines(&report), [""; 0]);
    }
}

#[test]
fn qemu_has_more_than_its_tree_says() {
    let Some(blob) = trees::compile("/dts-v1/; / { #address-cells = <2>; #size-cells = <1>; memory@0 { reg = <0 0 0x3c000000>; }; };")
    else {
        return;
    };
    let facts = device_tree::parse(&blob);
    let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..qemu_mailbox() });
    assert_eq!(memory(&map), [range(0, 0x3c00_0000), range(GIB, 2 * GIB)]);
    assert_eq!(lines(&report), ["device tree has 960 MiB, board revision 2048 MiB: 1024 MiB above 1 GiB added"]);
    assert!(report.is_ok());

    let (without_tree, report) = built(&qemu_mailbox());
    assert_eq!((memory(&without_tree), report.source), (memory(&map), Source::Board));
}

#[test]
fn with_nothing_known_half_a_gib_is_assumed() {
    let (map, report) = built(&MemorySources { device_tree_blob: PhysRange::default(), ..sources() });
    assert_eq!((report.source, memory(&map)), (Source::Assumption, vec![range(0, 512 * MIB)]));
}

#[test]
fn mailbox_alone_gives_the_first_gib() {
    let (map, report) = built(&MemorySources { board: None, ..pi_mailbox(0) });
    assert_eq!((report.source, memory(&map)), (Source::Mailbox, expected(1)));
}

/// Facts with this RAM and nothing else.
fn tree(ranges: &[PhysRange]) -> DeviceTreeFacts<'static> {
    DeviceTreeFacts { memory: ranges.iter().copied().collect(), ..DeviceTreeFacts::default() }
}

#[test]
fn a_tree_that_lies_is_corrected() {
    let facts = tree(&[range(0, 4 * GIB), range(4 * GIB, 16 * GIB)]);
    let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..pi_mailbox(0xd0_3114) });
    assert_eq!(memory(&map), expected(8));
    assert_eq!(
        lines(&report),
        [
            "board revision has 8192 MiB: 8192 MiB of the device tree's taken off",
            "device tree has 64 MiB where the peripherals are: taken off",
        ]
    );

    let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..pi_mailbox(0xb0_3115) });
    assert_eq!(memory(&map), expected(2));
    assert!(lines(&report)[0].starts_with("board revision has 2048 MiB:"));

    let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..sources() });
    assert_eq!(memory(&map), expected(8));
    assert!(lines(&report).contains(&"device tree has 8192 MiB above the linear map: taken off".into()));
}

#[test]
fn a_tree_without_the_kernel_or_with_next_to_nothing_is_not_believed() {
    let far = tree(&[range(GIB, 2 * GIB)]);
    let (map, report) = built(&MemorySources { device_tree: Some(&far), ..pi_mailbox(0xb0_3115) });
    assert_eq!((report.source, memory(&map)), (Source::Board, expected(2)));
    assert!(lines(&report).contains(&"device tree: the kernel is not in its memory: not believed".into()));

    let tiny = tree(&[range(0, 16 * MIB)]);
    let (_, report) = built(&MemorySources { device_tree: Some(&tiny), ..sources() });
    assert_eq!(report.source, Source::Assumption);
    assert!(lines(&report).contains(&"device tree: 16 MiB of memory: not believed".into()));
}

#[test]
fn a_videocore_part_that_makes_no_sense_is_not_believed() {
    for said in [range(0, GIB), range(0x3000_0000, 0x5000_0000), range(0x4000_0000, 0x4000_0000)] {
        let (map, report) = built(&MemorySources { videocore: Some(said), ..pi_mailbox(0xb0_3115) });
        assert_eq!(memory(&map), expected(2));
        assert!(lines(&report)[0].contains("not believed, assumed [0x000000003b400000-0x000000003fffffff]"));
    }
}

#[test]
fn another_split_is_honoured_and_reported() {
    let facts = tree(&[range(0, 0x3b40_0000), range(GIB, 2 * GIB)]);
    let half = range(0x2000_0000, 0x4000_0000);
    let (map, report) = built(&MemorySources { device_tree: Some(&facts), videocore: Some(half), ..pi_mailbox(0xb0_3115) });
    assert_eq!(memory(&map), [range(0, 0x2000_0000), range(GIB, 2 * GIB)]);
    assert_eq!(
        lines(&report),
        ["VideoCore's part starts at 0x0000000020000000 (mailbox), the device tree's memory ends at 0x000000003b400000"]
    );
}

#[test]
fn mem_limits_and_is_limited() {
    let (map, report) = built(&MemorySources { limit: Some(GIB), ..pi_mailbox(0xd0_3114) });
    assert_eq!((map.memory_bytes(), lines(&report).len()), (GIB, 0));
    assert_eq!(memory(&map), [range(0, 0x3b40_0000), range(GIB, GIB + 0x4c0_0000)]);

    let (map, report) = built(&MemorySources { limit: Some(1), ..pi_mailbox(0xd0_3114) });
    assert_eq!((map.memory_bytes(), lines(&report)), (MIN_MEMORY, vec!["mem=1 is too little: 128 MiB used".into()]));
}

#[test]
fn reservations_of_the_firmware_are_kept_unless_they_kill() {
    let Some(blob) = trees::model(2) else { return };
    let mut facts = device_tree::parse(&blob);
    let deadly = device_tree::Reservation { range: range(0, 2 * GIB), is_nomap: false, name: "all" };
    let on_kernel = device_tree::Reservation { range: range(0x10_0000, 0x20_0000), is_nomap: true, name: "kernel" };
    facts.reservations.extend([deadly, on_kernel]);
    let (map, report) = built(&MemorySources { device_tree: Some(&facts), ..pi_mailbox(0xb0_3115) });

    assert!(!map.is_map_memory(PhysAddr::new(0x3b3f_f000)) && map.is_memory(PhysAddr::new(0x3b3f_f000)));
    assert!(map.memory().iter().any(|region| region.flags == RegionFlags::NOMAP));
    assert!(map.is_map_memory(PhysAddr::new(0x10_0000)));
    assert_eq!(lines(&report).len(), 2);
    assert!(lines(&report).iter().all(|line| line.ends_with("refused, the kernel could not run")));
}

#[test]
fn devices_in_other_places_are_reported() {
    use device_tree::{GicFacts, UartFacts};
    let mut facts = tree(&[range(0, 0x3b40_0000)]);
    facts.pl011 = Some(UartFacts { base: PhysAddr::new(0x4_7e20_1000), intid: None, clock_hz: None });
    facts.gic = Some(GicFacts { distributor: PhysAddr::new(0x4_c004_1000), cpu_interface: rpi4::GICC.phys() });
    let (_, report) = built(&MemorySources { device_tree: Some(&facts), ..pi_mailbox(0xa0_3111) });
    assert_eq!(
        lines(&report),
        [
            "PL011 is at 0x000000047e201000 in the device tree, used at 0x00000000fe201000",
            "GICD is at 0x00000004c0041000 in the device tree, used at 0x00000000ff841000",
        ]
    );
}

#[test]
fn the_board_of_another_chip_is_not_asked() {
    let (map, report) = built(&pi_mailbox(0xa2_2082));
    assert_eq!((report.source, memory(&map)), (Source::Mailbox, expected(1)));
    assert!(lines(&report)[0].starts_with("revision is not of a board with a BCM2711: Raspberry Pi 3 Model B"));
}
