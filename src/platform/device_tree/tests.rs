//! What is read from sound trees, and what is said about unsound ones.

use super::*;
use crate::drivers::gicv2::IntId;
use crate::mm::addr::PhysAddr;
use crate::platform::rpi4;
use std::format;
use std::prelude::v1::*;

fn range(start: u64, size: u64) -> PhysRange {
    PhysRange::from_size(start, size).unwrap()
}

fn messages(facts: &DeviceTreeFacts<'_>) -> Vec<String> {
    facts.warnings.iter().map(|warning| warning.to_string()).collect()
}

/// What every Pi 4's tree says, wherever it comes from.
fn assert_describes_a_pi4(facts: &DeviceTreeFacts<'_>) {
    assert!(facts.model.unwrap().starts_with("Raspberry Pi 4 Model B"));
    assert_eq!(facts.cpus.len(), 4);
    for (cpu, release) in facts.cpus.iter().zip(rpi4::SPIN_TABLE) {
        assert_eq!((cpu.enable_method, cpu.release_address), (Some(EnableMethod::SpinTable), Some(release)));
    }
    let uart = facts.pl011.unwrap();
    assert_eq!((uart.base, uart.intid), (rpi4::UART0.phys(), Some(rpi4::INTID_UART0)));
    let gic = facts.gic.unwrap();
    assert_eq!((gic.distributor, gic.cpu_interface), (rpi4::GICD.phys(), rpi4::GICC.phys()));
    let timer = facts.timer.unwrap();
    assert_eq!((timer.physical, timer.virtual_), (Some(rpi4::INTID_PHYSICAL_TIMER), Some(rpi4::INTID_VIRTUAL_TIMER)));
    assert_eq!((timer.secure, timer.hypervisor), (Some(rpi4::INTID_SECURE_TIMER), Some(rpi4::INTID_HYP_TIMER)));
    let soc = facts.dma_ranges.iter().find(|dma| dma.bus == "soc").unwrap();
    assert_eq!((soc.bus_address, soc.cpu_address, soc.size), (rpi4::BUS_ALIAS, 0, 1 << 30));
    assert!(facts.reservations.iter().any(|r| r.range == rpi4::FIRMWARE_PAGE && !r.is_nomap));
}

#[test]
fn models_are_read_whole() {
    for (gib, _) in trees::MODELS {
        let Some(blob) = trees::model(gib) else { return };
        let facts = parse(&blob);
        assert_describes_a_pi4(&facts);
        assert!(facts.warnings.is_empty(), "{:?}", messages(&facts));
        assert_eq!(facts.size_bytes, blob.len());
        assert_eq!(facts.memory[0], range(0, 0x3b40_0000));
        assert_eq!(
            facts.memory.len(),
            match gib {
                1 => 1,
                2 | 4 => 2,
                _ => 4,
            }
        );
        assert_eq!(facts.bootargs.unwrap().split(' ').next(), Some("coherent_pool=1M"));
        assert_eq!(facts.stdout, Some(Stdout { path: "/soc/serial@7e215040", options: "115200n8" }));
        assert_eq!(facts.board_revision.unwrap().code(), 0xc0_3114);
        assert_eq!(facts.pl011.unwrap().clock_hz, Some(48_000_000));
        let nvram = Reservation { range: range(0x3b3f_f000, 0x1000), is_nomap: true, name: "nvram@3b3ff000" };
        assert_eq!(facts.reservations[1..], [nvram]);
        assert!(facts.dma_ranges.iter().any(|dma| dma.bus == "scb" && dma.size == 0xfc00_0000));
    }
}

#[test]
fn trees_of_a_real_pi_are_read_whole() {
    for (_, reg) in trees::MODELS {
        let Some(blob) = trees::real_with_memory(reg) else { return };
        let facts = parse(&blob);
        assert_describes_a_pi4(&facts);
        assert!(facts.warnings.is_empty(), "{:?}", messages(&facts));
        assert_eq!(facts.memory.len(), reg.split(", ").count());
    }
}

#[test]
fn the_file_of_the_distribution_lacks_memory_only() {
    let Some(blob) = trees::real() else { return };
    let facts = parse(&blob);
    assert_describes_a_pi4(&facts);
    assert_eq!(messages(&facts), ["device tree: no /memory with a size"]);
}

#[test]
fn the_tree_for_qemu_is_sound() {
    let Some(blob) = trees::compile_file("boot/tetra-qemu.dts") else { return };
    let facts = parse(&blob);
    assert_describes_a_pi4(&facts);
    assert!(facts.warnings.is_empty(), "{:?}", messages(&facts));
    assert_eq!(facts.stdout.unwrap().path, "/soc/serial@7e201000");
    assert_eq!(facts.pl011.unwrap().clock_hz, None);
}

#[test]
fn no_tree_is_no_disaster() {
    for (blob, message) in [
        (&[][..], "device tree: 0 bytes are less than a header"),
        (&[0xff; 100], "device tree: magic is 0xffffffff, not 0xd00dfeed"),
        (&[0; 100], "device tree: magic is 0x00000000, not 0xd00dfeed"),
    ] {
        let facts = parse(blob);
        assert!(!facts.is_present());
        assert_eq!(messages(&facts), [message]);
    }
}

