//! What the consoles show: the console log level, and the boot arguments that set it.
//!
//! As in Linux a message is shown if its number is *below* the console level, so 7 hides debug messages and 8 shows all; `ignore_loglevel` shows all
//! whatever the level says. The rings take every message in any case. Plain relaxed words: a change may take effect one message late, and nothing hangs on it.

use super::level::{KERN_CRIT, Level};
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// The console level at boot: everything but debug messages.
pub const CONSOLE_LOGLEVEL_DEFAULT: u8 = 7;
/// The console level of the boot argument `quiet`: warnings are hidden.
pub const CONSOLE_LOGLEVEL_QUIET: u8 = 4;
/// The console level of the boot argument `debug`.
pub const CONSOLE_LOGLEVEL_DEBUG: u8 = 10;
/// The lowest console level: emergencies are always shown.
pub const CONSOLE_LOGLEVEL_MIN: u8 = 1;

static CONSOLE_LEVEL: AtomicU8 = AtomicU8::new(CONSOLE_LOGLEVEL_DEFAULT);
static IGNORE: AtomicBool = AtomicBool::new(false);

/// The console log level in force.
///
/// Context: any.
#[must_use]
pub fn console_loglevel() -> u8 {
    CONSOLE_LEVEL.load(Ordering::Relaxed)
}

/// Sets the console log level, at least [`CONSOLE_LOGLEVEL_MIN`], and gives back the one before.
///
/// Context: any. Messages already in the rings and not yet on a console follow the new level.
pub fn set_console_loglevel(level: u8) -> u8 {
    CONSOLE_LEVEL.swap(level.max(CONSOLE_LOGLEVEL_MIN), Ordering::Relaxed)
}

/// Shows every message whatever the console level is, or not.
///
/// Context: any.
pub fn set_ignore_loglevel(on: bool) {
    IGNORE.store(on, Ordering::Relaxed);
}

/// Whether the consoles show a message of this level.
///
/// Context: any.
#[inline]
#[must_use]
pub fn is_shown(level: Level) -> bool {
    level.number() < CONSOLE_LEVEL.load(Ordering::Relaxed) || IGNORE.load(Ordering::Relaxed)
}

/// Takes one word of the command line, such as `quiet` or `loglevel=5`; false if it is not about the log.
///
/// A `loglevel=` that is no number is answered with a warning and changes nothing.
///
/// Context: any, usually early boot.
pub fn set_by_argument(word: &str) -> bool {
    match word.split_once('=') {
        None if word == "quiet" => _ = set_console_loglevel(CONSOLE_LOGLEVEL_QUIET),
        None if word == "debug" => _ = set_console_loglevel(CONSOLE_LOGLEVEL_DEBUG),
        None if word == "ignore_loglevel" => set_ignore_loglevel(true),
        Some(("loglevel", value)) => match value.parse() {
            Ok(level) => _ = set_console_loglevel(level),
            Err(_) => super::write::text(Level::Warning, "log: ", "loglevel= takes a number from 1 to 8, ignored"),
        },
        _ => return false,
    }
    true
}

/// Makes sure that a dying kernel is heard: critical messages and above are shown from now on.
///
/// Context: any; part of the panic path.
pub fn raise_for_panic() {
    CONSOLE_LEVEL.fetch_max(KERN_CRIT.number() + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::level::*;

    #[test]
    fn arguments_set_the_console_level() {
        assert!(is_shown(KERN_INFO) && !is_shown(KERN_DEBUG));
        assert!(set_by_argument("quiet"));
        assert!(is_shown(KERN_ERR) && !is_shown(KERN_WARNING));
        assert!(set_by_argument("loglevel=8"));
        assert!(is_shown(KERN_DEBUG));
        assert!(set_by_argument("loglevel=0"));
        assert!(is_shown(KERN_EMERG) && !is_shown(KERN_ALERT));
        assert!(set_by_argument("loglevel=nonsense"));
        assert_eq!(console_loglevel(), CONSOLE_LOGLEVEL_MIN);
        raise_for_panic();
        assert!(is_shown(KERN_CRIT) && !is_shown(KERN_ERR));
        assert!(set_by_argument("ignore_loglevel"));
        assert!(is_shown(KERN_DEBUG));
        set_ignore_loglevel(false);
        assert!(set_by_argument("debug"));
        assert_eq!(console_loglevel(), CONSOLE_LOGLEVEL_DEBUG);
        assert!(!set_by_argument("maxcpus=1") && !set_by_argument("run=quiet"));
        set_console_loglevel(CONSOLE_LOGLEVEL_DEFAULT);
    }
}
