//! The host side of Tetra, one program with a subcommand for each job.
//!
//! The Makefile is the face of it; what a target does is in the module of the same name here.

mod bench;
mod check;
mod console;
mod console_noise;
#[cfg(feature = "defmt")]
mod defmt_log;
mod dtb;
mod elf;
mod flash;
mod gdb;
mod guest;
mod hang;
mod idle;
mod inspect;
#[expect(dead_code, reason = "the kernel reads a table in more ways than the tools need")]
#[path = "../../src/debug/kallsyms.rs"]
mod kallsyms;
mod kernel;
mod layers;
mod licences;
mod machine;
mod mkimage;
mod qemu;
mod qmp;
mod sdcard;
mod shim;
mod soak;
mod symbolize;
mod symtab;
mod test;
mod torture;
mod verify;
mod workspace;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() {
        anyhow::bail!("no subcommand");
    }
    let command = args.remove(0);
    match command.as_str() {
        "build" => kernel::main(&args),
        "qemu" => qemu::main(),
        "gdb" => gdb::main(),
        "bench" => bench::main(&args),
        "test" => test::main(),
        "check" => check::main(),
        "objdump" => inspect::objdump(),
        "size" => inspect::size(),
        "doc" => inspect::doc(),
        "soak" => soak::main(),
        "torture" => torture::main(),
        "mutated-tree" => test::mutated_tree::main(&args),
        "mkimage" => mkimage::main(&args),
        "sdcard" => sdcard::main(&args),
        "flash" => flash::main(&args),
        "symbolize" => symbolize::main(&args),
        "verify" => verify::main(&args),
        other => anyhow::bail!("unknown subcommand `{other}`"),
    }
}
