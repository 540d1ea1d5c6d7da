//! The locks of a build for one core (feature `up`): nothing.
//!
//! Nobody else can hold the lock, so there is no word to keep and nobody to wait for; what is left is the policy's section, which keeps other
//! threads, bottom halves or handlers of this core out. That makes the policy all there is: a handler that takes a lock whose type or call does not
//! mask irqs, or a thread that takes it twice, would deadlock on four cores and gets in here. `debug_spinlock` keeps the holder in this build
//! as well and reports both.
//!
//! # Memory ordering
//! A core sees its own accesses in order; the policies' sections keep the compiler from moving accesses out.

use super::RawLock;
use core::ptr::NonNull;

/// No spinlock.
#[derive(Debug)]
pub struct UniLock;

// SAFETY: on one core, a section that the policy protects is not entered by anyone else; see the head of this file for what the policy must be.
unsafe impl RawLock for UniLock {
    const INIT: Self = Self;

    type Node = ();
    type Token = ();

    #[inline(always)]
    unsafe fn begin(&self, _: NonNull<()>) -> ((), bool) {
        ((), true)
    }

    fn wait(&self, (): (), _: &mut dyn FnMut()) {}

    #[inline(always)]
    unsafe fn try_lock_with(&self, _: NonNull<()>) -> Option<()> {
        Some(())
    }

    #[inline(always)]
    unsafe fn unlock(&self, (): ()) {}

    fn is_locked(&self) -> bool {
        false
    }

    fn is_contended(&self) -> bool {
        false
    }
}

/// No reader-writer lock.
#[derive(Debug)]
pub struct UniRwLock;

/// The calls of `RawRwLock`, with nothing in them.
#[expect(clippy::missing_safety_doc, reason = "the contracts are those of `RawRwLock`, word for word")]
impl UniRwLock {
    /// See `RawRwLock::INIT`.
    pub const INIT: Self = Self;

    /// See `RawRwLock::begin_read`.
    #[inline(always)]
    pub fn begin_read(&self) -> bool {
        true
    }

    /// See `RawRwLock::wait_read`.
    pub fn wait_read(&self, _: &mut dyn FnMut()) {}

    /// See `RawRwLock::read`.
    #[inline(always)]
    pub fn read(&self) {}

    /// See `RawRwLock::unlock_read`.
    #[inline(always)]
    pub unsafe fn unlock_read(&self) {}

    /// See `RawRwLock::begin_write`.
    #[inline(always)]
    pub fn begin_write(&self) -> bool {
        true
    }

    /// See `RawRwLock::wait_write`.
    pub fn wait_write(&self, _: &mut dyn FnMut()) {}

    /// See `RawRwLock::write`.
    #[inline(always)]
    pub fn write(&self) {}

    /// See `RawRwLock::unlock_write`.
    #[inline(always)]
    pub unsafe fn unlock_write(&self) {}

    /// See `RawRwLock::is_locked`.
    pub fn is_locked(&self) -> bool {
        false
    }

    /// See `RawRwLock::is_write_locked`.
    pub fn is_write_locked(&self) -> bool {
        false
    }

    /// See `RawRwLock::is_contended`.
    pub fn is_contended(&self) -> bool {
        false
    }
}
