//! The self-test: made-up programs, each on a fresh graph, and what must be said of each.
//!
//! The cases are generated, so that no combination is forgotten: every kind of lock in every classical order, every way of reading against every other,
//! every interrupt in every order of discovery. What must come of a case is worked out from what waits for whom (`waits`), not from the validator's
//! rules. Runs on a PC (`tests`) and in the kernel (`lockdep selftest`, suite `lockdep`): the rules are the same code.
//!
//! | mark | meaning |
//! |---|---|
//! | `ok` | nothing to say, nothing was said |
//! | `x` | a deadlock, found |
//! | `MISS`, `FALSE` | a deadlock that was not found, an order that was wrongly called one |

use super::context::{Context, Level};
use super::graph::{Graph, TRACE_LEN};
use super::known::Known;
use super::usage::Usage;
use super::validator::{self, Wanted};
use crate::sync::held_locks::{HeldLock, HeldLocks, NR_LEVELS};
use crate::sync::lock_class::ClassId;
use crate::sync::meta::Access::{self, Exclusive, Shared, SharedRecursive};
use core::fmt::{self, Write};
use core::panic::Location;

/// Result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cases that ran.
    pub nr_cases: u32,
    /// Cells that are not as they must be.
    pub nr_unexpected: u32,
}

/// Runs all cases and writes the matrix.
///
/// Context: thread; takes 6 KiB of stack.
///
/// # Errors
/// Those of `out`.
pub fn run(out: &mut dyn Write) -> Result<Outcome, fmt::Error> {
    let mut matrix = Matrix { out, outcome: Outcome::default(), machine: Machine::new() };
    orders(&mut matrix)?;
    readers(&mut matrix)?;
    same_lock_in_interrupt(&mut matrix)?;
    inversions(&mut matrix)?;
    sleeping(&mut matrix)?;
    let outcome = matrix.outcome;
    writeln!(out, "{} cases, {} unexpected", outcome.nr_cases, outcome.nr_unexpected)?;
    Ok(outcome)
}

const NODES: usize = 10;
/// More than any of the programs makes.
const EDGES: usize = 24;
const CHAINS: usize = 4;
const A: u16 = 3;
const B: u16 = 4;
const C: u16 = 5;
const D: u16 = 6;
/// Distance from a class to its first subclass.
const NESTED: u16 = 3;

/// A machine on which programs are played: what it learnt, and what each level holds.
pub struct Machine<const EDGES: usize> {
    graph: Graph<NODES, EDGES>,
    known: Known<NODES, CHAINS>,
    held: [HeldLocks; NR_LEVELS],
    context: Context,
    is_sleeping: bool,
    has_objected: bool,
}

impl<const EDGES: usize> Machine<EDGES> {
    /// Knows nothing, holds nothing.
    pub const fn new() -> Self {
        Self {
            graph: Graph::new(),
            known: Known::new(),
            held: [const { HeldLocks::new() }; NR_LEVELS],
            context: Context::THREAD,
            is_sleeping: false,
            has_objected: false,
        }
    }

    /// Forgets all, in place: a machine is a large part of a kernel stack.
    fn restart(&mut self, is_sleeping: bool) {
        self.graph.clear();
        self.known = Known::new();
        self.held.iter().for_each(HeldLocks::clear);
        (self.context, self.is_sleeping, self.has_objected) = (Context::THREAD, is_sleeping, false);
    }

    /// Goes on in `context`.
    pub fn enter(&mut self, context: Context) {
        self.context = context;
    }

    /// Takes a lock of `class`. False from the first objection on.
    #[track_caller]
    pub fn take(&mut self, class: u16, access: Access) -> bool {
        let wanted = Wanted { class: ClassId::from_bits(class), access, is_sleeping: self.is_sleeping, at: Location::caller() };
        let held = &self.held[self.context.level as usize];
        let result = validator::acquire(&mut self.graph, &self.known, held, &wanted, &self.context, || [0; TRACE_LEN]);
        self.has_objected |= result.is_err();
        self.note(class, access);
        !self.has_objected
    }

    /// Gets a lock of `class` by a try that succeeds.
    #[track_caller]
    pub fn try_take(&mut self, class: u16, access: Access) {
        self.note(class, access);
        self.look();
    }

