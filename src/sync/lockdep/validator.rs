//! The rules: what may be taken while what is held. Pure: held locks, context and call come as values, the graph is one.
//!
//! 1. *Order.* Each lock that this context holds gets an edge to the one that is wanted, unless that closes a ring (`graph`). All of them and not the
//!    last one alone: a chain through a reader can be broken where the direct edge is not. A try waits for nobody and adds none.
//! 2. *Interrupts.* A lock that is waited for in a handler gets an edge from the interrupt, one that is held while interrupts are on an edge to it
//!    (`usage`). Looked at when a lock is taken, and again for all that are held when another is taken or given back, since the section that kept
//!    interrupts off may have ended before the lock.
//! 3. *Sleep.* A lock whose takers sleep is not taken where a holder that spins, or a handler, cannot wait for it.
//! 4. *End.* A thread ends without locks.
//!
//! Locks that a handler holds are not ordered behind those of what it interrupted: rule 2 says that better.

use super::context::Context;
use super::graph::{Graph, Origin, Path, Refused};
use super::known::Known;
use super::usage::{IrqEdge, Usage};
use crate::sync::held_locks::HeldLocks;
use crate::sync::lock_class::ClassId;
use crate::sync::meta::Access;
use core::panic::Location;

/// A lock that someone wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Its class.
    pub class: ClassId,
    /// How it is wanted.
    pub access: Access,
    /// Its takers sleep while they wait.
    pub is_sleeping: bool,
    /// Where it is wanted.
    pub at: &'static Location<'static>,
}

/// A rule is broken.
#[derive(Clone, Copy, Debug)]
pub enum Violation {
    /// Rules 1 and 2: the edge would close a ring with the edges of `path`.
    Ring {
        /// Where the edge begins.
        from: ClassId,
        /// Where it ends.
        to: ClassId,
        /// Where its parts were taken, as far as that is known here; no trace.
        origin: Origin,
        /// The rest of the ring.
        path: Path,
    },
    /// Rule 3: the lock is wanted where nobody may sleep.
    SleepInAtomic(ClassId),
    /// Rule 4: a thread ends that holds locks.
    HeldAtEnd,
    /// No rule, but the end of what can be checked: there is no room for another edge.
    OutOfEdges,
    /// The same for classes.
    OutOfClasses,
    /// More locks are held than can be noted.
    TooDeep,
}

impl Violation {
    /// One line for the report.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Ring { from, to, path, .. } if from == to && path.is_empty() => "a lock is taken inside another of its class",
            Self::Ring { from, to, path, .. } if from.is_interrupt() || to.is_interrupt() || path.len() > 1 => {
                "locks and interrupts, or several locks, can wait for each other in a ring"
            }
            Self::Ring { .. } => "two locks are taken in both orders",
            Self::SleepInAtomic(_) => "a lock that may sleep is taken where sleeping is forbidden",
            Self::HeldAtEnd => "a thread ends with locks held",
            Self::OutOfEdges => "more lock orders than the table holds",
            Self::OutOfClasses => "more lock classes than the table holds",
            Self::TooDeep => "more locks held at once than can be noted",
        }
    }
}

/// Checks that `wanted` may be waited for while `held` are held, and learns from it. `trace` is called if something is new.
///
/// # Errors
/// The rule that it breaks; nothing more is learnt then.
pub fn acquire<const NODES: usize, const EDGES: usize, const CHAINS: usize>(
    graph: &mut Graph<NODES, EDGES>,
    known: &Known<NODES, CHAINS>,
    held: &HeldLocks,
    wanted: &Wanted,
    context: &Context,
    trace: impl FnOnce() -> [usize; super::graph::TRACE_LEN],
) -> Result<(), Violation> {
    if wanted.is_sleeping && (!context.may_sleep || held.iter().any(|lock| !lock.is_sleeping)) {
        return Err(Violation::SleepInAtomic(wanted.class));
    }
    let mut origin = Origin { held_at: None, taken_at: Some(wanted.at), trace: trace() };
    for lock in held.iter() {
        origin.held_at = Some(lock.at);
        let kind = super::graph::Kind::of(lock.access, wanted.access);
        add(graph, lock.class, wanted.class, kind, &origin)?;
    }
    origin.held_at = None;
    let usage = Usage::of_wait(wanted.access, context).with(Usage::of_hold(wanted.access, context));
    learn(graph, known, wanted.class, usage, &origin)
}

/// Learns what `usage` says of `class`.
///
/// # Errors
/// `Ring` or `OutOfEdges`.
pub fn learn<const NODES: usize, const EDGES: usize, const CHAINS: usize>(
    graph: &mut Graph<NODES, EDGES>,
    known: &Known<NODES, CHAINS>,
    class: ClassId,
    usage: Usage,
    origin: &Origin,
) -> Result<(), Violation> {
    for IrqEdge { from, to, kind, bit } in usage.without(known.usage(class)).edges(class) {
        add(graph, from, to, kind, origin)?;
        known.add_usage(class, bit);
    }
    Ok(())
}

fn add<const NODES: usize, const EDGES: usize>(
    graph: &mut Graph<NODES, EDGES>,
    from: ClassId,
    to: ClassId,
    kind: super::graph::Kind,
    origin: &Origin,
) -> Result<(), Violation> {
    graph.add(from, to, kind, origin).map_err(|refused| match refused {
        Refused::Ring(path) => Violation::Ring { from, to, origin: *origin, path },
        Refused::Full => Violation::OutOfEdges,
    })
}
