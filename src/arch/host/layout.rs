//! Addresses of the target's layout that pure code computes with.

/// Start of the linear map of RAM.
pub const LINEAR_BASE: usize = 0xffff_ff80_0000_0000;
/// log2 of the size of every stack.
pub const STACK_SHIFT: usize = 14;
/// Size of every stack in bytes.
pub const STACK_SIZE: usize = 1 << STACK_SHIFT;
