//! The memory map and its permissions, as boot leaves them.
#![no_std]
#![no_main]

use tetra::arch::{self, layout, mmu, mmu::Attributes};
use tetra_tests::{case, check, check_eq, suite};

suite!();

fn attributes(address: usize) -> Option<Attributes> {
    mmu::translate(address).map(|(_, attributes)| attributes)
}

case!(text_is_executable_and_read_only);
fn text_is_executable_and_read_only() {
    for address in (layout::LINK_BASE..layout::text_end()).step_by(4096) {
        check_eq!(attributes(address), Some(Attributes::Text));
    }
}

case!(nothing_else_of_the_image_is_executable);
fn nothing_else_of_the_image_is_executable() {
    for address in (layout::text_end()..layout::rodata_end()).step_by(4096) {
        check_eq!(attributes(address), Some(Attributes::ReadOnly));
    }
    for address in (layout::rodata_end()..layout::image_end()).step_by(4096) {
        check!(matches!(attributes(address), Some(Attributes::Data) | None));
    }
}

case!(no_writable_alias_of_the_image_exists);
fn no_writable_alias_of_the_image_exists() {
    for address in (layout::LINK_BASE..layout::image_end()).step_by(4096) {
        let physical = address - layout::IMAGE_OFFSET;
        check_eq!(attributes(layout::LINEAR_BASE + physical), None);
    }
}

case!(guard_pages_are_unmapped_on_every_core);
fn guard_pages_are_unmapped_on_every_core() {
    for cpu in 0..arch::NR_CPUS {
        for guard in layout::guard_pages(cpu) {
            check_eq!(attributes(guard), None);
            check_eq!(attributes(guard + 4096), Some(Attributes::Data));
        }
    }
}

case!(low_addresses_and_physical_page_0_are_unmapped);
fn low_addresses_and_physical_page_0_are_unmapped() {
    for address in [0, 0xd8, 4096, 0x8_0000, 1 << 38] {
        check_eq!(attributes(address), None);
    }
    check_eq!(attributes(layout::LINEAR_BASE), None);
    check_eq!(attributes(layout::LINEAR_BASE + 4096), Some(Attributes::Data));
}

case!(all_ram_is_in_the_linear_map);
fn all_ram_is_in_the_linear_map() {
    for physical in [0x200_0000usize, 0x3000_0000, 0x4000_0000, 0x7fff_f000] {
        check_eq!(attributes(layout::LINEAR_BASE + physical), Some(Attributes::Data));
        check_eq!(mmu::translate(layout::LINEAR_BASE + physical).map(|(phys, _)| phys), Some(physical as u64));
    }
    check_eq!(attributes(layout::LINEAR_BASE + 0x8000_0000), None);
}

case!(devices_are_device_memory);
fn devices_are_device_memory() {
    check_eq!(attributes(layout::DEVICE_BASE + 0x0220_1000), Some(Attributes::Device));
}

case!(an_absent_device_is_probed_without_a_fault);
fn an_absent_device_is_probed_without_a_fault() {
    // SAFETY: the PL011's flag register and the random number generator's status can be read without effect.
    let present = unsafe { arch::probe::read_u32(layout::DEVICE_BASE + 0x0220_1018) };
    // SAFETY: as above.
    let absent = unsafe { arch::probe::read_u32(layout::DEVICE_BASE + 0x0210_4004) };
    check!(present.is_some());
    check_eq!(absent, None);
}