    #[track_caller]
    fn note(&self, class: u16, access: Access) {
        let (lock, class) = (usize::from(class), ClassId::from_bits(class));
        let held = HeldLock { lock, class, access, is_sleeping: self.is_sleeping, at: Location::caller(), since: 0 };
        self.held[self.context.level as usize].push(&held).expect("programs are shorter than the stack");
    }

    /// Gives the lock back.
    pub fn give_back(&mut self, class: u16) {
        self.look();
        self.held[self.context.level as usize].take(usize::from(class));
    }

    /// What holds locks now may be interrupted, or not.
    fn look(&mut self) {
        for lock in self.held[self.context.level as usize].iter() {
            let usage = Usage::of_hold(lock.access, &self.context);
            let origin = super::graph::Origin::UNKNOWN;
            let result = validator::learn(&mut self.graph, &self.known, lock.class, usage, &origin);
            self.has_objected |= result.is_err();
        }
    }

    /// Takes and gives back each pair: the second inside the first.
    #[track_caller]
    fn pairs(&mut self, pairs: &[(u16, u16)], access: Access) {
        for &(outer, inner) in pairs {
            self.take(outer, access);
            self.take(inner, access);
            self.give_back(inner);
            self.give_back(outer);
        }
    }
}

impl<const EDGES: usize> Default for Machine<EDGES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Plays the cases, prints cells and counts those that are wrong.
struct Matrix<'a> {
    out: &'a mut dyn Write,
    outcome: Outcome,
    machine: Machine<EDGES>,
}

impl Matrix<'_> {
    /// The machine, as it was made.
    fn restart(&mut self, is_sleeping: bool) -> &mut Machine<EDGES> {
        self.machine.restart(is_sleeping);
        &mut self.machine
    }

    /// Prints what came of the case.
    fn cell(&mut self, is_deadlock: bool) -> fmt::Result {
        let was_called_one = self.machine.has_objected;
        self.outcome.nr_cases += 1;
        self.outcome.nr_unexpected += u32::from(is_deadlock != was_called_one);
        let mark = match (is_deadlock, was_called_one) {
            (false, false) => "ok",
            (true, true) => "x",
            (true, false) => "MISS",
            (false, true) => "FALSE",
        };
        write!(self.out, "{mark:>8}")
    }

    fn heading(&mut self, title: &str, columns: &[&str]) -> fmt::Result {
        write!(self.out, "{title:28}")?;
        columns.iter().try_for_each(|column| write!(self.out, "{column:>8}"))?;
        writeln!(self.out)
    }

    fn row(&mut self, name: fmt::Arguments<'_>) -> fmt::Result {
        let mut text = arrayvec::ArrayString::<28>::new();
        let _ = text.write_fmt(name);
        write!(self.out, "{text:28}")
    }
}

/// A kind of lock, and how it is taken.
struct LockForm {
    name: &'static str,
    access: Access,
    is_sleeping: bool,
    context: Context,
}

const FORMS: [LockForm; 7] = [
    LockForm { name: "spin", access: Exclusive, is_sleeping: false, context: Context::THREAD },
    LockForm { name: "spinirq", access: Exclusive, is_sleeping: false, context: Context::IRQS_OFF },
    LockForm { name: "write", access: Exclusive, is_sleeping: false, context: Context::THREAD },
    LockForm { name: "read", access: Shared, is_sleeping: false, context: Context::THREAD },
    LockForm { name: "mutex", access: Exclusive, is_sleeping: true, context: Context::THREAD },
    LockForm { name: "rwsem-w", access: Exclusive, is_sleeping: true, context: Context::THREAD },
    LockForm { name: "rwsem-r", access: Shared, is_sleeping: true, context: Context::THREAD },
];

/// Pairs of locks that are taken one inside the other.
type Pairs = &'static [(u16, u16)];

/// Name, pairs taken one after the other, deadlock?
const ORDERS: [(&str, Pairs, bool); 9] = [
    ("A-A", &[(A, A)], true),
    ("A-B-B-A", &[(A, B), (B, A)], true),
    ("A-B-B-C-C-A", &[(A, B), (B, C), (C, A)], true),
    ("A-B-C-A-B-C", &[(A, B), (C, A), (B, C)], true),
    ("A-B-B-C-C-D-D-A", &[(A, B), (B, C), (C, D), (D, A)], true),
    ("A-B-C-D-B-D-D-A", &[(A, B), (C, D), (B, D), (D, A)], true),
    ("A-B-A-B: one order", &[(A, B), (A, B)], false),
    ("A-B-B-C-A-C: one order", &[(A, B), (B, C), (A, C)], false),
    ("A-A/1: nesting is said", &[(A, A + NESTED), (A, A + NESTED)], false),
];

