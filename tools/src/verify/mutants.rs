//! `make mutants-ordering`, the half on machine code: is every ordering instruction needed, and would the tests notice its loss?
//!
//! Each acquire, release and barrier of each translated thread is weakened by one step, alone. One test cannot need them all (in store
//! buffering the DMB does the work, in message passing the STLXR), so tests are grouped by what they test, and a weakening survives if no
//! test of the group notices it: then either a test is missing, or the instruction is.

use std::collections::BTreeMap;

use anyhow::Result;

use super::litmus::Litmus;
use super::template::Test;
use super::{Bench, Report, failed, in_parallel, is_broken};

/// One weakening in one test.
struct Mutant {
    what: String,
    is_noticed: bool,
    executions: u64,
}

/// Runs all weakenings of all tests that forbid something; one report a group.
pub fn run(tests: &[Test], bench: &Bench) -> Vec<Report> {
    let results = in_parallel(tests, |test| mutants(test, bench));
    let mut groups: BTreeMap<&str, Vec<Result<Vec<Mutant>>>> = BTreeMap::new();
    for (test, result) in tests.iter().zip(results) {
        groups.entry(&test.group).or_default().push(result);
    }
    groups.into_iter().map(|(group, results)| report(group, results)).collect()
}

/// Runs the weakenings of one test.
fn mutants(test: &Test, bench: &Bench) -> Result<Vec<Mutant>> {
    if test.never.is_empty() {
        return Ok(Vec::new());
    }
    let mutants = Litmus::new(test, &bench.functions)?.mutants();
    mutants
        .into_iter()
        .enumerate()
        .map(|(number, (what, mutant))| {
            let outcome = bench.run(&mutant, &format!("{}.mutant{number}", test.name))?;
            Ok(Mutant { what, is_noticed: is_broken(test, &outcome), executions: outcome.executions })
        })
        .collect()
}

/// Joins what the tests of a group noticed.
fn report(group: &str, results: Vec<Result<Vec<Mutant>>>) -> Report {
    let mut noticed: BTreeMap<String, bool> = BTreeMap::new();
    let mut executions = 0;
    for result in results {
        match result {
            Err(error) => return failed(group, &error),
            Ok(mutants) => {
                for mutant in mutants {
                    executions += mutant.executions;
                    *noticed.entry(mutant.what).or_default() |= mutant.is_noticed;
                }
            }
        }
    }
    let survivors = noticed.iter().filter(|(_, is_noticed)| !**is_noticed);
    let faults = survivors.map(|(what, _)| format!("survives: {what}")).collect();
    Report { name: group.to_owned(), states: 0, executions, twins: noticed.len(), faults }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_test_of_the_group_is_enough() {
        let mutant = |what: &str, is_noticed| Mutant { what: what.to_owned(), is_noticed, executions: 1 };
        let results = vec![Ok(vec![mutant("STLR -> STR", false), mutant("LDAR -> LDR", false)]), Ok(vec![mutant("STLR -> STR", true)])];
        let report = report("g", results);
        assert_eq!((report.twins, report.executions), (2, 3));
        assert_eq!(report.faults, ["survives: LDAR -> LDR"]);
    }
}
