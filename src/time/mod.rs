//! Time: the tick of each core, jiffies, uptime, and short waits.
//!
//! Every core ticks `HZ` times a second. The deadline of a tick follows from the one before it, so being late never adds up.

use crate::arch::counter;
use crate::per_cpu;
use crate::upcalls;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// Ticks a second, on each core.
pub const HZ: u64 = 100;

static JIFFIES: AtomicU64 = AtomicU64::new(0);

per_cpu! {
    /// Ticks that this core has taken. Written by the core itself.
    static TICKS: AtomicU64 = AtomicU64::new(0);
}

/// Ticks of core 0 since boot, those it was late for included.
///
/// Context: any.
pub fn jiffies() -> u64 {
    JIFFIES.load(Ordering::Relaxed)
}

/// Ticks that core `cpu` has taken.
pub fn ticks_of(cpu: usize) -> u64 {
    TICKS.on(cpu).load(Ordering::Relaxed)
}

/// Handles this core's timer. Context: hardirq.
pub fn on_tick(_data: usize) {
    let ended = upcalls::timer_next_tick();
    let ticks = TICKS.this();
    ticks.store(ticks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    if crate::cpu::id() == 0 {
        JIFFIES.store(jiffies() + ended, Ordering::Relaxed);
        upcalls::board_tick();
    }
    crate::sched::on_tick(ticks.load(Ordering::Relaxed));
}

/// Time since the counter started, which on the board is when power came, and under QEMU when the machine began.
///
/// Context: any.
pub fn uptime() -> Duration {
    let (now, hz) = (counter::now(), counter::frequency_hz());
    Duration::new(now / hz, (now % hz * 1_000_000_000 / hz) as u32)
}

/// Waits at least `us` microseconds, spinning. For waits shorter than a tick; longer ones should sleep.
///
/// Context: any.
pub fn udelay(us: u64) {
    let hz = counter::frequency_hz();
    let ticks = us.saturating_mul(hz).div_ceil(1_000_000);
    let start = counter::now();
    // The first tick may be nearly over already: one more, so that nothing ends early.
    while counter::now().wrapping_sub(start) <= ticks {
        crate::arch::relax();
    }
}