fn orders(matrix: &mut Matrix<'_>) -> fmt::Result {
    matrix.heading("order", &FORMS.map(|form| form.name))?;
    for (name, pairs, is_deadlock) in ORDERS {
        matrix.row(format_args!("{name}"))?;
        for form in &FORMS {
            let machine = matrix.restart(form.is_sleeping);
            machine.enter(Context { may_sleep: form.is_sleeping, ..form.context });
            machine.pairs(pairs, form.access);
            matrix.cell(is_deadlock)?;
        }
        writeln!(matrix.out)?;
    }
    matrix.row(format_args!("A-B, then B, try A: no wait"))?;
    for form in &FORMS {
        let machine = matrix.restart(form.is_sleeping);
        machine.enter(form.context);
        if form.is_sleeping {
            machine.context.may_sleep = true;
        }
        machine.pairs(&[(A, B)], form.access);
        machine.take(B, form.access);
        machine.try_take(A, form.access);
        matrix.cell(false)?;
    }
    writeln!(matrix.out)
}

/// Whoever wants by `wanted` waits for a holder by `held`. Readers that queue wait, for a writer may stand between.
fn waits(held: Access, wanted: Access) -> bool {
    held == Exclusive || wanted != SharedRecursive
}

const ACCESSES: [(&str, Access); 3] = [("W", Exclusive), ("R", Shared), ("r", SharedRecursive)];

/// A-B-B-A in all 81 ways of reading and writing. `r` goes in beside readers, as a handler does.
fn readers(matrix: &mut Matrix<'_>) -> fmt::Result {
    let pairs = || ACCESSES.into_iter().flat_map(|outer| ACCESSES.into_iter().map(move |inner| (outer, inner)));
    write!(matrix.out, "{:28}", "A-B by rows, B-A by columns")?;
    for ((outer, _), (inner, _)) in pairs() {
        write!(matrix.out, "{outer:>7}{inner}")?;
    }
    writeln!(matrix.out)?;
    for (a1, b1) in pairs() {
        matrix.row(format_args!("A by {}, B by {}", a1.0, b1.0))?;
        for (b2, a2) in pairs() {
            let machine = matrix.restart(false);
            for (outer, inner, by) in [(A, B, (a1.1, b1.1)), (B, A, (b2.1, a2.1))] {
                machine.take(outer, by.0);
                machine.take(inner, by.1);
                machine.give_back(inner);
                machine.give_back(outer);
            }
            let is_deadlock = waits(b2.1, b1.1) && waits(a1.1, a2.1);
            matrix.cell(is_deadlock)?;
        }
        writeln!(matrix.out)?;
    }
    Ok(())
}

/// The handlers: name, context, and a thread that only such a handler cannot interrupt.
const INTERRUPTS: [(&str, Context, Context); 2] =
    [("hardirq", Context::HARDIRQ, Context::IRQS_OFF), ("softirq", Context::SOFTIRQ, Context { softirqs_on: false, ..Context::THREAD })];
/// How a handler takes: to exclude, or as the reader that goes in beside readers.
const IN_HANDLER: [(&str, Access); 2] = [("W", Exclusive), ("r", SharedRecursive)];
const IN_THREAD: [(&str, Access); 2] = [("W", Exclusive), ("R", Shared)];

fn take_alone(machine: &mut Machine<EDGES>, context: Context, class: u16, access: Access) {
    machine.enter(context);
    machine.take(class, access);
    machine.give_back(class);
}

