//! Where things lie in the kernel's address space, and the block of stacks that each core owns.
//!
//! 39-bit addresses through TTBR1 only; a low address has no translation at all, so a NULL pointer and everything near it faults.
//!
//! | from | to | what |
//! |---|---|---|
//! | `0xffffff80_00000000` | `+8 GiB` | linear map of RAM: virtual = physical + base |
//! | `0xffffffc0_00000000` | `+64 GiB` | vmalloc areas |
//! | `0xffffffd0_00000000` | `+32 MiB` | stacks of threads, 32 KiB each: unmapped half, stack |
//! | `0xffffffe0_00000000` | `+1 GiB` | device windows |
//! | `0xffffffff_80080000` | `+7 MiB` | the kernel image, its symbol table behind it |
//!
//! A core's block is 96 KiB, at a multiple of 32 KiB: per-CPU area, guard page, exception stack; guard, overflow stack; guard, idle stack. Each
//! stack is 16 KiB at an odd multiple of 16 KiB, so bit 14 of a good stack pointer is set, and a frame that crossed the lower end clears it.

/// Start of the linear map of RAM.
pub const LINEAR_BASE: usize = 0xffff_ff80_0000_0000;
/// Start and length of the vmalloc region.
pub const VMALLOC_BASE: usize = 0xffff_ffc0_0000_0000;
/// Length of the vmalloc region.
pub const VMALLOC_SIZE: usize = 64 << 30;
/// Start of the region of threads' stacks.
pub const STACKS_BASE: usize = VMALLOC_BASE + VMALLOC_SIZE;
/// Start of the region of device windows.
pub const DEVICE_BASE: usize = 0xffff_ffe0_0000_0000;
/// Length of the region of device windows.
pub const DEVICE_SIZE: usize = 1 << 30;
/// Where the image is linked: the address of its header.
pub const LINK_BASE: usize = 0xffff_ffff_8008_0000;
/// Where the image is loaded.
pub const LOAD_ADDRESS: usize = 0x8_0000;
/// Virtual minus physical, for addresses in the image.
pub const IMAGE_OFFSET: usize = LINK_BASE - LOAD_ADDRESS;

/// log2 of the size of every stack; the bit that tells a good stack pointer.
pub const STACK_SHIFT: usize = 14;
/// Size of every stack in bytes.
pub const STACK_SIZE: usize = 1 << STACK_SHIFT;
/// Size of the unmapped page below each stack.
pub const GUARD_SIZE: usize = 4096;
/// Size of a core's block in bytes.
pub const CORE_BLOCK_SIZE: usize = 0x18000;
/// Distance from one thread's stack to the next: the stack, and an unmapped half below it, whose last page is the guard.
pub const STACK_SLOT: usize = 2 * STACK_SIZE;
/// Offset of the top of the stack that exceptions run on.
pub const IRQ_STACK_TOP: usize = 0x8000;
/// Offset of the top of the stack that takes over when another has overflowed.
pub const OVERFLOW_STACK_TOP: usize = 0x10000;
/// Offset of the top of the stack on which the core boots and later idles.
pub const IDLE_STACK_TOP: usize = 0x18000;

unsafe extern "C" {
    static __core_blocks: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __vectors_start: u8;
    static __vectors_end: u8;
    static __rodata_end: u8;
    static __image_end: u8;
    static __percpu_load: u8;
    static __percpu_start: u8;
    static __percpu_end: u8;
    static __build_id_start: u8;
    static __build_id_end: u8;
}

macro_rules! linker_symbol {
    ($(#[$doc:meta])* $name:ident = $symbol:ident) => {
        $(#[$doc])*
        #[inline]
        pub fn $name() -> usize {
            &raw const $symbol as usize
        }
    };
}

linker_symbol!(
    /// Address of core 0's block.
    core_blocks = __core_blocks);
linker_symbol!(
    /// First address of functions that a backtrace may name.
    text_start = __text_start);
linker_symbol!(
    /// First address of the exception vectors and their paths back.
    vectors_start = __vectors_start);
linker_symbol!(
    /// End of the exception vectors.
    vectors_end = __vectors_end);
linker_symbol!(
    /// End of the executable pages.
    text_end = __text_end);
linker_symbol!(
    /// End of the read-only pages.
    rodata_end = __rodata_end);
linker_symbol!(
    /// End of the image, bss and the cores' blocks included; the symbol table follows.
    image_end = __image_end);
linker_symbol!(
    /// The template of the per-CPU data.
    percpu_template = __percpu_load);

/// Bytes of per-CPU data in each core's area.
#[inline]
pub fn percpu_size() -> usize {
    (&raw const __percpu_end as usize) - (&raw const __percpu_start as usize)
}

/// The GNU build id note of this image, header included.
pub fn build_id_note() -> &'static [u8] {
    let start = &raw const __build_id_start;
    let len = (&raw const __build_id_end as usize) - (start as usize);
    // SAFETY: the linker script delimits read-only data of the image by these two symbols.
    unsafe { core::slice::from_raw_parts(start, len) }
}

/// The stacks that every core has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreStack {
    /// On which exceptions run.
    Exception,
    /// Which takes over when another has overflowed.
    Overflow,
    /// On which the core boots and idles.
    Idle,
}

/// What an address in the cores' blocks belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorePlace {
    /// Per-CPU data.
    Area,
    /// The unmapped page below a stack.
    Guard(CoreStack),
    /// A stack.
    Stack(CoreStack),
    /// Nothing.
    Unused,
}

/// Which core's block an address lies in, and what is there. Pure arithmetic: any context.
pub fn core_place(addr: usize) -> Option<(usize, CorePlace)> {
    const THIRD: usize = 2 * STACK_SIZE;
    let offset = addr.checked_sub(core_blocks())?;
    let cpu = offset / CORE_BLOCK_SIZE;
    if cpu >= crate::arch::NR_CPUS {
        return None;
    }

    let in_block = offset % CORE_BLOCK_SIZE;
    let stack = match in_block / THIRD {
        0 => CoreStack::Exception,
        1 => CoreStack::Overflow,
        _ => CoreStack::Idle,
    };
    let place = match in_block % THIRD {
        in_stack if in_stack >= STACK_SIZE => CorePlace::Stack(stack),
        below if below >= STACK_SIZE - GUARD_SIZE => CorePlace::Guard(stack),
        _ if in_block < percpu_size() => CorePlace::Area,
        _ => CorePlace::Unused,
    };
    Some((cpu, place))
}

/// The guard pages of core `cpu`.
pub fn guard_pages(cpu: usize) -> [usize; 3] {
    let block = core_blocks() + cpu * CORE_BLOCK_SIZE;
    [IRQ_STACK_TOP, OVERFLOW_STACK_TOP, IDLE_STACK_TOP].map(|top| block + top - STACK_SIZE - GUARD_SIZE)
}
