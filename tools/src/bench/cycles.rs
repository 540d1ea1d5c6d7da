//! llvm-mca's view: cycles on a Cortex-A72 of operations whose path has no call.
//!
//! The path is found in the disassembly: from the function's first instruction to its return, in exactly as many steps as were counted. So it is the one
//! that ran, or one of its length. What llvm-mca gives is throughput with everything in the first-level cache, no waiting for other cores and no
//! memory ordering: barriers, LL/SC and writes to DAIF cost more on a board than it says. docs/performance.md compares.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Instructions of the empty twin, which every operation has as well: the frame record made, set and taken back, and the return.
const TWIN: usize = 4;
/// Paths longer than this are not straight code any more.
const LONGEST: u64 = 64;
/// Turns that are tried before a path is given up.
const TURNS_MAX: u32 = 10_000;
const ITERATIONS: u64 = 100;

/// The disassembler and the analyser, where both are there.
pub fn tools_are_there() -> bool {
    ["llvm-objdump", "llvm-mca"].into_iter().all(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    })
}

/// Hundredths of a cycle for each operation of `counts` whose path is straight.
pub fn of_rows(elf: &Path, counts: &[(String, u64)]) -> Result<HashMap<String, u64>> {
    let mut cycles = HashMap::new();
    let code = disassemble(elf)?;
    for (operation, count) in counts.iter().filter(|(_, count)| (1..=LONGEST).contains(count)) {
        let Some(function) = code.get(&format!("bench.{operation}")) else { continue };
        if let Some(path) = find_path(function, *count as usize + TWIN) {
            cycles.insert(operation.clone(), analyse(&path)?);
        }
    }
    Ok(cycles)
}

/// One instruction: where it lies and its text.
type Instruction = (u64, String);

/// The functions of the image whose names begin with `bench.`.
fn disassemble(elf: &Path) -> Result<HashMap<String, Vec<Instruction>>> {
    let output = Command::new("llvm-objdump").args(["-d", "--no-show-raw-insn"]).arg(elf).output()?;
    ensure!(output.status.success(), "llvm-objdump: {}", String::from_utf8_lossy(&output.stderr));
    Ok(functions(&String::from_utf8_lossy(&output.stdout)))
}

fn functions(listing: &str) -> HashMap<String, Vec<Instruction>> {
    let mut functions: HashMap<String, Vec<Instruction>> = HashMap::new();
    let mut current: Option<String> = None;
    for line in listing.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|line| line.split_once('<')).map(|(_, name)| name) {
            current = name.starts_with("bench.").then(|| name.to_owned());
        } else if let (Some(name), Some((address, text))) = (&current, line.split_once(':'))
            && let Ok(address) = u64::from_str_radix(address.trim(), 16)
        {
            functions.entry(name.clone()).or_default().push((address, text.trim().replace('\t', " ")));
        }
    }
    functions
}

/// The instructions of a way through `function` that takes `steps` of them, the frame's left out; conditional branches are tried both ways.
fn find_path(function: &[Instruction], steps: usize) -> Option<Vec<String>> {
    let at: HashMap<u64, usize> = function.iter().enumerate().map(|(index, (address, _))| (*address, index)).collect();
    let mut path = Vec::new();
    let mut turns = TURNS_MAX;
    walk(function, &at, 0, steps, &mut path, &mut turns).then(|| {
        let frame =
            |text: &&String| !matches!(text.as_str(), "stp x29, x30, [sp, #-16]!" | "mov x29, sp" | "ldp x29, x30, [sp], #16" | "ret");
        path.iter().filter(frame).cloned().collect()
    })
}

fn walk(function: &[Instruction], at: &HashMap<u64, usize>, index: usize, left: usize, path: &mut Vec<String>, turns: &mut u32) -> bool {
    let Some((_, text)) = function.get(index) else { return false };
    if left == 0 || *turns == 0 {
        return false;
    }
    *turns -= 1;
    path.push(text.clone());
    let found = match text.split(' ').next().unwrap_or_default() {
        "ret" => left == 1,
        "bl" | "blr" | "br" => false,
        "b" => target(text, at).is_some_and(|next| walk(function, at, next, left - 1, path, turns)),
        word if word.starts_with("b.") || ["cbz", "cbnz", "tbz", "tbnz"].contains(&word) => {
            walk(function, at, index + 1, left - 1, path, turns)
                || target(text, at).is_some_and(|next| walk(function, at, next, left - 1, path, turns))
        }
        _ => walk(function, at, index + 1, left - 1, path, turns),
    };
    if !found {
        path.pop();
    }
    found
}

/// Where a branch goes to, if that is in the function.
fn target(text: &str, at: &HashMap<u64, usize>) -> Option<usize> {
    let address = text.split_once("0x")?.1;
    let digits = address.split(' ').next()?;
    at.get(&u64::from_str_radix(digits, 16).ok()?).copied()
}

/// Hundredths of a cycle that one run of `path` takes when many follow one another.
fn analyse(path: &[String]) -> Result<u64> {
    let mut child = Command::new("llvm-mca")
        .args(["-mtriple=aarch64", "-mcpu=cortex-a72", &format!("-iterations={ITERATIONS}"), "-instruction-info=0", "-resource-pressure=0"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("llvm-mca has no input")?.write_all(assembly(path).as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "llvm-mca: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let total = text.lines().find_map(|line| line.strip_prefix("Total Cycles:")).context("llvm-mca gives no cycles")?;
    Ok(total.trim().parse::<u64>()? * 100 / ITERATIONS)
}

/// The path as source text: where a branch goes to does not matter to the analyser, but it must be a name that it knows.
fn assembly(path: &[String]) -> String {
    let line = |text: &String| match text.split_once("0x") {
        Some((before, address)) if address.contains('<') => format!("{before}out\n"),
        _ => format!("{text}\n"),
    };
    path.iter().map(line).collect::<String>() + "out:\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "
ffffffff8008e580 <bench.sync.x>:
ffffffff8008e580:      \tstp\tx29, x30, [sp, #-16]!
ffffffff8008e584:      \tmov\tx29, sp
ffffffff8008e588:      \tsubs\tx18, x18, #1
ffffffff8008e58c:      \tb.ne\t0xffffffff8008e594 <bench.sync.x+0x14>
ffffffff8008e590:      \tbl\t0xffffffff80082a50 <work>
ffffffff8008e594:      \tldp\tx29, x30, [sp], #16
ffffffff8008e598:      \tret

ffffffff8008e5a0 <other>:
ffffffff8008e5a0:      \tret
";

    #[test]
    fn the_path_is_the_one_of_the_counted_length() {
        let functions = functions(LISTING);
        assert_eq!(functions.len(), 1);
        let path = find_path(&functions["bench.sync.x"], 2 + TWIN).unwrap();
        assert_eq!(path, ["subs x18, x18, #1", "b.ne 0xffffffff8008e594 <bench.sync.x+0x14>"]);
        assert!(find_path(&functions["bench.sync.x"], 3 + TWIN).is_none(), "a call is no straight path");
    }

    #[test]
    fn targets_of_branches_become_a_name() {
        let path = ["b.ne 0xffffffff8008e594 <x+0x14>", "add x0, x0, 0x10"].map(str::to_owned);
        assert_eq!(assembly(&path), "b.ne out\nadd x0, x0, 0x10\nout:\n");
    }
}
