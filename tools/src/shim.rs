//! A few instructions that stand in for a firmware: they put a machine into some state and jump to the kernel.
//!
//! QEMU's own loader enters a kernel in one way only, at EL2, with one core, and a device tree that it has checked. Other loaders do otherwise, and
//! the kernel promises to cope. The instructions are made here, word by word, so that no assembler is needed.
//!
//! The raw form is loaded at 0x80000 and entered by core 0 at EL2, like a kernel; the other cores wait in QEMU's spin table. The ELF form is
//! entered by all four cores at EL3. Encodings: Arm ARM DDI 0487, C6.2 and C5.1; names of registers are the architecture's.

use anyhow::{Context, Result, ensure};

/// Where QEMU loads a raw kernel.
const RAW_BASE: u64 = 0x8_0000;
/// Where the ELF form lies: out of the way of the kernel, wherever that is loaded.
const ELF_BASE: u64 = 0x700_0000;
/// Where the translation tables of [`Shim::mmu_on`] are to be loaded.
pub const TABLES_BASE: u64 = 0x600_0000;

/// Register that the shim itself uses.
const SCRATCH: u32 = 9;

/// A system register, as op0, op1, CRn, CRm, op2.
#[derive(Clone, Copy, Debug)]
pub struct SystemRegister(u32, u32, u32, u32, u32);

impl SystemRegister {
    pub const CNTHCTL_EL2: Self = Self(3, 4, 14, 1, 0);
    pub const CNTKCTL_EL1: Self = Self(3, 0, 14, 1, 0);
    pub const CNTP_CTL_EL0: Self = Self(3, 3, 14, 2, 1);
    pub const CNTP_CVAL_EL0: Self = Self(3, 3, 14, 2, 2);
    pub const CNTV_CTL_EL0: Self = Self(3, 3, 14, 3, 1);
    pub const CNTV_CVAL_EL0: Self = Self(3, 3, 14, 3, 2);
    pub const CNTVOFF_EL2: Self = Self(3, 4, 14, 0, 3);
    pub const CONTEXTIDR_EL1: Self = Self(3, 0, 13, 0, 1);
    pub const CPACR_EL1: Self = Self(3, 0, 1, 0, 2);
    pub const CPTR_EL2: Self = Self(3, 4, 1, 1, 2);
    pub const ELR_EL1: Self = Self(3, 0, 4, 0, 1);
    pub const HCR_EL2: Self = Self(3, 4, 1, 1, 0);
    pub const HSTR_EL2: Self = Self(3, 4, 1, 1, 3);
    pub const MAIR_EL1: Self = Self(3, 0, 10, 2, 0);
    pub const MDCR_EL2: Self = Self(3, 4, 1, 1, 1);
    pub const MDSCR_EL1: Self = Self(2, 0, 0, 2, 2);
    pub const PMUSERENR_EL0: Self = Self(3, 3, 9, 14, 0);
    pub const SCR_EL3: Self = Self(3, 6, 1, 1, 0);
    pub const SCTLR_EL1: Self = Self(3, 0, 1, 0, 0);
    pub const SP_EL0: Self = Self(3, 0, 4, 1, 0);
    pub const SPSR_EL1: Self = Self(3, 0, 4, 0, 0);
    pub const TCR_EL1: Self = Self(3, 0, 2, 0, 2);
    pub const TPIDR_EL0: Self = Self(3, 3, 13, 0, 2);
    pub const TPIDR_EL1: Self = Self(3, 0, 13, 0, 4);
    pub const TTBR0_EL1: Self = Self(3, 0, 2, 0, 0);
    pub const TTBR1_EL1: Self = Self(3, 0, 2, 0, 1);
    pub const VBAR_EL1: Self = Self(3, 0, 12, 0, 0);
    pub const VBAR_EL2: Self = Self(3, 4, 12, 0, 0);
    pub const VMPIDR_EL2: Self = Self(3, 4, 0, 0, 5);
    pub const VPIDR_EL2: Self = Self(3, 4, 0, 0, 0);
    pub const VTTBR_EL2: Self = Self(3, 4, 2, 1, 0);
    const MPIDR_EL1: Self = Self(3, 0, 0, 0, 5);

    /// The register of this name that belongs to `level`, given the one of EL1.
    fn of(self, level: u32) -> Self {
        let op1 = [0, 0, 4, 6][level as usize];
        Self(self.0, op1, self.2, self.3, self.4)
    }

    fn bits(self) -> u32 {
        (self.0 & 1) << 19 | self.1 << 16 | self.2 << 12 | self.3 << 8 | self.4 << 5
    }
}

