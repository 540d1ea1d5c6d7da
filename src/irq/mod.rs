//! Interrupts: from the vector to the handler of a line, what a handler defers, and calls between cores.
//!
//! | to find | look in |
//! |---|---|
//! | what happens when an interrupt is taken | [`dispatch`] |
//! | who handles which line; request and free | [`lines`] |
//! | a line that runs wild | [`wild_line`] |
//! | handlers that leave the rest to a thread | [`threaded`] |
//! | what happens after the handler, before the thread goes on | [`exit`] |
//! | the bottom halves: softirqs, tasklets | [`softirq`], [`tasklet`] |
//! | why a tasklet never runs on two cores | [`run_state`] |
//! | calling a function on other cores | [`ipi`] |
//!
//! The controller itself is behind `upcalls::irqchip_*`: plain functions resolved at link time, since acknowledging and ending are on the path of
//! every interrupt and link-time optimisation inlines them.

#[cfg(any(target_os = "none", all(test, loom)))]
mod call_list;
#[cfg(target_os = "none")]
pub mod dispatch;
#[cfg(target_os = "none")]
pub mod exit;
#[cfg(target_os = "none")]
pub mod ipi;
#[cfg(target_os = "none")]
pub mod lines;
pub mod run_state;
#[cfg(target_os = "none")]
pub mod softirq;
#[cfg(target_os = "none")]
pub mod tasklet;

#[cfg(target_os = "none")]
pub mod threaded;
#[cfg(target_os = "none")]
pub mod wild_line;

#[cfg(target_os = "none")]
pub use lines::{IrqError, IrqReturn, free, request, request_shared, set_affinity};
#[cfg(target_os = "none")]
pub use softirq::Softirq;
#[cfg(target_os = "none")]
pub use tasklet::Tasklet;
#[cfg(target_os = "none")]
pub use threaded::{request_threaded, request_threaded_oneshot};
