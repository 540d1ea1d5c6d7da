//! Whether a core uses a thread's registers and stack: the word by which one core lets a thread go and another may take it.
//!
//! The queue's lock is given back before the registers change (`switch`), so this word alone keeps others off a thread that is half switched.
//! Rejected: holding the queue's lock over the switch, which one thread would take and another give back.
//!
//! | value | meaning | set by |
//! |---|---|---|
//! | false | saved and still: whoever takes the thread from a queue may load its registers | the core that has left it, after the switch |
//! | true | a core runs on it, or is about to | the core that has chosen it, under its queue's lock |
//!
//! # Memory ordering
//! [`OnCpu::clear`] is a release and [`OnCpu::is_clear`] an acquire: the saved registers, and all that the thread did before, come before what the core does
//! that found it clear. So a thread that moves sees its own work, as on one core. `make verify` runs the pair as compiled, `wake_model` under loom.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};

/// The word; see the head of the file.
pub(super) struct OnCpu(AtomicBool);

impl OnCpu {
    /// A thread at rest.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// A thread at rest.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// A core has chosen the thread. Orders nothing: its registers were acquired with the queue's lock.
    ///
    /// Context: under the lock of the queue that counts it, or before anybody else knows the thread.
    #[inline]
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The core has left the thread for good: registers are saved, the stack is still. Release.
    ///
    /// Context: that core, after the switch, or the thread's maker.
    #[inline]
    pub fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// The thread is at rest. Acquire if it is: its registers may be loaded, by whoever keeps others from doing the same.
    ///
    /// Context: any.
    #[inline]
    pub fn is_clear(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }

    /// A core uses it. A hint: orders nothing, stale on return. Context: any.
    #[cfg(not(loom))]
    #[inline]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