/// Instructions, and where they will lie.
#[derive(Clone, Debug)]
pub struct Shim {
    words: Vec<u32>,
    base: u64,
    level: u32,
    /// What HCR_EL2 holds when EL1 is entered.
    hcr_el2: u64,
}

impl Shim {
    /// A shim that core 0 alone enters at EL2.
    pub fn raw() -> Self {
        Self { words: Vec::new(), base: RAW_BASE, level: 2, hcr_el2: HCR_RW }
    }

    /// A shim that all cores enter at EL3.
    pub fn elf() -> Self {
        Self { words: Vec::new(), base: ELF_BASE, level: 3, hcr_el2: HCR_RW }
    }

    /// Exception level at which the cores are when they have come this far.
    pub fn level(&self) -> usize {
        self.level as usize
    }

    fn push(&mut self, word: u32) {
        self.words.push(word);
    }

    /// Address of the instruction that comes `ahead` instructions from here.
    fn address(&self, ahead: usize) -> u64 {
        self.base + 4 * (self.words.len() + ahead) as u64
    }

    /// Sets a general register; four instructions, whatever the value.
    pub fn set(&mut self, register: u32, value: u64) {
        let part = |number: u32| (value >> (16 * number)) as u32 & 0xffff;
        self.push(0xd280_0000 | part(0) << 5 | register); // movz xN, #part0
        for number in 1..4 {
            self.push(0xf280_0000 | number << 21 | part(number) << 5 | register); // movk xN, #part, lsl #16*number
        }
    }

    /// Sets a system register.
    pub fn set_system(&mut self, register: SystemRegister, value: u64) {
        self.set(SCRATCH, value);
        self.push(0xd510_0000 | register.bits() | SCRATCH); // msr REGISTER, x9
    }

    /// Keeps the other cores from coming any further.
    pub fn park_others(&mut self) {
        self.number_of_this_core();
        self.push(0xb400_0000 | 3 << 5 | SCRATCH); // cbz x9, over the loop
        self.push(0xd503_205f); // wfe
        self.push(0x17ff_ffff); // b one back
    }

    /// Has each core but core 0 count to `turns` before it goes on.
    pub fn delay_others(&mut self, turns: u64) {
        self.number_of_this_core();
        self.push(0xb400_0000 | 7 << 5 | SCRATCH); // cbz x9, over the loop
        self.set(SCRATCH, turns);
        self.push(0xd100_0400 | SCRATCH << 5 | SCRATCH); // sub x9, x9, #1
        self.push(0xb500_0000 | (0x7_ffff << 5) | SCRATCH); // cbnz x9, one back
    }

    fn number_of_this_core(&mut self) {
        self.push(0xd530_0000 | SystemRegister::MPIDR_EL1.bits() | SCRATCH); // mrs x9, mpidr_el1
        self.push(0x9240_0400 | SCRATCH << 5 | SCRATCH); // and x9, x9, #3
    }

    /// Has an SError wait for EL1 to take it: the only one that can be had from QEMU, where every failed access is reported at once.
    pub fn pend_serror(&mut self) {
        self.hcr_el2 |= HCR_AMO | HCR_VSE;
    }

    /// Has an FIQ wait for EL1, for ever.
    pub fn pend_fiq(&mut self) {
        self.hcr_el2 |= HCR_FMO | HCR_VF;
    }

    /// Goes down to exception level `level`, setting no more than is needed to arrive.
    pub fn drop_to(&mut self, level: u32) {
        while self.level > level {
            let (from, to) = (self.level, self.level - 1);
            match from {
                3 => self.set_system(SystemRegister::SCR_EL3, 0x5b1), // NS, SMD, HCE, RW and what must be 1
                _ => self.set_system(SystemRegister::HCR_EL2, self.hcr_el2),
            }
            self.set_system(SystemRegister::SPSR_EL1.of(from), 0x3c1 | u64::from(to) << 2); // DAIF masked, its own stack pointer
            let next = self.address(6);
            self.set_system(SystemRegister::ELR_EL1.of(from), next);
            self.push(0xd69f_03e0); // eret
            self.level = to;
        }
    }

    /// Switches the caches on, but not the MMU.
    pub fn caches_on(&mut self) {
        self.switch_on(SCTLR_C | SCTLR_I);
    }

