//! Device trees for host tests: compiled from the project's sources, or a Pi's own with /memory filled in as the firmware does.
//!
//! A Pi's tree belongs to the distribution's packages and is not in this repository. It is looked for in `TETRA_REAL_DTB` and in the build
//! folder's cache of firmware files. Without it, or without `dtc`, a test says so and passes, except under CI, where a test that
//! did not run is a failure (unless `TETRA_REAL_DTB=none` says that there is none).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::string::String;
use std::vec::Vec;

/// What the firmware writes into `reg` of /memory, by GiB of the model. A size has one cell, so the 8 GiB model needs four ranges.
pub const MODELS: [(u64, &str); 4] = [
    (1, "<0x0 0x0 0x3b400000>"),
    (2, "<0x0 0x0 0x3b400000>, <0x0 0x40000000 0x40000000>"),
    (4, "<0x0 0x0 0x3b400000>, <0x0 0x40000000 0xbc000000>"),
    (8, "<0x0 0x0 0x3b400000>, <0x0 0x40000000 0xbc000000>, <0x1 0x0 0x80000000>, <0x1 0x80000000 0x80000000>"),
];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Reports a check that cannot run here.
fn skip(why: &str) {
    assert!(!is_ci(), "under CI nothing is skipped: {why}");
    // To the terminal itself: the harness swallows what a passing test prints.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {why}").expect("stderr takes a line");
}

/// Runs `dtc` over `input`; `None` if it is not installed.
fn dtc(from: &str, to: &str, input: &[u8]) -> Option<Vec<u8>> {
    let program = std::env::var("DTC").unwrap_or_else(|_| "dtc".into());
    let include = project("tests/dts");
    let child = Command::new(program)
        .args(["-q", "-I", from, "-O", to, "-i"])
        .arg(include)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        skip("`dtc` (package device-tree-compiler) is not installed");
        return None;
    };
    child.stdin.take().expect("piped").write_all(input).expect("dtc reads its input");
    let output = child.wait_with_output().expect("dtc ends");
    assert!(output.status.success(), "dtc: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Compiles source text; `/include/` finds what lies in tests/dts.
pub fn compile(source: &str) -> Option<Vec<u8>> {
    dtc("dts", "dtb", source.as_bytes())
}

/// Compiles a source file of the project.
pub fn compile_file(path: &str) -> Option<Vec<u8>> {
    compile(&std::fs::read_to_string(project(path)).expect(path))
}

/// The test tree of a model.
pub fn model(gib: u64) -> Option<Vec<u8>> {
    compile_file(&std::format!("tests/dts/pi4-{gib}g.dts"))
}

/// A Pi's own tree as the package installs it, with an empty /memory.
pub fn real() -> Option<Vec<u8>> {
    let named = std::env::var("TETRA_REAL_DTB").ok();
    if named.as_deref() == Some("none") {
        return None;
    }
    let found = match named {
        Some(path) => Some(PathBuf::from(path)),
        None => find(&project("target/firmware"), "bcm2711-rpi-4-b.dtb", 4),
    };
    let Some(path) = found else {
        skip("no bcm2711-rpi-4-b.dtb in target/firmware (`make image` puts it there; or TETRA_REAL_DTB=file)");
        return None;
    };
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A Pi's own tree with /memory as the firmware leaves it on a model.
pub fn real_with_memory(reg: &str) -> Option<Vec<u8>> {
    let source = String::from_utf8(dtc("dtb", "dts", &real()?)?).expect("dtc writes text");
    let node = source.find("\tmemory@0 {").expect("a Pi's tree has /memory");
    let start = node + source[node..].find("reg = ").expect("/memory has reg") + "reg = ".len();
    let end = start + source[start..].find(';').expect("a property ends");
    compile(&std::format!("{}{reg}{}", &source[..start], &source[end..]))
}

fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let here = entries.iter().find(|path| path.file_name().is_some_and(|file| file == name)).cloned();
    here.or_else(|| entries.iter().filter(|_| depth > 0).find_map(|path| find(path, name, depth - 1)))
}
