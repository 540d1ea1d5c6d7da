//! The detectors: what notices that a part of the kernel stands still, and says which part and where to look.
//!
//! | detector | what stands still | who notices | how |
//! |---|---|---|---|
//! | soft lockup | a core runs, takes interrupts, and cannot switch threads | the core's own [`watchdog`] timer | [`soft_lockup`] |
//! | hard lockup | a core takes no interrupts | another core's watchdog timer | [`hard_lockup`] |
//! | hung task | a thread sleeps uninterruptibly and is not woken | the thread `khungtaskd` | [`hung_task`] |
//!
//! Each reports once for each event, and says so when the event is over. Thresholds are boot arguments and can be set at run time, under Linux's names in
//! `/proc/sys/kernel`. A stalled RCU grace period is RCU's own to report.
//!
//! Idle is no lockup: an idle core is well as long as its timer comes, at most every four seconds, the only thing that an idle machine does for this.
//!
//! Neighbours: `sched::switch_point` (what a core proves), `show` (what a report shows). docs/detectors.md shows reports and how to read them.

pub mod hard_lockup;
pub mod hung_task;
pub mod provoke;
pub mod settings;
pub mod soft_lockup;
pub mod watchdog;

use crate::arch::counter;

/// Starts the detectors with what `settings` hold. Context: boot, once, in a thread, when all cores run.
pub fn start() {
    watchdog::restart();
    hung_task::start();
}

/// Counter ticks of `seconds`.
fn ticks(seconds: u32) -> u64 {
    counter::frequency_hz() * u64::from(seconds)
}
