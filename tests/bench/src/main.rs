//! The kernel that `make bench` boots: the shipped one, with peers to compare with.
//!
//! A package of its own, so that the peers are its dependencies and not the kernel's. They register rows in the kernel's table, so its shell's `bench`
//! shows them between its own; the host types the commands.
#![no_std]
#![no_main]

mod arena;
mod contend;
mod heap_command;
mod heap_rows;
mod heaps;
mod messages;
mod peers;
mod traces;

tetra::entry!(tetra::init::serve_shell);
