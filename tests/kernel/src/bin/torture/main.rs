//! Torture: every primitive under many threads, random holds, pauses, handlers and bottom halves, for a given time and seed.
//!
//! As locktorture does it: eight threads on four cores go for one primitive at a time. What a lock protects is watched by a [`room::Room`], which knows
//! nothing of locks and notices whoever is inside beside somebody, and every count that was lost. What hands things over is watched by counting: nothing
//! is got that was not given, and nobody waits for what is there. What is read while it changes must be whole and not freed; memory must be its taker's
//! alone. Broken twins of each kind must be caught, or the watch is no use.
//!
//! `make torture SECONDS= SEED= ONLY=` chooses; in `make test` it is short. With `-icount` a seed repeats its run. Rejected: all primitives at once, where
//! a report does not tell whose fault it is. docs/testing.md is the guide.
#![no_std]
#![no_main]

mod hand_over;
mod locks;
mod memory;
mod random;
mod room;
mod run;
mod shared;
mod subject;
mod twins;

use core::panic::Location;
use tetra::init;
use tetra::printk;
use tetra::util::cmdline::{PARAMS, Param};
use tetra_tests::{__linkme as linkme, case, check, check_eq, suite};

use run::{Outcome, Until};
use subject::Subject;

suite!();

/// Milliseconds that each primitive gets in `make test`.
const SHORT_MS: u64 = 250;

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static MS: Param = Param { name: "torture_ms", value: "N", help: "torture all primitives for so many milliseconds together" };

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static SEED: Param = Param { name: "torture_seed", value: "N", help: "the seed of all that is random in it" };

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static ONLY: Param = Param { name: "torture_only", value: "TEXT", help: "only primitives whose name contains this" };

/// A number among the boot arguments.
fn number(name: &str) -> Option<u64> {
    init::argument().number(name).ok().flatten()
}

fn seed() -> u64 {
    number("torture_seed").unwrap_or(1)
}

/// The primitives that the boot arguments choose, all without a choice.
fn chosen() -> impl Iterator<Item = &'static Subject> {
    let only = init::argument().string("torture_only").unwrap_or("");
    [locks::ALL, hand_over::ALL, shared::ALL, memory::ALL].into_iter().flatten().filter(move |subject| subject.name.contains(only))
}

case!(every_primitive_holds);
fn every_primitive_holds() {
    let nr_chosen = chosen().count() as u64;
    check!(nr_chosen > 0);
    let ms = number("torture_ms").map_or(SHORT_MS, |ms| ms / nr_chosen.max(1));
    printk!(KERN_NOTICE "torture: {} primitives for {} ms each, seed {}", nr_chosen, ms, seed());
    printk!(
        KERN_NOTICE "torture: {:<15} {:>9} {:>9} {:>7} {:>7} {:>7}  {}",
        "primitive", "writes", "reads", "hardirq", "softirq", "errors", "least..most of a thread"
    );

    for subject in chosen() {
        let outcome = run::run(subject, seed(), Until::AllHadTheirTurn { ms });
        let Outcome { writes, reads, in_irq, in_bh, errors, least, most } = outcome;
        printk!(
            KERN_NOTICE "torture: {:<15} {:>9} {:>9} {:>7} {:>7} {:>7}  {}..{}", subject.name, writes, reads, in_irq, in_bh, errors, least, most
        );
        check_eq!(errors, 0);
        check!(least > 0);
    }
}

case!(broken_twins_are_caught);
fn broken_twins_are_caught() {
    for twin in twins::ALL {
        let outcome = run::run(twin, seed(), Until::AnErrorIsSeen);
        printk!(KERN_NOTICE "torture: twin that {}: {}", twin.name, if outcome.errors > 0 { "caught" } else { "NOT caught" });
        if outcome.errors == 0 {
            tetra_tests::fail(format_args!("the twin that {} is not caught", twin.name), Location::caller());
        }
    }
}
