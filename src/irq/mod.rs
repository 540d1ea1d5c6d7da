//! Interrupts: from the vector to the handler of a line, and between cores.
//!
//! | to find | look in |
//! |---|---|
//! | what happens when an interrupt is taken | [`dispatch`] |
//! | who handles which line; request and free | [`lines`] |
//! | what happens after the handler, before the thread goes on | [`exit`] |
//! | calling a function on other cores | [`ipi`] |
//!
//! The controller itself is behind `upcalls::irqchip_*`: plain functions resolved at link time, since acknowledging and ending are on the path of
//! every interrupt and link-time optimisation inlines them.

pub mod dispatch;
pub mod exit;
pub mod ipi;
pub mod lines;

pub use lines::{IrqError, request};
