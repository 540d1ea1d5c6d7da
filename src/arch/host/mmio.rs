//! The same accesses as volatile ones, for tests that let ordinary memory stand for a device.

/// Defines the load and the store of one width.
macro_rules! access {
    ($read:ident, $write:ident, $word:ty) => {
        /// Loads from a device register.
        ///
        /// # Safety
        /// As for `core::ptr::read_volatile`.
        pub unsafe fn $read(register: *const $word) -> $word {
            // SAFETY: The caller's promise is the same.
            unsafe { register.read_volatile() }
        }

        /// Stores to a device register.
        ///
        /// # Safety
        /// As for `core::ptr::write_volatile`.
        pub unsafe fn $write(register: *mut $word, value: $word) {
            // SAFETY: The caller's promise is the same.
            unsafe { register.write_volatile(value) }
        }
    };
}

access!(read_u8, write_u8, u8);
access!(read_u16, write_u16, u16);
access!(read_u32, write_u32, u32);
access!(read_u64, write_u64, u64);
