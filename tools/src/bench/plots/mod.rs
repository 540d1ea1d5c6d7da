//! The figures as pictures: SVG on white, readable in light and dark.
//!
//! All are drawn from `costs.csv` and `peers.csv`, which `make bench` leaves in target/bench: so `make bench-plots`, which puts them into docs/img, counts
//! nothing anew. `canvas.rs` has what they share.

mod canvas;
mod costs;
mod curves;
mod traces;

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A line of `costs.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cost {
    operation: String,
    tetra: u64,
    linux: Option<u64>,
}

/// A line of `peers.csv`: what somebody else's code took, or the kernel's own in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    operation: String,
    by: String,
    value: u64,
}

/// Draws all pictures from the files in `figures` into `folder`.
pub fn draw(figures: &Path, folder: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = figures.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}; `make bench` makes it", path.display()))
    };
    let (costs, peers) = (parse_costs(&read("costs.csv")?)?, parse_peers(&read("peers.csv")?)?);
    ensure!(
        peers.iter().any(|row| row.operation.starts_with("live.")),
        "{} has no rows of heaps and locks: it is from `make bench-check`; run `make bench` first",
        figures.join("peers.csv").display()
    );
    std::fs::create_dir_all(folder)?;
    costs::draw(&folder.join("costs.svg"), &costs)?;
    curves::heaps(&folder.join("heaps-alive.svg"), &peers)?;
    curves::locks(&folder.join("locks.svg"), &peers)?;
    traces::draw(&folder.join("heaps-traces.svg"), &peers)
}

/// A row without a count, which no image has, is left out.
fn parse_costs(text: &str) -> Result<Vec<Cost>> {
    let mut rows = Vec::new();
    for line in text.lines().skip(1) {
        let [operation, tetra, _, linux, _] = fields(line)?;
        if let Some(tetra) = number(tetra)? {
            rows.push(Cost { operation: operation.to_owned(), tetra, linux: number(linux)? });
        }
    }
    Ok(rows)
}

fn parse_peers(text: &str) -> Result<Vec<Peer>> {
    let row = |line| {
        let [operation, by, value] = fields(line)?;
        Ok(Peer { operation: operation.to_owned(), by: by.to_owned(), value: number(value)?.with_context(|| format!("`{line}`"))? })
    };
    text.lines().skip(1).map(row).collect()
}

fn fields<const N: usize>(line: &str) -> Result<[&str; N]> {
    let fields: Vec<&str> = line.split(',').collect();
    fields.try_into().ok().with_context(|| format!("`{line}` has not {N} columns"))
}

fn number(field: &str) -> Result<Option<u64>> {
    if field.is_empty() { Ok(None) } else { field.parse().map(Some).with_context(|| format!("`{field}` is no number")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::session::{Row, SELF};
    use crate::bench::{table, targets::Target};

    /// What `table` writes is what is read here.
    #[test]
    fn the_files_are_read_as_they_are_written() {
        let target = |operation: &str, linux| Target { operation: operation.to_owned(), target: Some(4), linux, limit: None };
        let row = |by: &str, instructions| Row { operation: "sync.a".to_owned(), by: by.to_owned(), instructions };
        let rows = [row(SELF, 3), row("spin::Mutex", 6)];
        let lines = table::join(&[target("sync.a", Some(8)), target("sync.b", None)], &rows);
        let costs = parse_costs(&table::costs_csv(&lines)).unwrap();
        assert_eq!(costs, [Cost { operation: "sync.a".to_owned(), tetra: 3, linux: Some(8) }]);
        let peers = parse_peers(&table::peers_csv(&rows)).unwrap();
        assert_eq!(peers, [Peer { operation: "sync.a".to_owned(), by: "spin::Mutex".to_owned(), value: 6 }]);
    }

    /// Every picture is drawn, and names what it shows.
    #[test]
    fn every_figure_gets_its_picture() {
        let folder = tempfile::tempdir().unwrap();
        let costs = "operation,instructions,target,linux,limit\nsync.spin_lock,12,12,11,12\nmem.page_0,87,48,875,\nlog.new,5,,,\n";
        let mut peers = "operation,peer,instructions\n".to_owned();
        for by in ["tetra kmalloc", "talc"] {
            for row in ["live.10,BY,61", "live.1000000,BY,58", "trace.small,BY,84", "trace.small_peak_bytes,BY,45056"] {
                peers += &(row.replace("BY", by) + "\n");
            }
        }
        for by in ["ticket", "spin::Mutex"] {
            for row in ["contend.1_per_ms,BY,16665", "contend.4_per_ms,BY,9775", "contend.1_fairness,BY,100", "contend.4_fairness,BY,40"] {
                peers += &(row.replace("BY", by) + "\n");
            }
        }
        std::fs::write(folder.path().join("costs.csv"), costs).unwrap();
        std::fs::write(folder.path().join("peers.csv"), peers).unwrap();
        draw(folder.path(), folder.path()).unwrap();
        for (file, words) in [
            ("costs.svg", ["spin_lock", "Linux"]),
            ("heaps-alive.svg", ["talc", "objects alive"]),
            ("heaps-traces.svg", ["small", "talc"]),
            ("locks.svg", ["ticket", "cores"]),
        ] {
            let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
            words.iter().for_each(|word| assert!(text.contains(word), "{file}: no `{word}`"));
        }
    }

    #[test]
    fn a_file_without_heaps_says_where_it_is_from() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("costs.csv"), "operation,instructions,target,linux,limit\n").unwrap();
        std::fs::write(folder.path().join("peers.csv"), "operation,peer,instructions\n").unwrap();
        assert!(draw(folder.path(), folder.path()).unwrap_err().to_string().contains("run `make bench` first"));
    }
}