    /// Switches MMU and caches on, with all of memory at its own address by [`identity_tables`].
    pub fn mmu_on(&mut self) {
        let level = self.level;
        self.set_system(SystemRegister::MAIR_EL1.of(level), 0x04ff); // 0 write-back, 1 device
        self.set_system(SystemRegister::TTBR0_EL1.of(level), TABLES_BASE);
        // 39 bits, cacheable walks, 36 bits of physical address; then nothing through TTBR1, or the bits that must be 1.
        let tcr = 25 | 1 << 8 | 1 << 10 | 3 << 12;
        let tcr = if level == 1 { tcr | 25 << 16 | 1 << 23 | 1 << 32 } else { tcr | 1 << 16 | 1 << 23 | 1 << 31 };
        self.set_system(SystemRegister::TCR_EL1.of(level), tcr);
        self.push([0, 0xd508_871f, 0xd50c_871f, 0xd50e_871f][level as usize]); // tlbi vmalle1, alle2 or alle3
        self.push(0xd503_3f9f); // dsb sy
        self.push(0xd503_3fdf); // isb
        self.switch_on(SCTLR_M | SCTLR_C | SCTLR_I);
    }

    fn switch_on(&mut self, bits: u64) {
        let must_be_one = if self.level == 1 { 0x30d0_0800 } else { 0x30c5_0830 };
        self.set_system(SystemRegister::SCTLR_EL1.of(self.level), must_be_one | bits);
        self.push(0xd503_3fdf); // isb
    }

    /// Leaves debris in every register that a kernel may rely on without having set it. At EL2.
    pub fn leave_debris(&mut self) {
        use SystemRegister as R;
        const DEBRIS: u64 = 0xdead_beef_5a5a_a5a5;
        let traps = [
            (R::HCR_EL2, 1 << 31 | 1 << 27 | 0x3f_e03f), // TGE, traps, routing to EL2
            (R::CPTR_EL2, 0x8010_37ff),
            (R::HSTR_EL2, 0xffff),
            (R::MDCR_EL2, 0xfe0),
            (R::CNTHCTL_EL2, 0),
            (R::CNTVOFF_EL2, DEBRIS),
            (R::VTTBR_EL2, 0xdead_0000_0000),
            (R::VPIDR_EL2, 0),
            (R::VMPIDR_EL2, 3),
            (R::VBAR_EL2, 0xdead_0000),
        ];
        let of_el1 = [
            (R::SCTLR_EL1, 0x30d0_0800 | SCTLR_M | SCTLR_C | SCTLR_I | 1 << 25), // on, and big-endian
            (R::TCR_EL1, DEBRIS),
            (R::MAIR_EL1, DEBRIS),
            (R::TTBR0_EL1, 0xdead_0000),
            (R::TTBR1_EL1, 0xdead_0000),
            (R::VBAR_EL1, 0xdead_0000),
            (R::CPACR_EL1, 3 << 20),
            (R::CNTKCTL_EL1, 0x3ff),
            (R::MDSCR_EL1, 1 << 15 | 1 << 13 | 1),
            (R::CONTEXTIDR_EL1, DEBRIS),
            (R::PMUSERENR_EL0, 0xf),
            (R::ELR_EL1, DEBRIS),
            (R::SPSR_EL1, 0x3c0),
            (R::SP_EL0, DEBRIS),
            (R::TPIDR_EL0, DEBRIS),
            (R::TPIDR_EL1, DEBRIS),
            // Both timers have rung already.
            (R::CNTP_CVAL_EL0, 0),
            (R::CNTP_CTL_EL0, 1),
            (R::CNTV_CVAL_EL0, 0),
            (R::CNTV_CTL_EL0, 1),
        ];
        for (register, value) in traps.into_iter().chain(of_el1) {
            self.set_system(register, value);
        }
        for register in (1..31).filter(|register| *register != SCRATCH) {
            self.set(register, DEBRIS.rotate_left(register));
        }
        self.push(0xd500_40bf); // msr spsel, #0
        self.push(0xd503_44ff); // msr daifclr, #4: SError, the one that nothing raises here
    }

    /// Jumps to `address` with `x0`.
    pub fn enter(&mut self, address: u64, x0: u64) {
        self.set(SCRATCH, address);
        self.set(0, x0);
        self.push(0xd61f_0000 | SCRATCH << 5); // br x9
    }

    /// The file for `-kernel`.
    pub fn file(&self) -> Result<Vec<u8>> {
        let code: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        // QEMU looks for a header in raw files; a long one cannot be mistaken for it being cut off.
        ensure!(code.len() < 0x1000, "a shim of {} bytes is no shim", code.len());
        if self.base == RAW_BASE { Ok(code) } else { elf(&code, self.base) }
    }
}

