//! The one registry of views: what `cat`, `ls` and a command of the same name show.
//!
//! A view is a function that writes text, under a name (`meminfo`) and a path (`/proc/meminfo`). Typing the name runs it, `cat` with
//! name or path shows it, and `cat /proc/meminfo | grep Free` filters it: two faces of one thing, so that they cannot disagree.
//! Rejected: a tree of nodes with open, read and seek as a file system has it. Nothing here is read in parts, so a view is formatted
//! in one go into whatever the reader holds out, and the paths are only names.
//!
//! Views are gathered by the linker from wherever [`view!`](macro@crate::proc::view) stands, also in a user's own crate. There is no
//! shared state: the slice is constant. Neighbours: `shell` (commands and completion over views).

mod view;

pub use view::{Show, View, ViewError, Write};

/// For [`view!`](macro@crate::proc::view) and [`command!`](crate::shell::command) in crates that do not depend on it themselves.
#[doc(hidden)]
pub use linkme as __linkme;

/// Every view of the image, in the linker's order: use [`sorted`] to list them.
#[linkme::distributed_slice]
pub static VIEWS: [View];

/// Registers a view.
///
/// ```
/// # use core::fmt;
/// use tetra::proc::{self, ViewError};
///
/// proc::view! {
///     name: "answer",
///     path: "/proc/answer",
///     help: "the answer, in decimal",
///     show: show_answer,
/// }
///
/// fn show_answer(out: &mut dyn fmt::Write) -> Result<(), ViewError> {
///     writeln!(out, "42")?;
///     Ok(())
/// }
///
/// let mut text = String::new();
/// proc::find("/proc/answer").unwrap().show(&mut text).unwrap();
/// assert_eq!(text, "42\n");
/// ```
///
/// A fifth line `write: set_answer,` names a `fn(&str) -> Result<(), Errno>` for `echo 43 > /proc/answer`.
#[doc(hidden)]
#[macro_export]
macro_rules! __view {
    (name: $name:expr, path: $path:expr, help: $help:expr, show: $show:expr $(, write: $write:expr)? $(,)?) => {
        const _: () = {
            #[$crate::proc::__linkme::distributed_slice($crate::proc::VIEWS)]
            #[linkme(crate = $crate::proc::__linkme)]
            static VIEW: $crate::proc::View = $crate::proc::View::new($name, $path, $help, $show)$(.writable($write))?;
        };
    };
}

#[doc(inline)]
pub use crate::__view as view;

/// Finds a view by its name (`irq`), its path (`/proc/interrupts`), or what a path ends in (`interrupts`), alone or below `/proc`: there
/// `sched_features` was for long, and there a person looks first.
///
/// Context: any; does not sleep.
#[must_use]
pub fn find(name_or_path: &str) -> Option<&'static View> {
    let exact = VIEWS.iter().find(|view| view.name() == name_or_path || view.path() == name_or_path);
    exact.or_else(|| {
        let last = name_or_path.strip_prefix("/proc/").unwrap_or(name_or_path);
        VIEWS.iter().find(|view| view.name() == last || view.path().rsplit('/').next() == Some(last))
    })
}

/// Lists all views by ascending name, each name once.
///
/// Context: any; does not sleep. Each step looks through the whole registry, which is a few dozen entries.
pub fn sorted() -> impl Iterator<Item = &'static View> {
    let after = |last: &str| VIEWS.iter().filter(|view| view.name() > last).min_by_key(|view| view.name());
    core::iter::successors(after(""), move |last| after(last.name()))
}

/// Finds two views that share a name or a path: a bug that the boot checks report.
///
/// Context: any; does not sleep.
#[must_use]
pub fn find_duplicate() -> Option<(&'static View, &'static View)> {
    duplicate_in(&VIEWS)
}

fn duplicate_in(views: &[View]) -> Option<(&View, &View)> {
    let clash = |a: &View, b: &View| a.name() == b.name() || a.path() == b.path();

    let (mut rest, mut found) = (views, None);
    while let ([first, others @ ..], None) = (rest, found) {
        found = others.iter().find(|other| clash(first, other)).map(|other| (first, other));
        rest = others;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt;
    use std::prelude::v1::*;

    fn show_nothing(_: &mut dyn fmt::Write) -> Result<(), ViewError> {
        Ok(())
    }

    #[test]
    fn linked_views_are_unique_and_found_by_name_and_path() {
        assert!(find_duplicate().is_none(), "two views share a name or path");
        for view in VIEWS.iter() {
            assert_eq!(find(view.name()).map(View::path), Some(view.path()));
            assert_eq!(find(view.path()).map(View::name), Some(view.name()));
        }
        assert!(find("").is_none() && find("/proc").is_none() && find("/proc/").is_none() && find("/sys/nothing").is_none());
        for view in VIEWS.iter() {
            let last = view.path().rsplit('/').next().unwrap();
            assert!(find(last).is_some() && find(&format!("/proc/{last}")).is_some(), "{last}");
        }
    }

    #[test]
    fn sorted_lists_every_view_once_in_order() {
        let names: Vec<_> = sorted().map(View::name).collect();
        assert_eq!(names.len(), VIEWS.len());
        assert!(names.is_sorted());
    }

    #[test]
    fn duplicates_are_found_by_name_or_path_wherever_they_stand() {
        let view = |name, path| View::new(name, path, "", show_nothing);
        let same_name = [view("a", "/proc/a"), view("b", "/proc/b"), view("a", "/sys/a")];
        let same_path = [view("x", "/proc/x"), view("a", "/proc/a"), view("b", "/proc/a")];

        assert!(duplicate_in(&same_name[..2]).is_none());
        assert_eq!(duplicate_in(&same_name).map(|(a, b)| (a.path(), b.path())), Some(("/proc/a", "/sys/a")));
        assert_eq!(duplicate_in(&same_path).map(|(a, b)| (a.name(), b.name())), Some(("a", "b")));
    }
}