#[test]
fn sizes_in_the_header_are_not_believed() {
    let be = |magic: u32, total: u32| [magic.to_be(), total.to_be()];
    assert_eq!(total_size(be(MAGIC, 4096)), Ok(4096));
    assert_eq!(total_size(be(MAGIC, u32::MAX)), Err(DtWarning::Implausible { total: u32::MAX }));
    assert_eq!(total_size(be(MAGIC, 39)), Err(DtWarning::Implausible { total: 39 }));
    assert_eq!(total_size(be(0x5441_0001, 2)), Err(DtWarning::BadMagic { found: 0x5441_0001 }));

    let Some(blob) = trees::model(1) else { return };
    let facts = parse(&blob[..blob.len() - 1]);
    assert_eq!(facts.warnings.iter().next(), Some(&DtWarning::Truncated { total: blob.len(), have: blob.len() - 1 }));
    let mut longer = blob.clone();
    longer.extend([0xa5; 64]);
    assert!(parse(&longer).warnings.is_empty());
}

/// Reads the smallest tree that has `body` in its root.
fn with_body(body: &str, check: impl FnOnce(&DeviceTreeFacts<'_>, &[String])) {
    let source = format!("/dts-v1/; / {{ #address-cells = <2>; #size-cells = <1>; {body} }};");
    let Some(blob) = trees::compile(&source) else { return };
    let facts = parse(&blob);
    check(&facts, &messages(&facts));
}

#[test]
fn an_empty_tree_is_one_list_of_what_is_missing() {
    with_body("", |facts, messages| {
        assert!(facts.is_present());
        for what in ["model", "/chosen", "/memory with a size", "/cpus", "PL011", "GIC-400", "timer"] {
            assert!(messages.contains(&format!("device tree: no {what}")), "{what} in {messages:?}");
        }
        assert!(messages.contains(&"device tree: written for another chip than the BCM2711".into()));
    });
}

#[test]
fn nonsense_in_a_property_costs_that_property_only() {
    let body = r#"
        model = [41 42];
        memory@0 { reg = <0 0>; };
        memory@1 { reg = <0 0x100000 0x200000>, <0xffffffff 0xfffff000 0x2000>; };
        chosen { bootargs = "a=1"; stdout-path = "serial9"; };
        cpus { #address-cells = <1>; #size-cells = <0>;
            cpu@0 { reg = <0>; cpu-release-addr = [00 00 d8]; enable-method = "magic"; };
            cpu@1 { reg = <0>; }; cpu@2 { }; };
        soc { #address-cells = <1>; #size-cells = <1>;
            serial@1000 { compatible = "arm,pl011"; reg = <0x1000 0x200>; interrupts = <7 1 4>; }; };
    "#;
    with_body(body, |facts, messages| {
        assert_eq!(facts.memory[..], [range(0x10_0000, 0x20_0000)]);
        assert_eq!((facts.bootargs, facts.stdout, facts.model), (Some("a=1"), None, None));
        assert_eq!(facts.cpus[..], [CpuFacts { mpidr: 0, enable_method: Some(EnableMethod::Other("magic")), release_address: None }]);
        assert_eq!(facts.pl011, None);
        for message in [
            "device tree: : model is no text",
            "device tree: memory@0: reg has the wrong length",
            "device tree: memory@1: reg holds a range that wraps round",
            "device tree: chosen: stdout-path refers to something that is not there",
            "device tree: cpu@0: cpu-release-addr has the wrong length",
            "device tree: cpu@1: reg has a value that makes no sense",
            "device tree: no reg of a cpu",
            "device tree: serial@1000: no bus maps address 0x1000",
        ] {
            assert!(messages.contains(&message.into()), "{message} in {messages:?}");
        }
    });
}

#[test]
fn addresses_climb_through_every_bus() {
    let body = r#"
        outer { #address-cells = <1>; #size-cells = <1>; ranges = <0x100 0x1 0x0 0x100>, <0x40000000 0 0xf0000000 0x1000000>;
            plain { #address-cells = <1>; #size-cells = <1>; ranges;
                inner { #address-cells = <2>; #size-cells = <2>; ranges = <0x5 0x0 0x40001000 0x0 0x800>;
                    serial@500000100 { compatible = "arm,pl011"; reg = <0x5 0x100 0x0 0x200>; interrupts = <0 121 4>; }; }; }; };
    "#;
    with_body(body, |facts, _| {
        let uart = facts.pl011.unwrap();
        assert_eq!((uart.base, uart.intid), (PhysAddr::new(0xf000_1100), Some(IntId::spi(121))));
    });
}

#[test]
fn lists_overflow_with_a_warning() {
    let memory: String = (0..40).map(|i| format!("<0 {:#x} 0x1000>{}", i * 0x2000, if i == 39 { "" } else { "," })).collect();
    let cpus: String = (0..12).map(|i| format!("cpu@{i} {{ reg = <{i}>; }};")).collect();
    let body = format!("memory@0 {{ reg = {memory}; }}; cpus {{ #address-cells = <1>; #size-cells = <0>; {cpus} }};");
    with_body(&body, |facts, messages| {
        assert_eq!((facts.memory.len(), facts.cpus.len()), (facts.memory.capacity(), facts.cpus.capacity()));
        assert!(messages.contains(&"device tree: too many ranges of memory, the rest is ignored".into()));
        assert!(messages.contains(&"device tree: too many cores, the rest is ignored".into()));
    });
}

#[test]
fn depth_is_bounded() {
    let body = format!("{}{}", "n { ".repeat(3000), "};".repeat(3000));
    with_body(&body, |_, messages| {
        assert!(messages.contains(&"device tree: nodes nested too deeply are ignored".into()));
    });
}
