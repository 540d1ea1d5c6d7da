//! The names of `log/atomic.rs` over loom's words, with edges that a test can take away.

pub(super) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::cell::Cell;
use std::string::String;

/// The edges of `log/atomic.rs`, and the one that is a pair of fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Publish,
    HandOver,
    Evict,
}

std::thread_local! {
    // All threads of a model run on the thread of the test that checks it.
    static MISSING: Cell<Option<Edge>> = const { Cell::new(None) };
}

pub(super) fn edge(edge: Edge, strong: Ordering) -> Ordering {
    if MISSING.get() == Some(edge) { Ordering::Relaxed } else { strong }
}

pub(super) fn evict_fence(side: Ordering) {
    if MISSING.get() != Some(Edge::Evict) {
        fence(side);
    }
}

/// Checks `model` with `edge` missing, and gives the message it fails with; none if it passes.
pub(super) fn failure_without(edge: Edge, model: impl Fn() + Sync + Send + 'static) -> Option<String> {
    MISSING.set(Some(edge));
    let outcome = failure_of(model);
    MISSING.set(None);
    outcome
}

/// Checks `model`, and gives the message it fails with.
pub(super) fn failure_of(model: impl Fn() + Sync + Send + 'static) -> Option<String> {
    let failure = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loom::model(model))).err()?;
    let text = failure.downcast_ref::<String>().cloned();
    Some(text.or_else(|| failure.downcast_ref::<&str>().map(|&text| text.into())).unwrap_or_default())
}
