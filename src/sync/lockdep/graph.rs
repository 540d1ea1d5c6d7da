//! The order graph: who was taken while whom was held, and whether that closes a ring in which everybody waits for the next.
//!
//! # Edges
//! `A -> B`: a holder of A waits for B. Readers make four kinds of it, by two questions: is A held alone (**E**) or shared (**S**)? And does the wait for B
//! end only when all holders have gone (**N**, writers and readers that queue), or does a reader go in beside readers (**R**)?
//!
//! Two edges `A -> B -> C` make a wait that can last only if the first one's wait for B is not satisfied by the second one's hold of it: all but `..R`
//! followed by `S..`. A ring in which no two neighbours are like that is a deadlock; any other ring is not.
//!
//! # Interrupts are nodes
//! "B is held while interrupts are on" is an edge `B -> hardirq`, since the holder may have to wait for a handler to end; "a handler takes A" is an
//! edge `hardirq -> A`. So the search for rings finds the lock that a thread holds when its interrupt wants it, at any distance, by the same rule and with
//! readers treated right; no second search, no table of states. Rejected: a mask of states for each class and a search forwards and backwards
//! for each new bit.
//!
//! # Search
//! Breadth first, so the ring that is reported is the shortest. A state is a node and how it was reached (by R or not): twice as many states as nodes, each
//! visited once, in arrays of fixed size. Reaching a node by N permits all that reaching it by R does, so R is not tried after N.
//!
//! # Invariants
//! 1. Edges number 1 to `nr_edges` are there; number 0 means "none" (so the empty graph is all zeroes and costs no room in the image).
//! 2. The graph has no deadlocking ring: an edge that would make one is refused.
//!
//! Sources: Linux's Documentation/locking/lockdep-design.rst, for the question and the four kinds.

use crate::sync::lock_class::ClassId;
use crate::sync::meta::Access;
use core::panic::Location;

/// Return addresses kept of where an edge was made.
pub const TRACE_LEN: usize = 8;
/// Edges of a ring that a report can show.
pub const MAX_PATH: usize = 12;

/// How a holder holds and how a waiter waits: E or S, N or R.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Held alone.
    pub is_exclusive: bool,
    /// Waits only for a holder that is alone.
    pub is_recursive: bool,
}

impl Kind {
    /// Of a holder by `held` that waits for `wanted`.
    pub fn of(held: Access, wanted: Access) -> Self {
        Self { is_exclusive: held == Access::Exclusive, is_recursive: wanted == Access::SharedRecursive }
    }

    /// Whatever ring `other` closes, this one does.
    fn covers(self, other: Self) -> bool {
        (self.is_exclusive || !other.is_exclusive) && (!self.is_recursive || other.is_recursive)
    }

    /// Two letters, as in the head of this file.
    pub fn name(self) -> &'static str {
        match (self.is_exclusive, self.is_recursive) {
            (true, false) => "EN",
            (true, true) => "ER",
            (false, false) => "SN",
            (false, true) => "SR",
        }
    }
}

/// Where an edge was seen first.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Where the lock that was held had been taken.
    pub held_at: Option<&'static Location<'static>>,
    /// Where the other one was taken.
    pub taken_at: Option<&'static Location<'static>>,
    /// Who was calling; 0 behind the last.
    pub trace: [usize; TRACE_LEN],
}

impl Origin {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { held_at: None, taken_at: None, trace: [0; TRACE_LEN] };
}

/// Someone who holds `from` waits for `to`.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// What is held.
    pub from: ClassId,
    /// What is waited for.
    pub to: ClassId,
    /// How.
    pub kind: Kind,
    /// Where that was seen.
    pub origin: Origin,
    /// Next edge with the same `from`.
    next: u16,
}

impl Edge {
    const NONE: Self = Self {
        from: ClassId::UNKNOWN,
        to: ClassId::UNKNOWN,
        kind: Kind { is_exclusive: false, is_recursive: false },
        origin: Origin::UNKNOWN,
        next: 0,
    };
}

/// The edges of a ring, from the lock that is wanted to the one that is held; the edge that is missing is the new one.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    edges: [u16; MAX_PATH],
    len: usize,
    /// The ring is longer than what is kept.
    pub is_cut: bool,
}

