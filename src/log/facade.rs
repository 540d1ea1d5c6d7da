//! The `log` crate's macros arrive here: third-party crates speak through `::log`.
//!
//! Always as text, in the defmt build too: what arrives are `fmt::Arguments`, which a host could not decode.

use super::level::{KERN_DEBUG, KERN_ERR, KERN_INFO, KERN_WARNING, Level};
use super::write;

struct Facade;

impl ::log::Log for Facade {
    fn enabled(&self, _metadata: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        write::emit(level_of(record.level()), "", *record.args());
    }

    fn flush(&self) {}
}

fn level_of(level: ::log::Level) -> Level {
    match level {
        ::log::Level::Error => KERN_ERR,
        ::log::Level::Warn => KERN_WARNING,
        ::log::Level::Info => KERN_INFO,
        ::log::Level::Debug | ::log::Level::Trace => KERN_DEBUG,
    }
}

/// Makes `log::info!` and its sisters arrive in this log. Called again it does nothing.
///
/// Context: early boot, on one core.
pub fn install() {
    static FACADE: Facade = Facade;
    // An error says that a logger is there already, which is this one.
    let _ = ::log::set_logger(&FACADE);
    ::log::set_max_level(::log::LevelFilter::Trace);
}
