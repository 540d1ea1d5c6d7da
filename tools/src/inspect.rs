//! Looks at the kernel without running it: disassembly, sizes, documentation.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use object::{Object, ObjectSection};

use crate::kernel::{self, Kernel, Log};
use crate::{elf, workspace};

/// Builds the kernel that `make qemu` runs.
fn kernel() -> Result<Kernel> {
    let log = Log::from_env()?;
    Ok(kernel::build("tetra", Some("kernel8"), &kernel::features(&["checks"], log), kernel::Profile::Checked, "qemu")?.remove(0))
}

/// `tetra-tools objdump`: disassembly with source lines, into a file since it has a million lines.
pub fn objdump() -> Result<ExitCode> {
    /// The first that is there; the Rust component `llvm-tools` and Debian's `llvm` and `binutils` have them.
    const PROGRAMS: [&str; 4] = ["llvm-objdump", "rust-objdump", "llvm-objdump-14", "aarch64-linux-gnu-objdump"];

    let kernel = kernel()?;
    let program = PROGRAMS
        .into_iter()
        .find(|program| Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok())
        .context("no disassembler: install package llvm, or binutils-aarch64-linux-gnu")?;
    let out = workspace::target().join("kernel8.asm");
    let file = std::fs::File::create(&out)?;
    workspace::run(Command::new(program).args(["-d", "-S", "-C", "--no-show-raw-insn"]).arg(&kernel.elf).stdout(file))?;
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// `tetra-tools size`: sections, then modules, then the largest symbols.
pub fn size() -> Result<ExitCode> {
    const LARGEST: usize = 30;

    let kernel = kernel()?;
    let bytes = std::fs::read(&kernel.elf)?;
    let file = object::File::parse(bytes.as_slice())?;
    println!("{:>9}  section", "bytes");
    for section in file.sections().filter(|section| section.address() != 0 && section.size() != 0) {
        println!("{:>9}  {}", section.size(), section.name()?);
    }
    println!("{:>9}  {}\n", kernel.image.metadata()?.len(), kernel.image.display());

    let mut symbols = elf::symbols(&bytes)?;
    let mut modules: BTreeMap<String, u64> = BTreeMap::new();
    for symbol in &symbols {
        *modules.entry(module_of(&symbol.name)).or_default() += symbol.size;
    }
    let mut modules: Vec<_> = modules.into_iter().collect();
    modules.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), name.clone()));
    println!("{:>9}  module (largest {LARGEST})", "bytes");
    for (name, size) in modules.iter().take(LARGEST) {
        println!("{size:>9}  {name}");
    }

    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.size));
    println!("\n{:>9}  symbol (largest {LARGEST})", "bytes");
    for symbol in symbols.iter().take(LARGEST) {
        println!("{:>9}  {}", symbol.size, symbol.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// The crate and first module of a name: `<tetra::log::Ring as ..>::push` belongs to `tetra::log`.
fn module_of(name: &str) -> String {
    let path = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(path.len());
    let parts: Vec<&str> = path[..end].split("::").filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [_] | [] => "(no path)".to_owned(),
        [first, _] => (*first).to_owned(),
        [first, second, ..] => format!("{first}::{second}"),
    }
}

/// `tetra-tools doc`: the kernel's documentation, private items included, since readers are why it exists.
pub fn doc() -> Result<ExitCode> {
    workspace::run(kernel::cargo("doc", kernel::Profile::Checked).args(["--no-deps", "-p", "tetra", "--lib", "--document-private-items"]))?;
    println!("{}", workspace::target().join(kernel::TARGET).join("doc/tetra/index.html").display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_modules() {
        assert_eq!(module_of("<tetra::log::ring::Ring as core::fmt::Write>::write_str"), "tetra::log");
        assert_eq!(module_of("core::fmt::write"), "core::fmt");
        assert_eq!(module_of("tetra::main"), "tetra");
        assert_eq!(module_of("memcpy"), "(no path)");
    }
}
