//! Single accesses to device registers: one LDR or STR each, which the compiler neither merges, splits, repeats nor gives a write-back
//! address.
//!
//! Assembly rather than a volatile access, because a volatile one may be compiled to a pre- or post-indexed form, which a hypervisor cannot
//! decode from ESR_EL2 (ISS.ISV is 0 then; ARM DDI 0487, ISS encoding of a Data Abort).
//!
//! Neighbours: `sync/mmio.rs` adds the barriers and the names that drivers use.

use core::arch::asm;

/// Defines the load and the store of one width.
macro_rules! access {
    ($read:ident, $write:ident, $word:ty, $load:literal, $store:literal) => {
        /// Loads from a device register.
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped, and reading it does not break what another part of the kernel relies on.
        #[inline(always)]
        pub unsafe fn $read(register: *const $word) -> $word {
            let value: $word;
            // SAFETY: The caller vouches for the address and for what the read causes.
            unsafe { asm!($load, register = in(reg) register, value = lateout(reg) value, options(nostack, preserves_flags)) }
            value
        }

        /// Stores to a device register.
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped, and writing `value` does not break what another part of the kernel relies on.
        #[inline(always)]
        pub unsafe fn $write(register: *mut $word, value: $word) {
            // SAFETY: The caller vouches for the address and for what the write causes.
            unsafe { asm!($store, register = in(reg) register, value = in(reg) value, options(nostack, preserves_flags)) }
        }
    };
}

access!(read_u8, write_u8, u8, "ldrb {value:w}, [{register}]", "strb {value:w}, [{register}]");
access!(read_u16, write_u16, u16, "ldrh {value:w}, [{register}]", "strh {value:w}, [{register}]");
access!(read_u32, write_u32, u32, "ldr {value:w}, [{register}]", "str {value:w}, [{register}]");
access!(read_u64, write_u64, u64, "ldr {value}, [{register}]", "str {value}, [{register}]");
