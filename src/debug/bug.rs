//! `BUG!`, `WARN_ON!` and their kin: checks that speak up where the program finds itself in a state that cannot be.
//!
//! | macro | if the condition holds | gives |
//! |---|---|---|
//! | `BUG!()`, `BUG_ON!(condition)` | the thread ends with an oops; with depth or irqs off the kernel panics | |
//! | `WARN_ON!(condition)`, `WARN_ON_ONCE!` | a report with place, core, thread and backtrace | the condition |
//! | `WARN!(condition, "text {}", value)`, `WARN_ONCE!`, `WARN_RATELIMIT!` | the same with a text | the condition |
//!
//! On the way that is usual a check is its condition and one branch. The other side of the forms without a text is three instructions, the last of them a
//! breakpoint (`arch::bug` says why); a text needs a call, since it must be formatted. `panic!` and `assert!` remain for what Rust code says by itself.
//!
//! Each report counts and taints, also those that the `_ONCE` and `_RATELIMIT` forms hold back count as held back, not as warnings.
//!
//! Neighbours: `oops` and `panic` (what becomes of a bug), `fault` (which meets the breakpoint), `bug_report` (misuse of the kernel's own calls).

#[cfg(target_os = "none")]
use super::backtrace::{self, Start};
#[cfg(target_os = "none")]
use super::panic;
#[cfg(target_os = "none")]
use super::report;
#[cfg(target_os = "none")]
use super::report_log::{LogLines, Turn};
use super::taint::{Taint, add_taint};
#[cfg(target_os = "none")]
use crate::arch;
#[cfg(target_os = "none")]
use crate::log::Level;
use crate::log::OnceFlag;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether a site speaks each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Each time.
    Always,
    /// The first time only.
    Once,
}

/// A check in the program: what it found, and where it stands. A static at each use of a macro.
#[derive(Debug)]
pub struct BugSite {
    what: &'static str,
    file: &'static str,
    line: u32,
    times: Times,
    first: OnceFlag,
}

impl BugSite {
    /// The site of a macro.
    #[doc(hidden)]
    pub const fn new(what: &'static str, file: &'static str, line: u32, times: Times) -> Self {
        Self { what, file, line, times, first: OnceFlag::new() }
    }

    fn may_speak(&self) -> bool {
        self.times == Times::Always || self.first.is_first()
    }
}

impl fmt::Display for BugSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

static NR_WARNINGS: AtomicU64 = AtomicU64::new(0);
/// `panic_on_warn`.
static PANICS_ON_WARN: AtomicBool = AtomicBool::new(false);

/// Warnings given since boot: Linux's `/sys/kernel/warn_count`. Context: any.
pub fn nr_warnings() -> u64 {
    NR_WARNINGS.load(Ordering::Relaxed)
}

/// Whether a warning ends the kernel. Context: any.
pub fn panics_on_warn() -> bool {
    PANICS_ON_WARN.load(Ordering::Relaxed)
}

/// Sets `panic_on_warn`. Context: any.
pub fn set_panic_on_warn(on: bool) {
    PANICS_ON_WARN.store(on, Ordering::Relaxed);
}

/// A bug at `site`: does not come back.
///
/// Context: any.
#[doc(hidden)]
#[inline(always)]
pub fn bug_at(site: &'static BugSite) -> ! {
    #[cfg(target_os = "none")]
    arch::bug::trap_bug(core::ptr::from_ref(site).addr());
    #[cfg(not(target_os = "none"))]
    panic!("kernel BUG at {site}");
}

/// A warning at `site`.
///
/// Context: any.
#[doc(hidden)]
#[inline(always)]
pub fn warn_at(site: &'static BugSite) {
    #[cfg(target_os = "none")]
    arch::bug::trap_warn(core::ptr::from_ref(site).addr());
    #[cfg(not(target_os = "none"))]
    warn_with(site, None);
}

/// A warning at `site` with a text.
///
/// Context: any.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn warn_with(site: &'static BugSite, text: Option<fmt::Arguments<'_>>) {
    if !site.may_speak() {
        return;
    }
    #[cfg(target_os = "none")]
    report_warning(site, text, backtrace::here());
    #[cfg(not(target_os = "none"))]
    {
        count();
        std::println!("WARNING: {site}: {}", text.unwrap_or(format_args!("")));
    }
}

