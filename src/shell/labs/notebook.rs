//! `Notebook`: what a lab writes in, and what it claims of what it saw.
//!
//! ```text
//! WRONG  counter = counter + 1 on every core
//!   additions                                         80000
//!   lost                                              31172
//!   ok  some are lost
//! ```
//!
//! A claim that does not hold is a line that begins with `NOT`, and changes the verdict. Neighbour: `labs` writes the head and the end.

use core::fmt::{self, Display, Write};

/// Width of the column that names a figure.
const NAME: usize = 50;
/// Width of the figure's column.
const FIGURE: usize = 24;

/// Width of what is quoted.
const QUOTE: usize = 74;
/// Lines of a message that are quoted: what, and where.
const QUOTED_LINES: usize = 2;

/// The page of a lab that runs.
pub struct Notebook<'a> {
    out: &'a mut dyn Write,
    nr_claims: u32,
    nr_false: u32,
}

impl<'a> Notebook<'a> {
    /// An empty page.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, nr_claims: 0, nr_false: 0 }
    }

    /// Begins the version that must not be written so.
    ///
    /// # Errors
    /// Those of the output, as for all that write.
    pub fn wrong(&mut self, what: &str) -> fmt::Result {
        writeln!(self.out, "\nWRONG  {what}")
    }

    /// Begins the version that is right.
    ///
    /// # Errors
    /// Those of the output.
    pub fn right(&mut self, what: &str) -> fmt::Result {
        writeln!(self.out, "\nRIGHT  {what}")
    }

    /// Begins a part that is neither.
    ///
    /// # Errors
    /// Those of the output.
    pub fn part(&mut self, what: &str) -> fmt::Result {
        writeln!(self.out, "\nSEE    {what}")
    }

    /// Writes a figure under its name.
    ///
    /// # Errors
    /// Those of the output.
    pub fn value(&mut self, name: &str, value: impl Display) -> fmt::Result {
        writeln!(self.out, "  {name:NAME$} {:>FIGURE$}", padded(format_args!("{value}")))
    }

    /// Writes a sentence.
    ///
    /// # Errors
    /// Those of the output.
    pub fn note(&mut self, text: &str) -> fmt::Result {
        writeln!(self.out, "  {text}")
    }

    /// Says what must be true of the figures above, and notes if it is not.
    ///
    /// # Errors
    /// Those of the output.
    pub fn claim(&mut self, what: &str, holds: bool) -> fmt::Result {
        self.nr_claims += 1;
        self.nr_false += u32::from(!holds);
        writeln!(self.out, "  {} {what}", if holds { "ok " } else { "NOT" })
    }

    /// Quotes what the kernel said: its first lines, indented, broken at spaces.
    ///
    /// # Errors
    /// Those of the output.
    pub fn quote(&mut self, text: &str) -> fmt::Result {
        text.lines().take(QUOTED_LINES).try_for_each(|line| self.quote_line(line.trim_end()))
    }

    fn quote_line(&mut self, line: &str) -> fmt::Result {
        let mut rest = line;
        while let Some(row) = rest.get(..QUOTE).filter(|row| row.len() < rest.len()) {
            let at = row.rfind(' ').filter(|at| *at > 0).unwrap_or(QUOTE);
            writeln!(self.out, "  | {}", &rest[..at])?;
            rest = rest[at..].trim_start();
        }
        writeln!(self.out, "  | {rest}")
    }

    pub(super) fn verdict(&self) -> Verdict {
        match (self.nr_claims, self.nr_false) {
            (_, 0) => Verdict::AsExpected,
            (nr_claims, nr_false) => Verdict::Differs { nr_false, nr_claims },
        }
    }
}

impl Write for Notebook<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }
}

/// What came of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every claim holds.
    AsExpected,
    /// Some do not.
    Differs {
        /// Claims that do not hold.
        nr_false: u32,
        /// All claims.
        nr_claims: u32,
    },
    /// It takes more cores than run.
    NotRun,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsExpected => f.write_str("as expected"),
            Self::Differs { nr_false, nr_claims } => write!(f, "differs: {nr_false} of {nr_claims} claims do not hold"),
            Self::NotRun => f.write_str("not run"),
        }
    }
}

/// Text that can be padded, which most values cannot.
pub fn padded(text: fmt::Arguments<'_>) -> arrayvec::ArrayString<80> {
    let mut row = arrayvec::ArrayString::new();
    // What does not fit a line is cut.
    let _ = row.write_fmt(text);
    row
}

/// Figures of several cores, in a row.
pub struct PerCore<'a>(pub &'a [u64]);

impl Display for PerCore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, figure)| write!(f, "{}{figure}", if at == 0 { "" } else { " " }))
    }
}

/// An address or a word, in hex.
pub struct Hex(pub u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Yes or no.
pub struct YesNo(pub bool);

impl Display for YesNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "yes" } else { "no" })
    }
}
