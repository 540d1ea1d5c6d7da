//! A view: a name, a path, one line of help, and the function that writes its text.
//!
//! Plain function pointers and not a trait, so that a view is a constant and a registration is five lines. The fields are private and
//! `new` checks them in const evaluation, so a malformed path is a compile error and not a view that nobody can reach.

use core::fmt;

use crate::util::errno::Errno;

/// Writes the text of a view; `?` works on the results of `write!` and on an [`Errno`].
pub type Show = fn(&mut dyn fmt::Write) -> Result<(), ViewError>;

/// Takes a text written to a view, without its final newline.
pub type Write = fn(&str) -> Result<(), Errno>;

/// Something that can be shown by name.
#[derive(Clone, Copy)]
pub struct View {
    name: &'static str,
    path: &'static str,
    help: &'static str,
    show: Show,
    write: Option<Write>,
}

impl View {
    /// Creates a view called `name` at `path`; `help` says in one line what it shows.
    ///
    /// # Panics
    /// At compile time, if `name` is empty or `path` is not absolute or ends in a slash.
    #[must_use]
    pub const fn new(name: &'static str, path: &'static str, help: &'static str, show: Show) -> Self {
        assert!(!name.is_empty(), "a view needs a name");
        let bytes = path.as_bytes();
        assert!(bytes.len() > 1 && bytes[0] == b'/' && bytes[bytes.len() - 1] != b'/', "the path of a view is absolute");

        Self { name, path, help, show, write: None }
    }

    /// Makes the view settable: `echo TEXT > PATH` calls `write`.
    #[must_use]
    pub const fn writable(mut self, write: Write) -> Self {
        self.write = Some(write);
        self
    }

    /// The short name, such as `meminfo`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The path, such as `/proc/meminfo`.
    #[must_use]
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// One line that says what the view shows.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }

    /// Whether [`write`](Self::write) can succeed.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.write.is_some()
    }

    /// Writes the view's text to `out`.
    ///
    /// Context: thread; may sleep, as each view says.
    ///
    /// # Errors
    /// `ViewError::Output` if `out` takes no more, `ViewError::Errno` if the view cannot be made.
    pub fn show(&self, out: &mut dyn fmt::Write) -> Result<(), ViewError> {
        (self.show)(out)
    }

    /// Hands `text` to the view.
    ///
    /// Context: thread; may sleep, as each view says.
    ///
    /// # Errors
    /// `EACCES` if the view is read-only, else what the view makes of the text, mostly `EINVAL`.
    pub fn write(&self, text: &str) -> Result<(), Errno> {
        self.write.map_or(Err(Errno::EACCES), |write| write(text))
    }
}

/// Why a view was not shown whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// The reader takes no more text: it was interrupted, or has what it wants.
    Output,
    /// The view could not be made.
    Errno(Errno),
}

impl From<fmt::Error> for ViewError {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl From<Errno> for ViewError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    const VIEW: View = View::new("greeting", "/proc/greeting", "a word", |out| {
        out.write_str("hello\n")?;
        Err(Errno::EAGAIN)?
    });

    #[test]
    fn shows_text_and_error() {
        let mut text = String::new();
        assert_eq!(VIEW.show(&mut text), Err(ViewError::Errno(Errno::EAGAIN)));
        assert_eq!(text, "hello\n");
    }

    #[test]
    fn only_a_writable_view_takes_text() {
        let settable = VIEW.writable(|text| if text == "on" { Ok(()) } else { Err(Errno::EINVAL) });

        assert_eq!(VIEW.write("on"), Err(Errno::EACCES));
        assert!(settable.is_writable() && !VIEW.is_writable());
        assert_eq!(settable.write("on"), Ok(()));
        assert_eq!(settable.write("off"), Err(Errno::EINVAL));
    }
}
