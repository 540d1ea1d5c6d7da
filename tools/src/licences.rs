//! Licences of the dependencies: what the kernel links must leave its users free, host tools may be a little stricter.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// Licences that allow a kernel under MIT or Apache-2.0.
const FREE: [&str; 11] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "Unlicense",
    "Zlib",
    "Unicode-3.0",
];
/// Also allowed in programs that only run on the host.
const HOST_ONLY: [&str; 2] = ["MPL-2.0", "CC0-1.0"];
/// Packages of this workspace that never get into a kernel.
const HOST_PACKAGES: [&str; 1] = ["tetra-tools"];

/// Looks at every package of Cargo.lock; the error lists those that do not fit.
pub fn check() -> Result<()> {
    let output = workspace::cargo().args(["metadata", "--format-version", "1", "--locked"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let in_kernel = linked_into_kernel(&metadata)?;

    let packages = metadata["packages"].as_array().context("cargo's metadata has no packages")?;
    let mut wrong: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or("none stated");
            let is_host = !in_kernel.contains(package["id"].as_str()?);
            let may = |name: &str| FREE.contains(&name) || is_host && HOST_ONLY.contains(&name);
            (!allows(licence, &may)).then(|| format!("{} {}: {licence}", package["name"], package["version"]))
        })
        .collect();
    wrong.sort();
    ensure!(wrong.is_empty(), "licences that do not fit:\n{}", wrong.join("\n"));
    Ok(())
}

/// Packages reachable by ordinary dependencies from those of the workspace that make kernels.
fn linked_into_kernel(metadata: &Value) -> Result<HashSet<String>> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo's metadata has no dependency graph")?;
    let needs: HashMap<&str, Vec<&str>> = nodes
        .iter()
        .filter_map(|node| {
            let normal = node["deps"]
                .as_array()?
                .iter()
                .filter(|dep| dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null())));
            Some((node["id"].as_str()?, normal.filter_map(|dep| dep["pkg"].as_str()).collect()))
        })
        .collect();
    let members = metadata["workspace_members"].as_array().context("cargo's metadata has no members")?;
    let is_host = |id: &str| HOST_PACKAGES.iter().any(|name| id.contains(&format!("{name}@")) || id.contains("/tools#"));
    let mut waiting: Vec<&str> = members.iter().filter_map(Value::as_str).filter(|id| !is_host(id)).collect();
    let mut reached = HashSet::new();
    while let Some(id) = waiting.pop() {
        if reached.insert(id.to_owned()) {
            waiting.extend(needs.get(id).into_iter().flatten());
        }
    }
    Ok(reached)
}

/// Evaluates an SPDX expression of names, `OR`, `AND` and parentheses; the old `/` means `OR`.
fn allows(expression: &str, may: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.replace('/', " OR ");
    join(&expression, "OR", &|part| join(part, "AND", &|name| atom(name, may), true), false)
}

/// Splits at a word outside parentheses and joins the verdicts: all must hold, or one.
fn join(expression: &str, word: &str, verdict: &dyn Fn(&str) -> bool, all: bool) -> bool {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for token in expression.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        match token {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 && token == word {
            parts.push(String::new());
        } else {
            let part = parts.last_mut().expect("there is always a last part");
            part.push_str(token);
            part.push(' ');
        }
    }
    let mut verdicts = parts.iter().map(|part| verdict(part.trim()));
    if all { verdicts.all(|holds| holds) } else { verdicts.any(|holds| holds) }
}

fn atom(name: &str, may: &dyn Fn(&str) -> bool) -> bool {
    match name.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => allows(inner, may),
        None => may(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let may = |name: &str| FREE.contains(&name);
        for good in
            ["MIT", "MIT OR GPL-3.0", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception OR GPL-2.0"]
        {
            assert!(allows(good, &may), "{good}");
        }
        for bad in ["GPL-2.0", "MIT AND GPL-2.0", "(MIT OR BSD-2-Clause) AND LGPL-3.0", "none stated", ""] {
            assert!(!allows(bad, &may), "{bad}");
        }
    }

    #[test]
    fn the_dependencies_fit() {
        check().unwrap();
    }
}