/// A thread and its handler use one lock; the thread keeps the handler out, or does not, or does so only at first.
fn same_lock_in_interrupt(matrix: &mut Matrix<'_>) -> fmt::Result {
    matrix.heading("thread and handler: A", &["W W", "W r", "R W", "R r"])?;
    for (name, handler, safe) in INTERRUPTS {
        for (guard, is_open) in [("lets it in", true), ("keeps it out", false), ("opens up later", true)] {
            for is_thread_first in [true, false] {
                matrix.row(format_args!("{name}, {guard}{}", if is_thread_first { "" } else { ", 2nd" }))?;
                for (in_thread, in_handler) in IN_THREAD.iter().flat_map(|t| IN_HANDLER.iter().map(move |h| (t.1, h.1))) {
                    let machine = matrix.restart(false);
                    let thread = |machine: &mut Machine<EDGES>| {
                        machine.enter(if guard == "lets it in" { Context::THREAD } else { safe });
                        machine.take(A, in_thread);
                        if guard == "opens up later" {
                            machine.enter(Context::THREAD);
                        }
                        machine.give_back(A);
                    };
                    if is_thread_first {
                        thread(machine);
                    }
                    take_alone(machine, handler, A, in_handler);
                    if !is_thread_first {
                        thread(machine);
                    }
                    matrix.cell(is_open && waits(in_thread, in_handler))?;
                }
                writeln!(matrix.out)?;
            }
        }
    }
    Ok(())
}

/// The orders in which three facts become known.
const PERMUTATIONS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A handler takes A; somebody takes B inside A; a thread holds B with interrupts on: whoever holds A waits for B, whose holder waits for the handler.
fn inversions(matrix: &mut Matrix<'_>) -> fmt::Result {
    matrix.heading("A in irq, A-B, B with irqs", &["123", "132", "213", "231", "312", "321"])?;
    for (name, handler, safe) in INTERRUPTS {
        for (in_irq, irq_access) in IN_HANDLER {
            for (outer, a_access) in IN_THREAD {
                for (open, b_access) in IN_THREAD {
                    matrix.row(format_args!("{name}: A {in_irq}, A-B {outer}W, B {open}"))?;
                    for order in PERMUTATIONS {
                        let machine = matrix.restart(false);
                        for fact in order {
                            match fact {
                                0 => take_alone(machine, handler, A, irq_access),
                                1 => {
                                    machine.enter(safe);
                                    machine.take(A, a_access);
                                    machine.take(B, Exclusive);
                                    machine.give_back(B);
                                    machine.give_back(A);
                                }
                                _ => take_alone(machine, Context::THREAD, B, b_access),
                            }
                        }
                        matrix.cell(waits(a_access, irq_access) && waits(b_access, Exclusive))?;
                    }
                    writeln!(matrix.out)?;
                }
            }
        }
    }
    Ok(())
}

/// A lock that sleeps, taken inside each other kind, and in each context.
fn sleeping(matrix: &mut Matrix<'_>) -> fmt::Result {
    const SLEEPING: [(&str, Access); 3] = [("mutex", Exclusive), ("rwsem-w", Exclusive), ("rwsem-r", Shared)];
    matrix.heading("a lock that sleeps, inside", &SLEEPING.map(|(name, _)| name))?;
    for form in &FORMS {
        matrix.row(format_args!("{}", form.name))?;
        for (_, access) in SLEEPING {
            let machine = matrix.restart(form.is_sleeping);
            machine.enter(Context { may_sleep: form.is_sleeping, ..form.context });
            machine.take(A, form.access);
            machine.is_sleeping = true;
            // What is held decides, whatever the context says of itself.
            machine.context.may_sleep = true;
            machine.take(B, access);
            matrix.cell(!form.is_sleeping)?;
        }
        writeln!(matrix.out)?;
    }
    for (name, context) in
        [("thread", Context::THREAD), ("irqs off", Context::IRQS_OFF), ("softirq", Context::SOFTIRQ), ("hardirq", Context::HARDIRQ)]
    {
        matrix.row(format_args!("{name}"))?;
        for (_, access) in SLEEPING {
            let machine = matrix.restart(true);
            machine.enter(context);
            machine.take(A, access);
            matrix.cell(context.level != Level::Thread || !context.hardirqs_on)?;
        }
        writeln!(matrix.out)?;
    }
    Ok(())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn no_cell_is_unexpected() {
        let mut text = String::new();
        let outcome = run(&mut text).unwrap();
        std::println!("{text}");
        assert_eq!(outcome.nr_unexpected, 0, "\n{text}");
        assert!(outcome.nr_cases >= 210, "{} cases", outcome.nr_cases);
    }
}