/// Counts a warning; says which one it is.
fn count() -> u64 {
    add_taint(Taint::Warn);
    NR_WARNINGS.fetch_add(1, Ordering::Relaxed) + 1
}

/// The site of a breakpoint, from what it had in X0.
///
/// Context: any. An address that cannot be a site's gives `None`: then it is somebody else's breakpoint.
#[cfg(target_os = "none")]
pub(super) fn site_at(address: usize) -> Option<&'static BugSite> {
    let is_in_image = (arch::layout::LINK_BASE..arch::layout::image_end() - size_of::<BugSite>()).contains(&address);
    if !is_in_image || !address.is_multiple_of(align_of::<BugSite>()) {
        return None;
    }
    // SAFETY: only `bug_at` and `warn_at` execute breakpoints of these numbers, with the address of a static in X0.
    Some(unsafe { &*(address as *const BugSite) })
}

/// The breakpoint of a warning was met. Context: the fault handler.
#[cfg(target_os = "none")]
pub(super) fn on_warn_trap(site: &'static BugSite, start: Start) {
    if site.may_speak() {
        report_warning(site, None, start);
    }
}

#[cfg(target_os = "none")]
#[inline(never)]
fn report_warning(site: &BugSite, text: Option<fmt::Arguments<'_>>, start: Start) {
    let number = count();
    {
        let turn = Turn::wait();
        let mut out = LogLines::new(Level::Warning);
        // The log takes all text.
        let _ = write_warning(&mut out, number, site, text, (!turn.is_nested()).then_some(start));
    }
    if panics_on_warn() {
        panic::end_kernel(format_args!("panic_on_warn is set"));
    }
}

/// A warning inside a report is one line: `start` is `None`.
#[cfg(target_os = "none")]
fn write_warning(
    out: &mut dyn fmt::Write,
    number: u64,
    site: &BugSite,
    text: Option<fmt::Arguments<'_>>,
    start: Option<Start>,
) -> fmt::Result {
    write!(out, "WARNING #{number} on cpu{} at {site}", crate::cpu::id())?;
    match text {
        Some(text) => writeln!(out, ": {text}")?,
        None => writeln!(out)?,
    }
    if let Some(start) = start {
        report::write_context(out)?;
        report::write_backtrace(out, start)?;
        writeln!(out, "---[ end of warning #{number} ]---")?;
    }
    Ok(())
}

/// The site of one use of a macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __bug_site {
    ($what:expr, $times:ident) => {{
        static SITE: $crate::debug::bug::BugSite =
            $crate::debug::bug::BugSite::new($what, ::core::file!(), ::core::line!(), $crate::debug::bug::Times::$times);
        &SITE
    }};
}

/// Ends the running thread with an oops, or the kernel where a thread cannot end: Linux's `BUG`. Context: any.
///
/// # Examples
/// ```should_panic
/// fn step(state: u32) -> u32 {
///     match state {
///         0 => 1,
///         1 => 0,
///         _ => tetra::BUG!(),
///     }
/// }
/// assert_eq!(step(0), 1);
/// step(2);
/// ```
#[macro_export]
macro_rules! BUG {
    () => {
        $crate::debug::bug::bug_at($crate::__bug_site!("BUG", Always))
    };
}

/// [`BUG!`], if the condition holds: Linux's `BUG_ON`. Context: any.
///
/// # Examples
/// ```should_panic
/// let nr_users = 1;
/// tetra::BUG_ON!(nr_users < 0);
/// tetra::BUG_ON!(nr_users != 0); // ends the thread
/// ```
#[macro_export]
macro_rules! BUG_ON {
    ($condition:expr) => {
        if $condition {
            ::core::hint::cold_path();
            $crate::debug::bug::bug_at($crate::__bug_site!(::core::stringify!($condition), Always))
        }
    };
}

