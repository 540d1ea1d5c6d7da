//! Filters: what can stand behind a pipe, and how lines go through a chain of them.
//!
//! A pipe here is no buffer between two threads but a call: each line the command writes goes through all filters before the command
//! writes the next, so a pipe needs no memory but for what a filter must keep (`sort`, `tail`), and `head` can stop the command. Those
//! that keep lines share one pool of fixed size. What does not fit there, and lines cut in two, are counted and reported: a filter
//! never loses in silence.
//!
//! Filters are a closed set, not a registry: with an enum they live in the shell's own memory, and all agree on one line format.

use core::fmt::{self, Write};

use arrayvec::{ArrayString, ArrayVec};

use super::command::{CommandError, status};
use super::filter_sort::Sort;
use super::filter_tail::Tail;
use super::options::{self, Options};
use super::parse::MAX_STAGES;
use super::pattern::{Case, Pattern, PatternError, Syntax};

/// The names of all filters, in order.
pub const NAMES: [&str; 5] = ["grep", "head", "sort", "tail", "wc"];

/// The longest line that goes through a pipe in one piece.
const LINE_MAX: usize = 512;
/// The lines that `head` and `tail` show unless told otherwise.
const LINES_DEFAULT: usize = 10;

/// One stage behind a pipe.
#[expect(clippy::large_enum_variant, reason = "filters stand in the executor's own memory: there is no heap to box one in")]
pub(super) enum Filter {
    Grep(Grep),
    Head { left: usize },
    Tail(Tail),
    Sort(Sort),
    Wc(Wc),
}

/// All stages behind a pipe.
pub(super) type Filters = ArrayVec<Filter, MAX_STAGES>;

/// Why a filter cannot be made.
pub(super) enum FilterError {
    Pattern(PatternError),
    /// The arguments are wrong.
    Usage,
}

impl From<CommandError> for FilterError {
    /// Options fail for one reason only.
    fn from(_: CommandError) -> Self {
        Self::Usage
    }
}

impl Filter {
    /// Whether the filter keeps lines, and so has a share of the pool.
    fn keeps_lines(&self) -> bool {
        matches!(self, Self::Tail(_) | Self::Sort(_))
    }

    /// Whether nothing that follows can change what the filter gives.
    fn is_satisfied(&self) -> bool {
        matches!(self, Self::Head { left: 0 })
    }

    fn take(&mut self, line: &str, store: &mut [u8], next: &mut Chain<'_>) -> fmt::Result {
        match self {
            Self::Grep(grep) => grep.take(line, next),
            Self::Head { left: 0 } => Err(fmt::Error),
            Self::Head { left } => {
                *left -= 1;
                next.take(line)
            }
            Self::Tail(tail) => tail.take(line, store, next),
            Self::Sort(sort) => {
                sort.take(line, store);
                Ok(())
            }
            Self::Wc(wc) => {
                wc.take(line);
                Ok(())
            }
        }
    }

    fn finish(&mut self, store: &mut [u8], next: &mut Chain<'_>) -> fmt::Result {
        match self {
            Self::Grep(grep) => grep.finish(next),
            Self::Head { .. } => Ok(()),
            Self::Tail(tail) => tail.finish(store, next),
            Self::Sort(sort) => sort.finish(store, next),
            Self::Wc(wc) => wc.finish(next),
        }
    }

    /// The name, and how many lines did not fit.
    pub(super) fn lost(&self) -> Option<(&'static str, usize)> {
        match self {
            Self::Tail(tail) if tail.lost() > 0 => Some(("tail", tail.lost())),
            Self::Sort(sort) if sort.lost() > 0 => Some(("sort", sort.lost())),
            _ => None,
        }
    }

    /// The exit status, once finished.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Grep(grep) if grep.hits == 0 => status::FAILED,
            _ if self.lost().is_some() => status::FAILED,
            _ => status::SUCCESS,
        }
    }
}

/// The filters from some stage on, and where the last one writes.
pub(super) struct Chain<'a> {
    filters: &'a mut [Filter],
    pool: &'a mut [u8],
    /// The part of the pool that each filter gets that keeps lines.
    share: usize,
    out: &'a mut dyn Write,
}

impl<'a> Chain<'a> {
    pub(super) fn new(filters: &'a mut [Filter], pool: &'a mut [u8], out: &'a mut dyn Write) -> Self {
        let keepers = filters.iter().filter(|filter| filter.keeps_lines()).count();
        let share = pool.len() / keepers.max(1);
        Self { filters, pool, share, out }
    }

