//! Torture: every primitive under many threads, random holds, pauses, handlers and bottom halves, for a given time and seed.
//!
//! As locktorture does it: eight threads on four cores go for one primitive at a time. What they protect is watched by a [`Room`], which knows nothing of
//! locks and notices whoever is inside beside somebody, and every count that was lost. What hands things over is watched by counting: nothing is got that
//! was not given, and nobody waits for what is there. Broken twins of each kind must be caught, or the watch is no use.
//!
//! `make torture SECONDS= SEED= ONLY=` chooses; in `make test` it is short. With `-icount` a seed repeats its run.
#![no_std]
#![no_main]

mod random;
mod room;
mod run;
mod subjects;
mod twins;

use tetra::init;
use tetra::printk;
use tetra::util::cmdline::{PARAMS, Param};
use tetra_tests::{__linkme as linkme, case, check, check_eq, suite};

use run::Outcome;

suite!();

/// Milliseconds that each primitive gets in `make test`.
const SHORT_MS: u64 = 400;

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static SECONDS: Param = Param { name: "torture_seconds", value: "N", help: "torture all primitives for so long together" };

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static SEED: Param = Param { name: "torture_seed", value: "N", help: "the seed of all that is random in it" };

#[linkme::distributed_slice(PARAMS)]
#[linkme(crate = linkme)]
static ONLY: Param = Param { name: "torture_only", value: "TEXT", help: "only primitives whose name contains this" };

/// A number among the boot arguments.
fn number(name: &str, otherwise: u64) -> u64 {
    init::argument().number(name).ok().flatten().unwrap_or(otherwise)
}

case!(every_primitive_holds);
fn every_primitive_holds() {
    let only = init::argument().string("torture_only").unwrap_or("");
    let chosen = || subjects::ALL.iter().filter(|subject| subject.name.contains(only));
    let nr_chosen = chosen().count() as u64;
    check!(nr_chosen > 0);
    let (seed, ms) = (number("torture_seed", 1), number("torture_seconds", 0) * 1000 / nr_chosen.max(1));
    printk!(KERN_NOTICE "torture: {} primitives, seed {}", nr_chosen, seed);
    printk!(KERN_NOTICE "torture: {:<14} {:>9} {:>9} {:>7} {:>7} {:>7}  least/most", "primitive", "writes", "reads", "irq", "bh", "errors");

    for subject in chosen() {
        let outcome = run::run(subject, seed, if ms == 0 { SHORT_MS } else { ms });
        let Outcome { writes, reads, in_irq, in_bh, errors, least, most } = outcome;
        printk!(
            KERN_NOTICE "torture: {:<14} {:>9} {:>9} {:>7} {:>7} {:>7}  {}/{}", subject.name, writes, reads, in_irq, in_bh, errors, least, most
        );
        check_eq!(errors, 0);
        check!(writes > 0);
        check!(subject.has_no_readers() || reads > 0);
    }
}

case!(broken_twins_are_caught);
fn broken_twins_are_caught() {
    for twin in twins::ALL {
        let outcome = run::run(twin, number("torture_seed", 1), SHORT_MS);
        printk!(KERN_NOTICE "torture: twin {}: {} errors", twin.name, outcome.errors);
        if outcome.errors == 0 {
            tetra_tests::fail(format_args!("twin `{}` is not caught", twin.name), core::panic::Location::caller());
        }
    }
}