/// Reports a warning if the condition holds, and gives the condition: Linux's `WARN_ON`. Context: any.
///
/// # Examples
/// ```
/// use tetra::WARN_ON;
///
/// let left = 3;
/// assert!(!WARN_ON!(left > 3));
/// ```
#[macro_export]
macro_rules! WARN_ON {
    ($condition:expr) => {
        $crate::__warn_on!($condition, Always)
    };
}

/// [`WARN_ON!`], the first time only; the condition is given each time. Context: any.
///
/// # Examples
/// ```
/// let left = 3;
/// assert!(!tetra::WARN_ON_ONCE!(left > 3));
/// ```
#[macro_export]
macro_rules! WARN_ON_ONCE {
    ($condition:expr) => {
        $crate::__warn_on!($condition, Once)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __warn_on {
    ($condition:expr, $times:ident) => {{
        let holds: bool = $condition;
        if holds {
            ::core::hint::cold_path();
            $crate::debug::bug::warn_at($crate::__bug_site!(::core::stringify!($condition), $times));
        }
        holds
    }};
}

/// Reports a warning with a text if the condition holds, and gives the condition: Linux's `WARN`. Context: any.
///
/// # Examples
/// ```
/// let left = 3;
/// assert!(!tetra::WARN!(left > 3, "{left} blocks are left"));
/// ```
#[macro_export]
macro_rules! WARN {
    ($condition:expr, $($text:tt)+) => {
        $crate::__warn!($condition, Always, $($text)+)
    };
}

/// [`WARN!`], the first time only. Context: any.
///
/// # Examples
/// ```
/// let left = 3;
/// assert!(!tetra::WARN_ONCE!(left > 3, "{left} blocks are left"));
/// ```
#[macro_export]
macro_rules! WARN_ONCE {
    ($condition:expr, $($text:tt)+) => {
        $crate::__warn!($condition, Once, $($text)+)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __warn {
    ($condition:expr, $times:ident, $($text:tt)+) => {{
        let holds: bool = $condition;
        if holds {
            let site = $crate::__bug_site!(::core::stringify!($condition), $times);
            $crate::debug::bug::warn_with(site, ::core::option::Option::Some(::core::format_args!($($text)+)));
        }
        holds
    }};
}

/// [`WARN!`], at most 10 times in 5 seconds: Linux's `WARN_RATELIMIT`. Context: any.
///
/// # Examples
/// ```
/// let left = 3;
/// assert!(!tetra::WARN_RATELIMIT!(left > 3, "{left} blocks are left"));
/// ```
#[macro_export]
macro_rules! WARN_RATELIMIT {
    ($condition:expr, $($text:tt)+) => {{
        let holds: bool = $condition;
        if holds {
            static LIMIT: $crate::log::RateLimit = $crate::log::RateLimit::new();
            if LIMIT.allows(::core::module_path!()) {
                let site = $crate::__bug_site!(::core::stringify!($condition), Always);
                $crate::debug::bug::warn_with(site, ::core::option::Option::Some(::core::format_args!($($text)+)));
            }
        }
        holds
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_gives_the_condition_and_counts() {
        let before = nr_warnings();
        let odd = |number: u32| WARN_ON!(number % 2 == 1);
        assert!(odd(1) && !odd(2) && odd(3));
        assert!(WARN!(before < u64::MAX, "with {} words", 2));
        // Other tests warn meanwhile.
        assert!(nr_warnings() >= before + 3);
    }

    #[test]
    fn once_is_once_and_still_gives_the_condition() {
        let site = BugSite::new("x", "y", 1, Times::Once);
        assert!(site.may_speak() && !site.may_speak());
        let given = [true, false, true].map(|holds| WARN_ON_ONCE!(holds));
        assert_eq!(given, [true, false, true]);
        assert_eq!([(); 3].map(|()| WARN_ONCE!(true, "said once")), [true; 3]);
    }

    #[test]
    #[should_panic(expected = "bug.rs:")]
    fn a_bug_says_where() {
        BUG_ON!(1 + 1 == 2);
    }

    #[test]
    fn a_site_reads_like_linuxes() {
        assert_eq!(std::format!("{}", BugSite::new("left > 3", "src/x.rs", 7, Times::Always)), "src/x.rs:7: left > 3");
    }
}