    /// Takes a line, without its newline. An error means that no more is wanted.
    pub(super) fn take(&mut self, line: &str) -> fmt::Result {
        let Some((filter, store, mut next)) = self.split() else {
            self.out.write_str(line)?;
            return self.out.write_char('\n');
        };
        filter.take(line, store, &mut next)
    }

    /// Ends the stream: filters that waited for the end give what they have.
    pub(super) fn finish(&mut self) -> fmt::Result {
        let Some((filter, store, mut next)) = self.split() else { return Ok(()) };
        let given = filter.finish(store, &mut next);
        let finished = next.finish();
        given.and(finished)
    }

    /// Whether no more input is wanted, because a `head` has all it needs.
    pub(super) fn is_satisfied(&self) -> bool {
        self.filters.iter().any(Filter::is_satisfied)
    }

    fn split(&mut self) -> Option<(&mut Filter, &mut [u8], Chain<'_>)> {
        let (filter, filters) = self.filters.split_first_mut()?;
        let share = if filter.keeps_lines() { self.share } else { 0 };
        let (store, pool) = self.pool.split_at_mut_checked(share)?;
        Some((filter, store, Chain { filters, pool, share: self.share, out: self.out }))
    }
}

/// Cuts what a command writes into lines and hands them to a chain.
pub(super) struct Lines<'a> {
    chain: Chain<'a>,
    line: ArrayString<LINE_MAX>,
    cut: usize,
}

impl<'a> Lines<'a> {
    pub(super) const fn new(chain: Chain<'a>) -> Self {
        Self { chain, line: ArrayString::new_const(), cut: 0 }
    }

    /// Ends the stream; gives how often a line was too long and went on as two.
    pub(super) fn finish(mut self) -> usize {
        if !self.line.is_empty() {
            // An error says that a filter has enough, which is no concern at the end.
            let _ = self.chain.take(&self.line);
        }
        let _ = self.chain.finish();
        self.cut
    }

    pub(super) fn is_satisfied(&self) -> bool {
        self.chain.is_satisfied()
    }

    fn end_line(&mut self) -> fmt::Result {
        let taken = self.chain.take(&self.line);
        self.line.clear();
        taken
    }
}

impl Write for Lines<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c == '\n' {
                self.end_line()?;
            } else if self.line.try_push(c).is_err() {
                self.cut += 1;
                self.end_line()?;
                self.line.push(c);
            }
        }
        // Only now: a command that is told early that enough is enough need not write the rest.
        if self.is_satisfied() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Appends a filter, and gives the operands left over.
