//! The Cortex-A72: all assembly of the kernel but the first instructions, which are in `boot/`.
//!
//! Neighbours: `crate::arch` names what is visible outside. Source: Arm ARM DDI 0487 (cited by section), Cortex-A72 TRM 100095.

use core::arch::asm;

mod atomic;
pub mod barrier;
pub mod boot;
pub mod bug;
pub mod cache;
pub mod count;
pub mod counter;
pub mod exception;
pub mod gate;
pub mod irq;
pub mod layout;
mod mem;
pub mod mmio;
pub mod mmu;
pub mod page;

pub mod pmu;
pub mod probe;
pub mod semihosting;
pub mod spin;
pub mod switch;
pub mod sysreg;
pub mod unaligned;

/// Number of the core that runs this, 0 to 3: the affinity level 0 of MPIDR_EL1 (Arm ARM D24.2.126).
///
/// Context: any. The answer is stale as soon as the caller may migrate.
///
/// # Examples
/// ```no_run
/// use tetra::cpu::{self, PreemptGuard};
/// let pinned = PreemptGuard::new();
/// assert!(cpu::id() < cpu::NR_CPUS); // the same until the guard drops
/// ```
#[inline]
pub fn cpu_id() -> usize {
    mpidr() as usize & 0xff
}

/// MPIDR_EL1 of the core that runs this.
#[inline]
pub fn mpidr() -> u64 {
    let mpidr: u64;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, mpidr_el1", out(reg) mpidr, options(nomem, nostack, preserves_flags)) };
    mpidr
}

/// Address of this core's per-CPU area.
///
/// Context: any; the caller must not migrate between this and the use of the answer.
#[inline(always)]
pub fn core_area() -> usize {
    let area;
    // SAFETY: reading the register has no side effect. Not `pure`: a migration changes the answer.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) area, options(nomem, nostack, preserves_flags)) };
    area
}

/// Address of the per-CPU area of core `cpu`.
///
/// # Panics
/// If there is no such core.
#[inline]
pub fn core_area_of(cpu: usize) -> usize {
    assert!(cpu < super::NR_CPUS, "core {cpu} does not exist: the BCM2711 has {}", super::NR_CPUS);
    layout::core_blocks() + cpu * layout::CORE_BLOCK_SIZE
}

/// The word that names the running thread (TPIDR_EL0): an address of its task block, 0 before there is one.
///
/// Context: any. Constant for a thread, so it may be kept over a migration.
#[inline(always)]
pub fn current() -> usize {
    let current;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) current, options(nomem, nostack, preserves_flags)) };
    current
}

/// Names the running thread.
///
/// # Safety
/// `task` must be the task block of the thread that runs from here on, and live as long as it runs.
#[inline]
pub unsafe fn set_current(task: usize) {
    // SAFETY: by the contract of this function.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) task, options(nomem, nostack, preserves_flags)) };
}

/// Offset of a per-CPU variable in each core's area: the value of its symbol, which the linker script places in a section at address 0.
#[doc(hidden)]
#[macro_export]
macro_rules! percpu_offset {
    ($symbol:path) => {{
        let offset: usize;
        // SAFETY: an immediate move. The linker refuses a value that does not fit 16 bits.
        unsafe { core::arch::asm!("movz {}, #:abs_g0:{}", out(reg) offset, sym $symbol, options(pure, nomem, nostack, preserves_flags)) };
        offset
    }};
}
pub use crate::percpu_offset;

/// The address, in the per-CPU area at `$area`, of the copy of a symbol in `.percpu.near`: one ADD.
#[doc(hidden)]
#[macro_export]
macro_rules! percpu_near {
    ($symbol:path, $area:expr) => {{
        let area: usize = $area;
        let address: usize;
        // SAFETY: an addition. The relocation keeps 12 bits without a check; the linker script asserts that `.percpu.near` ends below 4096.
        unsafe { core::arch::asm!("add {}, {}, #:lo12:{}", out(reg) address, in(reg) area, sym $symbol, options(pure, nomem, nostack, preserves_flags)) };
        address
    }};
}
pub use crate::percpu_near;

