//! Host tests over plain memory: layout, bits and refusals. What the controller does with them is tested under QEMU.

use super::*;
use crate::drivers::fake::FakeRegisters;

const TYPER_256_LINES_4_CPUS_SECURE: u32 = 7 | 3 << 5 | 1 << 10;

fn fake() -> (FakeRegisters, FakeRegisters, Gicv2) {
    let (gicd, gicc) = (FakeRegisters::new(0x1000), FakeRegisters::new(0x1000));
    gicd.write(0x004, TYPER_256_LINES_4_CPUS_SECURE);
    // SAFETY: both blocks are leaked memory of the right size, aligned to a page.
    (gicd, gicc, unsafe { Gicv2::new(gicd.base(), gicc.base()) })
}

#[test]
fn init_touches_shared_lines_only_up_to_their_number() {
    let (gicd, _, gic) = fake();
    gic.init_distributor();
    assert_eq!((gic.nr_lines(), gic.nr_interfaces()), (256, 4));
    assert_eq!(gicd.read(0x000), 1);
    assert_eq!((gicd.read(0x180), gicd.read(0x184), gicd.read(0x19c), gicd.read(0x1a0)), (0, u32::MAX, u32::MAX, 0));
    assert_eq!((gicd.read(0x41c), gicd.read(0x420), gicd.read(0x4fc), gicd.read(0x500)), (0, 0x8080_8080, 0x8080_8080, 0));
    assert_eq!((gicd.read(0x81c), gicd.read(0x820), gicd.read(0x8fc), gicd.read(0x900)), (0, 0x0101_0101, 0x0101_0101, 0));
}

#[test]
fn init_of_a_core_enables_sgis_and_opens_the_mask() {
    let (gicd, gicc, gic) = fake();
    gic.init_cpu();
    assert_eq!((gicd.read(0x180), gicd.read(0x100)), (PPI_BITS, SGI_BITS));
    assert_eq!((gicd.read(0x400), gicd.read(0x41c), gicd.read(0x420)), (0x8080_8080, 0x8080_8080, 0));
    assert_eq!((gicc.read(0x0), gicc.read(0x4)), (1, 0xff));
}

#[test]
fn sgi_register_values() {
    let (gicd, _, gic) = fake();
    gic.send_sgi(SgiId::new(3), SgiTarget::Mask(CpuMask::one(2)));
    assert_eq!(gicd.read(0xf00), 0x0004_0003);
    gic.send_sgi(SgiId::new(15), SgiTarget::AllOthers);
    assert_eq!(gicd.read(0xf00), 0x0100_000f);
    gic.send_sgi(SgiId::new(0), SgiTarget::Myself);
    assert_eq!(gicd.read(0xf00), 0x0200_0000);
}

#[test]
fn end_returns_the_whole_value_and_nothing_for_spurious() {
    let (_, gicc, gic) = fake();
    gicc.write(0x00c, 2 << 10 | 5);
    let iar = gic.acknowledge();
    assert_eq!(iar.intid(), Ok(SgiId::new(5).intid()));
    gic.end(iar);
    assert_eq!(gicc.read(0x010), 2 << 10 | 5);

    gicc.write(0x00c, 1023);
    gicc.write(0x010, 0);
    gic.end(gic.acknowledge());
    assert_eq!(gicc.read(0x010), 0);
}

#[test]
fn bytes_and_pairs_of_bits_leave_their_neighbours_alone() {
    let (gicd, _, gic) = fake();
    let line = IntId::spi(121);
    gic.set_priority(line, 0x40).unwrap();
    assert_eq!(gicd.read(0x400 + 152), 0x40 << 8);
    gic.set_targets(line, CpuMask::from_bits(0b1010)).unwrap();
    assert_eq!(gicd.read(0x800 + 152), 0b1010 << 8);
    gicd.write(0xc00 + 4 * 9, 0x5555_5555);
    gic.set_trigger(line, Trigger::Edge).unwrap();
    assert_eq!(gicd.read(0xc00 + 4 * 9), 0x5555_5555 | 2 << 18);
    assert_eq!(gic.trigger(line), Trigger::Edge);
    gic.set_trigger(line, Trigger::Level).unwrap();
    assert_eq!(gicd.read(0xc00 + 4 * 9), 0x5555_5555);
}

#[test]
fn refusals() {
    let (_, _, gic) = fake();
    let absent = IntId::new(256).unwrap();
    assert_eq!(gic.enable(absent), Err(GicError::NoSuchLine));
    assert_eq!(gic.set_priority(absent, 0), Err(GicError::NoSuchLine));
    assert_eq!(gic.set_targets(IntId::ppi(14), CpuMask::one(1)), Err(GicError::Fixed));
    for no_core in [0, 0xf0] {
        assert_eq!(gic.set_targets(IntId::spi(1), CpuMask::from_bits(no_core)), Err(GicError::NoTarget));
    }
    assert_eq!(gic.set_trigger(SgiId::new(1).intid(), Trigger::Edge), Err(GicError::Fixed));
    assert_eq!(gic.set_pending(SgiId::new(1).intid()), Err(GicError::Fixed));
    assert!(!gic.is_enabled(absent) && !gic.is_pending(absent) && !gic.is_active(absent));
}

#[test]
fn running_priority_is_none_when_idle() {
    let (_, gicc, gic) = fake();
    for (raw, priority) in [(0xff, None), (0xf0, None), (0xf8, None), (0x80, Some(0x80)), (0, Some(0))] {
        gicc.write(0x014, raw);
        assert_eq!(gic.running_priority(), priority);
    }
}
