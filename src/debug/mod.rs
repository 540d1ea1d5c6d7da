//! What the kernel says when something went wrong, and how it finds the words.
//!
//! | to find | look in |
//! |---|---|
//! | what a fault means, in words | [`fault`] |
//! | what lies at an address | [`address`] |
//! | who called whom | [`backtrace`], `prologue` |
//! | names for addresses | [`symbols`], [`kallsyms`] |
//! | the report and the end of a kernel | [`mod@panic`], [`report`] |
//! | the report and the end of a thread | `oops`, `report_log` |
//! | `BUG!`, `WARN_ON!` and what they have done | [`bug`], [`taint`] |
//! | faults on purpose | [`provoke`] |
//! | who holds a lock, and who waits | `lock_report` |
//! | what a core is asked to do whatever it is doing | [`attention`] |
//! | what notices that a part of the kernel stands still | [`detectors`] |
//! | what a kernel that hangs can still be asked | [`sysrq`] |
//! | what happened last: switches, interrupts, waits | [`tracepoint`] |
//! | what a report shows of threads, cores and locks | [`show`] |
//!
//! Everything here runs in a dying kernel: no lock, no allocation, bounded loops, and every pointer is checked before it is followed.

#[cfg(target_os = "none")]
pub mod address;
#[cfg(target_os = "none")]
pub mod attention;
#[cfg(target_os = "none")]
pub mod backtrace;
pub mod bug;
#[cfg(target_os = "none")]
mod bug_report;
#[cfg(target_os = "none")]
pub mod detectors;
#[cfg(target_os = "none")]
pub mod fault;
pub mod fault_attr;
pub mod kallsyms;
#[cfg(target_os = "none")]
mod lock_report;
#[cfg(target_os = "none")]
pub mod oops;
#[cfg(target_os = "none")]
pub mod panic;
#[cfg(any(target_os = "none", test))]
mod prologue;
#[cfg(target_os = "none")]
pub mod provoke;
#[cfg(target_os = "none")]
pub mod report;
#[cfg(target_os = "none")]
mod report_log;
#[cfg(target_os = "none")]
pub mod show;
#[cfg(target_os = "none")]
pub mod symbols;
pub mod syndrome;
#[cfg(target_os = "none")]
pub mod sysrq;
pub mod taint;
pub mod tracepoint;
