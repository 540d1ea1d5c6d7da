//! Pure helpers: no hardware, no context, no allocation.
//!
//! Everything here is usable from any context and builds unchanged on a host. `util` is the lowest layer: it calls nothing else of
//! this crate.

pub mod bitmap;
pub mod cmdline;
pub mod errno;
pub mod queue;
pub mod ring;
pub mod scope_guard;