impl Path {
    /// Number of edges kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a lock that waits for itself.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Why an edge was not added.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// It would close a ring.
    Ring(Path),
    /// There is no room for another edge.
    Full,
}

/// The graph over `NODES` nodes with room for `EDGES - 1` edges.
#[derive(Debug)]
pub struct Graph<const NODES: usize, const EDGES: usize> {
    edges: [Edge; EDGES],
    nr_edges: usize,
    /// First edge of each node.
    first: [u16; NODES],
    search: Search<NODES>,
    nr_searches: u64,
}

/// What a search notes; index 0 for a node reached by N, 1 for one reached by R.
#[derive(Debug)]
struct Search<const NODES: usize> {
    /// Which search has been there.
    visited: [[u64; 2]; NODES],
    /// The edge by which it came.
    by: [[u16; 2]; NODES],
    /// The way in which that edge's start had been reached.
    from: [[u8; 2]; NODES],
    queue: [[(u16, u8); 2]; NODES],
}

const BY_N: usize = 0;
const BY_R: usize = 1;

impl<const NODES: usize, const EDGES: usize> Graph<NODES, EDGES> {
    /// A graph without edges.
    pub const fn new() -> Self {
        let search = Search { visited: [[0; 2]; NODES], by: [[0; 2]; NODES], from: [[0; 2]; NODES], queue: [[(0, 0); 2]; NODES] };
        Self { edges: [Edge::NONE; EDGES], nr_edges: 0, first: [0; NODES], search, nr_searches: 0 }
    }

    /// Forgets all edges, in place.
    pub fn clear(&mut self) {
        (self.nr_edges, self.first) = (0, [0; NODES]);
    }

    /// Adds an edge unless one that covers it is there.
    ///
    /// # Errors
    /// `Ring` if everybody on it could wait for ever, `Full` if there is no room; the graph is unchanged then.
    pub fn add(&mut self, from: ClassId, to: ClassId, kind: Kind, origin: &Origin) -> Result<(), Refused> {
        if self.edges_of(from).any(|edge| edge.to == to && edge.kind.covers(kind)) {
            return Ok(());
        }
        if let Some(path) = self.find_ring(from, to, kind) {
            return Err(Refused::Ring(path));
        }
        let number = self.nr_edges + 1;
        let slot = self.edges.get_mut(number).ok_or(Refused::Full)?;
        *slot = Edge { from, to, kind, origin: *origin, next: self.first[from.index()] };
        self.first[from.index()] = number as u16;
        self.nr_edges = number;
        Ok(())
    }

    /// The shortest way from `to` back to `from` that an edge of `kind` would close to a deadlock.
    fn find_ring(&mut self, from: ClassId, to: ClassId, kind: Kind) -> Option<Path> {
        self.nr_searches += 1;
        let start = if kind.is_recursive { BY_R } else { BY_N };
        let (mut head, mut tail) = (0, 0);
        self.reach(to.index(), start, 0, start, &mut tail);
        while head < tail {
            let (node, way) = self.search.queue.as_flattened()[head];
            let (node, way) = (usize::from(node), usize::from(way));
            head += 1;
            if node == from.index() && (way == BY_N || kind.is_exclusive) {
                return Some(self.path_to(node, way));
            }
            let mut number = self.first[node];
            while number != 0 {
                let edge = &self.edges[usize::from(number)];
                let (to, next, kind) = (edge.to.index(), edge.next, edge.kind);
                if way == BY_N || kind.is_exclusive {
                    let by = if kind.is_recursive { BY_R } else { BY_N };
                    self.reach(to, by, number, way, &mut tail);
                }
                number = next;
            }
        }
        None
    }

    /// Notes that `node` is reached, unless it has been.
    fn reach(&mut self, node: usize, way: usize, by: u16, from: usize, tail: &mut usize) {
        let this = self.nr_searches;
        let search = &mut self.search;
        if search.visited[node][BY_N] == this || search.visited[node][way] == this {
            return;
        }
        search.visited[node][way] = this;
        search.by[node][way] = by;
        search.from[node][way] = from as u8;
        search.queue.as_flattened_mut()[*tail] = (node as u16, way as u8);
        *tail += 1;
    }

