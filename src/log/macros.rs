//! `printk!`, `pr_emerg!` to `pr_debug!`, and their `_once` and `_ratelimited` forms.
//!
//! The text of a message follows the syntax that `core::fmt` and defmt share (`{}`, `{:?}`, `{:x}`, `{:#010x}`, arguments by position), so that the same
//! line builds with and without the feature `defmt`. A module that defines, at its top,
//!
//! ```ignore
//! macro_rules! pr_fmt { () => { "gic: " } }
//! ```
//! has that text before each of its messages, as with Linux's `#define pr_fmt`. (A `macro_rules!` and not a constant, because only textual scope gives
//! all other modules an empty one.) `lib.rs` brings the macros into every module of this crate; another crate says `#[macro_use] extern crate tetra`.

/// What stands before each message of a module, unless it defines a `pr_fmt!` of its own: nothing.
#[macro_export]
macro_rules! pr_fmt {
    () => {
        ""
    };
}

/// Logs a message: `printk!(KERN_INFO "cpu {} is up", cpu)`, with or without a comma behind the level; without a level it is a warning.
///
/// The names of the levels need not be imported. No `pr_fmt!` is put before it.
///
/// Context: any.
///
/// # Examples
/// ```
/// # use tetra::printk;
/// printk!(KERN_NOTICE "{} lines at {:#x}", 256, 0xff84_1000u32);
/// ```
#[macro_export]
macro_rules! printk {
    ($text:literal $($args:tt)*) => { $crate::__log!($crate::log::KERN_DEFAULT, "", $text $($args)*) };
    ($level:ident, $text:literal $($args:tt)*) => { $crate::__log!($crate::log::$level, "", $text $($args)*) };
    ($level:ident $text:literal $($args:tt)*) => { $crate::__log!($crate::log::$level, "", $text $($args)*) };
}

/// One message, as text.
#[cfg(not(all(feature = "defmt", target_os = "none")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, $prefix:expr, $($message:tt)+) => { $crate::log::emit($level, $prefix, ::core::format_args!($($message)+)) };
}

/// One message, as defmt frames. The arguments are evaluated first, each bound to a name of its own expansion: what they call may sleep or log, and
/// only then is the core held and the record opened.
#[cfg(all(feature = "defmt", target_os = "none"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, $prefix:expr, $text:literal $(, $arg:expr)* $(,)?) => { $crate::__log!(@bind $level, $prefix, $text, [] $($arg,)*) };
    (@bind $level:expr, $prefix:expr, $text:literal, [$($bound:ident)*] $arg:expr, $($rest:expr,)*) => {
        match &$arg {
            arg => $crate::__log!(@bind $level, $prefix, $text, [$($bound)* arg] $($rest,)*),
        }
    };
    (@bind $level:expr, $prefix:expr, $text:literal, [$($bound:ident)*]) => {{
        use $crate::log::defmt_channel::defmt;
        let record = $crate::log::defmt_channel::Frames::begin($level, $prefix);
        defmt::println!($text $(, *$bound)*);
        record.end();
    }};
}

/// One message, only the first time this place is reached.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_once {
    ($level:ident, $prefix:expr, $($message:tt)+) => {{
        static ONCE: $crate::log::OnceFlag = $crate::log::OnceFlag::new();
        if ONCE.is_first() {
            $crate::__log!($crate::log::$level, $prefix, $($message)+);
        }
    }};
}

/// One message, unless this place speaks too often.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_ratelimited {
    ($level:ident, $prefix:expr, $($message:tt)+) => {{
        static LIMIT: $crate::log::RateLimit = $crate::log::RateLimit::new();
        if LIMIT.allows(::core::module_path!()) {
            $crate::__log!($crate::log::$level, $prefix, $($message)+);
        }
    }};
}

/// Logs that the system is unusable, at `KERN_EMERG`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_emerg {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_EMERG, pr_fmt!(), $($message)+) };
}

/// [`pr_emerg!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_emerg_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_EMERG, pr_fmt!(), $($message)+) };
}

/// [`pr_emerg!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_emerg_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_EMERG, pr_fmt!(), $($message)+) };
}

/// Logs that someone must act at once, at `KERN_ALERT`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_alert {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_ALERT, pr_fmt!(), $($message)+) };
}

/// [`pr_alert!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_alert_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_ALERT, pr_fmt!(), $($message)+) };
}

/// [`pr_alert!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_alert_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_ALERT, pr_fmt!(), $($message)+) };
}

/// Logs a critical condition, at `KERN_CRIT`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_crit {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_CRIT, pr_fmt!(), $($message)+) };
}

/// [`pr_crit!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_crit_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_CRIT, pr_fmt!(), $($message)+) };
}

/// [`pr_crit!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_crit_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_CRIT, pr_fmt!(), $($message)+) };
}

/// Logs an error, at `KERN_ERR`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_err {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_ERR, pr_fmt!(), $($message)+) };
}

/// [`pr_err!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_err_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_ERR, pr_fmt!(), $($message)+) };
}

/// [`pr_err!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_err_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_ERR, pr_fmt!(), $($message)+) };
}

/// Logs a warning, at `KERN_WARNING`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_warn {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_WARNING, pr_fmt!(), $($message)+) };
}

/// [`pr_warn!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_warn_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_WARNING, pr_fmt!(), $($message)+) };
}

/// [`pr_warn!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_warn_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_WARNING, pr_fmt!(), $($message)+) };
}

/// Logs what is normal but worth notice, at `KERN_NOTICE`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_notice {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_NOTICE, pr_fmt!(), $($message)+) };
}

/// [`pr_notice!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_notice_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_NOTICE, pr_fmt!(), $($message)+) };
}

/// [`pr_notice!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_notice_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_NOTICE, pr_fmt!(), $($message)+) };
}

/// Logs for information, at `KERN_INFO`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_info {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_INFO, pr_fmt!(), $($message)+) };
}

/// [`pr_info!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_info_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_INFO, pr_fmt!(), $($message)+) };
}

/// [`pr_info!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_info_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_INFO, pr_fmt!(), $($message)+) };
}

/// Logs for who debugs, at `KERN_DEBUG`, behind the module's `pr_fmt!`. Context: any.
#[macro_export]
macro_rules! pr_debug {
    ($($message:tt)+) => { $crate::__log!($crate::log::KERN_DEBUG, pr_fmt!(), $($message)+) };
}

/// [`pr_debug!`], the first time only. Context: any.
#[macro_export]
macro_rules! pr_debug_once {
    ($($message:tt)+) => { $crate::__log_once!(KERN_DEBUG, pr_fmt!(), $($message)+) };
}

/// [`pr_debug!`], at most 10 times in 5 seconds. Context: any.
#[macro_export]
macro_rules! pr_debug_ratelimited {
    ($($message:tt)+) => { $crate::__log_ratelimited!(KERN_DEBUG, pr_fmt!(), $($message)+) };
}
