//! `memblock` against a naive model: one cell a unit of memory, and every operation a loop over cells.

use super::*;
use proptest::prelude::*;
use std::prelude::v1::*;
use std::vec;

/// Cells of the model; addresses are `UNIT` times a cell's index.
const CELLS: u64 = 96;
const UNIT: u64 = 0x400;
/// Small tables, so that overflow is met often.
const TABLE: usize = 10;
const NAMES: [&str; 3] = ["kernel", "dtb", "heap"];

#[derive(Clone, Copy, Debug)]
enum Op {
    Add(PhysRange),
    Remove(PhysRange),
    Reserve(PhysRange, usize),
    Free(PhysRange),
    MarkNomap(PhysRange),
    ClearNomap(PhysRange),
    Alloc { cells: u64, align: u64, within: PhysRange, direction: Direction, name: usize },
    Limit(u64),
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Model {
    /// Flags of each cell that is memory.
    memory: Vec<Option<RegionFlags>>,
    /// Name of each cell that is reserved.
    reserved: Vec<Option<&'static str>>,
}

fn cells(range: PhysRange) -> std::ops::Range<usize> {
    (range.start().value() / UNIT) as usize..(range.end().value() / UNIT) as usize
}

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::new(PhysAddr::new(start * UNIT), PhysAddr::new(end * UNIT))
}

impl Model {
    fn new() -> Self {
        Self { memory: vec![None; CELLS as usize], reserved: vec![None; CELLS as usize] }
    }

    fn is_free(&self, cell: usize) -> bool {
        self.memory[cell] == Some(RegionFlags::empty()) && self.reserved[cell].is_none()
    }

    fn set_flags(&mut self, range: PhysRange, flags: RegionFlags) {
        self.memory[cells(range)].iter_mut().flatten().for_each(|cell| *cell = flags);
    }

    fn find(&self, size: u64, align: u64, within: PhysRange, direction: Direction) -> Option<PhysRange> {
        let within = cells(within);
        let fits = |&start: &usize| {
            let end = start + size as usize;
            (start as u64 * UNIT).is_multiple_of(align) && end <= within.end && (start..end).all(|cell| self.is_free(cell))
        };
        let start = match direction {
            Direction::BottomUp => within.clone().find(fits),
            Direction::TopDown => within.clone().rev().find(fits),
        }?;
        Some(range(start as u64, start as u64 + size))
    }

    /// Does what `op` asks; for an allocation says where it must go.
    fn apply(&mut self, op: Op) -> Option<PhysRange> {
        match op {
            Op::Add(r) => self.memory[cells(r)].iter_mut().for_each(|cell| *cell = cell.or(Some(RegionFlags::empty()))),
            Op::Remove(r) => self.memory[cells(r)].fill(None),
            Op::Reserve(r, name) => self.reserved[cells(r)].iter_mut().for_each(|cell| *cell = cell.or(Some(NAMES[name]))),
            Op::Free(r) => self.reserved[cells(r)].fill(None),
            Op::MarkNomap(r) => self.set_flags(r, RegionFlags::NOMAP),
            Op::ClearNomap(r) => self.set_flags(r, RegionFlags::empty()),
            Op::Limit(keep) => {
                let extra = self.memory.iter_mut().filter(|cell| cell.is_some()).skip(keep as usize);
                extra.for_each(|cell| *cell = None);
            }
            Op::Alloc { cells: size, align, within, direction, name } => {
                let found = self.find(size, align, within, direction)?;
                self.apply(Op::Reserve(found, name));
                return Some(found);
            }
        }
        None
    }

    /// What the real tables say, cell by cell.
    fn read<const M: usize, const R: usize>(map: &Memblock<M, R>) -> Self {
        let mut model = Self::new();
        for region in map.memory() {
            model.memory[cells(region.range)].fill(Some(region.flags));
        }
        for region in map.reserved() {
            model.reserved[cells(region.range)].fill(Some(region.name));
        }
        model
    }
}

fn apply_real(map: &mut Memblock<TABLE, TABLE>, op: Op) -> Result<Option<PhysRange>, MemblockError> {
    match op {
        Op::Add(r) => map.add(r).map(|()| None),
        Op::Remove(r) => map.remove(r).map(|()| None),
        Op::Reserve(r, name) => map.reserve(r, NAMES[name]).map(|()| None),
        Op::Free(r) => map.free(r).map(|()| None),
        Op::MarkNomap(r) => map.mark_nomap(r).map(|()| None),
        Op::ClearNomap(r) => map.clear_nomap(r).map(|()| None),
        Op::Limit(keep) => {
            map.enforce_limit(keep * UNIT);
            Ok(None)
        }
        Op::Alloc { cells, align, within, direction, name } => {
            let request = Request { size: cells * UNIT, align, within, direction, name: NAMES[name] };
            map.alloc_in(&request).map(Some)
        }
    }
}

fn assert_sorted_and_merged(regions: &[Region]) {
    assert!(regions.iter().all(|region| !region.range.is_empty()));
    for pair in regions.windows(2) {
        let touch = pair[0].range.end() == pair[1].range.start();
        assert!(pair[0].range.end() <= pair[1].range.start(), "out of order: {pair:?}");
        assert!(!touch || pair[0].flags != pair[1].flags || pair[0].name != pair[1].name, "not merged: {pair:?}");
    }
}

/// How many regions the cells make.
fn runs<T: PartialEq>(cells: &[Option<T>]) -> usize {
    let starts = cells.windows(2).filter(|pair| pair[1].is_some() && pair[0] != pair[1]).count();
    starts + usize::from(cells[0].is_some())
}

