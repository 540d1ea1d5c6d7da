//! A kernel of one's own: everything of Tetra, and a button.
//!
//! Three lines make it one: the driver's call in the boot order, what core 0 does when everything runs (here: the shell), and the two attributes that
//! every kernel needs. docs/first-driver.md explains each, and how to build and boot it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

#[macro_use]
extern crate tetra;

mod button;

tetra::init_call!(button::init);
tetra::entry!(tetra::init::serve_shell);
