//! The atomic words of the log, and the name of every ordering edge.
//!
//! Log lies below `sync`, and its words must also work before anything is set up, so it takes the words of `core` (LDXR and STXR on the Cortex-A72) and
//! not those of [`crate::sync::atomic`]. Each ordering that is not relaxed is written as `edge(Edge::X, Ordering::Y)`, which is the constant `Y`. The loom
//! tests compile `ring.rs` and `drain_flag.rs` once more over `model/atomic.rs`, which has the same names over loom's words and can weaken one edge at a
//! time: the model must then fail, so no edge stands here without need.
//!
//! # Memory ordering
//! | edge | store side | load side | what would break without it |
//! |---|---|---|---|
//! | `Publish` | release store of a record's first word | acquire load of it | a reader sees a finished record with old text |
//! | `Evict` | `tail` store, release fence, text stores | text loads, acquire fence, `tail` load | a reader takes overwritten text for good |
//! | `HandOver` | acquire-release RMW of a drain word | the same | a drainer goes home without having seen the record it was kicked for |
//!
//! `head` of a ring has none: a reader that sees it early finds no mark there yet, and waits as for any open record.

pub(super) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// An ordering edge of the log; see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A record becomes visible after its text.
    Publish,
    /// Who drains next sees what the one who asked has written.
    HandOver,
}

/// The ordering `strong`; a model test may weaken it.
#[inline(always)]
pub(super) const fn edge(_edge: Edge, strong: Ordering) -> Ordering {
    strong
}

/// A fence of the edge `Evict`: release on the writer's side, acquire on the reader's; a model test may leave it out.
#[inline(always)]
pub(super) fn evict_fence(side: Ordering) {
    fence(side);
}
