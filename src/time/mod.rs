//! Time: clocks, timers, the tick, and waits.
//!
//! | to find | look in |
//! |---|---|
//! | what time it is: nanoseconds, jiffies, the counter | [`clock`] |
//! | conversion without a division | [`scale`] |
//! | timeouts, by jiffy, in softirq context | [`timer`], their queue in `wheel` |
//! | deadlines, to the counter's tick, in hardirq context | [`hrtimer`], their queue in `heap` |
//! | arming, cancelling, expiry, and how they race | `events` |
//! | which timers are armed | [`timer_list`] |
//! | the tick and how an idle core does without | [`tick`] |
//! | short waits | [`delay`] |
//! | what RCU needs of softirqs, timers and other cores | `rcu` |
//!
//! Nothing fires early: every conversion to a coarser unit rounds up, and a unit that has begun does not count.

#[cfg(target_os = "none")]
pub mod clock;
#[cfg(target_os = "none")]
pub mod delay;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod events;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod heap;
#[cfg(target_os = "none")]
pub mod hrtimer;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod node;
#[cfg(target_os = "none")]
mod rcu;
pub mod scale;
#[cfg(target_os = "none")]
pub mod tick;
#[cfg(target_os = "none")]
pub mod timer;
#[cfg(any(target_os = "none", all(test, not(loom))))]
pub mod timer_list;
#[cfg(any(target_os = "none", all(test, not(loom))))]
mod wheel;

#[cfg(all(test, not(loom)))]
mod queue_model;

#[cfg(target_os = "none")]
pub use clock::{Ktime, get_cycles, jiffies, ktime_get, ktime_get_raw, uptime};
#[cfg(target_os = "none")]
pub use delay::{mdelay, ndelay, udelay};
#[cfg(target_os = "none")]
pub use hrtimer::HrTimer;
pub use scale::{BadFrequency, TickScale};
#[cfg(target_os = "none")]
pub use tick::{idle_enter, idle_exit, ticks_of};
#[cfg(target_os = "none")]
pub use timer::Timer;

/// Jiffies a second, and ticks of a core that is not idle.
pub const HZ: u64 = 100;

/// Sets the clocks and the softirqs of timers and RCU up. Context: boot, once, before the first tick.
#[cfg(target_os = "none")]
pub fn init() {
    clock::init();
    timer::init();
    rcu::init();
}
