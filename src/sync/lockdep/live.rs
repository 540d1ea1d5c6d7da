//! The kernel's own graph, fed by the hooks of every lock.
//!
//! The usual way is two loads: the chain of held locks with the wanted one has been seen, and so have its usage bits. Only what is new takes the graph's
//! lock, which no check watches (`unwatched`).
//!
//! On the host nothing is fed: there test threads run beside each other that are no cores of one machine. The rules are tested there as values.

use super::context::Context;
use super::graph::{Graph, Origin, TRACE_LEN};
use super::known::Known;
use super::report;
use super::usage::Usage;
use super::validator::{self, Violation, Wanted};
use crate::sync::held_locks::{self, HeldLock, HeldLocks, chain_key};
use crate::sync::lock_class::{ClassId, MAX_CLASSES};
use crate::sync::lock_watch;
use crate::sync::unwatched::Unwatched;
use crate::upcalls;
use core::panic::Location;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Room for orders.
pub const MAX_EDGES: usize = 2048;
/// Room for chains.
pub const MAX_CHAINS: usize = 4096;

static GRAPH: Unwatched<Graph<MAX_CLASSES, MAX_EDGES>> = Unwatched::new(Graph::new());
static KNOWN: Known<MAX_CLASSES, MAX_CHAINS> = Known::new();
/// Linux's `debug_locks`.
static IS_ON: AtomicBool = AtomicBool::new(true);

/// Whether lock order is checked: until the first report. Context: any.
///
/// # Examples
/// ```
/// assert!(tetra::sync::lockdep::is_on()); // nothing was reported yet
/// ```
#[inline]
pub fn is_on() -> bool {
    IS_ON.load(Relaxed)
}

/// The wanted lock's class, and what its taker would do: checked before the wait. Context: any, pinned.
#[inline]
pub(in crate::sync) fn before_wait(held: &HeldLocks, wanted: &Wanted, context: &Context) {
    if !is_on() {
        return;
    }
    let usage = Usage::of_wait(wanted.access, context).with(Usage::of_hold(wanted.access, context));
    let is_new = !usage.without(KNOWN.usage(wanted.class)).is_empty();
    let key = chain_key(held.key(), wanted.class, wanted.access);
    if is_new || wanted.is_sleeping || !KNOWN.has_chain(key) {
        check(held, wanted, context, key);
    }
    if context.hardirqs_on {
        look_at_held(held, context);
    }
}

#[cold]
#[inline(never)]
fn check(held: &HeldLocks, wanted: &Wanted, context: &Context, key: u64) {
    let result = GRAPH.with(|graph| validator::acquire(graph, &KNOWN, held, wanted, context, trace));
    match result {
        Ok(()) => KNOWN.add_chain(key),
        Err(violation) => report_once(&violation, wanted.at),
    }
}

/// Looks whether locks that are held can be interrupted now, as far as that is new. Context: any, pinned.
#[inline]
pub(in crate::sync) fn look_at_held(held: &HeldLocks, context: &Context) {
    for lock in held.iter() {
        look_at(&lock, context);
    }
}

/// The same for one lock: also for one that was got by a try, and for one that is about to be given back.
#[inline]
pub(in crate::sync) fn look_at(lock: &HeldLock, context: &Context) {
    let usage = Usage::of_hold(lock.access, context);
    if is_on() && !usage.without(KNOWN.usage(lock.class)).is_empty() {
        learn(lock, usage);
    }
}

#[cold]
#[inline(never)]
fn learn(lock: &HeldLock, usage: Usage) {
    let origin = Origin { held_at: Some(lock.at), taken_at: None, trace: trace() };
    if let Err(violation) = GRAPH.with(|graph| validator::learn(graph, &KNOWN, lock.class, usage, &origin)) {
        report_once(&violation, lock.at);
    }
}

/// Reports a limit that was reached. Context: any, pinned.
#[cold]
pub(in crate::sync) fn out_of(what: &Violation, at: &'static Location<'static>) {
    if is_on() {
        report_once(what, at);
    }
}

/// Checks that the calling thread holds no lock: for its end, and wherever none may be left. False, and a report, if it holds some.
///
/// Context: thread. Linux's `debug_check_no_locks_held`.
///
/// # Examples
/// ```
/// use tetra::sync::{SpinLock, lockdep};
/// let count = SpinLock::new(0);
/// *count.lock() += 1;
/// assert!(lockdep::check_no_locks_held());
/// ```
#[track_caller]
pub fn check_no_locks_held() -> bool {
    let _pinned = crate::cpu::PreemptGuard::new();
    let is_none = held_locks::held().is_empty();
    if !is_none && is_on() {
        report_once(&Violation::HeldAtEnd, Location::caller());
    }
    is_none
}

/// Switches off, and reports if that had not happened before.
#[cold]
fn report_once(violation: &Violation, at: &'static Location<'static>) {
    if IS_ON.swap(false, Relaxed) {
        let trace = trace();
        lock_watch::with_classes(|classes| GRAPH.with(|graph| report::print(violation, at, graph, classes, &trace)));
    }
}

fn trace() -> [usize; TRACE_LEN] {
    let slots = [const { AtomicUsize::new(0) }; TRACE_LEN];
    upcalls::lock_trace(&slots);
    slots.map(AtomicUsize::into_inner)
}

/// Looks at the graph. Context: thread; irqs are off while `f` runs.
pub fn with_graph<R>(f: impl FnOnce(&Graph<MAX_CLASSES, MAX_EDGES>) -> R) -> R {
    GRAPH.with(|graph| f(graph))
}

/// What a class was seen doing. Context: any.
pub fn usage(class: ClassId) -> Usage {
    KNOWN.usage(class)
}

/// Figures for `lockdep_stats`.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    /// Edges of the graph.
    pub nr_edges: usize,
    /// Searches for rings.
    pub nr_searches: u64,
    /// Chains known to be in order.
    pub nr_chains: u32,
}

/// The figures now. Context: any.
pub fn stats() -> Stats {
    let (nr_edges, nr_searches) = GRAPH.with(|graph| (graph.nr_edges(), graph.nr_searches()));
    Stats { nr_edges, nr_searches, nr_chains: KNOWN.nr_chains() }
}
