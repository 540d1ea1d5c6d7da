//! The table: each operation with target, Linux, limit, peers and a verdict; on the terminal and as CSV.

use std::fmt::Write;

use super::session::{Row, SELF};
use super::targets::Target;

/// How an operation stands against its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// At or below it.
    Met,
    /// Above it by so many.
    Over(u64),
    /// Nobody set one.
    NoTarget,
    /// No image has the operation.
    Missing,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Line {
    pub target: Target,
    pub instructions: Option<u64>,
    /// What llvm-mca makes of it on a Cortex-A72, in hundredths of a cycle.
    pub cycles: Option<u64>,
}

impl Line {
    /// Judges the count.
    pub fn verdict(&self) -> Verdict {
        match (self.instructions, self.target.target) {
            (None, _) => Verdict::Missing,
            (Some(_), None) => Verdict::NoTarget,
            (Some(count), Some(target)) if count <= target => Verdict::Met,
            (Some(count), Some(target)) => Verdict::Over(count - target),
        }
    }
}

/// Puts the kernel's own rows beside their targets; rows without a line in the file come last.
pub fn join(targets: &[Target], rows: &[Row]) -> Vec<Line> {
    let own = |operation: &str| rows.iter().find(|row| row.by == SELF && row.operation == operation).map(|row| row.instructions);
    let mut lines: Vec<Line> =
        targets.iter().map(|target| Line { target: target.clone(), instructions: own(&target.operation), cycles: None }).collect();
    for row in rows.iter().filter(|row| row.by == SELF && !row.operation.starts_with("bench.")) {
        if !targets.iter().any(|target| target.operation == row.operation) {
            let target = Target { operation: row.operation.clone(), target: None, linux: None, limit: None };
            lines.push(Line { target, instructions: Some(row.instructions), cycles: None });
        }
    }
    lines
}

/// The table for people.
pub fn text(lines: &[Line], rows: &[Row]) -> String {
    let mut out = format!(
        "{:32} {:>10} {:>10} {:>12} {:>8} {:>8}  {:10} peers\n",
        "operation", "Tetra", "target", "Linux 6.12", "limit", "A72", "verdict"
    );
    for line in lines {
        let Target { operation, target, linux, limit } = &line.target;
        let cycles = line.cycles.map_or_else(|| "-".to_owned(), |hundredths| format!("{:.1}", hundredths as f64 / 100.0));
        let verdict = match line.verdict() {
            Verdict::Met => "ok".to_owned(),
            Verdict::Over(by) => format!("over +{by}"),
            Verdict::NoTarget => "-".to_owned(),
            Verdict::Missing => "missing".to_owned(),
        };
        let peers: Vec<String> =
            peers(rows).filter(|row| row.operation == *operation).map(|row| format!("{} {}", row.by, row.instructions)).collect();
        let (count, target, linux, limit) = (cell(line.instructions), cell(*target), cell(*linux), cell(*limit));
        let row = format!("{operation:32} {count:>10} {target:>10} {linux:>12} {limit:>8} {cycles:>8}  {verdict:10} {}", peers.join(", "));
        writeln!(out, "{}", row.trim_end()).expect("a string takes all");
    }
    out
}

/// Rows as operations against those who did them.
pub fn matrix(rows: &[Row]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    let mut operations: Vec<&str> = Vec::new();
    for row in rows {
        if !columns.contains(&row.by.as_str()) {
            columns.push(&row.by);
        }
        if !operations.contains(&row.operation.as_str()) {
            operations.push(&row.operation);
        }
    }
    let head: String = columns.iter().map(|by| format!(" {by:>22}")).collect();
    let mut out = format!("{:28}{head}\n", "");
    for operation in operations {
        let value = |by: &&str| rows.iter().find(|row| row.operation == operation && row.by == **by).map(|row| row.instructions);
        let line: String = columns.iter().map(|by| format!(" {:>22}", cell(value(by)))).collect();
        writeln!(out, "{operation:28}{line}").expect("a string takes all");
    }
    out
}

/// `costs.csv`: every operation; one that is missing has an empty count.
pub fn costs_csv(lines: &[Line]) -> String {
    let mut out = "operation,instructions,target,linux,limit\n".to_owned();
    for line in lines {
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let Target { operation, target, linux, limit } = &line.target;
        let (count, target, linux, limit) = (number(line.instructions), number(*target), number(*linux), number(*limit));
        writeln!(out, "{operation},{count},{target},{linux},{limit}").expect("a string takes all");
    }
    out
}

/// `peers.csv`.
pub fn peers_csv(rows: &[Row]) -> String {
    let mut out = "operation,peer,instructions\n".to_owned();
    for row in peers(rows) {
        writeln!(out, "{},{},{}", row.operation, row.by, row.instructions).expect("a string takes all");
    }
    out
}

fn peers(rows: &[Row]) -> impl Iterator<Item = &Row> {
    rows.iter().filter(|row| row.by != SELF)
}

fn cell(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<Target>, Vec<Row>) {
        let target = |operation: &str| Target { operation: operation.to_owned(), target: Some(4), linux: Some(8), limit: None };
        let row = |operation: &str, by: &str, instructions| Row { operation: operation.to_owned(), by: by.to_owned(), instructions };
        let rows = vec![
            row("sync.a", SELF, 4),
            row("sync.a", "spin", 9),
            row("sync.b", SELF, 6),
            row("sync.new", SELF, 1),
            row("bench.load", SELF, 1),
        ];
        (vec![target("sync.a"), target("sync.b"), target("sync.c")], rows)
    }

    #[test]
    fn a_row_that_no_image_has_stays_in_the_table() {
        let (targets, rows) = sample();
        let lines = join(&targets, &rows);
        let verdicts: Vec<_> = lines.iter().map(|line| (line.target.operation.as_str(), line.verdict())).collect();
        let expected =
            [("sync.a", Verdict::Met), ("sync.b", Verdict::Over(2)), ("sync.c", Verdict::Missing), ("sync.new", Verdict::NoTarget)];
        assert_eq!(verdicts, expected);
        assert!(text(&lines, &rows).contains("missing"));
    }

    #[test]
    fn a_matrix_shows_what_is_not_there_as_a_dash() {
        let (_, rows) = sample();
        let text = matrix(&rows[..3]);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines, [vec![SELF, "spin"], vec!["sync.a", "4", "9"], vec!["sync.b", "6", "-"]]);
    }

    #[test]
    fn csv_has_an_empty_cell_for_what_is_unknown() {
        let (targets, rows) = sample();
        let lines = join(&targets, &rows);
        assert_eq!(
            costs_csv(&lines),
            "operation,instructions,target,linux,limit\nsync.a,4,4,8,\nsync.b,6,4,8,\nsync.c,,4,8,\nsync.new,1,,,\n"
        );
        assert_eq!(peers_csv(&rows), "operation,peer,instructions\nsync.a,spin,9\n");
    }
}
