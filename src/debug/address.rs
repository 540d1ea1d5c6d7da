//! What lies at an address, in words: for reports.

use super::symbols::Named;
use crate::arch::layout::{self, CorePlace, CoreStack};
use crate::arch::mmu;
use core::fmt;

const PAGE: usize = 4096;
/// Lowest address that TTBR1 translates.
const KERNEL_START: usize = layout::LINEAR_BASE;
/// Addresses from 0 up to here belong to TTBR0, whose walks are off.
const LOW_END: usize = 1 << 39;

/// Shows what lies at the address.
#[derive(Clone, Copy, Debug)]
pub struct Whereabouts(pub usize);

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.0;
        if addr < PAGE {
            return f.write_str("the NULL page");
        }
        if addr < LOW_END {
            return f.write_str("a low address: nothing is ever mapped there");
        }
        if addr < KERNEL_START {
            return f.write_str("no canonical address");
        }
        if let Some((cpu, place)) = layout::core_place(addr) {
            return in_core_block(f, cpu, place);
        }
        if (layout::STACKS_BASE..layout::DEVICE_BASE).contains(&addr) {
            return in_thread_stack(f, addr);
        }

        self.region(f)?;
        match mmu::translate(addr) {
            Some((phys, _)) => write!(f, ", physical {phys:#x}"),
            None => f.write_str(", unmapped"),
        }
    }
}

impl Whereabouts {
    fn region(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = self.0;
        match addr {
            a if a >= layout::LINK_BASE && a < layout::text_end() => write!(f, "kernel text: {}", Named::exact(a)),
            a if a >= layout::LINK_BASE && a < layout::rodata_end() => write!(f, "read-only data: {}", Named::exact(a)),
            a if a >= layout::LINK_BASE && a < layout::image_end() => write!(f, "kernel data: {}", Named::exact(a)),
            a if a >= layout::LINK_BASE => f.write_str("behind the kernel image"),
            a if (layout::DEVICE_BASE..layout::DEVICE_BASE + layout::DEVICE_SIZE).contains(&a) => f.write_str("device window"),
            a if (layout::VMALLOC_BASE..layout::VMALLOC_BASE + layout::VMALLOC_SIZE).contains(&a) => f.write_str("vmalloc region"),
            a if a < layout::VMALLOC_BASE => f.write_str("linear map"),
            _ => f.write_str("between the kernel's regions"),
        }
    }
}

fn in_core_block(f: &mut fmt::Formatter<'_>, cpu: usize, place: CorePlace) -> fmt::Result {
    match place {
        CorePlace::Area => write!(f, "per-CPU data of cpu{cpu}"),
        CorePlace::Guard(stack) => write!(f, "the guard page below the {} of cpu{cpu}: that stack has overflowed", stack_name(stack)),
        CorePlace::Stack(stack) => write!(f, "the {} of cpu{cpu}", stack_name(stack)),
        CorePlace::Unused => write!(f, "the unused part below a stack of cpu{cpu}: that stack has overflowed by far"),
    }
}

fn in_thread_stack(f: &mut fmt::Formatter<'_>, addr: usize) -> fmt::Result {
    let in_slot = addr % layout::STACK_SLOT;
    let place = match in_slot {
        at if at >= layout::STACK_SIZE => "the stack of",
        at if at >= layout::STACK_SIZE - layout::GUARD_SIZE => "the guard page below the stack of",
        _ => "the unmapped part far below the stack of",
    };
    match crate::upcalls::thread_of_stack(addr) {
        Some(task) => write!(f, "{place} {task}")?,
        None => write!(f, "{place} no living thread")?,
    }
    if in_slot < layout::STACK_SIZE { f.write_str(": that stack has overflowed") } else { Ok(()) }
}

/// What reports call a stack.
pub fn stack_name(stack: CoreStack) -> &'static str {
    match stack {
        CoreStack::Exception => "exception stack",
        CoreStack::Overflow => "overflow stack",
        CoreStack::Idle => "idle stack",
    }
}
