//! Device registers with the order that drivers expect, by their Linux names; `b`, `w`, `l`, `q` are 8, 16, 32 and 64 bits.
//!
//! Accesses to one device (Device-nGnRE memory) reach it in program order anyway; the barriers order them against *memory*: what `writel`
//! starts a device on is in memory before (DMB OSHST), what `readl` says is done can be read after (DMB OSHLD). The `_relaxed` forms leave
//! that out, for registers that start and report nothing, and for several in a row before the one that does. Drivers with typed registers
//! (`tock-registers`) make relaxed accesses and add [`super::barrier::dma_wmb`] and [`super::barrier::dma_rmb`] where memory is involved.
//!
//! A read that must take effect before a delay or the next read of the counter needs [`super::barrier::mb`] after it: DMB orders accesses,
//! not time.
//!
//! Sources: ARM DDI 0487, B2.7 "Memory types and attributes", B2.3 "Memory barriers".

use crate::arch::{barrier, mmio};

/// Defines the four accessors of one width.
macro_rules! accessors {
    ($word:ty: $read:ident $read_relaxed:ident $write:ident $write_relaxed:ident = $load:ident $store:ident) => {
        #[doc = concat!("Reads a `", stringify!($word), "` register; no later access to memory or device comes before it.")]
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped as a device, and reading it does not break what another part of the kernel relies on.
        ///
        /// # Examples
        /// ```
        /// let register = 5; // stands for a device's
        /// // SAFETY: a live local.
        #[doc = concat!("assert_eq!(unsafe { tetra::sync::mmio::", stringify!($read), "(&raw const register) }, 5);")]
        /// ```
        #[inline(always)]
        pub unsafe fn $read(register: *const $word) -> $word {
            // SAFETY: The caller's promise is the same.
            let value = unsafe { mmio::$load(register) };
            barrier::dma_rmb();
            value
        }

        #[doc = concat!("Reads a `", stringify!($word), "` register, ordered only against accesses to the same device.")]
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped as a device, and reading it does not break what another part of the kernel relies on.
        ///
        /// # Examples
        /// ```
        /// let register = 5; // stands for a device's
        /// // SAFETY: a live local.
        #[doc = concat!("assert_eq!(unsafe { tetra::sync::mmio::", stringify!($read_relaxed), "(&raw const register) }, 5);")]
        /// ```
        #[inline(always)]
        pub unsafe fn $read_relaxed(register: *const $word) -> $word {
            // SAFETY: The caller's promise is the same.
            unsafe { mmio::$load(register) }
        }

        #[doc = concat!("Writes a `", stringify!($word), "` register; every earlier store is visible to the device before it.")]
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped as a device, and writing `value` does not break what another part of the kernel relies on.
        ///
        /// # Examples
        /// ```
        /// let mut register = 0; // stands for a device's
        /// // SAFETY: a live local.
        #[doc = concat!("unsafe { tetra::sync::mmio::", stringify!($write), "(5, &raw mut register) };")]
        /// assert_eq!(register, 5);
        /// ```
        #[inline(always)]
        pub unsafe fn $write(value: $word, register: *mut $word) {
            barrier::dma_wmb();
            // SAFETY: The caller's promise is the same.
            unsafe { mmio::$store(register, value) };
        }

        #[doc = concat!("Writes a `", stringify!($word), "` register, ordered only against accesses to the same device.")]
        ///
        /// Context: any.
        ///
        /// # Safety
        /// `register` is aligned and mapped as a device, and writing `value` does not break what another part of the kernel relies on.
        ///
        /// # Examples
        /// ```
        /// let mut register = 0; // stands for a device's
        /// // SAFETY: a live local.
        #[doc = concat!("unsafe { tetra::sync::mmio::", stringify!($write_relaxed), "(5, &raw mut register) };")]
        /// assert_eq!(register, 5);
        /// ```
        #[inline(always)]
        pub unsafe fn $write_relaxed(value: $word, register: *mut $word) {
            // SAFETY: The caller's promise is the same.
            unsafe { mmio::$store(register, value) };
        }
    };
}

accessors!(u8: readb readb_relaxed writeb writeb_relaxed = read_u8 write_u8);
accessors!(u16: readw readw_relaxed writew writew_relaxed = read_u16 write_u16);
accessors!(u32: readl readl_relaxed writel writel_relaxed = read_u32 write_u32);
accessors!(u64: readq readq_relaxed writeq writeq_relaxed = read_u64 write_u64);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Checks that each width writes and reads its own bytes only, in a word that stands for the device.
    macro_rules! width {
        ($name:ident, $word:ty, $read:ident $read_relaxed:ident $write:ident $write_relaxed:ident) => {
            #[test]
            fn $name() {
                let mut registers = [<$word>::MAX, 0, <$word>::MAX];
                let register = &raw mut registers[1];
                let value = (0x0123_4567_89ab_cdef_u64 & u64::from(<$word>::MAX)) as $word;
                // SAFETY: The register is a live local, for this and the three below.
                unsafe { $write(value, register) };
                // SAFETY: As above.
                assert_eq!(unsafe { $read_relaxed(register) }, value);
                // SAFETY: As above.
                unsafe { $write_relaxed(!value, register) };
                // SAFETY: As above.
                assert_eq!(unsafe { $read(register) }, !value);
                assert_eq!((registers[0], registers[2]), (<$word>::MAX, <$word>::MAX));
            }
        };
    }

    width!(bytes, u8, readb readb_relaxed writeb writeb_relaxed);
    width!(halfwords, u16, readw readw_relaxed writew writew_relaxed);
    width!(words, u32, readl readl_relaxed writel writel_relaxed);
    width!(doublewords, u64, readq readq_relaxed writeq writeq_relaxed);
}
