//! What may have been meant by a name that there is not.

use super::command::{COMMANDS, Command};
use crate::proc::{self, View};

/// The command or view whose name is the most like `name`, if any is much like it.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let names = COMMANDS.iter().map(Command::name).chain(proc::VIEWS.iter().map(View::name));
    let limit = 1 + name.len() / 4;
    names.map(|known| (distance(name, known), known)).filter(|&(distance, _)| distance <= limit).min().map(|(_, known)| known)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from `a` to `b`; long names are infinitely far.
///
/// Source: F. Damerau, "A technique for computer detection and correction of spelling errors", CACM 7(3), 1964.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 24;
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }

    // Three rows of the table of distances between beginnings: the one being filled and the two before it.
    let mut rows = [[0; LONGEST + 1]; 3];
    rows[0] = core::array::from_fn(|column| column);
    for i in 1..=a.len() {
        let (now, before, two_before) = (i % 3, (i + 2) % 3, (i + 1) % 3);
        rows[now][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[before][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[before][j] + 1).min(rows[now][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[two_before][j - 2] + 1);
            }
            rows[now][j] = best;
        }
    }
    rows[a.len() % 3][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "abc", 3), ("help", "help", 0), ("hlep", "help", 1), ("hep", "help", 1), ("dmseg", "dmesg", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
        assert_eq!(distance("x", &"y".repeat(99)), usize::MAX);
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(nearest("hlep"), Some("help"));
        assert_eq!(nearest("ehco"), Some("echo"));
        assert_eq!(nearest("frobnicate"), None);
    }
}
