//! `memcpy`, `memmove` and `memset` for Normal memory: the kernel's own, in place of those of `compiler_builtins`.
//!
//! The softfloat target is compiled with `+strict-align`, so the compiler's own go word by word and byte by byte; short copies, which the log is made of,
//! took 150 instructions a message. These use LDP and STP at any alignment, and DC ZVA for zeros (Arm ARM B2.8.2, C5.3.8). The symbols are strong ones,
//! `compiler_builtins` has weak ones, and the linker takes these in every profile.
//!
//! Only for Normal memory: a copy to or from a device's registers goes through `mmio`, which promises how wide each access is. The cost of a page is
//! 128 pairs to load and 128 to store, in a loop of 256 bytes.
//!
//! Test: suite `mem`, every alignment and length against a loop of bytes. Neighbour: `page` for whole pages.

use core::arch::global_asm;

global_asm!(include_str!("mem.S"));
