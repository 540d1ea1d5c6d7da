//! What has happened to this kernel that makes its later words less to be trusted: Linux's taint, with its letters and bit numbers.
//!
//! One word that only gains bits. It stands in every report, in `version` and in the view `tainted`, so that nobody studies the third fault and takes it
//! for the first. The numbers are Linux's, so that its tools and tables read the value.
//!
//! # Memory ordering
//! None: a bit says that something happened, not that its traces are visible.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

/// Something that happened; the number of its bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Taint {
    /// A page or an object was found damaged.
    BadPage = 5,
    /// A thread has died of a fault: what it held is lost.
    Die = 7,
    /// A warning was given.
    Warn = 9,
    /// A core did not come to schedule for long.
    SoftLockup = 14,
}

/// All of them, with Linux's letter and name.
const ALL: [(Taint, char, &str); 4] =
    [(Taint::BadPage, 'B', "BAD_PAGE"), (Taint::Die, 'D', "DIE"), (Taint::Warn, 'W', "WARN"), (Taint::SoftLockup, 'L', "SOFTLOCKUP")];

static TAINTED: AtomicU32 = AtomicU32::new(0);

/// Notes what happened; it stays noted: Linux's `add_taint`. Context: any.
///
/// # Examples
/// ```
/// use tetra::debug::taint::{Taint, add_taint, get_taint};
/// add_taint(Taint::Warn);
/// assert_eq!(get_taint().bits(), 1 << 9); // as Linux's `/proc/sys/kernel/tainted`
/// ```
pub fn add_taint(taint: Taint) {
    TAINTED.fetch_or(1 << taint as u8, Ordering::Relaxed);
}

/// All that happened so far: Linux's `get_taint`. Context: any.
///
/// # Examples
/// ```
/// use tetra::debug::taint::{Taint, add_taint, get_taint};
/// assert!(get_taint().is_empty());
/// add_taint(Taint::Die);
/// assert!(get_taint().contains(Taint::Die));
/// ```
pub fn get_taint() -> TaintSet {
    TaintSet(TAINTED.load(Ordering::Relaxed))
}

/// What happened, by bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaintSet(u32);

impl TaintSet {
    /// The value that Linux's `/proc/sys/kernel/tainted` would show.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Nothing happened.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this happened.
    pub const fn contains(self, taint: Taint) -> bool {
        self.0 & 1 << taint as u8 != 0
    }
}

/// As in a report of Linux: `Not tainted`, or `Tainted: [D]=DIE, [W]=WARN`.
impl fmt::Display for TaintSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("Not tainted");
        }
        let mut before = "Tainted: ";
        for (_, letter, name) in ALL.iter().filter(|(taint, ..)| self.contains(*taint)) {
            write!(f, "{before}[{letter}]={name}")?;
            before = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn letters_and_numbers_are_linuxes() {
        assert_eq!(TaintSet::default().to_string(), "Not tainted");
        let set = TaintSet(1 << Taint::Die as u8 | 1 << Taint::Warn as u8);
        assert_eq!((set.to_string().as_str(), set.bits()), ("Tainted: [D]=DIE, [W]=WARN", 640));
        assert!(set.contains(Taint::Die) && !set.contains(Taint::BadPage));
    }

    #[test]
    fn a_taint_stays() {
        add_taint(Taint::SoftLockup);
        add_taint(Taint::SoftLockup);
        assert!(get_taint().contains(Taint::SoftLockup));
    }
}
