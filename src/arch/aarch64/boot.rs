//! The assembly of `boot/` with its constants, and the two functions it ends in.
//!
//! Values are computed here and passed to the assembler, so that no number is written twice. Each system register is written whole: what the
//! firmware left in it never shows through.

use super::exception::call_on_fresh_stack;
use super::layout;
use crate::upcalls;
use core::arch::global_asm;

/// What start.S knows when Rust begins.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    /// x0 at entry: the physical address of a device tree, of ATAGS, or noise.
    pub firmware_x0: u64,
    /// Exception level at entry, 1 to 3.
    pub entry_el: u8,
    /// End of the physical memory that image, symbol table and page tables occupy.
    pub kernel_end: u64,
    /// Physical address of the page tables that are in use.
    pub page_tables: u64,
    /// Bytes of symbol table at `layout::image_end()`; 0 if none was appended.
    pub symtab_len: usize,
}

/// Pages of page tables that start.S builds.
pub const NR_BOOT_TABLES: usize = 8;
/// Level 3 tables among them: 2 MiB of image each.
pub const NR_IMAGE_L3: usize = 4;

const RES1_SCTLR_EL1: u64 = 0x30d0_0800;
const SCTLR_M: u64 = 1 << 0;
const SCTLR_C: u64 = 1 << 2;
const SCTLR_SA: u64 = 1 << 3;
const SCTLR_I: u64 = 1 << 12;
const SCTLR_WXN: u64 = 1 << 19;
/// MMU, caches and stack alignment checks on; what is writable cannot be executed, whatever a descriptor says (Arm ARM D24.2.175).
pub const SCTLR_EL1_ON: u64 = RES1_SCTLR_EL1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_I | SCTLR_WXN;

/// Memory types by index (Arm ARM D24.2.116): 0 Normal write-back, 1 Device-nGnRE, 2 Normal non-cacheable, 3 Device-nGnRnE.
pub const MAIR_EL1: u64 = 0x00_44_04_ff;

const T0SZ: u64 = 25;
const T1SZ: u64 = 25 << 16;
const WALKS_WRITE_BACK_INNER_SHAREABLE: u64 = (1 << 8) | (1 << 10) | (3 << 12) | (1 << 24) | (1 << 26) | (3 << 28);
const TG1_4K: u64 = 2 << 30;
const IPS_36_BITS: u64 = 1 << 32;
/// Two regions of 39 bits, 4 KiB granule, walks cacheable and inner shareable (Arm ARM D24.2.191). start.S adds EPD0 once it runs high.
pub const TCR_EL1: u64 = T0SZ | T1SZ | WALKS_WRITE_BACK_INNER_SHAREABLE | TG1_4K | IPS_36_BITS;

const PAGE: u64 = 0b11;
const BLOCK: u64 = 0b01;
const NORMAL: u64 = 0 << 2;
const READ_ONLY: u64 = 0b10 << 6;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const IMAGE: u64 = NORMAL | INNER_SHAREABLE | ACCESSED | UXN;

