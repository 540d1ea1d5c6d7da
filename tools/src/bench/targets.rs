//! tests/bench/targets.csv: which operations there must be, and what each may cost.

use anyhow::{Context, Result, ensure};

use crate::workspace;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub operation: String,
    /// The most that it may cost.
    pub target: Option<u64>,
    /// What Linux needs.
    pub linux: Option<u64>,
    /// What the architecture forces.
    pub limit: Option<u64>,
}

/// Reads the file.
pub fn read() -> Result<Vec<Target>> {
    let path = workspace::root().join("tests/bench/targets.csv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Target>> {
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.starts_with('#') && !line.trim().is_empty());
    let head = lines.next().map(|(line, _)| line);
    ensure!(head == Some("operation,target,linux,limit,note"), "the columns are not operation,target,linux,limit,note");
    lines.map(|(line, number)| parse_line(line).with_context(|| format!("line {number}: `{line}`"))).collect()
}

fn parse_line(line: &str) -> Result<Target> {
    let mut fields = line.splitn(5, ',');
    let operation = fields.next().filter(|name| name.contains('.')).context("no name of the form `group.operation`")?.to_owned();
    let mut number = || -> Result<Option<u64>> {
        let field = fields.next().context("too few columns")?;
        if field.is_empty() { Ok(None) } else { field.parse().map(Some).with_context(|| format!("`{field}` is no number")) }
    };
    Ok(Target { operation, target: number()?, linux: number()?, limit: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_cells_are_unknown_and_notes_may_hold_commas() {
        let text = "# remark\noperation,target,linux,limit,note\nsync.a,4,8,,one, or two\nsync.b,,,3,\n";
        let target = |operation: &str, target, linux, limit| Target { operation: operation.to_owned(), target, linux, limit };
        assert_eq!(parse(text).unwrap(), [target("sync.a", Some(4), Some(8), None), target("sync.b", None, None, Some(3))]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let wrong = |line: &str| format!("{:#}", parse(&format!("operation,target,linux,limit,note\n{line}\n")).unwrap_err());
        assert!(wrong("sync.a,x,,,").contains("line 2") && wrong("sync.a,x,,,").contains("`x` is no number"));
        assert!(wrong("sync.a,1").contains("too few columns"));
        assert!(parse("operation,target\n").is_err());
    }

    #[test]
    fn the_projects_own_file_is_well_formed_and_names_each_operation_once() {
        let targets = read().unwrap();
        let mut names: Vec<_> = targets.iter().map(|target| &target.operation).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), targets.len());
    }
}
