//! What can be set of the detectors: thresholds in seconds, and what shall be a panic.
//!
//! Atomics that stand alone: a detector reads them each time it looks. Names are Linux's, as boot arguments and in `/proc/sys/kernel`.

use super::{hung_task, watchdog};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A setting by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Seconds until a core without interrupts is reported; twice as many for one that cannot switch threads.
    WatchdogThresh,
    /// Seconds that a thread may sleep uninterruptibly.
    HungTaskTimeout,
    /// A soft lockup is a panic.
    SoftlockupPanic,
    /// A hard lockup is a panic.
    HardlockupPanic,
    /// A hung task is a panic.
    HungTaskPanic,
}

/// The longest threshold: what does not fit is a mistake in the unit.
pub const MAX_SECONDS: u32 = 3600;

static WATCHDOG_THRESH: AtomicU32 = AtomicU32::new(10);
static HUNG_TASK_TIMEOUT: AtomicU32 = AtomicU32::new(120);
static SOFTLOCKUP_PANIC: AtomicBool = AtomicBool::new(false);
static HARDLOCKUP_PANIC: AtomicBool = AtomicBool::new(false);
static HUNG_TASK_PANIC: AtomicBool = AtomicBool::new(false);

/// The value was not taken: it is larger than [`MAX_SECONDS`], or than 1 where a setting is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The largest value of this setting.
    pub max: u32,
}

impl From<OutOfRange> for crate::util::errno::Errno {
    fn from(_: OutOfRange) -> Self {
        Self::EINVAL
    }
}

impl Setting {
    /// All settings.
    pub const ALL: [Self; 5] =
        [Self::WatchdogThresh, Self::HungTaskTimeout, Self::SoftlockupPanic, Self::HardlockupPanic, Self::HungTaskPanic];

    /// The boot argument that sets it.
    pub const fn argument(self) -> &'static str {
        match self {
            Self::WatchdogThresh => "watchdog_thresh",
            Self::HungTaskTimeout => "hung_task_timeout",
            Self::SoftlockupPanic => "softlockup_panic",
            Self::HardlockupPanic => "hardlockup_panic",
            Self::HungTaskPanic => "hung_task_panic",
        }
    }

    /// The value. 0: off. Context: any.
    pub fn get(self) -> u32 {
        match self {
            Self::WatchdogThresh => WATCHDOG_THRESH.load(Ordering::Relaxed),
            Self::HungTaskTimeout => HUNG_TASK_TIMEOUT.load(Ordering::Relaxed),
            Self::SoftlockupPanic => u32::from(SOFTLOCKUP_PANIC.load(Ordering::Relaxed)),
            Self::HardlockupPanic => u32::from(HARDLOCKUP_PANIC.load(Ordering::Relaxed)),
            Self::HungTaskPanic => u32::from(HUNG_TASK_PANIC.load(Ordering::Relaxed)),
        }
    }

    /// Whether it is not 0. Context: any.
    pub fn is_on(self) -> bool {
        self.get() != 0
    }

    /// Keeps a value, for a start of the detectors later on. Context: any.
    ///
    /// # Errors
    /// `OutOfRange`; nothing has changed then.
    pub fn preset(self, value: u32) -> Result<(), OutOfRange> {
        let max = match self {
            Self::WatchdogThresh | Self::HungTaskTimeout => MAX_SECONDS,
            _ => 1,
        };
        if value > max {
            return Err(OutOfRange { max });
        }
        match self {
            Self::WatchdogThresh => WATCHDOG_THRESH.store(value, Ordering::Relaxed),
            Self::HungTaskTimeout => HUNG_TASK_TIMEOUT.store(value, Ordering::Relaxed),
            Self::SoftlockupPanic => SOFTLOCKUP_PANIC.store(value != 0, Ordering::Relaxed),
            Self::HardlockupPanic => HARDLOCKUP_PANIC.store(value != 0, Ordering::Relaxed),
            Self::HungTaskPanic => HUNG_TASK_PANIC.store(value != 0, Ordering::Relaxed),
        }
        Ok(())
    }

    /// Sets a value while the detectors run; times that were being measured begin anew.
    ///
    /// Context: thread, irqs on: it calls all cores and waits for them.
    ///
    /// # Errors
    /// As for `preset`.
    ///
    /// # Examples
    /// ```no_run
    /// use tetra::debug::detectors::settings::Setting;
    /// Setting::WatchdogThresh.set(20)?; // seconds
    /// assert_eq!(Setting::WatchdogThresh.get(), 20);
    /// # Ok::<(), tetra::debug::detectors::settings::OutOfRange>(())
    /// ```
    pub fn set(self, value: u32) -> Result<(), OutOfRange> {
        self.preset(value)?;
        match self {
            Self::WatchdogThresh => watchdog::restart(),
            Self::HungTaskTimeout => hung_task::look_again(),
            _ => {}
        }
        Ok(())
    }
}