/// Runs one operation on both and compares everything there is to see. True if the table was full.
fn step(map: &mut Memblock<TABLE, TABLE>, model: &mut Model, op: Op) -> bool {
    let before = model.clone();
    let expected = model.apply(op);
    let full = match apply_real(map, op) {
        Ok(found) => {
            assert_eq!(found, expected, "{op:?}");
            false
        }
        Err(MemblockError::NoSpace) => {
            assert_eq!(expected, None, "{op:?} found nothing");
            false
        }
        Err(error) => {
            assert!(matches!(error, MemblockError::MemoryTableFull | MemblockError::ReservedTableFull), "{op:?}: {error}");
            let needed = match op {
                Op::MarkNomap(_) | Op::ClearNomap(_) => map.memory().len() + 2,
                _ => runs(&model.memory).max(runs(&model.reserved)),
            };
            assert!(needed > TABLE, "{op:?}: refused with room to spare");
            *model = before;
            true
        }
    };
    assert_eq!(&Model::read(map), model, "{op:?}");
    assert_sorted_and_merged(map.memory());
    assert_sorted_and_merged(map.reserved());

    let free: Vec<usize> = map.free_ranges().flat_map(cells).collect();
    assert!(free.iter().copied().eq((0..CELLS as usize).filter(|&cell| model.is_free(cell))), "{op:?}: free ranges");
    full
}

/// An operation from 64 random bits.
fn op_from(bits: u64) -> Op {
    let field = |shift: u32, below: u64| (bits >> shift) % below;
    let (a, b) = (field(8, CELLS + 1), field(16, CELLS + 1));
    let wide = range(a.min(b), a.max(b));
    let narrow = range(a, (a + field(16, 9)).min(CELLS));
    let either = if field(24, 4) == 0 { wide } else { narrow };
    let name = field(28, 3) as usize;
    match field(0, 16) {
        0..=3 => Op::Add(either),
        4 => Op::Remove(either),
        5..=7 => Op::Reserve(either, name),
        8..=9 => Op::Free(either),
        10 => Op::MarkNomap(narrow),
        11 => Op::ClearNomap(either),
        12 if field(32, 16) == 0 => Op::Limit(field(40, CELLS)),
        _ => Op::Alloc {
            cells: 1 + field(32, 6),
            align: UNIT << field(36, 4),
            within: if field(40, 2) == 0 { range(0, CELLS) } else { wide },
            direction: if field(41, 2) == 0 { Direction::BottomUp } else { Direction::TopDown },
            name,
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Short histories, which proptest shrinks to the few operations that matter.
    #[test]
    fn short_histories_agree_with_the_model(history in prop::collection::vec(any::<u64>(), 1..250)) {
        let (mut map, mut model) = (Memblock::new(), Model::new());
        for bits in history {
            step(&mut map, &mut model, op_from(bits));
        }
    }
}

#[test]
fn a_million_seeded_operations_agree_with_the_model() {
    let (mut map, mut model) = (Memblock::new(), Model::new());
    let (mut seed, mut overflows, mut allocated) = (0x7465_7472_6121_0001_u64, 0_u32, 0_u32);
    for _ in 0..1_000_000 {
        // Xorshift64 (Marsaglia, "Xorshift RNGs", 2003): the same operations on every machine.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let op = op_from(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let before = map.reserved.total_bytes();
        overflows += u32::from(step(&mut map, &mut model, op));
        allocated += u32::from(matches!(op, Op::Alloc { .. }) && map.reserved.total_bytes() > before);
    }
    assert!(overflows > 1_000, "full tables were met {overflows} times only");
    assert!(allocated > 10_000, "{allocated} allocations succeeded only");
}

#[test]
fn bad_requests_are_refused() {
    let mut map = Memblock::<4, 4>::new();
    map.add(range(0, 8)).unwrap();
    assert_eq!(map.alloc(0, UNIT, "x"), Err(MemblockError::InvalidRequest));
    assert_eq!(map.alloc(UNIT, 3, "x"), Err(MemblockError::InvalidRequest));
    assert_eq!(map.alloc(UNIT * 9, UNIT, "x"), Err(MemblockError::NoSpace));
    assert_eq!(map.alloc(u64::MAX, 1 << 63, "x"), Err(MemblockError::NoSpace));
    assert_eq!(Errno::from(MemblockError::NoSpace), Errno::ENOMEM);
}

#[test]
fn the_top_of_the_address_space_is_no_special_case() {
    let mut map = Memblock::<4, 4>::new();
    map.add(PhysRange::new(PhysAddr::new(u64::MAX - 0x1000), PhysAddr::new(u64::MAX))).unwrap();
    assert!(map.alloc(0x1000, 0x1000, "x").is_err());
    assert_eq!(map.alloc(0x800, 0x800, "x").unwrap().start().value(), u64::MAX - 0xfff);
}

#[test]
fn prints_both_tables() {
    let mut map = Memblock::<4, 4>::new();
    map.add(PhysRange::from_size(0, 0x3b40_0000).unwrap()).unwrap();
    map.add(PhysRange::from_size(0x3b40_0000, 0x4c0_0000).unwrap()).unwrap();
    map.mark_nomap(PhysRange::from_size(0x3b40_0000, 0x4c0_0000).unwrap()).unwrap();
    map.reserve(PhysRange::from_size(0, 0x1000).unwrap(), "page 0").unwrap();
    assert_eq!(
        map.to_string(),
        "memory:   2 regions, 1048576 KiB, 970748 KiB of them free\n\
         \x20 [0x0000000000000000-0x000000003b3fffff]   970752 KiB\n\
         \x20 [0x000000003b400000-0x000000003fffffff]    77824 KiB nomap\n\
         reserved: 1 regions, 4 KiB\n\
         \x20 [0x0000000000000000-0x0000000000000fff]        4 KiB page 0\n"
    );
}