/// Hints that this is a spin loop (YIELD).
#[inline(always)]
pub fn relax() {
    // SAFETY: a hint without effect on state.
    unsafe { asm!("yield", options(nomem, nostack, preserves_flags)) };
}

/// Waits for an interrupt, which also ends the wait when it is masked. DSB first: what was written before sleeping must be done (Arm ARM
/// D1.6.2 lets a core sleep with writes outstanding).
#[inline]
pub fn wfi() {
    // SAFETY: sleeps and wakes; no state changes but what interrupts do.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// Waits for an event: SEV of another core, a cleared exclusive monitor, or an interrupt.
#[inline]
pub fn wfe() {
    // SAFETY: as for `wfi`.
    unsafe { asm!("wfe", options(nostack, preserves_flags)) };
}

/// Sends an event to all cores. DSB first: the waiter must see what it was woken for.
#[inline]
pub fn sev() {
    // SAFETY: wakes other cores; no other effect.
    unsafe { asm!("dsb ishst", "sev", options(nostack, preserves_flags)) };
}

/// The stack pointer now: for a report or a stack check.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reading the register has no side effect.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Makes the function that this is inlined into begin with its frame record, whatever path it takes then: for the benchmarks, which take its cost off.
#[inline(always)]
pub fn force_frame() {
    // SAFETY: no instruction; X30 is only said to change, so it is saved before this point.
    unsafe { asm!("", out("x30") _, options(nomem, nostack, preserves_flags)) };
}

/// Uses a value without an instruction: whatever register it is in, it must have been computed.
#[inline(always)]
pub fn observe(value: u64) {
    // SAFETY: no instruction.
    unsafe { asm!("/* {} */", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// As [`observe`]: a word of 32 bits, which nobody has to extend.
#[inline(always)]
pub fn observe_u32(value: u32) {
    // SAFETY: no instruction.
    unsafe { asm!("/* {:w} */", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// Branches on a condition and does nothing on either side.
#[inline(always)]
pub fn observe_branch(condition: bool) {
    if condition {
        // SAFETY: no instruction, but for the compiler something that the other side has not.
        unsafe { asm!("/* taken */", options(nomem, nostack, preserves_flags)) };
    }
}

/// Where the caller is: program counter and frame pointer.
#[inline(always)]
pub fn position() -> (usize, usize) {
    let (pc, fp);
    // SAFETY: reads two registers.
    unsafe { asm!("adr {}, .", "mov {}, x29", out(reg) pc, out(reg) fp, options(nomem, nostack, preserves_flags)) };
    (pc, fp)
}

/// Stops this core for good: irqs masked, asleep.
pub fn halt() -> ! {
    irq::mask();
    loop {
        wfi();
    }
}

/// Executes an instruction that is undefined: for the tests of the report.
pub fn undefined_instruction() {
    // SAFETY: UDF takes the exception and changes nothing.
    unsafe { asm!("udf #0", options(nostack, preserves_flags)) };
}

/// Returns from an exception that never was to `address` at EL0, where nothing can be executed: for the tests of the report.
#[inline(never)]
pub fn return_to_el0(address: usize) -> ! {
    /// SPSR: EL0 on SP_EL0, everything masked (Arm ARM C5.2.18).
    const EL0T_MASKED: u64 = 0xf << 6;

    // SAFETY: none for the running code: no page is executable at EL0, so the fetch ends the kernel. All is masked first, or an interrupt would change ELR.
    unsafe {
        asm!("msr daifset, #0xf", "msr elr_el1, {}", "msr spsr_el1, {}", "eret", in(reg) address, in(reg) EL0T_MASKED, options(noreturn));
    }
}

/// Takes a fault while the frame pointer is `fp`: for the tests of the backtrace.
#[inline(never)]
pub fn fault_with_frame_pointer(fp: usize) {
    // SAFETY: none for the running code: the fault ends the kernel before the frame pointer is used by anything but the report.
    unsafe { asm!("mov x29, {}", "udf #1", in(reg) fp, options(noreturn)) };
}
