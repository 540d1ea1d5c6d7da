//! How urgent a thread is: a number from 0 to 31, higher first.

use super::queue::NR_PRIORITIES;
use crate::util::errno::Errno;
use core::fmt;

/// A fixed priority. A ready thread runs before all less urgent ones; equals take turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

/// The number is no priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchPriority(pub usize);

impl From<NoSuchPriority> for Errno {
    fn from(_: NoSuchPriority) -> Self {
        Errno::EINVAL
    }
}

impl Priority {
    /// Runs when nothing else does.
    pub const LOWEST: Self = Self(0);
    /// What a thread gets that asks for nothing.
    pub const NORMAL: Self = Self(16);
    /// Threads that do an interrupt's work.
    pub const IRQ_THREAD: Self = Self(24);
    /// Before all others.
    pub const HIGHEST: Self = Self(NR_PRIORITIES as u8 - 1);

    /// The priority `number`.
    ///
    /// # Errors
    /// `NoSuchPriority` above 31.
    pub const fn new(number: usize) -> Result<Self, NoSuchPriority> {
        if number < NR_PRIORITIES { Ok(Self(number as u8)) } else { Err(NoSuchPriority(number)) }
    }

    /// A number that came from a `Priority`.
    pub(super) const fn from_raw(number: u8) -> Self {
        Self(if number < NR_PRIORITIES as u8 { number } else { NR_PRIORITIES as u8 - 1 })
    }

    /// The number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