    /// The way that the last search found, in its own direction.
    fn path_to(&self, mut node: usize, mut way: usize) -> Path {
        let mut path = Path { edges: [0; MAX_PATH], len: 0, is_cut: false };
        loop {
            let number = self.search.by[node][way];
            if number == 0 {
                // Only the start was reached by no edge.
                break;
            }
            if path.len == MAX_PATH {
                path.is_cut = true;
                break;
            }
            path.edges[path.len] = number;
            path.len += 1;
            way = usize::from(self.search.from[node][way]);
            node = self.edges[usize::from(number)].from.index();
        }
        path.edges[..path.len].reverse();
        path
    }

    /// The edges of `path`, in order.
    pub fn edges_on<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Edge> {
        path.edges[..path.len].iter().map(|number| &self.edges[usize::from(*number)])
    }

    /// The edges that begin at `from`.
    pub fn edges_of(&self, from: ClassId) -> impl Iterator<Item = &Edge> {
        let edge = |number: u16| (number != 0).then(|| &self.edges[usize::from(number)]);
        core::iter::successors(edge(self.first[from.index()]), move |last| edge(last.next))
    }

    /// Edge `number`, counted from 0.
    pub fn edge(&self, number: usize) -> Option<&Edge> {
        self.edges[..=self.nr_edges].get(number + 1)
    }

    /// Number of edges.
    pub fn nr_edges(&self) -> usize {
        self.nr_edges
    }

    /// Number of searches so far.
    pub fn nr_searches(&self) -> u64 {
        self.nr_searches
    }
}

impl<const NODES: usize, const EDGES: usize> Default for Graph<NODES, EDGES> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
pub(super) const EN: Kind = Kind { is_exclusive: true, is_recursive: false };

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ER: Kind = Kind { is_exclusive: true, is_recursive: true };
    const SN: Kind = Kind { is_exclusive: false, is_recursive: false };

    fn add(graph: &mut Graph<8, 16>, from: u16, to: u16, kind: Kind) -> Result<(), Refused> {
        graph.add(ClassId::from_bits(from), ClassId::from_bits(to), kind, &Origin::UNKNOWN)
    }

    #[test]
    fn the_shortest_ring_is_given_in_order() {
        let mut graph = Graph::new();
        for (from, to) in [(3, 4), (4, 5), (5, 6), (3, 6)] {
            add(&mut graph, from, to, EN).unwrap();
        }
        let Err(Refused::Ring(path)) = add(&mut graph, 6, 3, EN) else { panic!("6 -> 3 closes a ring") };
        let ends: std::vec::Vec<_> = graph.edges_on(&path).map(|edge| (edge.from.bits(), edge.to.bits())).collect();
        assert_eq!(ends, [(3, 6)]);
        assert_eq!(graph.nr_edges(), 4);
    }

    #[test]
    fn a_reader_that_goes_in_beside_readers_breaks_the_ring() {
        let mut graph = Graph::new();
        add(&mut graph, 3, 4, ER).unwrap();
        add(&mut graph, 4, 3, SN).unwrap();
        assert!(add(&mut graph, 4, 3, EN).is_err());
    }

    #[test]
    fn a_way_by_n_is_found_behind_one_by_r() {
        let mut graph = Graph::new();
        for (from, to, kind) in [(3, 5, ER), (3, 4, EN), (4, 5, EN), (5, 6, SN)] {
            add(&mut graph, from, to, kind).unwrap();
        }
        assert!(add(&mut graph, 6, 3, EN).is_err(), "3 -> 4 -> 5 -> 6 waits although 3 -> 5 -> 6 does not");
    }

    #[test]
    fn what_is_covered_takes_no_room() {
        let mut graph = Graph::new();
        add(&mut graph, 3, 4, EN).unwrap();
        add(&mut graph, 3, 4, SN).unwrap();
        add(&mut graph, 3, 4, ER).unwrap();
        assert_eq!(graph.nr_edges(), 1);
        let mut small = Graph::<8, 2>::new();
        let mut add = |to| small.add(ClassId::FIRST, ClassId::from_bits(to), EN, &Origin::UNKNOWN);
        assert!(add(4).is_ok() && matches!(add(5), Err(Refused::Full)));
    }
}
