//! The symbol table that was appended to the image, found once at boot.

use super::kallsyms::{Table, TableError};
use crate::arch::layout;
use core::fmt;
use spin::Once;

static TABLE: Once<Table<'static>> = Once::new();

/// Finds the table: `len` bytes behind the image.
///
/// Context: early boot, core 0.
///
/// # Errors
/// `TableError` if what lies there is no table; reports then show bare addresses.
pub fn init(len: usize) -> Result<&'static Table<'static>, TableError> {
    // SAFETY: start.S moved `len` bytes there and mapped them; nothing writes them afterwards.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(layout::image_end() as *const u8, len) };
    let table = Table::parse(bytes)?;
    Ok(TABLE.call_once(|| table))
}

/// The table, if the image has one. Context: any.
pub fn table() -> Option<&'static Table<'static>> {
    TABLE.get()
}

/// Shows an address as `name+0x10/0x40`; bare if it has no name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    address: usize,
    lookup: usize,
}

impl Named {
    /// An address that was or would be executed, or of data.
    pub fn exact(address: usize) -> Self {
        Self { address, lookup: address }
    }

    /// A return address: named by the call before it, which may be the last instruction of its function.
    pub fn return_to(address: usize) -> Self {
        Self { address, lookup: address.wrapping_sub(1) }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match table().and_then(|table| table.lookup(self.lookup as u64)) {
            Some(symbol) => {
                let offset = symbol.offset + (self.address - self.lookup) as u64;
                write!(f, "{}+{:#x}/{:#x}", symbol.name, offset, symbol.size)
            }
            None => write!(f, "{:#018x}", self.address),
        }
    }
}
