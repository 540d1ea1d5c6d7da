//! The performance monitor: a cycle counter and six event counters on each core of a Cortex-A72.
//!
//! Used by the benchmarks to count instructions and cycles. Counters are read twice and subtracted, never reset in between, so several
//! users can share one counter. Event counters are 32 bits wide and are subtracted modulo 2^32; the cycle counter has 64.
//!
//! Boot gives all counters to EL1 (`MDCR_EL2.HPMN` = their number, `TPM` and `TPMCR` clear). On QEMU events count only under `-icount`,
//! and then INST_RETIRED counts the instructions of *all* cores: keep the others in WFI.
//!
//! Source: ARM DDI 0487 D12 (PMUv3), D17.5 (registers), D12.11 (event numbers); Cortex-A72 TRM, ARM 100095, chapter 11.

use core::arch::asm;

use bitflags::bitflags;

/// Reads a system register that has no side effect when read.
macro_rules! read_register {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a PMU register, which EL1 may do; touches neither memory nor stack.
        unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}

/// Writes a PMU register. Not `nomem`: code whose cost is measured must not move across the start of a counter.
macro_rules! write_register {
    ($name:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: writes a PMU register, which changes what is counted and nothing that the program depends on.
        unsafe { asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
    }};
}

bitflags! {
    /// Bits of `PMCR_EL0`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Control: u64 {
        /// E: counters run.
        const ENABLE = 1 << 0;
        /// P: event counters to 0.
        const RESET_EVENTS = 1 << 1;
        /// C: cycle counter to 0.
        const RESET_CYCLES = 1 << 2;
        /// LC: the cycle counter overflows at 64 bits, not at 32.
        const LONG_CYCLES = 1 << 6;
    }
}

/// Position and mask of N, the number of event counters, in `PMCR_EL0`.
const COUNTERS_SHIFT: u32 = 11;
const COUNTERS_MASK: u64 = 0x1f;
/// The cycle counter's bit in the enable and overflow registers.
const CYCLE_BIT: u64 = 1 << 31;
/// Position of PMUVer in `ID_AA64DFR0_EL1`: 0 is no PMU, 15 one that is not PMUv3.
const PMUVER_SHIFT: u32 = 8;
/// NSH of a type register: also count at EL2. Off, with all other filters off, means EL1 and EL0.
const COUNT_EL1: u64 = 0;

/// What an event counter counts (ARM DDI 0487 D12.11; the A72 has all of these).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Event {
    /// Refills of the L1 data cache.
    L1dCacheRefill = 0x03,
    /// Instructions that were architecturally executed.
    InstRetired = 0x08,
    /// Exceptions taken.
    ExcTaken = 0x09,
    /// Mispredicted branches.
    BrMisPred = 0x10,
    /// Cycles.
    CpuCycles = 0x11,
    /// Data memory accesses.
    MemAccess = 0x13,
    /// Bus accesses.
    BusAccess = 0x19,
    /// Exclusive stores that failed (A72: STREX_FAIL_SPEC).
    StrexFail = 0x6e,
}

/// The monitor of the calling core, running.
///
/// All methods act on the core they run on; keep to one core while measuring.
#[derive(Clone, Copy, Debug)]
pub struct Pmu {
    nr_counters: u8,
}

/// An event counter that has been given an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u8);

impl Pmu {
    /// Starts the calling core's monitor: cycle counter running, event counters off, no interrupts, no access from EL0.
    ///
    /// `None` if the core has no PMUv3.
    ///
    /// Context: any, not preemptible; once on each core that measures.
    #[must_use]
    pub fn start() -> Option<Pmu> {
        let version = read_register!("id_aa64dfr0_el1") >> PMUVER_SHIFT & 0xf;
        if version == 0 || version == 0xf {
            return None;
        }
        let all = u64::from(u32::MAX);
        write_register!("pmintenclr_el1", all);
        write_register!("pmcntenclr_el0", all);
        write_register!("pmovsclr_el0", all);
        write_register!("pmuserenr_el0", 0);
        write_register!("pmccfiltr_el0", COUNT_EL1);
        let control = Control::ENABLE | Control::RESET_EVENTS | Control::RESET_CYCLES | Control::LONG_CYCLES;
        write_register!("pmcr_el0", control.bits());
        write_register!("pmcntenset_el0", CYCLE_BIT);
        synchronize();
        let nr_counters = (read_register!("pmcr_el0") >> COUNTERS_SHIFT & COUNTERS_MASK) as u8;
        Some(Pmu { nr_counters })
    }

    /// Number of event counters that EL1 has.
    ///
    /// Context: any.
    #[must_use]
    pub const fn nr_counters(&self) -> u8 {
        self.nr_counters
    }

    /// Lets event counter `index` count `event`; `None` if the core has no such counter.
    ///
    /// Context: any, not preemptible.
    #[must_use]
    pub fn count(&self, index: u8, event: Event) -> Option<Counter> {
        if index >= self.nr_counters {
            return None;
        }
        let bit = 1 << index;
        write_register!("pmcntenclr_el0", bit);
        write_register!("pmselr_el0", u64::from(index));
        synchronize();
        write_register!("pmxevtyper_el0", COUNT_EL1 | event as u64);
        write_register!("pmxevcntr_el0", 0);
        write_register!("pmcntenset_el0", bit);
        synchronize();
        Some(Counter(index))
    }

    /// The value of an event counter.
    ///
    /// Context: any, not preemptible, nor interruptible by another reader (the selector is shared).
    #[must_use]
    pub fn read(&self, counter: Counter) -> u32 {
        write_register!("pmselr_el0", u64::from(counter.0));
        synchronize();
        read_register!("pmxevcntr_el0") as u32
    }

    /// The value of event counter 0, without the selector: two instructions around what is measured, for the benchmarks.
    ///
    /// Context: any, not preemptible.
    #[inline(always)]
    #[must_use]
    pub fn read_counter0(&self) -> u32 {
        synchronize();
        let value: u64;
        // SAFETY: as in `read_register`; a memory clobber here, so that the measured code stays between two reads.
        unsafe { asm!("mrs {}, pmevcntr0_el0", out(reg) value, options(nostack, preserves_flags)) };
        value as u32
    }

    /// The cycle counter: 64 bits, at the core's clock.
    ///
    /// Context: any, not preemptible.
    #[inline(always)]
    #[must_use]
    pub fn cycles(&self) -> u64 {
        synchronize();
        let value: u64;
        // SAFETY: as in `read_counter0`.
        unsafe { asm!("mrs {}, pmccntr_el0", out(reg) value, options(nostack, preserves_flags)) };
        value
    }
}

/// Completes what precedes before a counter is touched.
#[inline(always)]
fn synchronize() {
    super::barrier::isb();
}
