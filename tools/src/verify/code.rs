//! Machine code of single functions: built with the kernel's flags, disassembled, split into instructions.
//!
//! The disassembler is an `objdump` that knows AArch64, LLVM's or GNU's; both are asked for the same plain form, without aliases, and the
//! differences that are left (hexadecimal numbers, comments, how a branch names its target) end here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

use crate::{kernel, workspace};

/// The package whose functions are one thread's code each.
const PACKAGE: &str = "tetra-litmus";

/// One instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Offset in its function.
    pub offset: u64,
    /// Lower case, without aliases.
    pub mnemonic: String,
    /// Operands with decimal numbers; for a branch without its target.
    pub operands: String,
    /// Where a branch or call goes.
    pub target: Option<Target>,
}

/// A place that a branch names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An offset in the same function.
    Local(u64),
    /// Another function, by its symbol.
    Symbol(String),
}

/// All functions by name.
pub type Functions = BTreeMap<String, Vec<Instruction>>;

/// Builds the functions and reads them. `None` if there is no disassembler.
pub fn load() -> Result<Option<Functions>> {
    let Some(objdump) = find_objdump() else { return Ok(None) };
    let library = build()?;
    let output = Command::new(&objdump)
        .args(["-d", "-r", "--no-show-raw-insn", "-M", "no-aliases"])
        .arg(&library)
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {objdump}"))?;
    let functions = parse(&String::from_utf8_lossy(&output.stdout))?;
    ensure!(!functions.is_empty(), "{objdump} shows no function in {}", library.display());
    Ok(Some(functions))
}

/// The first disassembler that knows AArch64.
fn find_objdump() -> Option<String> {
    let chosen = workspace::variable("OBJDUMP");
    let known = ["llvm-objdump", "rust-objdump", "aarch64-linux-gnu-objdump"].map(str::to_owned);
    chosen.into_iter().chain(known).find(|name| {
        let output = Command::new(name).arg("--version").stderr(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success())
    })
}

