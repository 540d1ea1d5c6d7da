//! The order of the kernel's modules: each calls its own layer or lower ones. Calls upwards go through `upcalls`.
//!
//! Read from the source text: paths that start at the crate's root, alone or in braces. Tests may call what they like.
//! Assembly and questions about the processor belong in `boot/` and `src/arch/`; that is checked here as well.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use regex::Regex;

use crate::workspace;

/// Top-level modules, lowest layer first.
const LAYERS: [&[&str]; 12] = [
    &["util", "upcalls"],
    &["arch"],
    &["cpu"],
    &["log"],
    &["debug"],
    &["sync"],
    &["mm"],
    &["sched", "time", "irq"],
    &["drivers", "platform"],
    &["proc", DEBUG_REST],
    &["shell", "torture", "bench"],
    &["init", "main", "lib"],
];
/// The parts of `debug` that stand above drivers: they look at what the others do, or break it on purpose.
const DEBUG_REST: &str = "debug (rest)";
const DEBUG_REST_MODULES: [&str; 7] = ["provoke", "detectors", "show", "fault_injection", "sysrq", "torture", "oops"];

/// Looks at all files of src/; the error lists every path that leads upwards.
pub fn check() -> Result<()> {
    let root = workspace::root().join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files)?;
    ensure!(!files.is_empty(), "no source under {}", root.display());
    let mut wrong = Vec::new();
    for file in &files {
        let name = file.strip_prefix(&root)?;
        let text = std::fs::read_to_string(file)?;
        wrong.extend(judge(name, &text).with_context(|| name.display().to_string())?);
    }
    ensure!(wrong.is_empty(), "calls that lead upwards, or assembly out of place:\n{}", wrong.join("\n"));
    Ok(())
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("test"));
        if is_test {
            continue;
        }
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// Finds what is wrong in one file, whose path is relative to src/.
fn judge(file: &Path, text: &str) -> Result<Vec<String>> {
    let parts: Vec<String> = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let own = layer_name(&parts[0], parts.get(1).map(String::as_str));
    let rank = rank(&own).with_context(|| format!("module `{own}` has no layer; add it to tools/src/layers.rs"))?;

    let mut wrong = Vec::new();
    for (number, line) in code_lines(text) {
        for (module, sub) in root_paths(&line) {
            let other = layer_name(&module, sub.as_deref());
            // All may call `upcalls`; itself it names types of the layers that it connects.
            if own != "upcalls" && self::rank(&other).is_some_and(|other| other > rank) {
                wrong.push(format!("src/{}:{number}: {own} calls {other}", file.display()));
            }
        }
        if own != "arch" && is_processor_specific(&line) {
            wrong.push(format!("src/{}:{number}: assembly or a question about the processor", file.display()));
        }
    }
    Ok(wrong)
}

fn layer_name(module: &str, sub: Option<&str>) -> String {
    match sub {
        Some(sub) if module == "debug" && DEBUG_REST_MODULES.contains(&sub) => DEBUG_REST.to_owned(),
        _ => module.to_owned(),
    }
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Lines without comments, with what stands in braces after `crate::` on one line, up to the tests.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("mod tests") {
            break;
        }
        let code = line.split("//").next().unwrap_or_default().trim();
        match lines.last_mut() {
            Some((_, last)) if is_open => last.push_str(code),
            _ => lines.push((number + 1, code.to_owned())),
        }
        is_open = lines.last().is_some_and(|(_, line)| line.contains("crate::{") && line.matches('{').count() > line.matches('}').count());
    }
    lines
}

/// The first two names of each path from the crate's root.
fn root_paths(line: &str) -> Vec<(String, Option<String>)> {
    static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::(?:(\w+)(?:::(\w+))?|\{)").expect("a fixed pattern"));
    let mut paths = Vec::new();
    for found in PATH.captures_iter(line) {
        let whole = found.get(0).expect("group 0 is the match");
        match found.get(1) {
            Some(module) => paths.push((module.as_str().to_owned(), found.get(2).map(|sub| sub.as_str().to_owned()))),
            None => paths.extend(in_braces(&line[whole.end()..])),
        }
    }
    paths
}

/// The same for `a::b, c, d::{..}}` behind an opening brace.
fn in_braces(text: &str) -> Vec<(String, Option<String>)> {
    let mut entries = vec![String::new()];
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => entries.push(String::new()),
            _ if depth == 0 => entries.last_mut().expect("there is always a last entry").push(character),
            _ => {}
        }
    }
    let names = entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty());
    names
        .map(|entry| {
            let mut parts = entry.split("::").map(|part| part.split_whitespace().next().unwrap_or_default().to_owned());
            (parts.next().unwrap_or_default(), parts.next().filter(|part| !part.is_empty()))
        })
        .collect()
}

fn is_processor_specific(line: &str) -> bool {
    static MARK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(global_asm|naked_asm|asm)!|\btarget_arch\b").expect("a fixed pattern"));
    MARK.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(file: &str, text: &str) -> usize {
        judge(Path::new(file), text).unwrap().len()
    }

    #[test]
    fn calls_upwards_are_found() {
        assert_eq!(wrong("sync/spin.rs", "use crate::cpu::Guard;\nuse crate::mm::page::Pfn;\n"), 1);
        assert_eq!(wrong("sync/spin.rs", "let x = crate::irq::mask();"), 1);
        assert_eq!(wrong("util/ring.rs", "use crate::{\n    util::list,\n    log::{ring, level},\n    arch,\n};\n"), 2);
        assert_eq!(wrong("log/mod.rs", "use crate::debug::provoke;\nuse crate::debug::kallsyms;"), 2);
        assert_eq!(wrong("shell/mod.rs", "use crate::{debug::provoke, irq};"), 0);
        assert_eq!(wrong("sync/lock.rs", "use crate::{debug::kallsyms, debug::provoke};"), 1);
    }

    #[test]
    fn comments_and_tests_are_left_alone() {
        assert_eq!(wrong("util/ring.rs", "// see crate::mm\n/// [`crate::irq`]\n#[cfg(test)]\nmod tests {\nuse crate::mm;\n"), 0);
    }

    #[test]
    fn assembly_belongs_in_arch() {
        assert_eq!(wrong("arch/aarch64/irq.rs", "asm!(\"nop\")"), 0);
        assert_eq!(wrong("irq/mod.rs", "asm!(\"nop\")"), 1);
        assert_eq!(wrong("irq/mod.rs", "#[cfg(target_arch = \"aarch64\")]"), 1);
    }

    #[test]
    fn the_kernel_keeps_to_its_layers() {
        check().unwrap();
    }
}