// HCR_EL2 (Arm ARM D24.2.60): EL1 is AArch64; virtual FIQs and SErrors, which need physical ones to be routed to EL2.
const HCR_RW: u64 = 1 << 31;
const HCR_FMO: u64 = 1 << 3;
const HCR_AMO: u64 = 1 << 5;
const HCR_VF: u64 = 1 << 6;
const HCR_VSE: u64 = 1 << 8;

const SCTLR_M: u64 = 1 << 0;
const SCTLR_C: u64 = 1 << 2;
const SCTLR_I: u64 = 1 << 12;

/// Translation tables, one page: RAM as memory, what lies above 3 GiB as devices, each at its own address.
pub fn identity_tables() -> Vec<u8> {
    const GIB: u64 = 1 << 30;
    const BLOCK: u64 = 1 | 3 << 8 | 1 << 10; // inner shareable, accessed
    const DEVICE: u64 = 1 << 2;
    let entry = |number: u64| if number < 3 { (number * GIB) | BLOCK } else { (number * GIB) | BLOCK | DEVICE };
    let mut tables: Vec<u8> = (0..4).flat_map(|number| entry(number).to_le_bytes()).collect();
    tables.resize(0x1000, 0);
    tables
}

/// The smallest ELF that QEMU loads: one segment, at its physical address.
fn elf(code: &[u8], base: u64) -> Result<Vec<u8>> {
    const HEADERS: u64 = 64 + 56;
    let length = u64::try_from(code.len()).context("the shim is too long")?;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec(); // 64 bits, little-endian, version 1
    file.resize(16, 0);
    let half = |value: u16| value.to_le_bytes().to_vec();
    let word = |value: u32| value.to_le_bytes().to_vec();
    let long = |value: u64| value.to_le_bytes().to_vec();
    file.extend([half(2), half(183), word(1)].concat()); // executable, AArch64
    file.extend([long(base), long(64), long(0), word(0)].concat()); // entry; program headers; no section headers
    file.extend([half(64), half(56), half(1), half(0), half(0), half(0)].concat());
    file.extend([word(1), word(5)].concat()); // loaded, readable and executable
    file.extend([long(HEADERS), long(base), long(base), long(length), long(length), long(4)].concat());
    file.extend(code);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_what_an_assembler_makes() {
        let mut shim = Shim::raw();
        shim.set(1, 0x1111_2222_3333_4444);
        assert_eq!(shim.words, [0xd288_8881, 0xf2a6_6661, 0xf2c4_4441, 0xf2e2_2221]);
        let last = |build: fn(&mut Shim)| {
            let mut shim = Shim::raw();
            build(&mut shim);
            *shim.words.last().unwrap()
        };
        assert_eq!(last(|shim| shim.set_system(SystemRegister::MDSCR_EL1, 0)), 0xd510_0249);
        assert_eq!(last(|shim| shim.set_system(SystemRegister::HCR_EL2, 0)), 0xd51c_1109);
        assert_eq!(last(|shim| shim.set_system(SystemRegister::CNTVOFF_EL2, 0)), 0xd51c_e069);
        assert_eq!(last(|shim| shim.set_system(SystemRegister::SPSR_EL1.of(3), 0)), 0xd51e_4009);
        assert_eq!(last(|shim| shim.enter(0, 0)), 0xd61f_0120);
        assert_eq!(last(Shim::number_of_this_core), 0x9240_0529);
        assert_eq!(last(Shim::park_others), 0x17ff_ffff);
        assert_eq!(last(|shim| shim.delay_others(5)), 0xb5ff_ffe9);
    }

    #[test]
    fn a_drop_arrives_behind_its_own_last_instruction() {
        let mut shim = Shim::raw();
        shim.drop_to(1);
        let elr = shim.address(0) as u32;
        let low_half = shim.words[shim.words.len() - 6] >> 5 & 0xffff;
        assert_eq!(low_half, elr & 0xffff);
    }

    #[test]
    fn the_elf_form_is_one_segment() {
        let mut shim = Shim::elf();
        shim.enter(0x8_0000, 0);
        let file = shim.file().unwrap();
        let object = object::read::elf::ElfFile64::<object::Endianness>::parse(&*file).unwrap();
        use object::{Object, ObjectSegment};
        assert_eq!(object.entry(), ELF_BASE);
        let segment = object.segments().next().unwrap();
        assert_eq!((segment.address(), segment.size()), (ELF_BASE, 4 * 9));
    }
}
