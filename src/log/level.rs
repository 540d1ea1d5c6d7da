//! Severity of a message, with Linux's names and numbers.
//!
//! There is no `KERN_CONT`: a record is a whole message. On a machine where an interrupt, or another core, may speak between any two calls, a message in
//! pieces is a promise nobody can keep; whoever needs pieces collects them in a `Display` type and logs that once.

use core::fmt;

/// How grave a message is. The smaller, the graver; the console shows what is below its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The system is unusable.
    Emerg = 0,
    /// Someone must act at once.
    Alert = 1,
    /// A critical condition.
    Crit = 2,
    /// An error.
    Err = 3,
    /// A warning.
    Warning = 4,
    /// Normal, but worth notice.
    Notice = 5,
    /// For information.
    Info = 6,
    /// For who debugs.
    Debug = 7,
}

/// [`Level::Emerg`], as Linux spells it.
pub const KERN_EMERG: Level = Level::Emerg;
/// [`Level::Alert`], as Linux spells it.
pub const KERN_ALERT: Level = Level::Alert;
/// [`Level::Crit`], as Linux spells it.
pub const KERN_CRIT: Level = Level::Crit;
/// [`Level::Err`], as Linux spells it.
pub const KERN_ERR: Level = Level::Err;
/// [`Level::Warning`], as Linux spells it.
pub const KERN_WARNING: Level = Level::Warning;
/// [`Level::Notice`], as Linux spells it.
pub const KERN_NOTICE: Level = Level::Notice;
/// [`Level::Info`], as Linux spells it.
pub const KERN_INFO: Level = Level::Info;
/// [`Level::Debug`], as Linux spells it.
pub const KERN_DEBUG: Level = Level::Debug;
/// What `printk!` without a level means.
pub const KERN_DEFAULT: Level = Level::Warning;

impl Level {
    /// Every level, gravest first: the index is the number.
    pub const ALL: [Level; 8] = [KERN_EMERG, KERN_ALERT, KERN_CRIT, KERN_ERR, KERN_WARNING, KERN_NOTICE, KERN_INFO, KERN_DEBUG];

    /// The level of number `number`; what is above 7 counts as 7.
    ///
    /// Context: any.
    #[must_use]
    pub const fn from_number(number: u8) -> Level {
        Self::ALL[if number < 7 { number as usize } else { 7 }]
    }

    /// Linux's number of it, 0 to 7.
    ///
    /// Context: any.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name that `dmesg --level` takes, such as `"warn"`.
    ///
    /// Context: any.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Emerg => "emerg",
            Level::Alert => "alert",
            Level::Crit => "crit",
            Level::Err => "err",
            Level::Warning => "warn",
            Level::Notice => "notice",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }

    /// The level of that name or number, as a person types it (`warn`, `warning`, `4`).
    ///
    /// Context: any.
    #[must_use]
    pub fn parse(text: &str) -> Option<Level> {
        let long = match text {
            "warning" => Some(Level::Warning),
            "error" => Some(Level::Err),
            _ => None,
        };
        long.or_else(|| Self::ALL.into_iter().find(|level| level.name() == text || matches!(text.parse(), Ok(n) if level.number() == n)))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn names_and_numbers_are_those_of_linux() {
        let names = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
        for (number, name) in names.into_iter().enumerate() {
            let level = Level::from_number(number as u8);
            assert_eq!((level.number() as usize, level.name()), (number, name));
            assert_eq!(Level::parse(name), Some(level));
            assert_eq!(Level::parse(&number.to_string()), Some(level));
        }
        assert_eq!(Level::parse("warning"), Some(KERN_WARNING));
        assert_eq!(Level::parse("8"), None);
        assert_eq!(Level::from_number(255), KERN_DEBUG);
    }
}
