//! What is particular to the machine: where its devices lie, what the firmware says about it, and how much memory it has.
//!
//! Drivers get their addresses and interrupts from here and know nothing of the board themselves. The firmware speaks through two
//! channels, the device tree and the mailbox; either may be missing or wrong, so both are read into plain facts with warnings, and
//! [`memory_map`] merges them.
//!
//! | to find | look in |
//! |---|---|
//! | addresses of devices, INTIDs, limits of DMA | [`rpi4`] |
//! | what the device tree says | [`device_tree`] |
//! | model, memory and manufacturer from the revision code | [`board`] |
//! | the memory map that the kernel boots with | [`memory_map`] |

pub mod board;
pub mod device_tree;
#[cfg(target_os = "none")]
pub mod hardware;
pub mod memory_map;
pub mod rpi4;