/// Builds the package as a library, without link-time optimisation, so that it holds machine code.
fn build() -> Result<PathBuf> {
    let mut command = kernel::cargo("build", kernel::Profile::Release);
    command.args(["-p", PACKAGE, "--lib"]).env("CARGO_PROFILE_RELEASE_LTO", "off");
    // Equal bodies would share one symbol.
    command.args(["--config", r#"target.aarch64-unknown-none-softfloat.rustflags=["-Zmerge-functions=disabled"]"#]);
    workspace::run(&mut command)?;
    let library = workspace::target().join(kernel::TARGET).join("release").join("libtetra_litmus.rlib");
    ensure!(library.exists(), "{} was not built", library.display());
    Ok(library)
}

/// Splits a disassembly.
fn parse(text: &str) -> Result<Functions> {
    let head = Regex::new(r"^[0-9a-f]+ <([^>]+)>:$")?;
    let line = Regex::new(r"^\s*([0-9a-f]+):\s+([a-z][a-z0-9.]*)\s*(.*?)\s*(//.*)?$")?;
    let relocation = Regex::new(r"^\s*[0-9a-f]+:\s+R_AARCH64_(\w+)\s+([^\s+]+)")?;
    let local = Regex::new(r"^(.*?),?\s*(?:0x)?[0-9a-f]+ <([^>+]+)(?:\+0x([0-9a-f]+))?>$")?;

    let mut functions = Functions::new();
    let mut current: Option<(String, Vec<Instruction>)> = None;
    for text in text.lines() {
        if let Some(found) = head.captures(text) {
            functions.extend(current.replace((found[1].to_owned(), Vec::new())));
        } else if let Some(found) = relocation.captures(text) {
            let is_branch = matches!(&found[1], "CALL26" | "JUMP26");
            if let Some(last) = current.as_mut().and_then(|(_, code)| code.last_mut()).filter(|_| is_branch) {
                last.target = Some(Target::Symbol(found[2].to_owned()));
            }
        } else if let (Some(found), Some((_, code))) = (line.captures(text), current.as_mut()) {
            let (mut operands, mut target) = (found[3].to_owned(), None);
            if let Some(branch) = local.captures(&found[3]) {
                let offset = branch.get(3).map_or(Ok(0), |digits| u64::from_str_radix(digits.as_str(), 16))?;
                target = Some(Target::Local(offset));
                operands = branch[1].to_owned();
            }
            let offset = u64::from_str_radix(&found[1], 16)?;
            code.push(Instruction { offset, mnemonic: found[2].to_owned(), operands: decimal(&operands)?, target });
        }
    }
    functions.extend(current);
    rebase(&mut functions);
    Ok(functions)
}

/// Turns `#0x1f` into `#31`, and what has the top bit into a negative number, for readers whose integers are shorter.
fn decimal(operands: &str) -> Result<String> {
    let mut text = operands.to_owned();
    while let Some(at) = text.find("#0x") {
        let digits: String = text[at + 3..].chars().take_while(char::is_ascii_hexdigit).collect();
        let number = u64::from_str_radix(&digits, 16).with_context(|| format!("number in `{operands}`"))?;
        text.replace_range(at..at + 3 + digits.len(), &format!("#{}", number.cast_signed()));
    }
    Ok(text)
}

/// Makes addresses relative to the function, where several share a section.
fn rebase(functions: &mut Functions) {
    for code in functions.values_mut() {
        let base = code.first().map_or(0, |first| first.offset);
        code.iter_mut().for_each(|instruction| instruction.offset -= base);
    }
}

/// The code of `name`; of the one function whose symbol contains what follows, if it begins with `~`.
pub fn get<'a>(functions: &'a Functions, name: &str) -> Result<&'a [Instruction]> {
    if let Some(part) = name.strip_prefix('~') {
        let found: Vec<_> = functions.iter().filter(|(symbol, _)| symbol.contains(part)).collect();
        let [(_, code)] = found.as_slice() else { bail!("{} functions of {PACKAGE} have `{part}` in their names, not one", found.len()) };
        return Ok(code);
    }
    match functions.get(name) {
        Some(code) => Ok(code),
        None => bail!("no function `{name}` in {PACKAGE}; has it a `#[unsafe(no_mangle)]` or `export_name`?"),
    }
}

/// Where the tests lie.
pub fn folder() -> PathBuf {
    workspace::root().join(Path::new("tests/litmus"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GNU: &str = "\
0000000000000000 <add>:
   0:\tldxr\tw8, [x0]
   4:\tadd\tw9, w8, #0x1f
   8:\tstlxr\tw10, w9, [x0]
   c:\tcbnz\tw10, 0 <add>
  10:\tb.ne\t18 <add+0x18>  // b.any
  14:\tbl\t0 <add>
\t\t\t14: R_AARCH64_CALL26\t_RNvreport
  18:\tret
";

    const LLVM: &str = "\
0000000000000000 <add>:
       0:      \tldxr\tw8, [x0]
       4:      \tadd\tw9, w8, #31
       8:      \tstlxr\tw10, w9, [x0]
       c:      \tcbnz\tw10, 0x0 <add>
      10:      \tb.ne\t0x18 <add+0x18>
      14:      \tbl\t0x14 <add+0x14>
\t\t0000000000000014:  R_AARCH64_CALL26\t_RNvreport
      18:      \tret\tx30
";

    #[test]
    fn both_disassemblers_give_the_same() {
        for text in [GNU, LLVM] {
            let functions = parse(text).unwrap();
            let code = get(&functions, "add").unwrap();
            assert_eq!(code.len(), 7);
            assert_eq!(code[1].operands, "w9, w8, #31");
            assert_eq!((code[3].operands.as_str(), &code[3].target), ("w10", &Some(Target::Local(0))));
            assert_eq!((code[4].operands.as_str(), &code[4].target), ("", &Some(Target::Local(0x18))));
            assert_eq!(code[5].target, Some(Target::Symbol("_RNvreport".to_owned())));
        }
    }
}