global_asm!(
    include_str!("../../../boot/start.S"),
    include_str!("../../../boot/early_vectors.S"),
    link_base = const layout::LINK_BASE,
    load_address = const layout::LOAD_ADDRESS,
    image_end = sym __image_end,
    data_end = sym __data_end,
    text_end = sym __text_end,
    rodata_end = sym __rodata_end,
    bss_start = sym __bss_start,
    bss_end = sym __bss_end,
    core_blocks = sym __core_blocks,
    vectors = sym exception_vectors,
    nr_boot_tables = const NR_BOOT_TABLES,
    nr_image_l3 = const NR_IMAGE_L3,
    l1_index_image = const (layout::LINK_BASE >> 30) & 511,
    page_text = const PAGE | IMAGE | READ_ONLY,
    page_rodata = const PAGE | IMAGE | READ_ONLY | PXN,
    page_data = const PAGE | IMAGE | PXN,
    block_text = const BLOCK | IMAGE | READ_ONLY,
    scr_el3 = const 0x5b1u64,
    sctlr_el2 = const 0x30c5_0830u64,
    sctlr_el1_off = const RES1_SCTLR_EL1,
    sctlr_el1_on = const SCTLR_EL1_ON,
    spsr_el2h = const 0x3c9u64,
    spsr_el1h = const 0x3c5u64,
    mair_el1 = const MAIR_EL1,
    tcr_el1 = const TCR_EL1,
    arm_local_phys = const 0xff80_0000u64,
    gicd_phys = const 0xff84_1000u64,
    gicc_phys = const 0xff84_2000u64,
    pl011_phys = const 0xfe20_1000u64,
    gpio_phys = const 0xfe20_0000u64,
    core_block_size = const layout::CORE_BLOCK_SIZE,
    irq_stack_top = const layout::IRQ_STACK_TOP,
    idle_stack_top = const layout::IDLE_STACK_TOP,
    count_idle = const super::count::IDLE,
    primary_rust = sym primary,
    secondary_rust = sym secondary,
);

unsafe extern "C" {
    static __image_end: u8;
    static __data_end: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __bss_start: u8;
    static __bss_end: u8;
    static __core_blocks: u8;
    static exception_vectors: u8;
    static pen_release: [core::sync::atomic::AtomicU64; super::super::NR_CPUS];
    fn secondary_entry();
}

/// Physical address at which a released core starts.
pub fn secondary_entry_phys() -> u64 {
    (secondary_entry as *const () as usize - layout::IMAGE_OFFSET) as u64
}

/// The word in which core `cpu` waits when the firmware did not hold it.
pub fn pen_word(cpu: usize) -> &'static core::sync::atomic::AtomicU64 {
    // SAFETY: start.S defines eight zeroed words there, only ever accessed as 64-bit words.
    let words = unsafe { &pen_release };
    &words[cpu]
}

/// Runs `next` on this core's idle stack, from its top: what is on it now is given up.
///
/// Context: boot, on the idle stack, holding nothing.
///
/// # Safety
/// Nobody else, on whatever core, uses what lies on this stack.
pub unsafe fn restart_on_idle_stack(next: fn() -> !) -> ! {
    extern "C" fn run(next: usize) -> ! {
        // SAFETY: the only caller passes a `fn() -> !`.
        let next: fn() -> ! = unsafe { core::mem::transmute(next) };
        next()
    }
    let top = super::core_area() + layout::IDLE_STACK_TOP;
    // SAFETY: the frames on the stack are given up: nothing returns to them, and by the contract nobody refers into them.
    unsafe { call_on_fresh_stack(top, run, next as usize) }
}

/// First Rust code of core 0: at the link address, MMU and caches on, on the idle stack, irqs masked.
extern "C" fn primary(firmware_x0: u64, entry_el: u64, kernel_end: u64, page_tables: u64, symtab_len: usize) -> ! {
    for cpu in 0..super::super::NR_CPUS {
        init_core_area(cpu);
    }
    upcalls::boot_primary(BootInfo { firmware_x0, entry_el: entry_el as u8, kernel_end, page_tables, symtab_len })
}

/// First Rust code of every other core, in the same state.
extern "C" fn secondary(cpu: usize, entry_el: u64) -> ! {
    upcalls::boot_secondary(cpu, entry_el as u8)
}

/// Fills the area of core `cpu` from the template that the linker script delimits.
fn init_core_area(cpu: usize) {
    let area = super::core_area_of(cpu) as *mut u8;
    let template = layout::percpu_template() as *const u8;
    // SAFETY: the template is `percpu_size` bytes of the image; the area is at least as long (asserted by the linker script), and nothing
    // has used it yet.
    unsafe { core::ptr::copy_nonoverlapping(template, area, layout::percpu_size()) };
}