type Maker = for<'a> fn(&mut Filters, &'a [&'a str]) -> Result<&'a [&'a str], FilterError>;

/// Appends the filter called `name`, if there is one, and gives the operands left over: views to read if it stands first.
pub(super) fn add<'a>(filters: &mut Filters, name: &str, args: &'a [&'a str]) -> Option<Result<&'a [&'a str], FilterError>> {
    let make: Maker = match name {
        "grep" => add_grep,
        "head" => add_head,
        "sort" => add_sort,
        "tail" => add_tail,
        "wc" => add_wc,
        _ => return None,
    };
    Some(make(filters, args))
}

fn add_head<'a>(filters: &mut Filters, args: &'a [&'a str]) -> Result<&'a [&'a str], FilterError> {
    let mut left = LINES_DEFAULT;
    let mut options = Options::new(args, "n");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'n' | '#' => left = options::number(value)?,
            _ => return Err(FilterError::Usage),
        }
    }
    filters.push(Filter::Head { left });
    Ok(options.operands())
}

fn add_tail<'a>(filters: &mut Filters, args: &'a [&'a str]) -> Result<&'a [&'a str], FilterError> {
    let mut tail = Tail::last(LINES_DEFAULT);
    let mut options = Options::new(args, "n");
    while let Some((letter, value)) = options.next_option()? {
        tail = match (letter, value.strip_prefix('+')) {
            ('n', Some(first)) => Tail::from_line(options::number(first)?),
            ('n' | '#', None) => Tail::last(options::number(value)?),
            _ => return Err(FilterError::Usage),
        };
    }
    filters.push(Filter::Tail(tail));
    Ok(options.operands())
}

fn add_sort<'a>(filters: &mut Filters, args: &'a [&'a str]) -> Result<&'a [&'a str], FilterError> {
    let (sort, operands) = Sort::new(args)?;
    filters.push(Filter::Sort(sort));
    Ok(operands)
}

fn add_wc<'a>(filters: &mut Filters, args: &'a [&'a str]) -> Result<&'a [&'a str], FilterError> {
    let mut only = None;
    let mut options = Options::new(args, "");
    while let Some((letter, _)) = options.next_option()? {
        match letter {
            'l' | 'w' | 'c' => only = Some(letter),
            _ => return Err(FilterError::Usage),
        }
    }
    filters.push(Filter::Wc(Wc { lines: 0, words: 0, bytes: 0, only }));
    Ok(options.operands())
}

fn add_grep<'a>(filters: &mut Filters, args: &'a [&'a str]) -> Result<&'a [&'a str], FilterError> {
    let (mut syntax, mut case, mut text) = (Syntax::Basic, Case::Sensitive, None);
    let grep = push_grep(filters).ok_or(FilterError::Usage)?;

    let mut options = Options::new(args, "e");
    while let Some((letter, value)) = options.next_option()? {
        match letter {
            'E' => syntax = Syntax::Extended,
            'F' => syntax = Syntax::Fixed,
            'i' => case = Case::Ignored,
            'v' => grep.is_inverted = true,
            'c' => grep.output = GrepOutput::Count,
            'n' => grep.output = GrepOutput::NumberedLines,
            'e' => text = Some(value),
            _ => return Err(FilterError::Usage),
        }
    }

    let (text, operands) = match (text, options.operands()) {
        (Some(text), operands) => (text, operands),
        (None, [text, operands @ ..]) => (*text, operands),
        (None, []) => return Err(FilterError::Usage),
    };
    grep.pattern.compile(text, syntax, case).map_err(FilterError::Pattern)?;
    Ok(operands)
}

/// Appends a `grep` to be filled in where it is. Not inlined: it passes the stack once here, and must be off it when patterns compile.
#[inline(never)]
fn push_grep(filters: &mut Filters) -> Option<&mut Grep> {
    filters.push(Filter::Grep(Grep { pattern: Pattern::new(), output: GrepOutput::Lines, is_inverted: false, seen: 0, hits: 0 }));
    match filters.last_mut() {
        Some(Filter::Grep(grep)) => Some(grep),
        _ => None,
    }
}

/// The lines that match a pattern, or do not.
pub(super) struct Grep {
    pattern: Pattern,
    output: GrepOutput,
    is_inverted: bool,
    seen: usize,
    hits: usize,
}

/// What `grep` shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GrepOutput {
    Lines,
    NumberedLines,
    Count,
}

impl Grep {
    fn take(&mut self, line: &str, next: &mut Chain<'_>) -> fmt::Result {
        self.seen += 1;
        if self.pattern.is_match(line) == self.is_inverted {
            return Ok(());
        }
        self.hits += 1;
        match self.output {
            GrepOutput::Count => Ok(()),
            GrepOutput::Lines => next.take(line),
            GrepOutput::NumberedLines => self.take_numbered(line, next),
        }
    }

    /// Not inlined, so that only a chain with numbers in it has their buffer on the stack.
    #[inline(never)]
    fn take_numbered(&self, line: &str, next: &mut Chain<'_>) -> fmt::Result {
        // Room for any line with the longest number and a colon.
        let mut numbered = ArrayString::<{ LINE_MAX + 24 }>::new();
        write!(numbered, "{}:{line}", self.seen)?;
        next.take(&numbered)
    }

    fn finish(&self, next: &mut Chain<'_>) -> fmt::Result {
        if self.output == GrepOutput::Count { take_numbers(&[self.hits], next) } else { Ok(()) }
    }
}

/// The number of lines, words and bytes.
pub(super) struct Wc {
    lines: usize,
    words: usize,
    bytes: usize,
    /// The one to show, or all.
    only: Option<char>,
}

impl Wc {
    fn take(&mut self, line: &str) {
        self.lines += 1;
        self.words += line.split_whitespace().count();
        self.bytes += line.len() + 1;
    }

    fn finish(&self, next: &mut Chain<'_>) -> fmt::Result {
        match self.only {
            Some('l') => take_numbers(&[self.lines], next),
            Some('w') => take_numbers(&[self.words], next),
            Some(_) => take_numbers(&[self.bytes], next),
            None => take_numbers(&[self.lines, self.words, self.bytes], next),
        }
    }
}

/// Hands on a line of numbers.
fn take_numbers(numbers: &[usize], next: &mut Chain<'_>) -> fmt::Result {
    let mut line = ArrayString::<96>::new();
    for (index, number) in numbers.iter().enumerate() {
        let space = if index > 0 { " " } else { "" };
        write!(line, "{space}{number}")?;
    }
    next.take(&line)
}
