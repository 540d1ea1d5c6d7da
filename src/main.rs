//! The shipped kernel: everything of the library, and its shell at the prompt.
#![no_std]
#![no_main]

tetra::entry!(tetra::init::serve_shell);
